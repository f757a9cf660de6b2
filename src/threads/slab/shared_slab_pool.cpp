#include "threads/slab/shared_slab_pool.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/error.hpp"
#include "threads/lifecycle/range_fork.hpp"

namespace numpool::threads {
namespace {

using pools::FreeBlock;
using pools::Magazine;

/// The caller's records are wrong, so the process stops.
[[noreturn]] void stop_at_foreign_block(const std::string& title, const void* block) {
    std::fprintf(stderr, "numpool: %s: block %p is not its own\n", title.c_str(), block);
    std::abort();
}

}  // namespace

PoolHandle<SharedSlabPool> SharedSlabPool::create(const SharedSlabPoolOptions& options,
                                                  pages::SourceHandle source,
                                                  pages::PageSource& record_source) {
    return PoolHandle{new SharedSlabPool{options, std::move(source), record_source}};
}

SharedSlabPool::SharedSlabPool(const SharedSlabPoolOptions& options, pages::SourceHandle source,
                               pages::PageSource& record_source)
    : PoolLifecycle{"SlabPool", options.name},
      centre_{options, std::move(source), record_source},
      wipe_{options.wipe},
      background_{options.background},
      threads_{this, pools::Magazines::bounds_for(centre_.classes()),
               first_key(centre_.pool_tag(), wipe_)} {
    guard_range_for_fork();
    follow_at_fork(centre_.source());
    if (!background_) return;
    Caretaker::instance().add(*this, std::chrono::milliseconds{options.spans.decay_milliseconds});
}

SharedSlabPool::~SharedSlabPool() {
    if (background_) Caretaker::instance().remove(*this);
}

std::byte* SharedSlabPool::acquire(std::size_t bytes) {
    return checked(try_acquire(bytes), bytes);
}

std::byte* SharedSlabPool::checked(std::byte* block, std::size_t bytes) const {
    if (block != nullptr) return block;
    const Lock lock{mutex_};
    require_open();
    throw Exhausted{centre_.refusal_text(bytes)};
}

void SharedSlabPool::release(std::byte* block, std::size_t bytes) noexcept {
    if (!try_release(block, bytes)) stop_at_foreign_block(title(), block);
}

std::byte* SharedSlabPool::acquire_slow(std::size_t bytes, bool zeroed) noexcept {
    return bytes > SizeClasses::largest ? acquire_large_slow(bytes, zeroed)
                                        : acquire_small_slow(bytes, zeroed);
}

// Not inlined, like `release_small_slow`: so the way to a large block needs no stack frame for
// these.
[[gnu::noinline]] std::byte* SharedSlabPool::acquire_small_slow(std::size_t bytes,
                                                                bool zeroed) noexcept {
    const pools::ClassOffset offset = centre_.offsets().of(bytes);
    const Threads::Own* const tried = &own_at_hand();
    Threads::Own* const own = threads_.own(*this);
    if (own != nullptr && own != tried) {
        // Another pool's magazines were at hand.
        const FreeBlock block = pop_from(*own, offset, bytes);
        if (block) return prepared(block, bytes, zeroed);
    }
    const std::size_t size_class = pools::class_at(offset);
    FreeBlock block{nullptr, false};
    {
        const Lock lock{mutex_};
        if (closed_) return nullptr;
        decay_magazines_if_due();
        // A thread without magazines of its own refills the common ones, for one block.
        Magazine& magazine = (own == nullptr ? threads_.common() : *own->all)[size_class];
        if (magazine.count() == 0 && !refill(magazine, size_class)) return nullptr;
        magazine.pop(block, bytes);
        if (own == nullptr) threads_.common().empty(to_centre());
    }
    return prepared(block, bytes, zeroed);
}

bool SharedSlabPool::refill(Magazine& magazine, std::size_t size_class) noexcept {
    const auto batch = [&](FreeBlock* blocks, std::size_t most) {
        return centre_.acquire_batch(size_class, blocks, most);
    };
    centre_.note_miss(size_class);
    magazine.refill(batch);
    if (magazine.count() == 0) {
        empty_all();
        magazine.refill(batch);
    }
    if (magazine.count() == 0) centre_.note_failure();
    return magazine.count() != 0;
}

bool SharedSlabPool::release_slow(void* address, std::size_t bytes) noexcept {
    auto* const block = static_cast<std::byte*>(address);
    // A size above the largest class is nearly always right: then one look finds the span.
    const bool large = bytes > SizeClasses::largest && !wipe_;
    if (large && release_large_slow(block)) return true;
    const pools::SlabCentre::Place place = centre_.place_of(block);
    if (place.kind == pools::SlabCentre::Place::Kind::small) {
        return release_small_slow(block, place.size_class, bytes);
    }
    return block == nullptr || (!large && release_large_slow(block));
}

[[gnu::noinline]] bool SharedSlabPool::release_small_slow(std::byte* block, std::size_t size_class,
                                                          std::size_t bytes) noexcept {
    if (wipe_) std::memset(block, 0, classes().size(size_class));
    const Threads::Own* const tried = &own_at_hand();
    Threads::Own* const own = threads_.own(*this);
    const pools::ClassOffset offset = pools::offset_of_class(size_class);
    const bool size_was_right =
        bytes <= SizeClasses::largest && centre_.offsets().of(bytes) == offset;
    if (own != nullptr && (own != tried || !size_was_right || wipe_)) {
        // The fast path looked into another pool's magazine or another class's, or had no key.
        if (push_to(*own, offset, block, bytes, key_of(offset))) return true;
    }
    const FreeBlock unused{block, false};
    Lock lock{mutex_};
    if (own == nullptr || closed_) {
        threads_.common()[size_class].note_release(bytes);
        centre_.release_batch(size_class, &unused, 1);
        end_if_unused(lock);
        return true;
    }
    Magazine& magazine = (*own->all)[size_class];
    if (magazine.push(unused, bytes)) return true;
    own->all->make_room(size_class, [&](const FreeBlock* blocks, std::size_t count) {
        centre_.release_batch(size_class, blocks, count);
    });
    magazine.push(unused, bytes);
    decay_magazines_if_due();
    return true;
}

std::byte* SharedSlabPool::acquire_large_slow(std::size_t bytes, bool zeroed) noexcept {
    zeroed = zeroed && !wipe_;
    pools::SlabCentre::LargeBlock block;
    {
        const Lock lock{mutex_};
        if (closed_) return nullptr;
        block = centre_.acquire_large(bytes, zeroed);
        if (block.start == nullptr) [[unlikely]] {
            empty_all();
            block = centre_.acquire_large(bytes, zeroed);
            if (block.start == nullptr) centre_.note_failure();
        }
    }
    if (block.dirty != 0) std::memset(block.start, 0, block.dirty);
    return block.start;
}

bool SharedSlabPool::release_large_slow(std::byte* block) noexcept {
    // The size of a live block does not change, so this needs no lock.
    if (wipe_) std::memset(block, 0, centre_.large_bytes(block));
    Lock lock{mutex_};
    if (!centre_.release_large(block)) return false;
    if (closed_) [[unlikely]]
        end_if_unused(lock);
    return true;
}

std::size_t SharedSlabPool::usable_size(const void* block) const noexcept {
    const pools::SlabCentre::Place place = centre_.place_of(block);
    if (place.kind == pools::SlabCentre::Place::Kind::small) {
        return classes().size(place.size_class);
    }
    if (place.kind == pools::SlabCentre::Place::Kind::foreign) return 0;
    const Lock lock{mutex_};
    return centre_.large_bytes(static_cast<const std::byte*>(block));
}

}  // namespace numpool::threads
