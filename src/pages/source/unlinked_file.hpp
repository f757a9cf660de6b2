#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace numpool::pages {

/// A file without a name. The system removes it with its last descriptor and its last mapping, so
/// a crash leaves nothing behind, and a folder that vanishes does not matter.
///
/// Its blocks are reserved before anybody writes to them. A write to a mapped page without a block
/// would end the process by SIGBUS where the disk is full.
class UnlinkedFile {
  public:
    /// Makes it in this folder. Throws FileRefused if the system refuses, or if its file system
    /// cannot reserve blocks and give them back; BadArgument if the folder is in memory (a tmpfs),
    /// unless `forced`.
    UnlinkedFile(const std::string& folder, bool forced);
    UnlinkedFile(const UnlinkedFile&) = delete;
    UnlinkedFile& operator=(const UnlinkedFile&) = delete;
    ~UnlinkedFile();

    const std::string& folder() const noexcept { return folder_; }
    int descriptor() const noexcept { return descriptor_; }

    // These return 0, or the errno of the refusal. Offsets and sizes are whole pages.
    /// Reserves blocks for a part of the file, and makes the file larger if the part lies behind
    /// its end. A part that had no blocks reads as zero. Refused, it may have reserved a part.
    int reserve(std::size_t offset, std::size_t bytes) noexcept;
    /// Gives the blocks of a part back. It then reads as zero.
    int punch(std::size_t offset, std::size_t bytes) noexcept;
    /// Lets a part read as zero and keeps its blocks.
    int zero(std::size_t offset, std::size_t bytes) noexcept;

    /// What its blocks take on the disk.
    std::size_t bytes_on_disk() const noexcept;
    /// What is left on the disk for users who are not privileged.
    std::size_t bytes_left() const noexcept;

  private:
    void check_file_system(bool forced) const;
    int change(int mode, std::size_t offset, std::size_t bytes) const noexcept;

    const std::string folder_;
    const int descriptor_;
};

}  // namespace numpool::pages
