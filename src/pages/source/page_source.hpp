#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/size.hpp"

namespace numpool::pages {

/// A run of whole pages.
struct Extent {
    std::byte* start = nullptr;
    std::size_t bytes = 0;

    std::byte* end() const noexcept { return start + bytes; }
    explicit operator bool() const noexcept { return start != nullptr; }
};

/// The result of a move of pages.
enum class Moved {
    done,
    /// Nothing has changed.
    refused,
    /// The pages are where they were, but the addresses they were to go to are gone, perhaps to
    /// somebody else: the caller must never touch or unmap them again.
    lost,
};

/// The size of an ordinary page.
std::size_t page_size() noexcept;

/// The size of a huge page, as far as pools care: what one entry of a page table's second level
/// spans. Huge pages need this alignment, and moving pages is cheap in this unit only.
inline constexpr std::size_t huge_page = std::size_t{1} << 21;

/// Where memory comes from. Everything is counted in whole pages of `page_size()` bytes; a source
/// may be used by several threads at once.
///
/// `map`, `unmap` and `purge` are what every source can do. The other verbs are refused by a
/// source that cannot, and a caller must have another way.
class PageSource {
  public:
    PageSource() = default;
    PageSource(const PageSource&) = delete;
    PageSource& operator=(const PageSource&) = delete;
    virtual ~PageSource() = default;

    /// Maps `bytes` (rounded up to `unit()`) that read as zero and are not touched yet, at a
    /// multiple of `align`, a power of two. Returns an empty extent where that is refused.
    virtual Extent map(std::size_t bytes, std::size_t align) noexcept = 0;

    /// Like `map`, for a caller that does not care what the bytes are.
    virtual Extent map_any(std::size_t bytes, std::size_t align) noexcept {
        return map(bytes, align);
    }

    /// Like `map`, and asks for huge pages wherever whole ones lie in the extent, or for none. It
    /// asks before any page is there: advice does not change the size of pages that are.
    virtual Extent map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept;

    /// Ends an extent that `map` gave.
    virtual void unmap(Extent extent) noexcept = 0;

    /// Gives the pages of a part of an extent back and keeps its addresses. Afterwards they read
    /// as zero. Returns false, and changes nothing, where that is refused.
    virtual bool purge(Extent extent) noexcept = 0;

    /// Makes an extent that `map` gave larger, at another address if need be, and keeps its
    /// contents; the new part reads as zero. Returns an empty extent, and changes nothing, where
    /// that is refused.
    virtual Extent grow(Extent, std::size_t /*bytes*/) noexcept { return {}; }

    /// Like `grow`, for a caller that does not care what the new bytes are.
    virtual Extent grow_any(Extent extent, std::size_t bytes) noexcept {
        return grow(extent, bytes);
    }

    /// Moves the pages of `from`, with their contents, to the addresses from `to` on, all of them
    /// mapped by this source; what was there is dropped. Afterwards `from` reads as zero.
    virtual Moved move(Extent /*from*/, std::byte* /*to*/) noexcept { return Moved::refused; }

    /// Like `purge`, and takes back all advice; leaves one mapping where moving had left several.
    virtual bool renew(Extent extent) noexcept { return purge(extent); }

    /// Asks for huge pages in a part of an extent, or for none. A hint: false changes no meaning.
    virtual bool advise_huge(Extent, bool /*huge*/) noexcept { return false; }

    /// Why it refused, as far as it knows, for an error's text.
    virtual std::string refusal() const { return {}; }
    /// The same as the end of a sentence: empty, or behind a semicolon.
    std::string refusal_clause() const {
        const std::string why = refusal();
        return why.empty() ? why : "; " + why;
    }

    /// What it rounds sizes up to: whole pages of some size.
    virtual std::size_t unit() const noexcept { return page_size(); }

    /// The bytes that it gave and that were not given back.
    virtual std::size_t given() const noexcept = 0;
};

inline Extent PageSource::map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept {
    const Extent extent = map(bytes, align);
    if (!extent) return extent;
    const auto address = reinterpret_cast<std::uintptr_t>(extent.start);
    const std::size_t before = round_up(address, huge_page) - address;
    if (extent.bytes < before + huge_page) return extent;
    advise_huge({extent.start + before, round_down(extent.bytes - before, huge_page)}, huge);
    return extent;
}

}  // namespace numpool::pages
