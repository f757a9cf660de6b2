#include "pages/heap_tuning.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <atomic>
#include <climits>
#include <string>

#include "base/error.hpp"

namespace numpool::pages {
namespace {

#ifdef __GLIBC__

std::atomic<bool> keeps{false};

/// The file that a function of this process comes from.
std::string file_of(const char* function) {
    Dl_info info{};
    void* const address = dlsym(RTLD_DEFAULT, function);
    if (address == nullptr || dladdr(address, &info) == 0) return {};
    return info.dli_fname;
}

#endif

}  // namespace

#ifdef __GLIBC__

void keep_heap() {
    // A preloaded allocator replaces malloc, and leaves mallopt there to no effect.
    const std::string allocator = file_of("malloc");
    if (allocator != file_of("gnu_get_libc_version")) {
        throw BadArgument{"tune_malloc=True needs glibc's malloc; here malloc comes from " +
                          allocator};
    }
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, 16 << 20);
    keeps = true;
}

void release_heap() noexcept {
    if (!keeps.exchange(false)) return;
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 128 << 10);
    malloc_trim(0);
}

#else

void keep_heap() {
    throw BadArgument{"tune_malloc=True needs glibc's malloc; here the C library is another"};
}

void release_heap() noexcept {}

#endif

}  // namespace numpool::pages
