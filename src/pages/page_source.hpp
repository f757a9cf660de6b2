#pragma once

#include <cstddef>

namespace numpool::pages {

/// A run of whole pages.
struct Extent {
    std::byte* start = nullptr;
    std::size_t bytes = 0;

    std::byte* end() const noexcept { return start + bytes; }
    explicit operator bool() const noexcept { return start != nullptr; }
};

/// Where memory comes from. Everything is counted in whole pages of `page_size()` bytes; a source
/// may be used by several threads at once.
class PageSource {
  public:
    PageSource() = default;
    PageSource(const PageSource&) = delete;
    PageSource& operator=(const PageSource&) = delete;
    virtual ~PageSource() = default;

    /// Maps `bytes` (rounded up to whole pages) that read as zero and are not touched yet, at a
    /// multiple of `align`, a power of two. Returns an empty extent where that is refused.
    virtual Extent map(std::size_t bytes, std::size_t align) noexcept = 0;

    /// Ends an extent that `map` gave.
    virtual void unmap(Extent extent) noexcept = 0;

    /// Gives the pages of a part of an extent back and keeps its addresses. Afterwards they read
    /// as zero. Returns false, and changes nothing, where that is refused.
    virtual bool purge(Extent extent) noexcept = 0;
};

/// The size of an ordinary page.
std::size_t page_size() noexcept;

}  // namespace numpool::pages
