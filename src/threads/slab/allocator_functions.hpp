#pragma once

#include <cstddef>
#include <cstring>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/slab/pool_with_fallback.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::threads {

/// What an allocator hook, like NumPy's, keeps: four functions, and the context that each of them
/// gets.
struct AllocatorTable {
    void* context;
    void* (*malloc)(void* context, std::size_t bytes);
    void* (*calloc)(void* context, std::size_t count, std::size_t size);
    void* (*realloc)(void* context, void* block, std::size_t bytes);
    void (*free)(void* context, void* block, std::size_t bytes);
};

/// The functions for a PoolWithFallback, whose pool is of class `Source`: a ByteSource, or a
/// SharedSlabPool, whose fast paths are then inlined. Hooks call them from any thread, so they
/// never call back.
///
/// Null means refused. A request for 0 bytes gets a block. A calloc whose product overflows is
/// refused. A free ignores null, and its size is a hint.
///
/// The slow path is a tail call and not inlined, so the fast path needs no stack frame and saves
/// no register: a measurable part of making an array of a few bytes.
///
/// NumPy 1 takes arrays for overlapping when one ends where the other starts, as blocks of a slab
/// may. Its loops then go one element at a time, up to 15 times as slow, and round differently.
/// Where `apart`, each array gets one byte more than it asked for, so that none ends with its
/// block.
template <class Source, bool apart>
class AllocatorFunctions {
  public:
    static AllocatorTable table(PoolWithFallback* pools) noexcept {
        return {pools, malloc, calloc, realloc, free};
    }

  protected:
    static constexpr bool has_blocks_at_hand = requires(Source& some) { some.acquire_at_hand(1); };

    static const PoolWithFallback& pools_in(void* context) noexcept {
        return *static_cast<const PoolWithFallback*>(context);
    }
    static Source& source_in(void* context) noexcept {
        return pools_in(context).template source<Source>();
    }

    static std::size_t room_for(std::size_t bytes) noexcept {
        return apart && bytes != ~std::size_t{0} ? bytes + 1 : bytes;
    }

    // Each of the two begins a cache line: elsewhere the same instructions took a quarter longer.
    [[gnu::aligned(64)]] static void* malloc(void* context, std::size_t bytes) noexcept {
        if constexpr (has_blocks_at_hand) {
            if (const auto block = source_in(context).acquire_at_hand(room_for(bytes))) [[likely]]
                return block.start();
        }
        return acquire_slow(context, bytes);
    }

    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept {
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
        if constexpr (has_blocks_at_hand) {
            if (const auto block = source_in(context).acquire_at_hand(room_for(bytes))) [[likely]]
                return block.fresh() ? block.start() : std::memset(block.start(), 0, bytes);
        }
        return acquire_zeroed_slow(context, bytes);
    }

    static void* realloc(void* context, void* block, std::size_t bytes) noexcept {
        if (block == nullptr) return malloc(context, bytes);
        void* const moved = source_in(context).try_reallocate(block, room_for(bytes));
        return moved != nullptr ? moved : pools_in(context).reallocate_elsewhere(block, bytes);
    }

    [[gnu::aligned(64)]] static void free(void* context, void* block, std::size_t bytes) noexcept {
        if constexpr (has_blocks_at_hand) {
            if (source_in(context).release_at_hand(block, room_for(bytes))) [[likely]]
                return;
        }
        release_slow(context, block, bytes);
    }

    [[gnu::noinline]] static void* acquire_slow(void* context, std::size_t bytes) noexcept {
        void* const block = acquire_from(source_in(context), room_for(bytes), false);
        return block != nullptr ? block : pools_in(context).acquire_elsewhere(bytes, false);
    }

    [[gnu::noinline]] static void* acquire_zeroed_slow(void* context, std::size_t bytes) noexcept {
        void* const block = acquire_from(source_in(context), room_for(bytes), true);
        return block != nullptr ? block : pools_in(context).acquire_elsewhere(bytes, true);
    }

    [[gnu::noinline]] static void release_slow(void* context, void* block,
                                               std::size_t bytes) noexcept {
        if (!release_to(source_in(context), block, room_for(bytes))) {
            pools_in(context).release_elsewhere(block, bytes);
        }
    }

    // With blocks at hand, the fast path has been tried before.
    static void* acquire_from(Source& source, std::size_t bytes, bool zeroed) noexcept {
        if constexpr (has_blocks_at_hand) {
            return source.acquire_slow(bytes, zeroed);
        } else {
            return zeroed ? source.try_acquire_zeroed(bytes) : source.try_acquire(bytes);
        }
    }
    static bool release_to(Source& source, void* block, std::size_t bytes) noexcept {
        if constexpr (has_blocks_at_hand) {
            return source.release_slow(block, bytes);
        } else {
            return source.try_release(block, bytes);
        }
    }
};

/// Calls `use` with the source's class of these pools, and with whether to keep arrays apart, as
/// its template arguments. Only a slab pool without a layer keeps arrays apart: a fixed pool's user
/// chooses the size of its blocks, and an array may need a whole one.
template <bool apart, class Use>
AllocatorTable with_functions_of(const PoolWithFallback& pools, Use use) noexcept {
    if (pools.pool()->layer() != nullptr || dynamic_cast<SharedSlabPool*>(pools.pool()) == nullptr)
        return use.template operator()<ByteSource, false>();
    return use.template operator()<SharedSlabPool, apart>();
}

/// The functions for these pools.
template <bool apart>
AllocatorTable allocator_functions(PoolWithFallback* pools) noexcept {
    return with_functions_of<apart>(*pools, [&]<class Source, bool keeps_apart>() {
        return AllocatorFunctions<Source, keeps_apart>::table(pools);
    });
}

}  // namespace numpool::threads
