#include "processes/pool/participant.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "base/error.hpp"

namespace numpool::processes {

Participant::Participant(SharedRegion& region, bool may_stay_outside)
    : region_{region}, lock_{region.fd()}, granules_{region, self_}, messages_{region, self_} {
    if (!lock_.opened()) {
        throw Exhausted{"SharedPool: no file descriptor is left, or /proc is not mounted"};
    }
    const std::optional<Member> claimed = claim_slot(lock_);
    if (!claimed && may_stay_outside) {
        outside_ = true;
        return;
    }
    if (!claimed) {
        throw Exhausted{"SharedPool: " + std::to_string(most_processes) +
                        " processes use this pool already, and no more can: end one, or let fewer "
                        "workers join"};
    }
    self_ = *claimed;
    // The last process in this slot may have been killed.
    clean_up_after(self_.slot);
}

std::optional<Member> Participant::claim_slot(SlotLock& lock) noexcept {
    // Slots of killed processes come last, since they need a clean-up.
    for (const bool used : {false, true}) {
        for (unsigned slot = 0; slot < most_processes; ++slot) {
            Slot& one = region_.header().slots[slot];
            if (((one.generation.load(std::memory_order_acquire) & 1) != 0) != used) continue;
            if (lock.locked_elsewhere(slot) || !lock.try_lock(slot)) continue;
            const std::uint32_t generation = one.generation.load(std::memory_order_acquire);
            const std::uint32_t next = generation + ((generation & 1) != 0 ? 2 : 1);
            one.generation.store(next, std::memory_order_release);
            one.returned.store(0, std::memory_order_relaxed);
            one.pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
            return Member{slot, next & GranuleWord::generations};
        }
    }
    return {};
}

Participant::Acquired Participant::try_acquire(std::size_t bytes) noexcept {
    bytes = std::max<std::size_t>(bytes, 1);
    const Lock lock{mutex_};
    if (outside_ || bytes > region_.bytes()) {
        ++failures_;
        return {};
    }
    Acquired got;
    std::optional<BlockId> block;
    const bool small = bytes <= small_size(small_classes - 1);
    const auto small_class = static_cast<std::uint32_t>(
        std::bit_width((std::max(bytes, smallest_block) - 1) / smallest_block));
    const auto granules = static_cast<std::uint32_t>((bytes + granule_bytes - 1) / granule_bytes);
    // First with free memory, then with that of ended processes and this process's cache, then with
    // what others cache.
    for (int attempt = 0; attempt < 3 && !block; ++attempt) {
        if (attempt == 1 && reap_dead() + free_unreachable() + free_cached(false) == 0) continue;
        if (attempt == 2 && free_cached(true) == 0) break;
        block = small ? acquire_small(small_class, got.zeroed) : acquire_span(granules, got.zeroed);
    }
    if (!block) {
        ++failures_;
        return {};
    }
    ++requests_;
    got.block = *block;
    got.start = granules_.address(*block);
    return got;
}

bool Participant::use_cached(BlockId block) noexcept {
    Shared<BlockWord>& word = granules_.block(block);
    const BlockWord before = word.load();
    return before.cached() && before.held_only_by(self_.slot) &&
           word.compare_exchange(before, before.as_held_only_by(self_.slot));
}

std::optional<BlockId> Participant::acquire_small(std::uint32_t small_class,
                                                  bool& zeroed) noexcept {
    zeroed = false;
    std::vector<BlockId>& cached = small_[small_class];
    do {
        while (!cached.empty()) {
            const BlockId block = cached.back();
            cached.pop_back();
            if (!use_cached(block)) continue;
            const GranuleWord granule = granules_.word(granule_of(block));
            if (granule.kind() == GranuleWord::Kind::slab && granule.number() == small_class)
                return block;
            // Another process got the block and freed it, and its granule was cut anew. Since then
            // this process has cached it again, in another list.
            cache(block);
        }
    } while (refill(small_class));
    return {};
}

std::size_t Participant::cache_unused(std::uint32_t granule, std::size_t most) noexcept {
    const GranuleWord slab = granules_.word(granule);
    const std::uint32_t small_class = slab.number() % small_classes;
    const auto blocks = static_cast<std::uint32_t>(granule_bytes / small_size(small_class));
    std::size_t taken = 0;
    for (std::uint32_t i = 0; i < blocks && taken < most; ++i) {
        Shared<BlockWord>& word = region_.slabs()[granule][i];
        const BlockWord before = word.load();
        if (!before.unused() || !word.compare_exchange(before, before.as_held_only_by(self_.slot)))
            continue;
        if (granules_.word(granule) != slab) {
            // The granule was cut anew meanwhile: undo.
            word.store(word.load().as_unused());
            break;
        }
        cache(block_id(granule, i));
        ++taken;
    }
    return taken;
}

bool Participant::refill(std::uint32_t small_class) noexcept {
    constexpr std::size_t batch = 32;
    const auto is_ours = [&](std::uint32_t granule) {
        const GranuleWord word = granules_.word(granule);
        return word.kind() == GranuleWord::Kind::slab && word.number() == small_class;
    };
    const std::uint32_t covered = granules_.covered();
    const std::uint32_t last = last_slab_[small_class];
    if (last < covered && is_ours(last) && cache_unused(last, batch) != 0) return true;
    for (std::uint32_t granule = 0; granule < covered;) {
        if (is_ours(granule) && granule != last && cache_unused(granule, batch) != 0) {
            last_slab_[small_class] = granule;
            return true;
        }
        granule += granules_.word(granule).kind() == GranuleWord::Kind::span
                       ? granules_.span_granules(granule)
                       : 1;
    }
    const std::optional<std::uint32_t> claimed = granules_.claim(1);
    if (!claimed) return false;
    if (!granules_.publish_slab(*claimed, small_class)) {
        granules_.free_claimed(*claimed, granules_.word(*claimed));
        return false;
    }
    last_slab_[small_class] = *claimed;
    return cache_unused(*claimed, batch) != 0;
}

std::optional<BlockId> Participant::acquire_span(std::uint32_t granules, bool& zeroed) noexcept {
    zeroed = false;
    if (const std::optional<BlockId> cached = take_cached(granules)) return cached;
    if (const std::optional<BlockId> returned = take_returned(granules)) return returned;
    // New memory costs much more than a look for ended processes.
    reap_dead();
    const std::optional<std::uint32_t> first = granules_.claim(granules);
    if (!first) return {};
    granules_.publish_span(*first, granules);
    zeroed = true;
    return block_id(*first, 0);
}

std::optional<BlockId> Participant::take_cached(std::uint32_t granules) noexcept {
    // The best fit of at most an eighth more.
    for (auto fit = spans_.lower_bound(granules);
         fit != spans_.end() && fit->first <= granules + granules / 8; ++fit) {
        while (!fit->second.empty()) {
            const BlockId block = fit->second.back();
            fit->second.pop_back();
            cached_granules_ -= std::min<std::size_t>(cached_granules_, fit->first);
            if (!use_cached(block)) continue;
            const GranuleWord word = granules_.word(granule_of(block));
            if (word.kind() == GranuleWord::Kind::span && word.number() == fit->first) return block;
            cache(block);
        }
    }
    return {};
}

/// One process caches at most a quarter of the pool. Evicts the oldest of the largest spans.
bool Participant::make_room_to_cache(std::uint32_t granules) noexcept {
    const std::size_t most = region_.count() / 4;
    if (granules > most) return false;
    while (cached_granules_ + granules > most && !spans_.empty()) {
        const auto largest = std::prev(spans_.end());
        if (largest->second.empty()) {
            spans_.erase(largest);
            continue;
        }
        const BlockId oldest = largest->second.front();
        largest->second.erase(largest->second.begin());
        cached_granules_ -= std::min<std::size_t>(cached_granules_, largest->first);
        if (use_cached(oldest)) granules_.free_span(granule_of(oldest));
    }
    return true;
}

/// Caches a block that this process alone holds, for its next request, or frees it.
void Participant::cache(BlockId block) noexcept {
    Shared<BlockWord>& word = granules_.block(block);
    const GranuleWord granule = granules_.word(granule_of(block));
    const bool small = granule.kind() == GranuleWord::Kind::slab;
    if (!small && !make_room_to_cache(granule.number())) {
        granules_.free_span(granule_of(block));
        return;
    }
    try {
        if (small) {
            small_[granule.number() % small_classes].push_back(block);
        } else {
            spans_[granule.number()].push_back(block);
            cached_granules_ += granule.number();
        }
    } catch (...) {  // No memory for the list. `free_cached` finds the block anyway.
    }
    word.store(word.load().as_cached(self_.slot));
}

void Participant::drop(BlockId block) noexcept {
    const Lock lock{mutex_};
    if (outside_) return;
    const auto more = more_uses_.find(block);
    if (more != more_uses_.end()) {
        if (--more->second == 0) more_uses_.erase(more);
        return;
    }
    drop_last(block);
}

void Participant::drop_last(BlockId block) noexcept {
    Shared<BlockWord>& word = granules_.block(block);
    for (;;) {
        const BlockWord before = word.load();
        if (!before.held_by(self_.slot) || before.cached()) return;
        if (before.held_only_by(self_.slot) && !(before.in_transit() && messages_.lead_to(block))) {
            // No other process can get it now: only a holder or a message could lead there.
            keep(block);
            return;
        }
        const BlockWord after = before.without_holder(self_.slot);
        if (!word.compare_exchange(before, after)) continue;
        if (after.only_in_transit()) free_if_unreachable(block);
        return;
    }
}

/// Frees a block that no process holds, if no message leads to it either.
void Participant::free_if_unreachable(BlockId block) noexcept {
    Shared<BlockWord>& word = granules_.block(block);
    const BlockWord before = word.load();
    if (!before.only_in_transit() || messages_.lead_to(block)) return;
    if (word.compare_exchange(before, before.as_held_only_by(self_.slot))) keep(block);
}

/// Keeps a block that this process alone holds, for the next request of its maker or its own.
void Participant::keep(BlockId block) noexcept {
    wipe(block);
    if (!return_to_maker(block)) cache(block);
}

void Participant::wipe(BlockId block) noexcept {
    if (region_.header().wipe != 0)
        std::memset(granules_.address(block), 0, granules_.block_bytes(block));
}

std::optional<Sent> Participant::send(BlockId block) noexcept {
    const Lock lock{mutex_};
    if (outside_) return {};
    const std::optional<Sent> sent = messages_.make(block);
    if (!sent) return {};
    Shared<BlockWord>& word = granules_.block(block);
    for (BlockWord before = word.load(); !before.in_transit(); before = word.load()) {
        word.compare_exchange(before, before.with_transit());
    }
    messages_.send(*sent);
    expect_back(block);
    return sent;
}

bool Participant::receive(const Sent& sent) noexcept {
    const Lock lock{mutex_};
    if (outside_ || !messages_.valid(sent) || granule_of(sent.block) >= granules_.covered())
        return false;
    Shared<BlockWord>& word = granules_.block(sent.block);
    for (;;) {
        const BlockWord before = word.load();
        if (!before.in_transit() || before.cached()) return false;
        if (before.held_by(self_.slot)) {
            try {
                ++more_uses_[sent.block];
            } catch (...) {
                return false;
            }
            break;
        }
        if (word.compare_exchange(before, before.with_holder(self_.slot))) break;
    }
    if (messages_.receive(sent)) return true;
    const auto more = more_uses_.find(sent.block);
    if (more == more_uses_.end()) {
        drop_last(sent.block);
    } else if (--more->second == 0) {
        more_uses_.erase(more);
    }
    return false;
}

bool Participant::receive_copy(const Sent& sent, std::byte* to, std::size_t bytes) noexcept {
    if (!messages_.valid(sent) || granule_of(sent.block) >= granules_.covered() ||
        bytes > granules_.block_bytes(sent.block)) {
        return false;
    }
    // The message keeps the block meanwhile.
    std::memcpy(to, granules_.address(sent.block), bytes);
    const Lock lock{mutex_};
    if (!messages_.receive(sent)) return false;
    if (!outside_) free_if_unreachable(sent.block);
    return true;
}

bool Participant::holds(BlockId block) const noexcept {
    const BlockWord word = granules_.block(block).load();
    return word.held_by(self_.slot) && !word.cached();
}

}  // namespace numpool::processes
