#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "pools/span/span.hpp"

namespace numpool::pools {

/// The records of a bank's spans. Their memory is not freed before the bank ends, so an old note in
/// the page map still points to a record.
class SpanRecords {
  public:
    /// Ensures that the next `count` calls of `allocate` succeed. False if memory is refused.
    bool ensure(std::size_t count) noexcept {
        while (unused_count_ < count) {
            try {
                chunks_.reserve(chunks_.size() + 1);
                chunks_.push_back(std::make_unique<Span[]>(chunk_size));
            } catch (const std::bad_alloc&) {
                return false;
            }
            for (std::size_t i = chunk_size; i-- > 0;) free(&chunks_.back()[i]);
        }
        return true;
    }

    /// A new record. `ensure` must have promised it.
    Span* allocate() noexcept {
        Span* const span = unused_;
        unused_ = span->next;
        --unused_count_;
        *span = Span{};
        return span;
    }

    void free(Span* span) noexcept {
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
