#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/realtime/warm_size.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::threads {

/// Stands before an allocator, and records how many blocks of each size one thread has at once.
///
/// Sizes that fit into the same warm block are one size: see `warm_stride`.
class Rehearsal final : private ForkGuarded {
  public:
    struct Size {
        /// The largest request of this size.
        std::size_t bytes = 0;
        std::size_t live = 0;
        /// The most that were live at once.
        std::size_t most = 0;
        std::uint64_t requests = 0;
    };

    /// Records what the calling thread requests from now on.
    explicit Rehearsal(const AllocatorTable& before);
    ~Rehearsal();

    /// The functions for an allocator hook. They call those of `before`.
    AllocatorTable table() noexcept;

    /// Records no more requests. Releases still pass through.
    void end() noexcept;

    /// What was recorded so far, from the smallest size to the largest.
    std::vector<Size> sizes() const;
    /// Requests that could not be recorded, since there was no memory for a record.
    std::uint64_t unrecorded() const noexcept;

  private:
    static void* malloc(void* context, std::size_t bytes) noexcept;
    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept;
    static void* realloc(void* context, void* block, std::size_t bytes) noexcept;
    static void free(void* context, void* block, std::size_t bytes) noexcept;

    void* recorded(void* block, std::size_t bytes) noexcept;
    void forget(void* block) noexcept;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    const AllocatorTable before_;
    mutable std::mutex mutex_;
    /// Null once the rehearsal has ended.
    const void* thread_;
    std::map<std::size_t, Size> sizes_;
    /// The stride of each recorded block that is live.
    std::unordered_map<void*, std::size_t> live_;
    std::uint64_t unrecorded_ = 0;
};

}  // namespace numpool::threads
