#include "pages/range/range_pages.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pages {
namespace {

constexpr int private_pages = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
constexpr int usable = PROT_READ | PROT_WRITE;
/// MREMAP_DONTUNMAP (Linux 5.7) leaves an empty mapping behind: without it the addresses would be
/// free for anybody, and the page map would claim what is somebody else's.
constexpr int moving = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

/// The range, or null where none can be had.
AddressRange* range() noexcept try { return &address_range(); } catch (...) {
    return nullptr;
}

/// Whether this kernel looks at the source of a move before it unmaps the target; older ones do
/// not. Tried with a source that is two mappings, which every kernel refuses.
bool refuses_before_unmapping() noexcept {
    static const bool answer = [] {
        const std::size_t page = page_size();
        void* const memory = mmap(nullptr, 4 * page, usable, private_pages, -1, 0);
        if (memory == MAP_FAILED) return false;
        auto* const from = static_cast<std::byte*>(memory);
        std::byte* const to = from + 2 * page;
        unsigned char resident[2];
        mprotect(from, page, PROT_NONE);
        const bool intact = mremap(from, 2 * page, 2 * page, moving, to) == MAP_FAILED &&
                            errno == EFAULT && mincore(to, 2 * page, resident) == 0;
        munmap(memory, 4 * page);
        return intact;
    }();
    return answer;
}

}  // namespace

Extent RangePages::map(std::size_t bytes, std::size_t align) noexcept {
    AddressRange* const addresses = range();
    if (addresses == nullptr) return {};
    const Extent extent = addresses->take(bytes, align);
    if (!extent) return {};
    if (mprotect(extent.start, extent.bytes, usable) != 0) {
        addresses->give_back(extent);
        return {};
    }
    given_.fetch_add(extent.bytes, std::memory_order_relaxed);
    return extent;
}

void RangePages::unmap(Extent extent) noexcept {
    given_.fetch_sub(extent.bytes, std::memory_order_relaxed);
    // A new inaccessible mapping in one step: the addresses are never free for anybody else. Where
    // even that is refused (too many mappings) the pages go, at least, and the addresses are lost.
    if (mmap(extent.start, extent.bytes, PROT_NONE, private_pages | MAP_FIXED, -1, 0) ==
        MAP_FAILED) {
        madvise(extent.start, extent.bytes, MADV_DONTNEED);
        page_map.mark(extent, 0, nullptr);
        return;
    }
    address_range().give_back(extent);
}

bool RangePages::purge(Extent extent) noexcept {
    return madvise(extent.start, extent.bytes, MADV_DONTNEED) == 0;
}

Extent RangePages::grow(Extent extent, std::size_t bytes) noexcept {
    if (bytes > max_size) return {};
    bytes = round_up(bytes, granule);
    if (bytes <= extent.bytes) return extent;
    const Extent more{extent.end(), bytes - extent.bytes};
    if (!address_range().take_behind(extent, more.bytes)) return {};
    if (mprotect(more.start, more.bytes, usable) != 0) {
        address_range().give_back(more);
        return {};
    }
    given_.fetch_add(more.bytes, std::memory_order_relaxed);
    return {extent.start, bytes};
}

Moved RangePages::move(Extent from, std::byte* to) noexcept {
    if (mremap(from.start, from.bytes, from.bytes, moving, to) == to) return Moved::done;
    const int reason = errno;
    // Not known here, or not allowed: it was not even begun.
    if (reason == EINVAL || reason == ENOSYS || reason == EPERM) return Moved::refused;
    if (reason == EFAULT && refuses_before_unmapping()) return Moved::refused;
    // The target may have been unmapped already. Fill the hole, if it still is one.
    void* const hole = mmap(to, from.bytes, usable, private_pages | MAP_FIXED_NOREPLACE, -1, 0);
    if (hole == to) return Moved::refused;
    if (hole != MAP_FAILED) munmap(hole, from.bytes);
    return Moved::lost;
}

bool RangePages::renew(Extent extent) noexcept {
    return mmap(extent.start, extent.bytes, usable, private_pages | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool RangePages::advise_huge(Extent extent, bool huge) noexcept {
    return madvise(extent.start, extent.bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0;
}

RangePages& range_pages() noexcept {
    static auto* const pages = new RangePages;
    return *pages;
}

}  // namespace numpool::pages
