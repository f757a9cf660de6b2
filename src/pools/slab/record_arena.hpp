#pragma once

#include <cstddef>
#include <vector>

#include "pages/source/os_pages.hpp"

namespace numpool::pools {

/// Memory for the records of slabs, on separate pages away from the users' blocks. Single records
/// are never freed: the caller keeps an unused one for the next slab with records of this size.
class RecordArena {
  public:
    explicit RecordArena(pages::PageSource& source = pages::os_pages()) noexcept
        : source_{source} {}
    RecordArena(const RecordArena&) = delete;
    RecordArena& operator=(const RecordArena&) = delete;
    ~RecordArena() { clear(); }

    /// `bytes` at a multiple of 8, or null if the source refuses.
    void* allocate(std::size_t bytes) noexcept;

    /// Unmaps all memory. No record may be in use.
    void clear() noexcept;

    std::size_t mapped() const noexcept { return chunks_.size() * chunk_bytes; }

  private:
    static constexpr std::size_t chunk_bytes = std::size_t{256} << 10;

    pages::PageSource& source_;
    std::vector<pages::Extent> chunks_;
    std::size_t used_ = chunk_bytes;
};

}  // namespace numpool::pools
