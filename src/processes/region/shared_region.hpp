#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "processes/region/records.hpp"

namespace numpool::processes {

/// Nameless shared memory: a memfd that can neither shrink nor grow, mapped into this process.
///
/// It ends with the last process that has it open or mapped. Nothing is left behind: no file, no
/// name. Memory is reserved before it is used, so a full machine is an error here and never SIGBUS.
class SharedRegion {
  public:
    /// A new one for so many granules. Throws Exhausted, or BadArgument above `most_granules`.
    SharedRegion(std::uint32_t granules, bool wipe);
    /// Maps what another process made; `fd` is copied. Throws BadArgument where it is no region, or
    /// another version's.
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

    /// Where in the data an address of either mapping lies.
    std::optional<std::size_t> offset_of(const std::byte* address) const noexcept;

    /// The same data where nothing can be written. Null where the system refuses. Mapped once.
    std::byte* read_only_data() noexcept;

    /// Puts memory behind records. False where the machine has none.
    bool reserve_granules(std::uint32_t first, std::uint32_t end) noexcept;
    bool reserve_messages(std::uint32_t first, std::uint32_t end) noexcept;
    bool reserve_slab_words(std::uint32_t granule) noexcept;
    /// The same for data; what had none before reads as zero.
    bool reserve_data(std::uint32_t first, std::uint32_t count) noexcept;
    /// Gives data back to the machine.
    void give_back_data(std::uint32_t first, std::uint32_t count) noexcept;

    /// Bytes that have memory behind them, records included.
    std::size_t committed() const noexcept;

  private:
    /// Addresses of this process: the data, and closed ones on both sides of it.
    struct Room {
        std::byte* start = nullptr;
        std::byte* data = nullptr;
    };

    void map_all();
    bool map_data(Room& room, int protection) noexcept;
    void end() noexcept;
    bool reserve(std::size_t offset, std::size_t bytes) noexcept;
    static std::size_t messages_at() noexcept;
    static std::size_t granules_at() noexcept;
    static std::size_t slabs_at(std::uint32_t granules) noexcept;
    static std::size_t data_at(std::uint32_t granules) noexcept;

    int fd_ = -1;
    std::uint32_t count_ = 0;
    std::byte* records_ = nullptr;
    Room written_;
    Room read_only_;
};

}  // namespace numpool::processes
