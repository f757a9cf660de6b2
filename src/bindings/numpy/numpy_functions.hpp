#pragma once

#include <cstddef>
#include <cstring>

#include "bindings/python/numpy_api.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::bindings {

/// The functions of a NumPy handler whose context is a `Context` on a pool of class `Source`: a
/// threads::ByteSource, or a SharedSlabPool, whose common ways are then inlined.
///
/// NumPy calls them from any thread, a reallocation even without the GIL: nothing in them may call
/// Python. The size in a free is a hint; blocks are found by their address. The context has
///     template source<Source>()    the pool
///     acquire_elsewhere(bytes, zeroed), release_elsewhere(block, bytes),
///     reallocate_elsewhere(block, bytes)
///                                  what follows where the pool says no
///
/// What is not the common way is the last call, and not inlined: that way then saves no register,
/// which is a measurable part of making an array of a few bytes.
///
/// NumPy 1 takes arrays for overlapping when one ends where the other starts, as blocks of a slab
/// may. Its loops then go an element at a time, up to 15 times as slow, and round otherwise. Where
/// `apart`, each array is given one byte more than it has, so that none ends with its block.
template <class Source, class Context, bool apart>
class NumpyFunctions {
  public:
    static PyDataMemAllocator table(Context* context) noexcept {
        return {context, malloc, calloc, realloc, free};
    }

  private:
    static constexpr bool has_blocks_at_hand = requires(Source& some) { some.acquire_at_hand(1); };

    static const Context& self_in(void* context) noexcept {
        return *static_cast<const Context*>(context);
    }
    static Source& source_in(void* context) noexcept {
        return self_in(context).template source<Source>();
    }

    static std::size_t room_for(std::size_t bytes) noexcept {
        return apart && bytes != ~std::size_t{0} ? bytes + 1 : bytes;
    }

    [[gnu::aligned(64)]] static void* malloc(void* context, std::size_t bytes) noexcept {
        if constexpr (has_blocks_at_hand) {
            if (const auto block = source_in(context).acquire_at_hand(room_for(bytes))) [[likely]]
                return block.start();
        }
        return acquire(context, bytes);
    }

    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept {
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
        if constexpr (has_blocks_at_hand) {
            if (const auto block = source_in(context).acquire_at_hand(room_for(bytes))) [[likely]]
                return block.fresh() ? block.start() : std::memset(block.start(), 0, bytes);
        }
        return acquire_zeroed(context, bytes);
    }

    static void* realloc(void* context, void* block, std::size_t bytes) noexcept {
        if (block == nullptr) return malloc(context, bytes);
        void* const moved = source_in(context).try_reallocate(block, room_for(bytes));
        return moved != nullptr ? moved : self_in(context).reallocate_elsewhere(block, bytes);
    }

    [[gnu::aligned(64)]] static void free(void* context, void* block, std::size_t bytes) noexcept {
        if constexpr (has_blocks_at_hand) {
            if (source_in(context).release_at_hand(block, room_for(bytes))) [[likely]]
                return;
        }
        release(context, block, bytes);
    }

    [[gnu::noinline]] static void* acquire(void* context, std::size_t bytes) noexcept {
        void* const block = source_in(context).try_acquire(room_for(bytes));
        return block != nullptr ? block : self_in(context).acquire_elsewhere(bytes, false);
    }

    [[gnu::noinline]] static void* acquire_zeroed(void* context, std::size_t bytes) noexcept {
        void* const block = source_in(context).try_acquire_zeroed(room_for(bytes));
        return block != nullptr ? block : self_in(context).acquire_elsewhere(bytes, true);
    }

    [[gnu::noinline]] static void release(void* context, void* block, std::size_t bytes) noexcept {
        if (!source_in(context).try_release(block, room_for(bytes))) {
            self_in(context).release_elsewhere(block, bytes);
        }
    }
};

/// The functions for the pool in this context. Blocks of a fixed pool are as large as its user
/// said, and arrays may fill them.
template <class Context, bool apart>
PyDataMemAllocator numpy_functions(Context* context) noexcept {
    using threads::SharedSlabPool;
    if (dynamic_cast<SharedSlabPool*>(context->pool()) == nullptr)
        return NumpyFunctions<threads::ByteSource, Context, false>::table(context);
    return NumpyFunctions<SharedSlabPool, Context, apart>::table(context);
}

template <class Context>
PyDataMemAllocator numpy_functions(Context* context) noexcept {
    const bool one = PyArray_GetNDArrayCFeatureVersion() < NPY_2_0_API_VERSION;
    return one ? numpy_functions<Context, true>(context) : numpy_functions<Context, false>(context);
}

}  // namespace numpool::bindings
