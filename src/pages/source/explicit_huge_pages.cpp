#include "pages/source/explicit_huge_pages.hpp"

#include <linux/mman.h>
#include <sys/mman.h>

#include "base/size.hpp"

namespace numpool::pages {

Extent ExplicitHugePages::map(std::size_t bytes, std::size_t align) noexcept {
    if (bytes == 0 || bytes > max_size || align > huge_page) return {};
    const std::size_t size = round_up(bytes, huge_page);
    // Without MAP_NORESERVE, so that the kernel reserves the huge pages now. The first touch of a
    // page that it cannot supply would kill the process.
    void* const start = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
    if (start == MAP_FAILED) return {};
    return {static_cast<std::byte*>(start), size};
}

void ExplicitHugePages::unmap(Extent extent) noexcept {
    munmap(extent.start, extent.bytes);
}

}  // namespace numpool::pages
