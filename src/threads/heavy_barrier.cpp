#include "threads/heavy_barrier.hpp"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>

#include "pages/page_source.hpp"

namespace numpool::threads {
namespace {

bool membarrier(int command) noexcept {
    return syscall(__NR_membarrier, command, 0, 0) == 0;
}

/// Taking a right from a page that is in use makes the kernel tell every processor that runs this
/// process to forget it, and being told is a barrier. Processors that spread such news without
/// interrupting each other, like ARM's, are not stopped by it.
bool barrier_by_protection() noexcept {
#if defined(__x86_64__)
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    const std::size_t size = pages::page_size();
    void* const page =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    *static_cast<volatile char*>(page) = 1;
    const bool done = mprotect(page, size, PROT_READ) == 0;
    munmap(page, size);
    return done;
#else
    return false;
#endif
}

}  // namespace

bool heavy_barrier() noexcept {
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return true;
    // Not registered yet: in this process, or since the fork that made it.
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
        return true;
    }
    return barrier_by_protection();
}

}  // namespace numpool::threads
