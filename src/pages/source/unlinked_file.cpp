#include "pages/source/unlinked_file.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pages {
namespace {

[[noreturn, gnu::cold]] void refuse(int code, const std::string& folder) {
    const char* advice = nullptr;
    switch (code) {
        case ENOENT:
            advice = "there is no such folder: make it, or name another one";
            break;
        case ENOTDIR:
            advice = "this is not a folder: name the folder in which the file is to lie";
            break;
        case EACCES:
        case EPERM:
        case EROFS:
            advice = "this folder takes no new file: change its permissions, or name another one";
            break;
        case ENOSPC:
        case EDQUOT:
            advice = "the disk of this folder is full: make room there, or name another one";
            break;
        case EOPNOTSUPP:
            advice =
                "the file system of this folder cannot reserve blocks and give them back "
                "(fallocate): name a folder on a local disk, such as one with ext4 or XFS";
            break;
        default:
            throw FileRefused{code, std::generic_category().message(code) + ": name another folder",
                              folder};
    }
    throw FileRefused{code, advice, folder};
}

int open_unlinked(const std::string& folder) {
    const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file >= 0) return file;
    // EISDIR is the answer of a kernel, EOPNOTSUPP that of a file system, without such files.
    if (errno != EOPNOTSUPP && errno != EISDIR) refuse(errno, folder);
    std::string path = folder + "/numpool-XXXXXX";
    const int named = mkostemp(path.data(), O_CLOEXEC);
    if (named < 0) refuse(errno, folder);
    unlink(path.c_str());
    return named;
}

bool lies_in_memory(const struct statfs& system) noexcept {
    const auto type = static_cast<unsigned long>(system.f_type);
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

/// Whether the file may become this large. Beyond the limit, the kernel also sends a signal.
bool may_reach(std::size_t end) noexcept {
    rlimit limit{};
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           end <= limit.rlim_cur;
}

}  // namespace

UnlinkedFile::UnlinkedFile(const std::string& folder, bool forced)
    : folder_{folder}, descriptor_{open_unlinked(folder)} {
    try {
        check_file_system(forced);
    } catch (...) {
        close(descriptor_);
        throw;
    }
}

UnlinkedFile::~UnlinkedFile() {
    close(descriptor_);
}

void UnlinkedFile::check_file_system(bool forced) const {
    struct statfs system{};
    if (fstatfs(descriptor_, &system) != 0) refuse(errno, folder_);
    if (!forced && lies_in_memory(system)) {
        throw BadArgument{"file is '" + folder_ +
                          "', a tmpfs, which keeps files in memory: name a folder on a disk, or "
                          "add force=True"};
    }
    if (static_cast<unsigned long>(system.f_type) == BTRFS_SUPER_MAGIC) {
        // It writes changed data to new blocks, for which there may be no room. Not in such a file.
        int flags = 0;
        if (ioctl(descriptor_, FS_IOC_GETFLAGS, &flags) == 0) {
            flags |= FS_NOCOW_FL;
            ioctl(descriptor_, FS_IOC_SETFLAGS, &flags);
        }
    }
    constexpr std::size_t trial = std::size_t{64} << 10;
    int code = may_reach(trial) ? change(0, 0, trial) : EFBIG;
    if (code == 0) code = change(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, trial);
    if (code == ENOSYS) code = EOPNOTSUPP;
    if (code != 0) refuse(code, folder_);
}

int UnlinkedFile::change(int mode, std::size_t offset, std::size_t bytes) const noexcept {
    for (;;) {
        if (fallocate(descriptor_, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) ==
            0)
            return 0;
        if (errno != EINTR) return errno;
    }
}

int UnlinkedFile::reserve(std::size_t offset, std::size_t bytes) noexcept {
    if (!may_reach(offset + bytes)) return EFBIG;
    // Asked first, because a request that fails later fills the disk for a moment.
    if (bytes > bytes_left()) return ENOSPC;
    return change(0, offset, bytes);
}

int UnlinkedFile::punch(std::size_t offset, std::size_t bytes) noexcept {
    return change(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

int UnlinkedFile::zero(std::size_t offset, std::size_t bytes) noexcept {
    return change(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

std::size_t UnlinkedFile::bytes_on_disk() const noexcept {
    struct stat status{};
    if (fstat(descriptor_, &status) != 0) return 0;
    return static_cast<std::size_t>(status.st_blocks) * 512;
}

std::size_t UnlinkedFile::bytes_left() const noexcept {
    struct statvfs system{};
    if (fstatvfs(descriptor_, &system) != 0) return max_size;
    return system.f_bavail * system.f_frsize;
}

}  // namespace numpool::pages
