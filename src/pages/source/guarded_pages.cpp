#include "pages/source/guarded_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace numpool::pages {
namespace {

constexpr int private_anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/// The extent with its guards.
Extent whole(Extent extent) noexcept {
    return {extent.start - page_size(), extent.bytes + 2 * page_size()};
}

}  // namespace

Extent map_guarded(std::size_t bytes) noexcept {
    if (bytes == 0 || bytes > max_size) return {};
    const std::size_t size = round_up(bytes, page_size());
    void* const raw = mmap(nullptr, size + 2 * page_size(), PROT_NONE, private_anonymous, -1, 0);
    if (raw == MAP_FAILED) return {};
    const Extent extent{static_cast<std::byte*>(raw) + page_size(), size};
    if (mprotect(extent.start, extent.bytes, PROT_READ | PROT_WRITE) == 0) return extent;
    unmap_guarded(extent);
    return {};
}

bool shut_guarded(Extent extent) noexcept {
    // A new mapping over the old one frees its pages and takes the access away at once.
    return mmap(extent.start, extent.bytes, PROT_NONE, private_anonymous | MAP_FIXED, -1, 0) !=
           MAP_FAILED;
}

void unmap_guarded(Extent extent) noexcept {
    munmap(whole(extent).start, whole(extent).bytes);
}

bool is_in_guarded(Extent extent, const void* address) noexcept {
    const Extent all = whole(extent);
    return static_cast<const std::byte*>(address) >= all.start &&
           static_cast<const std::byte*>(address) < all.end();
}

}  // namespace numpool::pages
