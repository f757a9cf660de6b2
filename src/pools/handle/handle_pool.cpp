#include "pools/handle/handle_pool.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::pools {

HandlePool::HandlePool(std::vector<Size> sizes, pages::PageSource& source) {
    if (sizes.empty()) throw BadArgument{"there is no size: give at least one, as in {64: 1000}"};
    std::ranges::sort(sizes, {}, &Size::block_size);
    for (const Size& size : sizes) {
        if (!tables_.empty() && tables_.back().block_size() == size.block_size) {
            throw BadArgument{size_to_text(size.block_size) +
                              " is there twice: give each size once"};
        }
        tables_.emplace_back(size.block_size, size.blocks, size.first, source);
    }
}

Handle HandlePool::acquire(std::size_t bytes) noexcept {
    for (HandleTable& table : tables_) {
        if (table.block_size() < bytes) continue;
        const std::size_t warm = table.warm_blocks();
        if (const Handle handle = table.acquire(bytes)) {
            in_use_ += table.stride();
            committed_ += (table.warm_blocks() - warm) * table.stride();
            peak_committed_ = std::max(peak_committed_, committed_);
            return handle;
        }
    }
    return 0;
}

const HandleTable* HandlePool::table_of(Handle handle) const noexcept {
    for (const HandleTable& table : tables_) {
        if (table.number() == number_of(handle)) return &table;
    }
    return nullptr;
}

HandlePool::Block HandlePool::find(Handle handle) const noexcept {
    const HandleTable* const table = table_of(handle);
    return table == nullptr ? Block{} : table->find(handle);
}

HandlePool::Block HandlePool::hold(Handle handle) noexcept {
    HandleTable* const table = table_of(handle);
    return table == nullptr ? Block{} : table->hold(handle);
}

void HandlePool::unhold(const std::byte* start) noexcept {
    for (HandleTable& table : tables_) {
        if (table.owns(start)) return table.unhold(start);
    }
}

std::size_t HandlePool::holds(Handle handle) const noexcept {
    const HandleTable* const table = table_of(handle);
    return table == nullptr ? 0 : table->holds(handle);
}

bool HandlePool::free(Handle handle) noexcept {
    HandleTable* const table = table_of(handle);
    if (table == nullptr || !table->free(handle)) return false;
    in_use_ -= table->stride();
    return true;
}

bool HandlePool::issued(Handle handle) const noexcept {
    const HandleTable* const table = table_of(handle);
    return table != nullptr && table->issued(handle);
}

bool HandlePool::owns(const std::byte* address) const noexcept {
    return std::ranges::any_of(tables_,
                               [&](const HandleTable& table) { return table.owns(address); });
}

std::size_t HandlePool::trim() noexcept {
    std::size_t bytes = 0;
    committed_ = 0;
    for (HandleTable& table : tables_) {
        bytes += table.trim();
        committed_ += table.warm_blocks() * table.stride();
    }
    return bytes;
}

[[gnu::cold]] void HandlePool::check() const {
    std::size_t in_use = 0;
    std::size_t committed = 0;
    for (const HandleTable& table : tables_) {
        table.check();
        committed += table.warm_blocks() * table.stride();
        in_use += table.live_blocks() * table.stride();
    }
    if (in_use != in_use_ || committed != committed_)
        throw Corrupted{"the number of bytes in use is wrong"};
}

std::size_t HandlePool::live_blocks() const noexcept {
    std::size_t blocks = 0;
    for (const HandleTable& table : tables_) blocks += table.live_blocks();
    return blocks;
}

}  // namespace numpool::pools
