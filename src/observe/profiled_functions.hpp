#pragma once

#include <cstddef>
#include <type_traits>

#include "observe/profile.hpp"
#include "observe/sampler.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::observe {

/// AllocatorFunctions that also feed the process's profile. They and the plain ones may be used by
/// turns, also for one block.
///
/// A sampled block of a slab pool is always a span, whatever its size. So its release leaves the
/// fast path by itself, which looks into magazines only, and the fast path of a release has no
/// instruction more than without a profile. Other sources have no such path.
template <class Source, bool apart>
class ProfiledFunctions : private threads::AllocatorFunctions<Source, apart> {
    using Plain = threads::AllocatorFunctions<Source, apart>;

  public:
    static threads::AllocatorTable table(threads::PoolWithFallback* pools) noexcept {
        return {pools, malloc, calloc, realloc, free};
    }

  private:
    [[gnu::aligned(64)]] static void* malloc(void* context, std::size_t bytes) noexcept {
        if (Sampler::takes(bytes)) [[unlikely]]
            return acquire_sampled(context, bytes, false);
        return Plain::malloc(context, bytes);
    }

    static void* calloc(void* context, std::size_t count, std::size_t size) noexcept {
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
        if (Sampler::takes(bytes)) [[unlikely]]
            return acquire_sampled(context, bytes, true);
        return Plain::calloc(context, count, size);
    }

    /// Counts as a release and a request.
    static void* realloc(void* context, void* block, std::size_t bytes) noexcept {
        if (block == nullptr) return malloc(context, bytes);
        Profile& profile = Profile::instance();
        const auto ended = profile.take(block);
        const bool chosen = Sampler::takes(bytes);
        void* moved = chosen && is_small(bytes) ? move_sampled(context, block, bytes) : nullptr;
        // A small block of which there is no sampled copy is in a magazine when it ends.
        const bool sampled = chosen && (moved != nullptr || !is_small(bytes));
        if (moved == nullptr) moved = Plain::realloc(context, block, bytes);
        if (ended) {
            if (moved == nullptr) {
                profile.put_back(block, *ended);
            } else {
                profile.note_end(*ended);
            }
        }
        if (moved != nullptr && sampled) profile.note(moved, bytes);
        return moved;
    }

    [[gnu::aligned(64)]] static void free(void* context, void* block, std::size_t bytes) noexcept {
        if constexpr (Plain::has_blocks_at_hand) {
            if (Plain::source_in(context).release_at_hand(block, Plain::room_for(bytes))) [[likely]]
                return;
        }
        release_slow(context, block, bytes);
    }

    /// Before the release: afterwards another thread may get a sampled block at this address.
    [[gnu::noinline]] static void release_slow(void* context, void* block,
                                               std::size_t bytes) noexcept {
        Profile::instance().forget(block);
        Plain::release_slow(context, block, bytes);
    }

    /// Whether the source would take a block of this size from a magazine.
    static bool is_small([[maybe_unused]] std::size_t bytes) noexcept {
        if constexpr (Plain::has_blocks_at_hand) {
            return Plain::room_for(bytes) <= SizeClasses::largest;
        } else {
            return false;
        }
    }

    [[gnu::noinline]] static void* acquire_sampled(void* context, std::size_t bytes,
                                                   bool zeroed) noexcept {
        void* block = nullptr;
        if constexpr (Plain::has_blocks_at_hand) {
            block = Plain::source_in(context).acquire_span(Plain::room_for(bytes), zeroed);
        } else {
            block = Plain::acquire_from(Plain::source_in(context), bytes, zeroed);
        }
        if (block != nullptr) {
            Profile::instance().note(block, bytes);
            return block;
        }
        return zeroed ? Plain::calloc(context, 1, bytes) : Plain::malloc(context, bytes);
    }

    /// Null, and the block is as it was, where the source is not the block's or refuses.
    static void* move_sampled(void* context, void* block, std::size_t bytes) noexcept {
        if constexpr (Plain::has_blocks_at_hand) {
            Source& source = Plain::source_in(context);
            if (source.usable_size(block) == 0) return nullptr;
            void* const span = source.acquire_span(Plain::room_for(bytes), false);
            return threads::move_contents(source, block, span, bytes);
        } else {
            return nullptr;
        }
    }
};

/// `threads::allocator_functions`, with those of a profile.
template <bool apart>
threads::AllocatorTable profiled_functions(threads::PoolWithFallback* pools) noexcept {
    return threads::with_functions_of<apart>(*pools, [&]<class Source, bool keeps_apart>() {
        return ProfiledFunctions<Source, keeps_apart>::table(pools);
    });
}

}  // namespace numpool::observe
