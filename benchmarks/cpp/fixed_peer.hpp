#pragma once

#include <memory>

#include "peer_main.hpp"

namespace benchmark {

constexpr std::size_t fixed_blocks = 4096;

/// A pool of equal blocks as a peer, called through function pointers; made anew for each size.
/// `Pool` is constructed with a block size and has `acquire` and `release`.
template <class Pool>
class FixedPeer {
  public:
    static constexpr bool any_size = false;
    static constexpr bool any_thread = true;

    /// A workload's first call for a size comes from its first thread, before there are others.
    void* allocate(std::size_t size) {
        if (size != size_) [[unlikely]]
            start(size);
        return acquire_(pool_.get());
    }
    void release(void* block, std::size_t) {
        release_(pool_.get(), static_cast<std::byte*>(block));
    }
    void trim() {}

  private:
    static std::byte* acquire(Pool* pool) { return pool->acquire(); }
    static void give(Pool* pool, std::byte* block) { pool->release(block); }

    void start(std::size_t size) {
        pool_ = std::make_unique<Pool>(size);
        size_ = size;
    }

    std::size_t size_ = 0;
    std::unique_ptr<Pool> pool_;
    std::byte* (*acquire_)(Pool*) = opaque(&acquire);
    void (*release_)(Pool*, std::byte*) = opaque(&give);
};

}  // namespace benchmark
