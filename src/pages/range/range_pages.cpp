#include "pages/range/range_pages.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pages {
namespace {

constexpr int private_pages = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
constexpr int usable = PROT_READ | PROT_WRITE;
/// MREMAP_DONTUNMAP (Linux 5.7) leaves an empty mapping behind. Without it other code could map the
/// addresses, and the page map would have wrong tags for them.
constexpr int moving = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

/// The process's range, or null if none can be reserved.
AddressRange* range() noexcept try { return &address_range(); } catch (...) {
    return nullptr;
}

/// Whether this kernel checks the source of a move before it unmaps the target. Older kernels unmap
/// first. The trial moves a source of two mappings, which every kernel refuses.
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

/// Whether a move leaves the empty mapping behind that it was asked for. Kernels that don't know
/// the flag refuse the move; qemu's emulation of a process moves, and unmaps the source.
bool leaves_mapping_behind() noexcept {
    static const bool answer = [] {
        const std::size_t page = page_size();
        void* const memory = mmap(nullptr, 2 * page, usable, private_pages, -1, 0);
        if (memory == MAP_FAILED) return false;
        auto* const from = static_cast<std::byte*>(memory);
        std::byte* const to = from + page;
        unsigned char resident[1];
        const bool left =
            mremap(from, page, page, moving, to) == to && mincore(from, page, resident) == 0;
        munmap(memory, 2 * page);
        return left;
    }();
    return answer;
}

}  // namespace

Extent RangePages::map(std::size_t bytes, std::size_t align) noexcept {
    AddressRange* const addresses = range();
    if (addresses == nullptr) return {};
    const Extent extent = addresses->allocate(bytes, align);
    if (!extent) return {};
    if (mprotect(extent.start, extent.bytes, usable) != 0) {
        addresses->release(extent);
        return {};
    }
    return extent;
}

void RangePages::unmap(Extent extent) noexcept {
    // Replaces the mapping by an inaccessible one in a single step, so no other code can map the
    // addresses. If that is refused (too many mappings), only the pages go back and the addresses
    // are lost.
    if (mmap(extent.start, extent.bytes, PROT_NONE, private_pages | MAP_FIXED, -1, 0) ==
        MAP_FAILED) {
        madvise(extent.start, extent.bytes, MADV_DONTNEED);
        page_map.set(extent, 0, nullptr);
        return;
    }
    address_range().release(extent);
}

bool RangePages::purge(Extent extent) noexcept {
    return madvise(extent.start, extent.bytes, MADV_DONTNEED) == 0;
}

Extent RangePages::grow(Extent extent, std::size_t bytes) noexcept {
    if (bytes > max_size) return {};
    bytes = round_up(bytes, granule);
    if (bytes <= extent.bytes) return extent;
    const Extent more{extent.end(), bytes - extent.bytes};
    if (!address_range().extend(extent, more.bytes)) return {};
    if (mprotect(more.start, more.bytes, usable) != 0) {
        address_range().release(more);
        return {};
    }
    return {extent.start, bytes};
}

Moved RangePages::move(Extent from, std::byte* to) noexcept {
    if (!leaves_mapping_behind()) return Moved::refused;
    if (mremap(from.start, from.bytes, from.bytes, moving, to) == to) return Moved::done;
    const int reason = errno;
    // The kernel does not know this call or forbids it: nothing has begun.
    if (reason == EINVAL || reason == ENOSYS || reason == EPERM) return Moved::refused;
    if (reason == EFAULT && refuses_before_unmapping()) return Moved::refused;
    // The target may be unmapped already. Map it again, unless other code has mapped it.
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
