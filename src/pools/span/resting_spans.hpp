#pragma once

#include <array>
#include <cstddef>

#include "pools/span/span.hpp"

namespace numpool::pools {

/// Spans that were released and are kept whole for the next request of their size, the one released
/// last first.
class RestingSpans {
  public:
    std::size_t bytes() const noexcept { return bytes_; }

    /// The span of this size that was released last, or null.
    Span* find(std::size_t granules) const noexcept {
        Span* const span = lists_[slot_of(granules)];
        return span != nullptr && span->granules == granules ? span : nullptr;
    }

    void push(Span* span) noexcept {
        Span*& list = lists_[slot_of(span->granules)];
        span->next = list;
        list = span;
        bytes_ += span->bytes();
    }

    /// Takes out the span that `find` gave.
    void pop(Span* span) noexcept {
        lists_[slot_of(span->granules)] = span->next;
        bytes_ -= span->bytes();
    }

    /// Takes out the spans for which `leaves(span)` says so, and gives them to `take`.
    template <class Leaves, class Take>
    void take_if(Leaves leaves, Take take) noexcept {
        if (bytes_ == 0) return;
        for (Span*& list : lists_) {
            for (Span** link = &list; *link != nullptr;) {
                Span* const span = *link;
                if (!leaves(*span)) {
                    link = &span->next;
                    continue;
                }
                *link = span->next;
                bytes_ -= span->bytes();
                take(span);
            }
        }
    }

    template <class Visit>
    void for_each(Visit visit) const {
        for (const Span* span : lists_) {
            for (; span != nullptr; span = span->next) visit(*span);
        }
    }

  private:
    static constexpr std::size_t slots = 64;
    static std::size_t slot_of(std::size_t granules) noexcept {
        return (granules ^ granules >> 6) % slots;
    }

    std::array<Span*, slots> lists_{};
    std::size_t bytes_ = 0;
};

}  // namespace numpool::pools
