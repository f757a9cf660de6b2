#include "pools/span/span_pool.hpp"

namespace numpool::pools {

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
