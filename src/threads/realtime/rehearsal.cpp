#include "threads/realtime/rehearsal.hpp"

#include <algorithm>
#include <utility>

namespace numpool::threads {

Rehearsal::Rehearsal(const AllocatorTable& before) : before_{before}, thread_{this_thread()} {
    guard(Rank::inner);
}

Rehearsal::~Rehearsal() {
    unguard();
}

AllocatorTable Rehearsal::table() noexcept {
    return {this, malloc, calloc, realloc, free};
}

void Rehearsal::end() noexcept {
    const std::lock_guard lock{mutex_};
    thread_ = nullptr;
}

std::vector<Rehearsal::Size> Rehearsal::sizes() const {
    const std::lock_guard lock{mutex_};
    std::vector<Size> all;
    for (const auto& [stride, size] : sizes_) all.push_back(size);
    return all;
}

std::uint64_t Rehearsal::unrecorded() const noexcept {
    const std::lock_guard lock{mutex_};
    return unrecorded_;
}

void* Rehearsal::recorded(void* block, std::size_t bytes) noexcept {
    const std::lock_guard lock{mutex_};
    if (block == nullptr || bytes > max_size || this_thread() != thread_) return block;
    try {
        const std::size_t stride = warm_stride(bytes);
        Size& size = sizes_[stride];
        live_[block] = stride;
        size.bytes = std::max(size.bytes, bytes);
        size.most = std::max(size.most, ++size.live);
        ++size.requests;
    } catch (const std::bad_alloc&) {
        ++unrecorded_;
    }
    return block;
}

/// Called before the block is released: afterwards another thread may get the same address.
void Rehearsal::forget(void* block) noexcept {
    const std::lock_guard lock{mutex_};
    const auto found = live_.find(block);
    if (found == live_.end()) return;
    --sizes_[found->second].live;
    live_.erase(found);
}

void* Rehearsal::malloc(void* context, std::size_t bytes) noexcept {
    auto& self = *static_cast<Rehearsal*>(context);
    return self.recorded(self.before_.malloc(self.before_.context, bytes), bytes);
}

void* Rehearsal::calloc(void* context, std::size_t count, std::size_t size) noexcept {
    auto& self = *static_cast<Rehearsal*>(context);
    // The product does not overflow where the block is not null.
    return self.recorded(self.before_.calloc(self.before_.context, count, size), count * size);
}

void* Rehearsal::realloc(void* context, void* block, std::size_t bytes) noexcept {
    auto& self = *static_cast<Rehearsal*>(context);
    std::unique_lock lock{self.mutex_};
    auto record = self.live_.extract(block);
    lock.unlock();
    void* const moved = self.before_.realloc(self.before_.context, block, bytes);
    // A warm block that is too small has to live beside the larger one while the contents move.
    if (moved != nullptr) self.recorded(moved, bytes);
    if (record.empty()) return moved;
    lock.lock();
    if (moved != nullptr) {
        --self.sizes_[record.mapped()].live;
    } else {
        self.live_.insert(std::move(record));  // The old block stays as it was.
    }
    return moved;
}

void Rehearsal::free(void* context, void* block, std::size_t bytes) noexcept {
    auto& self = *static_cast<Rehearsal*>(context);
    if (block != nullptr) self.forget(block);
    self.before_.free(self.before_.context, block, bytes);
}

}  // namespace numpool::threads
