#pragma once

#include <cstddef>

#include "bindings/numpy_api.hpp"
#include "threads/byte_source.hpp"
#include "threads/shared_slab_pool.hpp"

namespace numpool::bindings {

/// The functions of a NumPy handler whose context is a `Context` on a pool of class `Source`, a
/// threads::ByteSource with final verbs or any.
///
/// NumPy calls them from any thread, a reallocation even without the GIL: nothing in them may call
/// Python. The size in a free is a hint; blocks are found by their address. The context decides:
///     serves()                     whether new requests go to the pool
///     template source<Source>()    the pool
///     acquire_elsewhere(bytes, zeroed), release_elsewhere(block, bytes),
///     reallocate_elsewhere(block, bytes)
///                                  what follows where the pool says no
template <class Source, class Context>
struct NumpyFunctions {
    static void* malloc(void* context, std::size_t bytes) noexcept {
        Context& self = *static_cast<Context*>(context);
        if (self.serves()) [[likely]] {
            void* const block = self.template source<Source>().try_acquire(bytes);
            if (block != nullptr) [[likely]]
                return block;
        }
        return self.acquire_elsewhere(bytes, false);
    }

    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept {
        Context& self = *static_cast<Context*>(context);
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
        if (self.serves()) [[likely]] {
            void* const block = self.template source<Source>().try_acquire_zeroed(bytes);
            if (block != nullptr) [[likely]]
                return block;
        }
        return self.acquire_elsewhere(bytes, true);
    }

    static void* realloc(void* context, void* block, std::size_t bytes) noexcept {
        if (block == nullptr) return malloc(context, bytes);
        Context& self = *static_cast<Context*>(context);
        void* const moved = self.template source<Source>().try_reallocate(block, bytes);
        return moved != nullptr ? moved : self.reallocate_elsewhere(block, bytes);
    }

    static void free(void* context, void* block, std::size_t bytes) noexcept {
        Context& self = *static_cast<Context*>(context);
        if (!self.template source<Source>().try_release(block, bytes)) [[unlikely]]
            self.release_elsewhere(block, bytes);
    }

    static PyDataMemAllocator table(Context* context) noexcept {
        return {context, malloc, calloc, realloc, free};
    }
};

/// The functions for the pool in this context: those of a slab pool call no virtual function.
template <class Context>
PyDataMemAllocator numpy_functions(Context* context) noexcept {
    using threads::SharedSlabPool;
    if (dynamic_cast<SharedSlabPool*>(context->pool()) != nullptr) {
        return NumpyFunctions<SharedSlabPool, Context>::table(context);
    }
    return NumpyFunctions<threads::ByteSource, Context>::table(context);
}

}  // namespace numpool::bindings
