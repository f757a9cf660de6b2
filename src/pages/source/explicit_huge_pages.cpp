#include "pages/source/explicit_huge_pages.hpp"

#include <linux/mman.h>
#include <sys/mman.h>

#include "base/size.hpp"

namespace numpool::pages {

Extent ExplicitHugePages::map(std::size_t bytes, std::size_t align) noexcept {
    if (bytes == 0 || bytes > max_size || align > huge_page) return {};
    const std::size_t size = round_up(bytes, huge_page);
    // Without MAP_NORESERVE: a huge page that is promised here must be there at first touch, since
    // the process is killed where it is not.
    void* const start = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
    if (start == MAP_FAILED) return {};
    given_.fetch_add(size, std::memory_order_relaxed);
    return {static_cast<std::byte*>(start), size};
}

void ExplicitHugePages::unmap(Extent extent) noexcept {
    given_.fetch_sub(extent.bytes, std::memory_order_relaxed);
    munmap(extent.start, extent.bytes);
}

}  // namespace numpool::pages
