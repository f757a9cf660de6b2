#include "processes/region/shared_region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::processes {

namespace {

constexpr std::size_t page = std::size_t{64} << 10;  // of any system that numpool runs on
constexpr std::size_t huge = std::size_t{2} << 20;

[[noreturn]] void refuse(const std::string& what, std::size_t bytes) {
    const int error = errno;
    throw Exhausted{"SharedPool: no shared memory of " + size_to_text(bytes) + ": " + what + ": " +
                    std::strerror(error)};
}

/// The bytes of addresses for the data, with inaccessible ones before and behind it.
std::size_t room_for(std::size_t bytes) noexcept {
    return bytes + 2 * huge;
}

}  // namespace

std::size_t SharedRegion::messages_at() noexcept {
    return round_up(sizeof(Header), page);
}
std::size_t SharedRegion::granules_at() noexcept {
    return messages_at() + round_up(most_messages * sizeof(Message), page);
}
std::size_t SharedRegion::slabs_at(std::uint32_t granules) noexcept {
    return granules_at() + round_up(granules * sizeof(Granule), page);
}
std::size_t SharedRegion::data_at(std::uint32_t granules) noexcept {
    return round_up(slabs_at(granules) + granules * sizeof(SlabWords), huge);
}

SharedRegion::SharedRegion(std::uint32_t granules, bool wipe) : count_{granules} {
    if (granules == 0 || granules > most_granules) {
        throw BadArgument{"a shared pool holds 64 KiB to " +
                          size_to_text(std::size_t{most_granules} * granule_bytes)};
    }
    fd_ = memfd_create("numpool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd_ < 0) refuse("memfd_create", bytes());
    try {
        if (ftruncate(fd_, static_cast<off_t>(data_at(granules) + bytes())) != 0) {
            refuse("ftruncate", bytes());
        }
        if (fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
            refuse("sealing it against shrinking", bytes());
        }
        if (!commit(0, sizeof(Header))) refuse("reserving its records", bytes());
        map_all();
    } catch (...) {
        end();
        throw;
    }
    Header& made = header();
    made.layout = layout;
    made.granules = granules;
    made.wipe = wipe ? 1 : 0;
    if (getrandom(made.id.data(), sizeof made.id, 0) != sizeof made.id) made.id[0] = getpid();
    made.magic = magic;
}

SharedRegion::SharedRegion(int fd) {
    struct stat facts{};
    Header read{};
    if (fstat(fd, &facts) != 0 || pread(fd, &read, sizeof read, 0) != sizeof read ||
        read.magic != magic) {
        throw BadArgument{"this descriptor is not a numpool SharedPool's memory"};
    }
    if (read.layout != layout) {
        throw BadArgument{
            "this SharedPool was made by another version of numpool: its records have "
            "layout " +
            std::to_string(read.layout) + ", this version's have layout " + std::to_string(layout) +
            "; use one version in all processes"};
    }
    const int seals = fcntl(fd, F_GET_SEALS);
    if (read.granules == 0 || read.granules > most_granules || seals < 0 ||
        (seals & F_SEAL_SHRINK) == 0 ||
        static_cast<std::size_t>(facts.st_size) !=
            data_at(read.granules) + std::size_t{read.granules} * granule_bytes) {
        throw BadArgument{"the memory of this SharedPool is damaged: its size is not what it says"};
    }
    count_ = read.granules;
    fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) refuse("no file descriptor is left", bytes());
    try {
        map_all();
    } catch (...) {
        end();
        throw;
    }
}

SharedRegion::~SharedRegion() {
    end();
}

void SharedRegion::map_all() {
    void* const records =
        mmap(nullptr, data_at(count_), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
    if (records == MAP_FAILED) refuse("mapping its records", bytes());
    records_ = static_cast<std::byte*>(records);
    if (!map_data(written_, PROT_READ | PROT_WRITE, MAP_SHARED))
        refuse("mapping its data", bytes());
    madvise(data(), bytes(), MADV_HUGEPAGE);
}

void SharedRegion::end() noexcept {
    for (const Room& room : {copy_on_write_, read_only_, written_}) {
        if (room.start != nullptr) munmap(room.start, room_for(bytes()));
    }
    if (records_ != nullptr) munmap(records_, data_at(count_));
    if (fd_ >= 0) close(fd_);
}

bool SharedRegion::map_data(Room& room, int protection, int sharing) noexcept {
    void* const start = mmap(nullptr, room_for(bytes()), PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return false;
    // Huge pages begin at multiples of 2 MiB.
    auto* const data =
        reinterpret_cast<std::byte*>(round_up(reinterpret_cast<std::uintptr_t>(start) + 1, huge));
    if (mmap(data, bytes(), protection, sharing | MAP_FIXED | MAP_NORESERVE, fd_,
             static_cast<off_t>(data_at(count_))) == MAP_FAILED) {
        munmap(start, room_for(bytes()));
        return false;
    }
    room = {static_cast<std::byte*>(start), data};
    return true;
}

std::optional<std::size_t> SharedRegion::offset_of(const std::byte* address) const noexcept {
    for (const Room& room : {written_, copy_on_write_, read_only_}) {
        const auto offset =
            reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(room.data);
        if (room.data != nullptr && offset < bytes()) return offset;
    }
    return {};
}

std::byte* SharedRegion::read_only_data() noexcept {
    if (read_only_.data == nullptr) map_data(read_only_, PROT_READ, MAP_SHARED);
    return read_only_.data;
}

std::byte* SharedRegion::copy_on_write_data() noexcept {
    if (copy_on_write_.data == nullptr)
        map_data(copy_on_write_, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    return copy_on_write_.data;
}

bool SharedRegion::copies_on_write(const std::byte* address) const noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(address) -
                        reinterpret_cast<std::uintptr_t>(copy_on_write_.data);
    return copy_on_write_.data != nullptr && offset < bytes();
}

void SharedRegion::drop_copies(std::byte* start, std::size_t bytes) noexcept {
    madvise(start, bytes, MADV_DONTNEED);
}

bool SharedRegion::commit(std::size_t offset, std::size_t bytes) noexcept {
    int done = 0;
    do {
        done = fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    } while (done != 0 && errno == EINTR);
    return done == 0;
}

bool SharedRegion::commit_granules(std::uint32_t first, std::uint32_t end) noexcept {
    return commit(granules_at() + first * sizeof(Granule), (end - first) * sizeof(Granule));
}

bool SharedRegion::commit_messages(std::uint32_t first, std::uint32_t end) noexcept {
    return commit(messages_at() + first * sizeof(Message), (end - first) * sizeof(Message));
}

bool SharedRegion::commit_slab_words(std::uint32_t granule) noexcept {
    return commit(slabs_at(count_) + granule * sizeof(SlabWords), sizeof(SlabWords));
}

bool SharedRegion::commit_data(std::uint32_t first, std::uint32_t count) noexcept {
    return commit(data_at(count_) + first * granule_bytes, count * granule_bytes);
}

void SharedRegion::purge_data(std::uint32_t first, std::uint32_t count) noexcept {
    fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(data_at(count_) + first * granule_bytes),
              static_cast<off_t>(count * granule_bytes));
}

std::size_t SharedRegion::committed() const noexcept {
    struct stat facts{};
    return fstat(fd_, &facts) == 0 ? static_cast<std::size_t>(facts.st_blocks) * 512 : 0;
}

}  // namespace numpool::processes
