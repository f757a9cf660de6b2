#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pages/source/source_handle.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/realtime/warm_size.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::threads {

/// Learns of the requests that no warm block could serve.
class MissListener {
  public:
    /// Called in the thread that uses the warm blocks, without a lock. Returns whether the
    /// allocator before may serve the request; else it is refused.
    virtual bool missed(std::size_t bytes) noexcept = 0;

  protected:
    ~MissListener() = default;
};

/// A fixed number of blocks of each size, all in one extent, for the arrays of one thread.
///
/// The extent also holds the records of the blocks. So with locked pages, a request that a warm
/// block serves touches no memory that could cause a page fault. It takes constant time: a bitmap
/// leads to the smallest free block that fits.
///
/// All that is not for a warm block passes to the allocator `before`: requests of other threads,
/// requests that no free block fits, and their releases. Any thread may release a warm block.
class WarmBlocks final : private ForkGuarded {
  public:
    struct Figures {
        std::size_t bytes = 0;
        std::size_t blocks = 0;
        std::size_t in_use = 0;
        std::size_t most_in_use = 0;
        std::uint64_t requests = 0;
        /// Of these, the requests that a smaller size would have served if it had had a free block.
        std::uint64_t smaller = 0;
    };

    static constexpr std::size_t most_sizes = 1024;

    /// Throws BadArgument where the sizes are too many or too large, and Exhausted where the source
    /// refuses: nothing is mapped then.
    WarmBlocks(std::vector<WarmSize> sizes, pages::SourceHandle source,
               const AllocatorTable& before);
    ~WarmBlocks();

    /// The functions for an allocator hook.
    AllocatorTable table() noexcept;

    /// From now on the calling thread's requests get warm blocks.
    void begin(MissListener& listener) noexcept;
    /// From now on all requests pass to the allocator before. Live blocks stay valid.
    void end() noexcept;

    bool owns(const void* address) const noexcept;
    /// From the smallest size to the largest.
    std::vector<Figures> figures() const;
    /// The bytes of the extent.
    std::size_t bytes() const noexcept { return extent_.bytes; }
    std::size_t blocks() const noexcept { return blocks_; }
    /// Why no warm block served a request for so many bytes.
    std::string refusal(std::size_t bytes) const;

  private:
    /// The record of a size, in the extent.
    struct Size;
    /// The record of a block, in the extent: the next free block of its size, if it is free.
    struct Block;

    static void* malloc(void* context, std::size_t bytes) noexcept;
    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept;
    static void* realloc(void* context, void* block, std::size_t bytes) noexcept;
    static void free(void* context, void* block, std::size_t bytes) noexcept;

    static std::vector<WarmSize> merged(std::vector<WarmSize> sizes);
    static std::size_t room_for(const std::vector<WarmSize>& sizes);
    void lay_out(const std::vector<WarmSize>& sizes) noexcept;

    std::size_t first_that_fits(std::size_t bytes) const noexcept;
    std::size_t first_with_free(std::size_t number) const noexcept;
    Size& size_of(const std::byte* block) const noexcept;
    std::byte* take(std::size_t bytes) noexcept;
    void give_back(std::byte* block) noexcept;
    /// Whether the calling thread's requests get warm blocks.
    bool is_for_this_thread() const noexcept;
    bool may_pass_on(std::size_t bytes) const noexcept;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    const pages::SourceHandle source_;
    const AllocatorTable before_;
    pages::Extent extent_;
    Size* sizes_ = nullptr;
    std::size_t count_ = 0;
    std::size_t blocks_ = 0;
    std::byte* first_block_ = nullptr;
    std::byte* end_ = nullptr;

    mutable BriefMutex mutex_;
    /// A bit for each size that has a free block.
    std::uint64_t with_free_[most_sizes / 64] = {};
    /// Null while no thread uses the blocks. The listener belongs to that thread.
    std::atomic<const void*> thread_ = nullptr;
    MissListener* listener_ = nullptr;
};

}  // namespace numpool::threads
