#include "threads/handle/shared_handle_pool.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "threads/handle/handle_numbers.hpp"

namespace numpool::threads {
namespace {

using pools::HandlePool;
using pools::HandleTable;

/// The numbers of a pool under construction. It releases them if the construction fails.
class Numbers {
  public:
    Numbers() = default;
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;
    ~Numbers() {
        for (const pools::Handle first : taken_) HandleNumbers::instance().release(first);
    }

    pools::Handle acquire() {
        taken_.reserve(taken_.size() + 1);
        return taken_.emplace_back(HandleNumbers::instance().acquire());
    }
    void keep() noexcept { taken_.clear(); }

  private:
    std::vector<pools::Handle> taken_;
};

}  // namespace

PoolHandle<SharedHandlePool> SharedHandlePool::create(const SharedHandlePoolOptions& options,
                                                      pages::PageSource& source) {
    return PoolHandle{new SharedHandlePool{options, source}};
}

SharedHandlePool::SharedHandlePool(const SharedHandlePoolOptions& options,
                                   pages::PageSource& source)
    : PoolLifecycle{"HandlePool", options.name}, sizes_{options.sizes}, ending_{options.ending} {
    std::ranges::sort(sizes_);
    Numbers numbers;
    std::vector<HandlePool::Size> sizes;
    for (const auto& [block_size, blocks] : sizes_) {
        sizes.push_back({block_size, blocks, numbers.acquire()});
    }
    pool_.emplace(std::move(sizes), source);
    numbers.keep();
}

SharedHandlePool::~SharedHandlePool() {
    end_memory();
}

/// In debug builds small pools check themselves after each operation.
void SharedHandlePool::check_each_time() const {
#ifdef NUMPOOL_CHECKS
    std::size_t blocks = 0;
    for (const HandleTable& table : pool_->tables()) blocks += table.blocks();
    if (blocks <= 256) pool_->check();
#endif
}

SharedHandlePool::Handle SharedHandlePool::acquire(std::size_t bytes) {
    const Lock lock{mutex_};
    require_open();
    const Handle handle = pool_->acquire(bytes);
    if (handle == 0) throw_exhausted(bytes);
    history_.peak = std::max(history_.peak, pool_->in_use());
    check_each_time();
    return handle;
}

[[gnu::cold]] void SharedHandlePool::throw_exhausted(std::size_t bytes) {
    const std::size_t largest = sizes_.back().first;
    if (bytes > largest) {
        throw BadArgument{title() + ": asked for " + count_to_text(bytes, "byte") +
                          ", and the largest blocks have " + std::to_string(largest)};
    }
    ++history_.failures;
    std::size_t blocks = 0;
    for (const HandleTable& table : pool_->tables()) {
        if (table.block_size() >= bytes) blocks += table.blocks();
    }
    const std::string size = count_to_text(bytes, "byte") + " or more";
    throw Exhausted{title() + ": " +
                    (blocks == 1 ? "its only block of " + size + " is in use: free it"
                                 : "all " + std::to_string(blocks) + " blocks of " + size +
                                       " are in use: free some") +
                    ", or give it more"};
}

void SharedHandlePool::throw_stale(Handle handle) const {
    const std::string text = title() + ": " + std::to_string(handle);
    if (pool_ && pool_->issued(handle)) throw Stale{text + " is stale: its block was freed"};
    throw Stale{text + " is no handle of this pool"};
}

SharedHandlePool::Block SharedHandlePool::find(Handle handle) const noexcept {
    const Lock lock{mutex_};
    return pool_ ? pool_->find(handle) : Block{};
}

SharedHandlePool::Block SharedHandlePool::hold(Handle handle) {
    const Lock lock{mutex_};
    const Block block = pool_ ? pool_->hold(handle) : Block{};
    if (!block) throw_stale(handle);
    ++holds_;
    return block;
}

void SharedHandlePool::release(std::byte* block, std::size_t) noexcept {
    Lock lock{mutex_};
    pool_->unhold(block);
    --holds_;
    end_if_unused(lock);
}

std::size_t SharedHandlePool::free(Handle handle) {
    Lock lock{mutex_};
    const Block block = pool_ ? pool_->find(handle) : Block{};
    if (!block) throw_stale(handle);
    const std::size_t holds = pool_->holds(handle);
    if (holds != 0) return holds;
    ending_(block.start);
    pool_->free(handle);
    check_each_time();
    end_if_unused(lock);
    return 0;
}

bool SharedHandlePool::contains(const std::byte* address) const noexcept {
    return pool_ && pool_->owns(address);
}

void SharedHandlePool::end_memory() noexcept {
    if (!pool_) return;
    history_.peak_committed = pool_->peak_committed();
    for (const HandleTable& table : pool_->tables()) {
        history_.requests += table.requests();
        history_.asked += table.asked();
        history_.hits += table.hits();
        table.for_each_live([&](Handle handle) { ending_(table.find(handle).start); });
        HandleNumbers::instance().release(table.beyond());
    }
    pool_.reset();
}

std::vector<SharedHandlePool::Handle> SharedHandlePool::live_handles() const {
    std::vector<Handle> handles;
    const Lock lock{mutex_};
    if (!pool_) return handles;
    handles.reserve(pool_->live_blocks());
    for (const HandleTable& table : pool_->tables()) {
        table.for_each_live([&](Handle handle) { handles.push_back(handle); });
    }
    return handles;
}

std::size_t SharedHandlePool::live_blocks() const noexcept {
    const Lock lock{mutex_};
    return pool_ ? pool_->live_blocks() : 0;
}

std::size_t SharedHandlePool::retired_blocks() const noexcept {
    const Lock lock{mutex_};
    std::size_t blocks = 0;
    if (!pool_) return blocks;
    for (const HandleTable& table : pool_->tables()) blocks += table.retired();
    return blocks;
}

PoolFigures SharedHandlePool::figures() const {
    const Lock lock{mutex_};
    PoolFigures figures = history_;
    if (!pool_) return figures;
    figures.in_use = pool_->in_use();
    figures.committed = pool_->committed();
    figures.peak_committed = pool_->peak_committed();
    for (const HandleTable& table : pool_->tables()) {
        figures.requested += table.requested();
        figures.mapped += table.mapped();
        figures.limit += table.blocks() * table.stride();
        figures.blocks += table.live_blocks();
        figures.requests += table.requests();
        figures.asked += table.asked();
        figures.hits += table.hits();
    }
    figures.cached = figures.committed - figures.in_use;
    return figures;
}

std::vector<pools::ClassFigures> SharedHandlePool::size_figures() const {
    std::vector<pools::ClassFigures> sizes;
    const Lock lock{mutex_};
    if (!pool_) return sizes;
    for (const HandleTable& table : pool_->tables()) {
        pools::ClassFigures& figures = sizes.emplace_back();
        figures.block_size = table.block_size();
        figures.requested = table.requested();
        figures.in_use = table.live_blocks() * table.stride();
        figures.committed = table.warm_blocks() * table.stride();
        figures.cached = figures.committed - figures.in_use;
        figures.mapped = table.mapped();
        figures.blocks = table.live_blocks();
        figures.requests = table.requests();
        figures.asked = table.asked();
        figures.hits = table.hits();
    }
    return sizes;
}

std::size_t SharedHandlePool::trim() {
    const Lock lock{mutex_};
    if (!pool_) return 0;
    const std::size_t bytes = pool_->trim();
    check_each_time();
    return bytes;
}

void SharedHandlePool::reset_peak() noexcept {
    const Lock lock{mutex_};
    if (!pool_) return;
    history_.peak = pool_->in_use();
    pool_->reset_peak_committed();
}

[[gnu::cold]] void SharedHandlePool::check() const {
    const Lock lock{mutex_};
    if (!pool_) return;
    pool_->check();
    std::size_t holds = 0;
    for (const HandleTable& table : pool_->tables()) {
        table.for_each_live([&](Handle handle) { holds += table.holds(handle); });
    }
    if (holds != holds_) throw Corrupted{title() + ": the number of holds is wrong"};
}

}  // namespace numpool::threads
