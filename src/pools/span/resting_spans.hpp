#pragma once

#include <array>
#include <cstddef>

#include "pools/span/span.hpp"

namespace numpool::pools {

/// Released spans that are kept whole for the next request of their size. Each size is a stack.
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

    /// Removes the span that `find` returned.
    void pop(Span* span) noexcept {
        lists_[slot_of(span->granules)] = span->next;
        bytes_ -= span->bytes();
    }

    /// Removes the spans for which `leaves(span)` is true. `receive(span)` gets each of them.
    template <class Leaves, class Receive>
    void remove_if(Leaves leaves, Receive receive) noexcept {
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
                receive(span);
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
