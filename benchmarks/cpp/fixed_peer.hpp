#pragma once

#include <memory>

#include "peer_main.hpp"

namespace benchmark {

constexpr std::size_t fixed_blocks = 4096;

/// A pool of equal blocks as a peer, called through function pointers; made anew for each size.
/// `Pool` is constructed with a block size and has `context()`, which its static functions
/// `acquire` and `release` get as a C handler does: with no pointer to follow.
template <class Pool>
class FixedPeer {
  public:
    static constexpr bool any_size = false;
    static constexpr bool any_thread = true;

    /// A workload's first call for a size comes from its first thread, before there are others.
    void* allocate(std::size_t size) {
        if (size != size_) [[unlikely]]
            start(size);
        return acquire_(context_);
    }
    void release(void* block, std::size_t) { release_(context_, static_cast<std::byte*>(block)); }
    void trim() {}

  private:
    void start(std::size_t size) {
        pool_ = std::make_unique<Pool>(size);
        context_ = pool_->context();
        size_ = size;
    }

    std::size_t size_ = 0;
    void* context_ = nullptr;
    std::unique_ptr<Pool> pool_;
    std::byte* (*acquire_)(void*) = opaque(&Pool::acquire);
    void (*release_)(void*, std::byte*) = opaque(&Pool::release);
};

}  // namespace benchmark
