#include "threads/slab/pool_with_fallback.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <typeinfo>

#include "threads/lifecycle/block_layer.hpp"

namespace numpool::threads {
namespace {

[[noreturn]] void stop_at_stray_block(const char* pool, const void* block) {
    std::fprintf(stderr,
                 "numpool: %s: %p was freed, which is no live block of this pool or of its "
                 "fallback\n",
                 pool, block);
    std::abort();
}

ByteSource& required_source(Pool& pool) {
    ByteSource* const source = source_of(pool);
    if (source == nullptr) throw std::bad_cast{};
    return *source;
}

}  // namespace

PoolWithFallback::PoolWithFallback(Pool& pool, const Fallback& fallback)
    : pool_{&pool},
      fallback_{fallback.pool.get() == &pool ? Fallback{} : fallback},
      source_{&required_source(pool)} {
    if (fallback_.pool.get() != nullptr) {
        fallback_source_ = &required_source(*fallback_.pool);
    }
}

bool PoolWithFallback::is_of(const Pool& pool, const Fallback& fallback) const noexcept {
    const bool none = fallback.pool.get() == nullptr || fallback.pool.get() == &pool;
    return pool_.get() == &pool && fallback_ == (none ? Fallback{} : fallback);
}

ByteSource* PoolWithFallback::source_of(const void* block) const noexcept {
    if (source_->usable_size(block) != 0) return source_;
    if (fallback_source_ != nullptr && fallback_source_->usable_size(block) != 0)
        return fallback_source_;
    return nullptr;
}

Pool* PoolWithFallback::pool_of(const void* address) const noexcept {
    const auto* const byte = static_cast<const std::byte*>(address);
    if (is_in_pool_or_layer(*pool_, byte)) return pool_.get();
    return fallback_source_ != nullptr && is_in_pool_or_layer(*fallback_.pool, byte)
               ? fallback_.pool.get()
               : nullptr;
}

bool PoolWithFallback::passes_on(std::size_t bytes) const noexcept {
    return fallback_source_ != nullptr && bytes >= fallback_.least &&
           (fallback_.named || source_->leaves_to_others(bytes));
}

void* PoolWithFallback::acquire_elsewhere(std::size_t bytes, bool zeroed) const noexcept {
    if (!passes_on(bytes)) return passed_on(nullptr, bytes);
    return passed_on(
        zeroed ? fallback_source_->try_acquire_zeroed(bytes) : fallback_source_->try_acquire(bytes),
        bytes);
}

void* PoolWithFallback::acquire_here(std::size_t bytes) const noexcept {
    void* const block = source_->try_acquire(bytes);
    return block != nullptr ? block : acquire_elsewhere(bytes, false);
}

void PoolWithFallback::release_elsewhere(void* block, std::size_t bytes) const noexcept {
    if (fallback_source_ != nullptr && fallback_source_->try_release(block, bytes)) return;
    if (BlockLayer* const layer = pool_->layer()) return layer->report_stray(block);
    stop_at_stray_block(pool_->title().c_str(), block);
}

void* PoolWithFallback::reallocate_elsewhere(void* block, std::size_t bytes) const noexcept {
    ByteSource* const owner = source_of(block);
    if (owner == nullptr) return nullptr;
    if (owner == source_)
        return move_contents(*owner, block, acquire_elsewhere(bytes, false), bytes);
    return passed_on(owner->try_reallocate(block, bytes), bytes);
}

[[gnu::cold]] void PoolWithFallback::note_refusal(std::size_t bytes) const noexcept try {
    const auto* const text =
        new std::string{(passes_on(bytes) ? fallback_source_ : source_)->refusal(bytes)};
    delete refusal_.exchange(text, std::memory_order_acq_rel);
} catch (...) {  // No memory for a text.
}

[[gnu::cold]] std::string PoolWithFallback::pop_refusal() const {
    const std::unique_ptr<const std::string> text{
        refusal_.exchange(nullptr, std::memory_order_acq_rel)};
    return text ? *text : std::string{};
}

void* move_contents(ByteSource& from, void* block, void* to, std::size_t bytes) noexcept {
    if (to == nullptr) return nullptr;
    std::memcpy(to, block, std::min(bytes, from.usable_size(block)));
    from.try_release(block, 0);
    return to;
}

}  // namespace numpool::threads
