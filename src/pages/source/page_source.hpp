#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/size.hpp"

namespace numpool::pages {

/// A run of whole pages from a page source.
struct Extent {
    std::byte* start = nullptr;
    std::size_t bytes = 0;

    std::byte* end() const noexcept { return start + bytes; }
    explicit operator bool() const noexcept { return start != nullptr; }
};

/// The result of `PageSource::move`.
enum class Moved {
    done,
    /// Nothing has changed.
    refused,
    /// The pages are where they were, but other code may have mapped the target's addresses. The
    /// caller must never touch or unmap these again.
    lost,
};

/// The size of an ordinary page.
std::size_t page_size() noexcept;

/// The size of a huge page: 2 MiB, which one entry of a page table's second level maps. Huge pages
/// need this alignment. The kernel moves an aligned 2 MiB by moving that one entry.
inline constexpr std::size_t huge_page = std::size_t{1} << 21;

/// Where pools get their pages from. A source serves whole pages of `page_size()` bytes, to several
/// threads at once.
///
/// Every source implements `map`, `unmap` and `purge`. A source may refuse every other call, and
/// then the caller must do without it.
class PageSource {
  public:
    PageSource() = default;
    PageSource(const PageSource&) = delete;
    PageSource& operator=(const PageSource&) = delete;
    virtual ~PageSource() = default;

    /// Maps `bytes`, rounded up to `granularity()`, at a multiple of `align`, a power of two. They
    /// are untouched and read as zero. Returns an empty extent if that is refused.
    virtual Extent map(std::size_t bytes, std::size_t align) noexcept = 0;

    /// Like `map`, but the bytes may hold anything.
    virtual Extent map_any(std::size_t bytes, std::size_t align) noexcept {
        return map(bytes, align);
    }

    /// Like `map`, and asks for huge pages in the extent (`huge`), or for none. The advice comes
    /// before the first page fault, because it does not change pages that are there.
    virtual Extent map_advised(std::size_t bytes, std::size_t align, bool huge) noexcept;

    /// Like `map`, but no page may be touched before `commit`. For callers that know which pages
    /// they use, so that the others need nothing.
    virtual Extent map_uncommitted(std::size_t bytes, std::size_t align) noexcept {
        return map(bytes, align);
    }

    /// Whether `commit` does anything.
    virtual bool needs_commit() const noexcept { return false; }

    /// Reserves what the pages of a part of an extent need, so that touching them cannot fail. They
    /// then read as zero. Returns false, and changes nothing, if that is refused.
    virtual bool commit(Extent) noexcept { return true; }

    /// Like `purge`, but also gives back what `commit` reserved.
    virtual bool decommit(Extent extent) noexcept { return purge(extent); }

    /// Unmaps a whole extent of this source.
    virtual void unmap(Extent extent) noexcept = 0;

    /// Gives the pages of a part of an extent back to the system and keeps the addresses, which
    /// then read as zero. Returns false, and changes nothing, if that is refused.
    virtual bool purge(Extent extent) noexcept = 0;

    /// Makes an extent larger and keeps its contents; it may move to another address. The new part
    /// reads as zero. Returns an empty extent, and changes nothing, if that is refused.
    virtual Extent grow(Extent, std::size_t /*bytes*/) noexcept { return {}; }

    /// Like `grow`, but the new bytes may hold anything.
    virtual Extent grow_any(Extent extent, std::size_t bytes) noexcept {
        return grow(extent, bytes);
    }

    /// Moves the pages of `from`, with their contents, to the addresses from `to` on. This source
    /// must have mapped both; the old contents at `to` are lost. Afterwards `from` reads as zero.
    virtual Moved move(Extent /*from*/, std::byte* /*to*/) noexcept { return Moved::refused; }

    /// Like `purge`, but also cancels all advice and merges the kernel's mappings, which moves had
    /// split, into one.
    virtual bool renew(Extent extent) noexcept { return purge(extent); }

    /// Asks for huge pages in a part of an extent, or for none. Only a hint: the caller may ignore
    /// a refusal.
    virtual bool advise_huge(Extent, bool /*huge*/) noexcept { return false; }

    /// Why it refuses, for the text of an error; empty if it does not know.
    virtual std::string refusal() const { return {}; }
    /// `refusal()` as the end of a sentence: empty, or with a semicolon before it.
    std::string refusal_clause() const {
        const std::string why = refusal();
        return why.empty() ? why : "; " + why;
    }

    /// Whether a forked child has copies of the pages, as of other memory. Without them, a pool
    /// takes no requests in the child.
    virtual bool survives_fork() const noexcept { return true; }

    /// What the pages take on a disk.
    virtual std::size_t bytes_on_disk() const noexcept { return 0; }

    /// It rounds sizes up to a multiple of this.
    virtual std::size_t granularity() const noexcept { return page_size(); }
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
