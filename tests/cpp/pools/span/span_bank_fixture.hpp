#pragma once

#include <cstddef>

#include "pages/range/range_pages.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_bank.hpp"

inline constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// A bank on pages that count and fail.
struct BankFixture {
    explicit BankFixture(
        const numpool::pools::SpanBankOptions& options = {.moving = numpool::pools::move_pages})
        : bank{options, owner, pages} {}
    ~BankFixture() { numpool::pages::page_map.unregister_pool(owner); }

    numpool::pages::FakePages pages{numpool::pages::range_pages()};
    numpool::pages::Tag owner = numpool::pages::page_map.register_pool();
    numpool::pools::SpanBank bank;
};
