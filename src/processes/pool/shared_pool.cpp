#include "processes/pool/shared_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::processes {

using threads::PoolFigures;
using threads::PoolHandle;

PoolHandle<SharedPool> SharedPool::create(const SharedPoolOptions& options) {
    const std::size_t granules =
        options.capacity / granule_bytes + (options.capacity % granule_bytes != 0);
    if (granules == 0 || granules > most_granules) {
        throw BadArgument{"a SharedPool holds 1 byte to " +
                          size_to_text(std::size_t{most_granules} * granule_bytes) + ", not " +
                          size_to_text(options.capacity)};
    }
    return PoolHandle{
        new SharedPool{static_cast<std::uint32_t>(granules), options.wipe, options.name}};
}

PoolHandle<SharedPool> SharedPool::attach(int fd, std::string name, bool for_copies) {
    return PoolHandle{new SharedPool{fd, std::move(name), for_copies}};
}

SharedPool::SharedPool(std::uint32_t granules, bool wipe, std::string name)
    : PoolLifecycle{"SharedPool", std::move(name)}, region_{granules, wipe}, part_{region_} {}

SharedPool::SharedPool(int fd, std::string name, bool for_copies)
    : PoolLifecycle{"SharedPool", std::move(name)}, region_{fd}, part_{region_, for_copies} {}

std::byte* SharedPool::acquire_block(std::size_t bytes, bool zeroed) noexcept {
    if (closed()) return nullptr;
    const Participant::Acquired got = part_.try_acquire(bytes);
    if (got.start == nullptr) return nullptr;
    uses_.fetch_add(1);
    asked_.fetch_add(bytes, std::memory_order_relaxed);
    if (zeroed && !got.zeroed && !wipes()) std::memset(got.start, 0, bytes);
    return got.start;
}

std::byte* SharedPool::try_acquire(std::size_t bytes) noexcept {
    return acquire_block(bytes, false);
}

std::byte* SharedPool::try_acquire_zeroed(std::size_t bytes) noexcept {
    return acquire_block(bytes, true);
}

std::byte* SharedPool::acquire(std::size_t bytes) {
    if (std::byte* const block = try_acquire(bytes)) return block;
    require_open();
    throw Exhausted{refusal(bytes)};
}

[[gnu::cold]] std::string SharedPool::refusal(std::size_t bytes) const {
    if (part_.outside()) {
        return title() + ": this process is one of more than " + std::to_string(most_processes) +
               " that use the pool: it keeps what it has and gets no more";
    }
    if (bytes > capacity()) {
        return title() + ": " + size_to_text(bytes) +
               " requested; that is more than its capacity of " + size_to_text(capacity());
    }
    const RegionFigures figures = part_.figures();
    return title() + ": " + size_to_text(bytes) + " requested; of " + size_to_text(capacity()) +
           ", " + size_to_text(figures.in_use) + " are in use by " +
           std::to_string(figures.processes.size()) +
           (figures.processes.size() == 1 ? " process" : " processes") +
           ", and the rest is not in one piece, or the machine has no memory";
}

bool SharedPool::try_release(void* block, std::size_t) noexcept {
    if (block == nullptr) return true;
    const std::optional<BlockId> id = block_around(static_cast<const std::byte*>(block));
    if (!id || !part_.holds(*id)) return part_.outside() && id.has_value();
    if (region_.copies_on_write(static_cast<const std::byte*>(block))) {
        region_.drop_copies(static_cast<std::byte*>(block), part_.granules().block_bytes(*id));
    }
    part_.drop(*id);
    uses_.fetch_sub(1);
    if (closed()) [[unlikely]] {
        Lock lock{mutex_};
        end_if_unused(lock);
    }
    return true;
}

void SharedPool::release(std::byte* block, std::size_t bytes) noexcept {
    if (try_release(block, bytes)) return;
    std::fprintf(stderr, "numpool: %s: block %p was released twice or is not its own\n",
                 title().c_str(), static_cast<void*>(block));
    std::abort();
}

std::byte* SharedPool::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    auto* const start = static_cast<std::byte*>(block);
    const std::size_t room = usable_size(start);
    if (room == 0) return nullptr;
    if (bytes <= room && bytes >= room / 2) return start;
    std::byte* const moved = try_acquire(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, start, std::min(bytes, room));
    try_release(start, 0);
    return moved;
}

