#pragma once

#include <cstddef>
#include <vector>

#include "pages/source/os_pages.hpp"

namespace numpool::pools {

/// Memory for records of slabs, on pages of its own, far from what users write to. Records are
/// never released one by one: a caller that is done with one keeps it for the next of its size.
class RecordArena {
  public:
    explicit RecordArena(pages::PageSource& source = pages::os_pages()) noexcept
        : source_{source} {}
    RecordArena(const RecordArena&) = delete;
    RecordArena& operator=(const RecordArena&) = delete;
    ~RecordArena() { clear(); }

    /// `bytes` at a multiple of 8, or null where that is refused.
    void* allocate(std::size_t bytes) noexcept;

    /// Gives everything back: no record may be in use.
    void clear() noexcept;

    std::size_t mapped() const noexcept { return chunks_.size() * chunk_bytes; }

  private:
    static constexpr std::size_t chunk_bytes = std::size_t{256} << 10;

    pages::PageSource& source_;
    std::vector<pages::Extent> chunks_;
    std::size_t used_ = chunk_bytes;
};

}  // namespace numpool::pools
