#include "pages/system/heap_tuning.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <malloc.h>

#include <atomic>
#include <climits>
#include <string>

#include "base/error.hpp"

namespace numpool::pages {
namespace {

#ifdef __GLIBC__

std::atomic<bool> keeps{false};

struct Found {
    Dl_info where{};
    const ElfW(Sym) * symbol = nullptr;
};

Found find(void* object, const char* function) {
    Found found;
    void* const address = dlsym(object, function);
    void* symbol = nullptr;
    if (address != nullptr && dladdr1(address, &found.where, &symbol, RTLD_DL_SYMENT) != 0) {
        found.symbol = static_cast<const ElfW(Sym)*>(symbol);
    }
    return found;
}

/// The first file after the program, in the loader's order, that defines the function.
std::string file_behind_program(const char* function) {
    void* const program = dlopen(nullptr, RTLD_LAZY);
    const link_map* map = nullptr;
    if (program == nullptr || dlinfo(program, RTLD_DI_LINKMAP, &map) != 0) return {};
    dlclose(program);
    while ((map = map->l_next) != nullptr) {
        void* const object = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        if (object == nullptr) continue;
        // This lookup also searches the library's dependencies.
        const Found found = find(object, function);
        dlclose(object);
        const bool its_own = found.symbol != nullptr &&
                             reinterpret_cast<ElfW(Addr)>(found.where.dli_fbase) == map->l_addr;
        if (its_own) return found.where.dli_fname;
    }
    return {};
}

/// The file that defines a function of this process.
///
/// In a program that is linked to fixed addresses, like Debian's Python, the lookup finds a stub in
/// the program for a function of a library.
std::string file_of(const char* function) {
    const Found found = find(RTLD_DEFAULT, function);
    const bool is_stub = found.symbol != nullptr && found.symbol->st_shndx == SHN_UNDEF;
    if (is_stub) return file_behind_program(function);
    return found.where.dli_fname == nullptr ? "" : found.where.dli_fname;
}

#endif

}  // namespace

#ifdef __GLIBC__

void keep_heap() {
    // A preloaded allocator replaces malloc but not mallopt, which then has no effect.
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
