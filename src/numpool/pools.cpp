#include "numpool/pools.hpp"

#include <algorithm>
#include <cstdint>

#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool {

Pool::Pool(threads::PoolLifecycle& pool, threads::ByteSource& source,
           std::size_t natural_align) noexcept
    : pool_{&pool}, source_{&source}, natural_align_{natural_align} {
    pool_->add_handle();
}

Pool::Pool(const Pool& other) noexcept
    : pool_{other.pool_}, source_{other.source_}, natural_align_{other.natural_align_} {
    if (pool_ != nullptr) pool_->add_handle();
}

Pool::~Pool() {
    if (pool_ != nullptr) pool_->drop_handle();
}

void* Pool::acquire(std::size_t bytes) {
    if (void* const block = source_->try_acquire(bytes)) return block;
    pool_->require_open();
    throw Exhausted{source_->refusal(bytes)};
}

void* Pool::try_acquire(std::size_t bytes) noexcept {
    return source_->try_acquire(bytes);
}

void* Pool::try_acquire_zeroed(std::size_t bytes) noexcept {
    return source_->try_acquire_zeroed(bytes);
}

void* Pool::try_reallocate(void* block, std::size_t bytes) noexcept {
    return source_->try_reallocate(block, bytes);
}

void Pool::release(void* block, std::size_t bytes) noexcept {
    if (source_->try_release(block, bytes)) return;
    pool_->release(static_cast<std::byte*>(block), bytes);  // Writes what is wrong, and aborts.
}

std::size_t Pool::usable_size(const void* block) const noexcept {
    return source_->usable_size(block);
}

namespace {

/// A size whose blocks have the natural alignment: it holds only for blocks of 64 bytes and more.
std::size_t aligned_size(std::size_t bytes, std::size_t align) noexcept {
    return std::max(bytes, align <= 16 ? align : 64);
}

}  // namespace

// If the alignment is larger than the natural one, the pool's block is larger by the alignment, and
// its address is stored just before the returned address.
void* Pool::allocate(std::size_t bytes, std::size_t align) try {
    if (align <= natural_align_) return acquire(aligned_size(bytes, align));
    const std::size_t extra = align + sizeof(void*);
    if (bytes > ~std::size_t{0} - extra) throw std::bad_array_new_length{};
    void* const block = acquire(bytes + extra);
    const auto first = reinterpret_cast<std::uintptr_t>(block) + sizeof(void*);
    void** const start = reinterpret_cast<void**>((first + align - 1) & ~(align - 1));
    start[-1] = block;
    return start;
} catch (const Exhausted& refused) {
    throw BadAlloc{refused.what()};
}

void Pool::deallocate(void* block, std::size_t bytes, std::size_t align) noexcept {
    if (align <= natural_align_) {
        release(block, aligned_size(bytes, align));
    } else if (block != nullptr) {
        release(static_cast<void**>(block)[-1], bytes + align + sizeof(void*));
    }
}

const std::string& Pool::name() const noexcept {
    return pool_->name();
}
bool Pool::owns(const void* address) const noexcept {
    return pool_->owns(static_cast<const std::byte*>(address));
}
Figures Pool::figures() const {
    return pool_->figures();
}
std::size_t Pool::trim() {
    return pool_->trim();
}
void Pool::reset_peak() noexcept {
    pool_->reset_peak();
}
void Pool::check() const {
    pool_->check();
}
void Pool::close() noexcept {
    pool_->close();
}
bool Pool::closed() const noexcept {
    return pool_->closed();
}

}  // namespace numpool
