#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "pools/span/span.hpp"

namespace numpool::pools {

/// The records of a bank's spans. A record's memory is a record for as long as the bank lives: an
/// old note leads to a record, and never to something else.
class SpanRecords {
  public:
    /// Makes sure that the next `count` calls of `take` succeed. False where memory is refused.
    bool reserve(std::size_t count) noexcept {
        while (unused_count_ < count) {
            try {
                chunks_.reserve(chunks_.size() + 1);
                chunks_.push_back(std::make_unique<Span[]>(chunk_size));
            } catch (const std::bad_alloc&) {
                return false;
            }
            for (std::size_t i = chunk_size; i-- > 0;) put(&chunks_.back()[i]);
        }
        return true;
    }

    /// An unused record, as new; one must have been reserved.
    Span* take() noexcept {
        Span* const span = unused_;
        unused_ = span->next;
        --unused_count_;
        *span = Span{};
        return span;
    }

    void put(Span* span) noexcept {
        span->state = Span::State::none;
        span->next = unused_;
        unused_ = span;
        ++unused_count_;
    }

    template <class Visit>
    void for_each_used(Visit visit) const {
        for (const auto& chunk : chunks_) {
            for (std::size_t i = 0; i < chunk_size; ++i) {
                if (chunk[i].state != Span::State::none) visit(chunk[i]);
            }
        }
    }

  private:
    static constexpr std::size_t chunk_size = 64;

    std::vector<std::unique_ptr<Span[]>> chunks_;
    Span* unused_ = nullptr;
    std::size_t unused_count_ = 0;
};

}  // namespace numpool::pools