std::size_t SharedPool::usable_size(const void* block) const noexcept {
    const std::optional<Place> place = place_of(static_cast<const std::byte*>(block));
    return place ? place->bytes : 0;
}

std::optional<BlockId> SharedPool::block_around(const std::byte* address) const noexcept {
    const std::optional<std::size_t> offset = region_.offset_of(address);
    if (!offset) return {};
    return part_.granules().block_at(*offset);
}

std::optional<SharedPool::Place> SharedPool::place_of(const std::byte* address) const noexcept {
    const std::optional<BlockId> id = block_around(address);
    if (!id || !part_.holds(*id)) return {};
    // Of the mappings, the one that the address is in.
    const std::size_t at = *region_.offset_of(address);
    const auto start = static_cast<std::size_t>(part_.granules().address(*id) - region_.data());
    return Place{const_cast<std::byte*>(address) - (at - start), part_.granules().block_bytes(*id)};
}

bool SharedPool::contains(const std::byte* address) const noexcept {
    return region_.offset_of(address).has_value();
}

Sent SharedPool::send(const std::byte* address) {
    require_open();
    const std::optional<BlockId> id = block_around(address);
    if (!id || !part_.holds(*id)) {
        throw BadArgument{title() + ": this process holds no block at this address"};
    }
    const std::optional<Sent> sent = part_.send(*id);
    if (!sent) {
        throw Exhausted{title() + ": " + std::to_string(most_messages) +
                        " messages are on their way already, or the machine has no memory: let "
                        "the receivers catch up"};
    }
    return *sent;
}

[[gnu::cold]] void SharedPool::refuse_message() const {
    throw Stale{title() +
                ": this array was received already, or its sender ended and nobody received it for "
                "a minute: a message leads to its array once; send the array again"};
}

SharedPool::Place SharedPool::receive(const Sent& sent, Access access) {
    require_open();
    std::byte* const base = access == Access::read_only       ? region_.read_only_data()
                            : access == Access::copy_on_write ? region_.copy_on_write_data()
                                                              : region_.data();
    if (base == nullptr) throw Exhausted{title() + ": the system refuses another mapping"};
    if (!part_.receive(sent)) refuse_message();
    uses_.fetch_add(1);
    const std::byte* const start = part_.granules().address(sent.block);
    return {base + (start - region_.data()), part_.granules().block_bytes(sent.block)};
}

std::optional<Sent> SharedPool::send_copy(std::byte* block, std::size_t bytes) noexcept {
    const std::optional<BlockId> id = block_around(block);
    const std::optional<Sent> sent = id && !closed() ? part_.send(*id) : std::nullopt;
    release(block);
    if (sent) {
        region_.header().copies.fetch_add(1, std::memory_order_relaxed);
        region_.header().copied_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    return sent;
}

void SharedPool::receive_copy(const Sent& sent, std::byte* to, std::size_t bytes) {
    require_open();
    if (!part_.receive_copy(sent, to, bytes)) refuse_message();
}

bool SharedPool::can_copy_on_write() noexcept {
    return !part_.outside() && region_.copy_on_write_data() != nullptr;
}

void SharedPool::take_back(const Sent& sent) noexcept {
    part_.receive_copy(sent, nullptr, 0);
}

std::array<std::uint64_t, 2> SharedPool::copies() const noexcept {
    const Header& header = region_.header();
    return {header.copies.load(std::memory_order_relaxed),
            header.copied_bytes.load(std::memory_order_relaxed)};
}

std::size_t SharedPool::reap(std::uint64_t milliseconds) {
    require_open();
    return part_.reap(milliseconds);
}

void SharedPool::resume_after_fork() noexcept {
    if (std::exchange(in_child_, false)) {
        part_.after_fork_in_child();
    } else {
        part_.after_fork_in_parent();
    }
}

PoolFigures SharedPool::figures() const {
    const RegionFigures region = part_.figures();
    PoolFigures figures;
    figures.requested = region.in_use;
    figures.in_use = region.in_use;
    figures.peak = region.in_use;
    figures.cached = region.committed - std::min(region.committed, region.in_use);
    figures.committed = region.committed;
    figures.peak_committed = figures.committed;
    figures.mapped = capacity();
    figures.limit = capacity();
    figures.blocks = region.blocks;
    figures.requests = part_.requests();
    figures.asked = asked_.load(std::memory_order_relaxed);
    figures.failures = part_.failures();
    return figures;
}

}  // namespace numpool::processes
