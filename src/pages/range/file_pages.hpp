#pragma once

#include <sys/types.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "pages/range/address_range.hpp"
#include "pages/source/unlinked_file.hpp"

namespace numpool::pages {

/// Pages of an unlinked file, inside the process's reserved range, which `page_map` covers. The
/// kernel writes them to the disk when memory is short, and reads them when they are touched.
///
/// A page's offset in the file is its offset in the range, so nothing has to note where a page
/// lies. The file is sparse: only committed pages have blocks on the disk.
///
/// A forked child must not change its parent's file. It keeps what it inherited, privately: see
/// `become_private`. It gets no new pages here, and pools that draw on this source take no requests
/// there: see `survives_fork`.
class FilePages : public PageSource {
  public:
    /// Throws as UnlinkedFile does; Exhausted if no address range can be reserved.
    FilePages(const std::string& folder, bool forced);

    Extent map(std::size_t bytes, std::size_t align) noexcept override;
    Extent map_uncommitted(std::size_t bytes, std::size_t align) noexcept override;
    void unmap(Extent extent) noexcept override;
    bool purge(Extent extent) noexcept override;
    bool needs_commit() const noexcept override { return true; }
    bool commit(Extent extent) noexcept override;
    bool decommit(Extent extent) noexcept override;
    bool survives_fork() const noexcept override { return false; }
    std::size_t bytes_on_disk() const noexcept override { return file_.bytes_on_disk(); }
    std::string refusal() const override;
    std::size_t granularity() const noexcept override { return granule; }

  protected:
    /// The lock of the list of extents. It is held around a fork.
    std::mutex& mutex() noexcept { return mutex_; }
    /// For a forked child, with the lock: its writes go to pages of its own from now on. Of a page
    /// that it has not written, it sees what its parent writes, and zero once its parent freed it.
    void become_private() noexcept;

  private:
    /// Whether this process made the file. Between a fork and `become_private`, too.
    bool is_owner() const noexcept;
    std::size_t offset_of(const std::byte* start) const noexcept {
        return static_cast<std::size_t>(start - range_.start);
    }
    bool remap(Extent extent, int flags, int descriptor) const noexcept;
    bool note(int code) noexcept;

    UnlinkedFile file_;
    const Extent range_;
    const pid_t owner_;
    bool inherited_ = false;
    /// The errno of the last refusal.
    std::atomic<int> refused_ = 0;
    std::mutex mutex_;
    /// All that is mapped now.
    std::vector<Extent> extents_;
};

}  // namespace numpool::pages
