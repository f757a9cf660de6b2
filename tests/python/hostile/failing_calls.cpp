// Preloaded by system_calls.py: lets the system calls that numpool's extension makes fail, the nth
// of them and those after it. Calls of other libraries, and of Python itself, go through.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>

namespace {

constexpr long never = -1;
std::atomic<long> made = 0;
std::atomic<long> first = never;
std::atomic<long> end = never;
std::atomic<const char*> failed = "";

bool fails(const char* name, void* caller) {
    Dl_info info{};
    if (dladdr(caller, &info) == 0 || std::strstr(info.dli_fname, "/numpool/_core.") == nullptr)
        return false;
    const long number = made++;
    if (first == never || number < first || number >= end) return false;
    failed = name;
    return true;
}

template <class Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

/// The calls from the nth on fail, as many as said. They are counted from 0, from here on.
void fail_calls(long n, long times) {
    made = 0;
    first = n;
    end = n + times;
}
long calls_made() {
    return made;
}
const char* last_failed() {
    return failed;
}

#define FAILING(error, result, type, name, parameters, arguments) \
    type name parameters {                                        \
        if (fails(#name, __builtin_return_address(0))) {          \
            errno = error;                                        \
            return result;                                        \
        }                                                         \
        static auto* const real = next<type parameters>(#name);   \
        return real arguments;                                    \
    }

FAILING(ENOMEM, MAP_FAILED, void*, mmap,
        (void* start, size_t bytes, int protection, int flags, int fd, off_t offset),
        (start, bytes, protection, flags, fd, offset))
FAILING(ENOMEM, -1, int, mprotect, (void* start, size_t bytes, int protection),
        (start, bytes, protection))
FAILING(ENOMEM, -1, int, madvise, (void* start, size_t bytes, int advice), (start, bytes, advice))
FAILING(ENOMEM, -1, int, mlock, (const void* start, size_t bytes), (start, bytes))
FAILING(ENOSPC, -1, int, fallocate, (int fd, int mode, off_t offset, off_t bytes),
        (fd, mode, offset, bytes))
FAILING(EMFILE, -1, int, memfd_create, (const char* name, unsigned flags), (name, flags))
FAILING(ENOSPC, -1, int, ftruncate, (int fd, off_t bytes), (fd, bytes))
FAILING(EIO, -1, int, fstat, (int fd, struct stat* facts), (fd, facts))
FAILING(EIO, -1, ssize_t, pread, (int fd, void* to, size_t bytes, off_t offset),
        (fd, to, bytes, offset))
FAILING(EAGAIN, EAGAIN, int, pthread_key_create, (pthread_key_t * key, void (*end)(void*)),
        (key, end))
FAILING(ENOMEM, ENOMEM, int, pthread_setspecific, (pthread_key_t key, const void* value),
        (key, value))

void* mremap(void* start, size_t old_bytes, size_t bytes, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    void* const to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
    va_end(rest);
    if (fails("mremap", __builtin_return_address(0))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    static auto* const real = next<void*(void*, size_t, size_t, int, ...)>("mremap");
    return real(start, old_bytes, bytes, flags, to);
}

int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (fails("open", __builtin_return_address(0))) {
        errno = EMFILE;
        return -1;
    }
    static auto* const real = next<int(const char*, int, ...)>("open");
    return real(path, flags, mode);
}

int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void* const argument = va_arg(rest, void*);
    va_end(rest);
    if (fails("fcntl", __builtin_return_address(0))) {
        errno = EINVAL;
        return -1;
    }
    static auto* const real = next<int(int, int, ...)>("fcntl");
    return real(fd, command, argument);
}

/// Waiting for a futex does not fail in a way that programs must expect.
long syscall(long number, ...) {
    long arguments[6];
    va_list rest;
    va_start(rest, number);
    for (long& argument : arguments) argument = va_arg(rest, long);
    va_end(rest);
    if (number != SYS_futex && fails("syscall", __builtin_return_address(0))) {
        errno = EPERM;
        return -1;
    }
    static auto* const real = next<long(long, ...)>("syscall");
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}
}
