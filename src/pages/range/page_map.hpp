#pragma once

#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// The address range is allocated in granules, and the page map has one entry for each.
inline constexpr unsigned granule_shift = 16;
inline constexpr std::size_t granule = std::size_t{1} << granule_shift;

/// What the page map has for one granule: its pool's number (the upper 16 bits, as
/// `PageMap::register_pool` returns it) plus its kind (the lower 16 bits):
///     pool, offset of a size class   a slab; the same number is the key of a gate
///     pool, 0xffff                   a span
///     0                              no pool uses the granule; 1 is no tag, but a shut gate's key
using Tag = std::uint32_t;
inline constexpr unsigned kind_bits = 16;

/// What a pool uses a granule for. The pool defines the meaning: see `pools::slab_kind` and
/// `pools::span_kind`.
enum class Kind : Tag {};
inline constexpr Kind largest_kind{(Tag{1} << kind_bits) - 1};

constexpr Tag operator+(Tag pool, Kind kind) noexcept {
    return pool + static_cast<Tag>(kind);
}
/// The kind of a granule with this tag if it belongs to `pool`; otherwise a value above
/// `largest_kind`. One subtraction answers both questions.
constexpr Kind kind_for(Tag tag, Tag pool) noexcept {
    return Kind{tag - pool};
}
constexpr Kind kind_of(Tag tag) noexcept {
    return Kind{tag & ((Tag{1} << kind_bits) - 1)};
}
constexpr Tag pool_of(Tag tag) noexcept {
    return tag & ~((Tag{1} << kind_bits) - 1);
}

/// The tags of a reserved range, for the fast path of a release. They lie in front of the range,
/// so one base address serves both the subtraction and the load.
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

    /// The tag of the granule that holds this address; 0 if no pool uses it or it is foreign.
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

/// Tells for any address, in constant time, which pool it belongs to and of what kind it is.
///
/// The map is a set of flat arrays with an entry for each granule of the reserved range. The tags
/// lie in front of the range, behind at least one inaccessible granule; the other arrays lie
/// elsewhere. So a write past a block's end does not reach them.
///
/// Any thread may read. Only the pool that has a granule's pages may write its entries. An answer
/// about a block is right while the caller keeps the block alive; base/gate/README.md proves that
/// relaxed loads are enough for that.
class PageMap {
  public:
    constexpr PageMap() = default;
    PageMap(const PageMap&) = delete;
    PageMap& operator=(const PageMap&) = delete;

    /// The tag of the granule that holds this address; 0 if no pool uses it or it is foreign.
    Tag tag(const void* address) const noexcept {
        // `covered_` is 0 until the range is reserved. Until then every address is foreign.
        const bool reserved = covered_.load(std::memory_order_acquire) != 0;
        return reserved ? tags_.tag(address) : 0;
    }
    /// All tags. Call it after the range is reserved.
    Tags tags() const noexcept { return tags_; }

    /// The record that the pool noted for the granule: its Span or its Slab. While `tag` is 0, only
    /// the span bank that has the granule knows what this is.
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

    /// Sets the tag and the note of every granule of an extent.
    void set(Extent extent, Tag tag, void* note) noexcept;

    /// A number for a pool, shifted so that a kind can be added to it. Throws Exhausted if 65,535
    /// pools have one.
    Tag register_pool();

    /// Ends the use of a pool's number. No granule may have a tag with it.
    void unregister_pool(Tag pool) noexcept;

    /// One byte for each granule, which its span bank reads and writes: 1 if the granule may have
    /// pages, 0 if it has none.
    std::uint8_t* warm(const void* address) const noexcept { return warm_ + index_of(address); }
    /// One byte for each granule, with the bits of `pools::seams`.
    std::uint8_t* seam(const void* address) const noexcept { return seam_ + index_of(address); }

    /// The bytes that the map of a range of `bytes` needs in front of the range: whole huge pages.
    static std::size_t front(std::size_t bytes) noexcept;
    /// Attaches the map to a range that begins `front` bytes behind `base`. The caller has reserved
    /// all these addresses and unmaps them after `detach`. False if the system refuses.
    bool attach(std::byte* base, std::size_t bytes) noexcept;
    /// Makes the map writable for the first `bytes` of the range. False if the system refuses.
    bool cover(std::size_t bytes) noexcept;
    /// Detaches the map from its range: every address is foreign again.
    void detach() noexcept;

  private:
    std::size_t index_of(const void* address) const noexcept { return tags_.index_of(address); }

    Tags tags_;
    std::size_t front_ = 0;
    std::atomic<std::size_t> covered_ = 0;
    std::atomic<void*>* notes_ = nullptr;
    std::uint8_t* warm_ = nullptr;
    std::uint8_t* seam_ = nullptr;
    /// The numbers that pools have, under `pool_numbers_mutex`.
    std::bitset<std::size_t{1} << (32 - kind_bits)> pool_numbers_;
    std::size_t last_pool_number_ = 0;
};

/// The map of the process's range, `address_range()`. Usable before the range is reserved, and
/// while the process exits.
extern PageMap page_map;

/// The lock of the pools' numbers. Around a fork it is held, and locked before the address range's.
std::mutex& pool_numbers_mutex() noexcept;

}  // namespace numpool::pages
