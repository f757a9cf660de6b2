#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// The unit in which the address range is dealt out, and in which the page map knows it.
inline constexpr unsigned granule_shift = 16;
inline constexpr std::size_t granule = std::size_t{1} << granule_shift;

/// What the page map says of one granule: whose it is (16 bits, from `PageMap::enrol`, already
/// shifted) and of what kind (16 bits). 0 is nobody's.
using Tag = std::uint32_t;
inline constexpr unsigned kind_bits = 16;

/// Of what kind a granule is, as its owner means it.
enum class Kind : Tag {};
inline constexpr Kind largest_kind{(Tag{1} << kind_bits) - 1};

constexpr Tag operator+(Tag owner, Kind kind) noexcept {
    return owner + static_cast<Tag>(kind);
}
/// The kind of the granule with this tag if `owner` owns it; otherwise above `largest_kind`. One
/// subtraction answers both questions.
constexpr Kind kind_for(Tag tag, Tag owner) noexcept {
    return Kind{tag - owner};
}
constexpr Kind kind_of(Tag tag) noexcept {
    return Kind{tag & ((Tag{1} << kind_bits) - 1)};
}
constexpr Tag owner_of(Tag tag) noexcept {
    return tag & ~((Tag{1} << kind_bits) - 1);
}

/// The tags of a reserved range, for code that reads them all the time. They lie in front of the
/// range, where the map begins: so one base address serves the subtraction and the load.
class Tags {
  public:
    constexpr Tags() = default;

    /// False where the address lies outside the range.
    bool find(const void* address, Tag& tag) const noexcept {
        const std::size_t index = index_of(address);
        if (index >= granules_) [[unlikely]]
            return false;
        tag = first()[index].load(std::memory_order_relaxed);
        return true;
    }

    /// The tag of the granule that holds this address; 0 where it is nobody's or foreign.
    Tag tag(const void* address) const noexcept {
        Tag tag;
        return find(address, tag) ? tag : 0;
    }

  private:
    friend class PageMap;

    std::size_t index_of(const void* address) const noexcept {
        return (reinterpret_cast<std::uintptr_t>(address) - base_) >> granule_shift;
    }

    std::atomic<Tag>* first() const noexcept { return reinterpret_cast<std::atomic<Tag>*>(base_); }

    std::uintptr_t base_ = 0;
    std::size_t granules_ = 0;
};

/// Answers "whose is this address, and of what kind?" in constant time, for any address.
///
/// It is a set of flat arrays over the granules of the reserved range. The tags lie in front of the
/// range, at least one inaccessible granule away, the others elsewhere: so a write beyond a block
/// does not reach them. Any thread may ask; only the owner of a granule's pages may mark it. An
/// answer about a block is right as long as the caller keeps the block alive; why relaxed loads are
/// enough for that stands in base/gate/README.md.
class PageMap {
  public:
    constexpr PageMap() = default;
    PageMap(const PageMap&) = delete;
    PageMap& operator=(const PageMap&) = delete;

    /// The tag of the granule that holds this address; 0 where it is nobody's or foreign.
    Tag tag(const void* address) const noexcept {
        // `covered_` is 0 until the range is reserved: everything is foreign then.
        const bool reserved = covered_.load(std::memory_order_acquire) != 0;
        return reserved ? tags_.tag(address) : 0;
    }
    /// All of them, once the range is reserved.
    Tags tags() const noexcept { return tags_; }

    /// What the owner noted of the granule: its span, or its slab. Null where `tag` is 0.
    void* note(const void* address) const noexcept {
        const std::size_t index = index_of(address);
        if (index >= covered_.load(std::memory_order_acquire)) [[unlikely]]
            return nullptr;
        return notes_[index].load(std::memory_order_relaxed);
    }

    /// Like `note`, for an address whose tag is not 0.
    void* known_note(const void* address) const noexcept {
        return notes_[index_of(address)].load(std::memory_order_relaxed);
    }

    /// Marks every granule of an extent.
    void mark(Extent extent, Tag tag, void* note) noexcept;

    /// Returns a number for an owner, shifted so that a kind can be added to it. Throws Exhausted
    /// where 65,535 owners live already, or there is no memory for their table.
    Tag enrol(void* owner);

    /// Gives the number back. No granule may be marked with it any more.
    void withdraw(Tag owner) noexcept;

    /// The owner that enrolled with the number in this tag, or null.
    void* owner(Tag tag) const noexcept;

    /// The owner of this address; null where it is foreign or nobody's.
    void* owner(const void* address) const noexcept { return owner(tag(address)); }

    // For the code that deals the range out.

    /// One byte a granule, for the code that maps it, like the bank: may its pages hold anything?
    std::uint8_t* warm(const void* address) const noexcept { return warm_ + index_of(address); }
    /// One byte a granule: may a mapping of the kernel's begin here?
    std::uint8_t* seam(const void* address) const noexcept { return seam_ + index_of(address); }

    /// What the map of a range of so many bytes needs in front of the range, in whole huge pages.
    static std::size_t front(std::size_t bytes) noexcept;
    /// Makes room for the map of such a range, which begins `front` bytes behind `base`. The caller
    /// has reserved all these addresses and gives them back after `dismiss`. False where the system
    /// refuses.
    bool reserve(std::byte* base, std::size_t bytes) noexcept;
    /// Makes the map usable for the first `bytes` of the range. False where the system refuses.
    bool cover(std::size_t bytes) noexcept;
    /// Ends the map; everything is foreign again.
    void dismiss() noexcept;

  private:
    std::size_t index_of(const void* address) const noexcept { return tags_.index_of(address); }

    Tags tags_;
    std::size_t front_ = 0;
    std::atomic<std::size_t> covered_ = 0;
    std::atomic<void*>* notes_ = nullptr;
    std::uint8_t* warm_ = nullptr;
    std::uint8_t* seam_ = nullptr;
    std::atomic<std::atomic<void*>*> owners_ = nullptr;
    Tag last_owner_ = 0;
};

/// The map of the process's range, `address_range()`. Usable before the range is reserved, and
/// while the process exits.
extern PageMap page_map;

/// For fork: the lock of the table of owners, held around it and taken before the address range's.
std::mutex& owners_mutex() noexcept;

}  // namespace numpool::pages
