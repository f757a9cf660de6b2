#include "pages/source/unlinked_file.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "pages/source/disk_folder.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pages;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// A new folder, which goes with its contents.
struct Folder {
    Folder() {
        std::string path = disk_folder() + "/numpool-test-XXXXXX";
        name = mkdtemp(path.data());
    }
    ~Folder() { std::filesystem::remove_all(name); }

    std::string name;
};

}  // namespace

TEST("the file has no name, takes its blocks when they are reserved, and shrinks when they go") {
    const Folder folder;
    UnlinkedFile file{folder.name, true};
    CHECK(std::filesystem::is_empty(folder.name));
    CHECK_EQUAL(file.bytes_on_disk(), 0U);
    CHECK_EQUAL(file.reserve(4 * mebibyte, 8 * mebibyte), 0);
    CHECK(file.bytes_on_disk() >= 8 * mebibyte);
    CHECK(file.bytes_on_disk() < 9 * mebibyte);
    CHECK_EQUAL(file.punch(6 * mebibyte, 4 * mebibyte), 0);
    CHECK(file.bytes_on_disk() < 5 * mebibyte);
    CHECK(std::filesystem::is_empty(folder.name));
}

TEST("a part that was punched or zeroed reads as zero") {
    const Folder folder;
    UnlinkedFile file{folder.name, true};
    CHECK_EQUAL(file.reserve(0, mebibyte), 0);
    void* const mapped =
        mmap(nullptr, mebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor(), 0);
    CHECK(mapped != MAP_FAILED);
    auto* const bytes = static_cast<volatile char*>(mapped);
    bytes[100] = 7;
    bytes[500000] = 7;
    CHECK_EQUAL(file.punch(0, mebibyte / 4), 0);
    CHECK(bytes[100] == 0);
    CHECK(bytes[500000] == 7);
    // A file system may refuse this.
    if (file.zero(0, mebibyte) == 0) {
        CHECK(bytes[500000] == 0);
        CHECK(file.bytes_on_disk() >= mebibyte / 2);
    }
    munmap(mapped, mebibyte);
}

TEST("a folder that is missing, or is a file, is refused with its errno") {
    const Folder folder;
    try {
        UnlinkedFile{folder.name + "/nowhere", true};
        CHECK(false);
    } catch (const FileRefused& error) {
        CHECK_EQUAL(error.code, ENOENT);
        CHECK_EQUAL(error.path, folder.name + "/nowhere");
        CHECK_EQUAL(std::string{error.what()},
                    "there is no such folder: make it, or name another one");
    }
    std::ofstream{folder.name + "/file"} << "text";
    CHECK_THROWS(FileRefused, "this is not a folder: name the folder in which the file is to lie",
                 UnlinkedFile(folder.name + "/file", true));
}

TEST("a folder in memory is refused unless it is forced") {
    struct stat status{};
    if (stat("/dev/shm", &status) != 0) return;
    CHECK_THROWS(BadArgument,
                 "file is '/dev/shm', a tmpfs, which keeps files in memory: name a folder on a "
                 "disk, or add force=True",
                 UnlinkedFile("/dev/shm", false));
    UnlinkedFile file{"/dev/shm", true};
    CHECK_EQUAL(file.reserve(0, mebibyte), 0);
    CHECK(file.bytes_on_disk() >= mebibyte);
}

TEST("more than the disk has left is refused before it is taken") {
    UnlinkedFile file{disk_folder(), true};
    CHECK_EQUAL(file.reserve(0, file.bytes_left() + 1024 * mebibyte), ENOSPC);
    CHECK_EQUAL(file.bytes_on_disk(), 0U);
}

TEST("a file beyond the process's limit is refused, and no signal comes") {
    UnlinkedFile file{disk_folder(), true};
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit low{mebibyte, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    const int code = file.reserve(mebibyte, mebibyte);
    const int within = file.reserve(0, mebibyte);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_EQUAL(code, EFBIG);
    CHECK_EQUAL(within, 0);
}
