#include "processes/region/slot_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace numpool::processes {

namespace {

struct flock byte_lock(unsigned slot, int type) noexcept {
    struct flock lock{};
    lock.l_type = static_cast<short>(type);
    lock.l_whence = SEEK_SET;
    lock.l_start = slot;
    lock.l_len = 1;
    return lock;
}

}  // namespace

SlotLock::SlotLock(int fd) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fd_ = open(path, O_RDWR | O_CLOEXEC);
}

SlotLock& SlotLock::operator=(SlotLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

SlotLock::~SlotLock() {
    if (fd_ >= 0) close(fd_);
}

bool SlotLock::try_lock(unsigned slot) noexcept {
    struct flock lock = byte_lock(slot, F_WRLCK);
    return fcntl(fd_, F_OFD_SETLK, &lock) == 0;
}

void SlotLock::unlock(unsigned slot) noexcept {
    struct flock lock = byte_lock(slot, F_UNLCK);
    fcntl(fd_, F_OFD_SETLK, &lock);
}

bool SlotLock::locked_elsewhere(unsigned slot) const noexcept {
    struct flock lock = byte_lock(slot, F_WRLCK);
    return fcntl(fd_, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

}  // namespace numpool::processes
