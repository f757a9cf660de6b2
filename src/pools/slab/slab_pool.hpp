#pragma once

#include <cstring>

#include "pools/magazine/magazines.hpp"
#include "pools/slab/reallocate.hpp"
#include "pools/slab/slab_centre.hpp"

namespace numpool::pools {

/// Blocks of any size, from 0 bytes to what the machine holds; one thread at a time.
///
/// Small blocks come from slabs of their size class, through a magazine that makes most requests a
/// few instructions; large ones are spans. A block is found by its address, so a release needs no
/// size: the one it may give serves the figures only. A block of no bytes is a block.
///
/// Blocks start at a multiple of 16 bytes, from 64 bytes up of 64. The pool's end is the end of all
/// its blocks, live ones included.
class SlabPool {
  public:
    explicit SlabPool(const SlabPoolOptions& options = {},
                      pages::PageSource& source = pages::range_pages(),
                      pages::PageSource& record_source = pages::os_pages())
        : centre_{options, this, source, record_source},
          room_{new Magazine[centre_.classes().count()]},
          bounds_{Magazines::bounds_for(centre_.classes())},
          magazines_{bounds_, room_.get()} {}

    /// A block, or null, and nothing has changed, where the limit or the system refuses.
    std::byte* try_acquire(std::size_t bytes) noexcept { return acquire_block(bytes, false); }

    /// The same, all of its bytes nought. Blocks that nobody touched yet are not written.
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept { return acquire_block(bytes, true); }

    /// A block. Throws Exhausted, which says what was asked of which pool, its limit and its use.
    std::byte* acquire(std::size_t bytes) { return checked(try_acquire(bytes), bytes); }
    std::byte* acquire_zeroed(std::size_t bytes) {
        return checked(try_acquire_zeroed(bytes), bytes);
    }

    /// Takes a block back; null is none. False, and nothing has changed, where the address is not
    /// this pool's. That a block starts there and is live is the caller's to know: `check` finds
    /// it out later. `bytes` is what was asked for, as far as the caller knows.
    bool try_release(void* address, std::size_t bytes = 0) noexcept {
        auto* const block = static_cast<std::byte*>(address);
        std::size_t offset;
        if (!centre_.is_for(bytes, block, offset) ||
            !magazines_.at(offset).push({block, false}, bytes)) [[unlikely]]
            return release_slowly(block, bytes);
        return true;
    }

    /// A block of `bytes` with the contents of this one, as far as both reach; this one is gone.
    /// In place where the size class stays, or is at most twice too large; spans grow in place or
    /// by moving their pages, and a small block that grows to 16 KiB or more becomes one. Null
    /// where that is refused, or the address is not this pool's: the old block is then as it was.
    /// What is new is not zeroed. A null block is acquired.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept {
        return reallocate_in(*this, static_cast<std::byte*>(block), bytes);
    }
    /// The same; throws Exhausted, or BadArgument for an address that is not this pool's.
    std::byte* reallocate(void* block, std::size_t bytes);

    /// A span for a block whatever its size, which can then grow in place; null where the bank
    /// refuses.
    std::byte* try_acquire_span(std::size_t bytes) noexcept {
        return centre_.acquire_large(bytes, false).start;
    }

    /// The same as `try_reallocate` for a span, and a size that is no smaller or above the largest
    /// class.
    std::byte* try_reallocate_large(std::byte* block, std::size_t bytes) noexcept {
        return centre_.reallocate_large(block, bytes);
    }

    /// What fits into the live block at this address without moving it; 0 where none is.
    std::size_t usable_size(const void* block) const noexcept;

    /// Whether the address lies in memory that this pool has cut, live or not.
    bool owns(const void* address) const noexcept {
        return centre_.place_of(address).kind != SlabCentre::Place::Kind::foreign;
    }

    /// Gives back, now, all pages that no live block needs. Returns their bytes.
    std::size_t trim() noexcept;

    /// Gives back what was not needed for the decay time. Slow paths do it by themselves.
    std::size_t decay() noexcept;

    SlabPoolFigures figures() const { return centre_.figures({&magazines_}); }

    /// Walks everything. Throws Corrupted where the pool's records contradict each other, or a
    /// block was released twice.
    void check() const { centre_.check({&magazines_}); }

    const SizeClasses& classes() const noexcept { return centre_.classes(); }
    SlabCentre& centre() noexcept { return centre_; }
    const SlabCentre& centre() const noexcept { return centre_; }

  private:
    std::byte* acquire_block(std::size_t bytes, bool zeroed) noexcept {
        if (bytes > SizeClasses::largest) [[unlikely]]
            return acquire_large(bytes, zeroed);
        const std::size_t offset = centre_.classes().offset_of(bytes);
        FreeBlock block{nullptr, false};
        if (!magazines_.at(offset).pop(block, bytes)) [[unlikely]]
            return acquire_slowly(offset, bytes, zeroed);
        if (zeroed && !block.fresh()) std::memset(block.start(), 0, bytes);
        return block.start();
    }

    // Whatever is not the common way is the last call, so that this way needs no stack.
    std::byte* acquire_slowly(std::size_t offset, std::size_t bytes, bool zeroed) noexcept;
    bool release_slowly(std::byte* block, std::size_t bytes) noexcept;
    std::byte* acquire_large(std::size_t bytes, bool zeroed) noexcept;
    std::byte* checked(std::byte* block, std::size_t bytes) const;
    bool refill(std::size_t size_class) noexcept;
    void make_room(std::size_t size_class) noexcept;
    void empty_magazines() noexcept;

    SlabCentre centre_;
    std::unique_ptr<Magazine[]> room_;
    const std::vector<MagazineBounds> bounds_;
    Magazines magazines_;
};

}  // namespace numpool::pools
