#include "pages/source/os_pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/size.hpp"
#include "pages/system/system_file.hpp"

namespace numpool::pages {

std::size_t page_size() noexcept {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

Extent OsPages::map(std::size_t bytes, std::size_t align) noexcept {
    if (bytes == 0 || bytes > max_size || align > max_size) return {};
    const std::size_t size = round_up(bytes, page_size());
    // mmap aligns to a page only. For a larger alignment this maps more and unmaps the ends.
    const std::size_t slack = align > page_size() ? align - page_size() : 0;
    // MAP_NORESERVE: a pool maps its bound, and may use little of it. Without the flag, a system
    // that limits overcommit refuses large pools.
    void* raw = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return {};
    auto* const first = static_cast<std::byte*>(raw);
    auto* const start = reinterpret_cast<std::byte*>(
        round_up(reinterpret_cast<std::uintptr_t>(raw), std::max(align, page_size())));
    std::byte* const last = first + size + slack;
    if (start != first) munmap(first, static_cast<std::size_t>(start - first));
    if (start + size != last) munmap(start + size, static_cast<std::size_t>(last - start) - size);
    return {start, size};
}

void OsPages::unmap(Extent extent) noexcept {
    munmap(extent.start, extent.bytes);
}

bool OsPages::purge(Extent extent) noexcept {
    return madvise(extent.start, extent.bytes, MADV_DONTNEED) == 0;
}

Extent OsPages::grow(Extent extent, std::size_t bytes) noexcept {
    if (bytes > max_size) return {};
    const std::size_t size = round_up(bytes, page_size());
    if (size <= extent.bytes) return extent;
    void* const moved = mremap(extent.start, extent.bytes, size, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return {};
    return {static_cast<std::byte*>(moved), size};
}

bool OsPages::advise_huge(Extent extent, bool huge) noexcept {
    return madvise(extent.start, extent.bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0;
}

OsPages& os_pages() noexcept {
    static OsPages* const pages = new OsPages;
    return *pages;
}

bool huge_pages_offered() noexcept {
    static const bool offered = [] {
        try {
            const std::string choices =
                read_system_file("/sys/kernel/mm/transparent_hugepage/enabled");
            return !choices.empty() && choices.find("[never]") == std::string::npos;
        } catch (...) {
            return false;
        }
    }();
    return offered;
}

}  // namespace numpool::pages
