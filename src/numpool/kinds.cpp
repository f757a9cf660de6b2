#include <algorithm>
#include <memory>
#include <utility>

#include "numpool/pool_access.hpp"
#include "numpool/pools.hpp"
#include "pages/source/os_pages.hpp"
#include "threads/arena/shared_arena.hpp"
#include "threads/buddy/shared_buddy_pool.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/lifecycle/pool_pages.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool {
namespace {

pages::SourceHandle pages_of(const Pool& pool, std::size_t align) {
    threads::PoolLifecycle& source = PoolAccess::lifecycle(pool);
    source.require_open();
    return threads::draw_on(source, std::max(align, threads::PoolPages::natural_align));
}

threads::PoolHandle<threads::SharedSlabPool> slab_pool(const SlabOptions& given) {
    if (given.decay.count() < 0) throw BadArgument{"decay is negative: give 0 or more"};
    threads::SharedSlabPoolOptions options;
    options.name = given.name;
    options.spans.limit = given.limit;
    options.spans.decay_milliseconds = static_cast<std::size_t>(given.decay.count());
    options.wipe = given.wipe;
    options.background = given.background;
    return threads::SharedSlabPool::create(options);
}

threads::PoolHandle<threads::SharedFixedPool> fixed_pool(const FixedOptions& given,
                                                         pages::SourceHandle source) {
    threads::SharedFixedPoolOptions options;
    options.block_size = given.block_size;
    options.blocks = given.blocks;
    options.max_blocks = given.max_blocks == 0 ? given.blocks : given.max_blocks;
    options.align = given.align;
    options.wipe = given.wipe;
    options.name = given.name;
    return threads::SharedFixedPool::create(options, std::move(source));
}

threads::PoolHandle<threads::SharedBuddyPool> buddy_pool(const BuddyOptions& given,
                                                         pages::SourceHandle source) {
    return threads::SharedBuddyPool::create({given.capacity, given.min_block, given.name},
                                            std::move(source));
}

threads::PoolHandle<threads::SharedArena> arena(const ArenaOptions& given,
                                                pages::SourceHandle source) {
    return threads::SharedArena::create({given.chunk_size, given.name}, std::move(source));
}

}  // namespace

SlabPool::SlabPool(const SlabOptions& options) : SlabPool{*slab_pool(options)} {}
SlabPool::SlabPool(threads::SharedSlabPool& pool) noexcept : Pool{pool, pool, 64}, slabs_{&pool} {}

void* SlabPool::acquire(std::size_t bytes) {
    return slabs_->acquire(bytes);
}
void* SlabPool::try_acquire(std::size_t bytes) noexcept {
    return slabs_->try_acquire(bytes);
}
void SlabPool::release(void* block, std::size_t bytes) noexcept {
    if (!slabs_->try_release(block, bytes)) slabs_->release(static_cast<std::byte*>(block), bytes);
}

FixedPool::FixedPool(const FixedOptions& options)
    : FixedPool{*fixed_pool(options, pages::os_pages())} {}
FixedPool::FixedPool(const FixedOptions& options, const Pool& source)
    : FixedPool{*fixed_pool(options, pages_of(source, options.align))} {}
FixedPool::FixedPool(threads::SharedFixedPool& pool) noexcept
    : Pool{pool, pool, std::min<std::size_t>(pool.align(), 16)}, fixed_{&pool} {}

void* FixedPool::acquire() {
    if (const auto block = fixed_->try_acquire()) return block.start;
    throw Exhausted{fixed_->refuse(1)};
}
void* FixedPool::try_acquire() noexcept try {
    return fixed_->try_acquire().start;
} catch (const Closed&) {
    return nullptr;
}
std::size_t FixedPool::block_size() const noexcept {
    return fixed_->block_size();
}
void FixedPool::release(void* block, std::size_t) noexcept {
    if (block != nullptr) fixed_->release(static_cast<std::byte*>(block));
}

void* FixedPool::acquire_for(std::chrono::nanoseconds timeout) {
    using threads::Doorbell;
    const auto waiter = std::make_shared<threads::ThreadWaiter>();
    if (const auto block = fixed_->acquire_or_wait(waiter)) return block.start;
    const auto deadline = Doorbell::Clock::now() + timeout;
    for (;;) {
        const Doorbell::Woken woken = waiter->wait(deadline);
        if (woken == Doorbell::Woken::by_signal &&
            fixed_->state_of(*waiter) == threads::Waiter::State::waiting)
            continue;
        if (const auto block = fixed_->collect(*waiter)) return block.start;
        if (fixed_->state_of(*waiter) == threads::Waiter::State::closed)
            throw Closed{fixed_->title() + " was closed while this request waited"};
        if (woken == Doorbell::Woken::by_time) throw Exhausted{fixed_->refuse(1)};
        // A signal handler forked, and this is the child: its request is no longer in the queue.
        if (const auto block = fixed_->acquire_or_wait(waiter)) return block.start;
    }
}

BuddyPool::BuddyPool(const BuddyOptions& options)
    : BuddyPool{*buddy_pool(options, pages::os_pages())} {}
BuddyPool::BuddyPool(const BuddyOptions& options, const Pool& source)
    : BuddyPool{*buddy_pool(options, pages_of(source, pages::page_size()))} {}
BuddyPool::BuddyPool(threads::SharedBuddyPool& pool) noexcept : Pool{pool, pool} {}

Arena::Arena(const ArenaOptions& options) : Arena{*arena(options, pages::os_pages())} {}
Arena::Arena(const ArenaOptions& options, const Pool& source)
    : Arena{*arena(options, pages_of(source, 0))} {}
Arena::Arena(threads::SharedArena& arena) noexcept : Pool{arena, arena}, arena_{&arena} {}

void Arena::reset() {
    arena_->require_open();
    if (!arena_->try_reset())
        throw InUse{arena_->title() + " has live blocks: release them before it is reset"};
}

}  // namespace numpool
