#include "pools/span_pool.hpp"

#include <limits>

namespace numpool::pools {

namespace {

constexpr std::size_t room = SpanPool::colour_period - 64;

/// Bytes of a span for a block with room for a colour; what cannot be had stays what cannot be had.
constexpr std::size_t with_room(std::size_t bytes) noexcept {
    return bytes > std::numeric_limits<std::size_t>::max() - room ? bytes : bytes + room;
}

}  // namespace

std::byte* SpanPool::acquire(std::size_t bytes, bool zeroed) noexcept {
    Span* const span = bank_.acquire(with_room(bytes), zeroed);
    if (span == nullptr) return nullptr;
    // A span that comes again as it was keeps its colour: the pages it has are the right ones.
    if (span->offset == Span::no_offset) {
        span->offset = static_cast<std::uint32_t>(colour_);
        colour_ = (colour_ + colour_step) % colour_period;
    }
    span->requested = bytes;
    return span->start + span->offset;
}

Span* SpanPool::span_of(const std::byte* block) const noexcept {
    Span* const span = bank_.find(block);
    return span != nullptr && span->start + span->offset == block ? span : nullptr;
}

bool SpanPool::release(std::byte* block) noexcept {
    Span* const span = span_of(block);
    if (span == nullptr) return false;
    bank_.release(span);
    return true;
}

std::byte* SpanPool::reallocate(std::byte* block, std::size_t bytes) noexcept {
    Span* span = span_of(block);
    if (span == nullptr) return nullptr;
    if (granules_for(with_room(bytes)) < span->granules) {
        bank_.shrink(span, with_room(bytes));
    } else {
        span = bank_.grow(span, with_room(bytes));
        if (span == nullptr) return nullptr;
    }
    span->requested = bytes;
    return span->start + span->offset;
}

std::size_t SpanPool::requested(const std::byte* block) const noexcept {
    const Span* const span = span_of(block);
    return span == nullptr ? 0 : span->requested;
}

std::byte* SpanPool::block_of(const void* address) const noexcept {
    Span* const span = bank_.find(address);
    if (span == nullptr) return nullptr;
    std::byte* const block = span->start + span->offset;
    const auto* const at = static_cast<const std::byte*>(address);
    return at >= block && at < block + span->requested ? block : nullptr;
}

}  // namespace numpool::pools
