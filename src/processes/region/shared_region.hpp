#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "processes/region/records.hpp"

namespace numpool::processes {

/// Nameless shared memory: a memfd that can neither shrink nor grow, mapped into this process.
///
/// It ends with the last process that has it open or mapped, and leaves no file and no name. Memory
/// is committed before it is used, so a full machine is an error here and never a SIGBUS.
class SharedRegion {
  public:
    /// A new one for so many granules. Throws Exhausted, or BadArgument above `most_granules`.
    SharedRegion(std::uint32_t granules, bool wipe);
    /// Maps another process's region; `fd` is duplicated. Throws BadArgument where it is no region,
    /// or one of another version.
    explicit SharedRegion(int fd);
    SharedRegion(const SharedRegion&) = delete;
    SharedRegion& operator=(const SharedRegion&) = delete;
    ~SharedRegion();

    int fd() const noexcept { return fd_; }
    Header& header() const noexcept { return *reinterpret_cast<Header*>(records_); }
    Granule* granules() const noexcept {
        return reinterpret_cast<Granule*>(records_ + granules_at());
    }
    Message* messages() const noexcept {
        return reinterpret_cast<Message*>(records_ + messages_at());
    }
    SlabWords* slabs() const noexcept {
        return reinterpret_cast<SlabWords*>(records_ + slabs_at(count_));
    }
    std::byte* data() const noexcept { return written_.data; }
    std::uint32_t count() const noexcept { return count_; }
    std::size_t bytes() const noexcept { return std::size_t{count_} * granule_bytes; }

    /// Where in the data an address of any mapping lies.
    std::optional<std::size_t> offset_of(const std::byte* address) const noexcept;

    /// The data in a second mapping, which cannot be written; made at the first call. Null where
    /// the system refuses.
    std::byte* read_only_data() noexcept;
    /// The data in a mapping whose writes stay in this process: a page that is written becomes a
    /// private copy. Made at the first call. Null where the system refuses.
    std::byte* copy_on_write_data() noexcept;
    /// Whether the address is in that mapping.
    bool copies_on_write(const std::byte* address) const noexcept;
    /// Drops the private copies of these pages, so that they show the shared data again.
    void drop_copies(std::byte* start, std::size_t bytes) noexcept;

    /// These put memory behind records. False where the machine has none.
    bool commit_granules(std::uint32_t first, std::uint32_t end) noexcept;
    bool commit_messages(std::uint32_t first, std::uint32_t end) noexcept;
    bool commit_slab_words(std::uint32_t granule) noexcept;
    /// Puts memory behind data. Pages that had none before read as zero.
    bool commit_data(std::uint32_t first, std::uint32_t count) noexcept;
    /// Gives the pages back to the machine; they read as zero afterwards.
    void purge_data(std::uint32_t first, std::uint32_t count) noexcept;

    /// Bytes that have memory behind them, records included.
    std::size_t committed() const noexcept;

  private:
    /// One mapping: its addresses, of which those before and behind the data are inaccessible.
    struct Room {
        std::byte* start = nullptr;
        std::byte* data = nullptr;
    };

    void map_all();
    bool map_data(Room& room, int protection, int sharing) noexcept;
    void end() noexcept;
    bool commit(std::size_t offset, std::size_t bytes) noexcept;
    static std::size_t messages_at() noexcept;
    static std::size_t granules_at() noexcept;
    static std::size_t slabs_at(std::uint32_t granules) noexcept;
    static std::size_t data_at(std::uint32_t granules) noexcept;

    int fd_ = -1;
    std::uint32_t count_ = 0;
    std::byte* records_ = nullptr;
    Room written_;
    Room read_only_;
    Room copy_on_write_;
};

}  // namespace numpool::processes
