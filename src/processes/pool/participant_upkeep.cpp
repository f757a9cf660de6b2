#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "processes/pool/participant.hpp"

/// What a participant does beside requests: it cleans up after ended processes, gives memory back,
/// handles forks, and checks all records.
namespace numpool::processes {

template <class Visit>
void Participant::for_each_block(Visit visit) const {
    const std::uint32_t covered = granules_.covered();
    for (std::uint32_t granule = 0; granule < covered;) {
        const GranuleWord word = granules_.word(granule);
        std::uint32_t step = 1;
        if (word.kind() == GranuleWord::Kind::span) {
            step = granules_.span_granules(granule);
            visit(block_id(granule, 0), region_.granules()[granule].block.load());
        } else if (word.kind() == GranuleWord::Kind::slab) {
            const auto blocks = static_cast<std::uint32_t>(
                granule_bytes / small_size(word.number() % small_classes));
            for (std::uint32_t i = 0; i < blocks; ++i) {
                visit(block_id(granule, i), region_.slabs()[granule][i].load());
            }
        }
        granule += step;
    }
}

Participant::~Participant() {
    trim();
    const Lock lock{mutex_};
    if (outside_) return;
    // If blocks are still held, the slot stays in use. The next reap finds it unlocked.
    bool holds = false;
    for_each_block([&](BlockId, BlockWord word) {
        holds = holds || (word.held_by(self_.slot) && !word.cached());
    });
    if (!holds) {
        region_.header().slots[self_.slot].generation.fetch_add(1, std::memory_order_release);
    }
}

std::size_t Participant::reap(std::uint64_t older_than) noexcept {
    const Lock lock{mutex_};
    if (outside_) return 0;
    const std::size_t before = region_.committed();
    reap_dead();
    messages_.expire(older_than, [&](BlockId block) { free_if_unreachable(block); });
    free_unreachable();
    const std::size_t after = region_.committed();
    return before - std::min(before, after);
}

/// Returns how many processes it cleaned up after.
std::size_t Participant::reap_dead() noexcept {
    std::size_t dead = 0;
    for (unsigned slot = 0; slot < most_processes; ++slot) {
        std::atomic<std::uint32_t>& generation = region_.header().slots[slot].generation;
        if (slot == self_.slot || (generation.load(std::memory_order_acquire) & 1) == 0) continue;
        if (lock_.locked_elsewhere(slot) || !lock_.try_lock(slot)) continue;
        // Meanwhile another process may have cleaned up, and a new process may have come and gone.
        if ((generation.load(std::memory_order_acquire) & 1) != 0) {
            clean_up_after(slot);
            generation.fetch_add(1, std::memory_order_release);
            ++dead;
        }
        lock_.unlock(slot);
    }
    return dead;
}

/// Frees blocks whose message a process outside has received. Returns how many.
std::size_t Participant::free_unreachable() noexcept {
    std::size_t freed = 0;
    for_each_block([&](BlockId block, BlockWord word) {
        if (!word.only_in_transit()) return;
        free_if_unreachable(block);
        freed += granules_.block(block).load().only_in_transit() ? 0 : 1;
    });
    return freed;
}

/// Subtracts what an ended process held. It can be repeated: this process may be killed meanwhile.
void Participant::clean_up_after(unsigned slot) noexcept {
    messages_.disown(slot, [&](BlockId block) { free_if_unreachable(block); });
    const std::uint32_t covered = granules_.covered();
    for (std::uint32_t granule = 0; granule < covered;) {
        const GranuleWord word = granules_.word(granule);
        std::uint32_t step = 1;
        if (word.kind() == GranuleWord::Kind::claimed) {
            const bool mine = slot == self_.slot && word.generation() == self_.generation;
            if (word.slot() == slot && !mine) granules_.free_claimed(granule, word);
        } else if (word.kind() == GranuleWord::Kind::span) {
            step = granules_.span_granules(granule);
            release_dead(block_id(granule, 0), slot);
        } else if (word.kind() == GranuleWord::Kind::slab) {
            const auto blocks = static_cast<std::uint32_t>(
                granule_bytes / small_size(word.number() % small_classes));
            for (std::uint32_t i = 0; i < blocks; ++i) release_dead(block_id(granule, i), slot);
        }
        granule += step;
    }
}

void Participant::release_dead(BlockId block, unsigned slot) noexcept {
    Shared<BlockWord>& word = granules_.block(block);
    for (;;) {
        const BlockWord before = word.load();
        if (!before.held_by(slot)) {
            // The ended process may have dropped the block without looking for messages.
            free_if_unreachable(block);
            return;
        }
        const bool last = before.held_only_by(slot) && !before.in_transit();
        if (!word.compare_exchange(
                before, last ? before.as_held_only_by(self_.slot) : before.without_holder(slot))) {
            continue;
        }
        if (!last) {
            free_if_unreachable(block);
            return;
        }
        wipe(block);
        if (granules_.word(granule_of(block)).kind() == GranuleWord::Kind::span) {
            granules_.free_span(granule_of(block));
        } else {
            cache(block);
        }
        return;
    }
}

/// Frees cached blocks: this process's, and those of others if `of_others`. Returns the number of
/// granules.
std::size_t Participant::free_cached(bool of_others) noexcept {
    std::size_t freed = 0;
    const std::uint32_t covered = granules_.covered();
    for (std::uint32_t granule = 0; granule < covered;) {
        const GranuleWord word = granules_.word(granule);
        const bool span = word.kind() == GranuleWord::Kind::span;
        const std::uint32_t step = span ? granules_.span_granules(granule) : 1;
        if (span) {
            Shared<BlockWord>& block = region_.granules()[granule].block;
            const BlockWord before = block.load();
            if (before.cached() && (of_others || before.held_only_by(self_.slot)) &&
                block.compare_exchange(before, before.as_held_only_by(self_.slot))) {
                granules_.free_span(granule);
                freed += step;
            }
        } else if (word.kind() == GranuleWord::Kind::slab &&
                   granules_.free_slab(granule, of_others)) {
            ++freed;
        }
        granule += step;
    }
    spans_.clear();
    cached_granules_ = 0;
    for (auto& cached : small_) cached.clear();
    // Cached blocks in slabs that are in use remain, and get into the lists again.
    for_each_block([&](BlockId block, BlockWord word) {
        if (word.cached() && word.held_only_by(self_.slot) && use_cached(block)) cache(block);
    });
    return freed;
}

std::size_t Participant::trim() noexcept {
    const Lock lock{mutex_};
    if (outside_) return 0;
    const std::size_t before = region_.committed();
    reap_dead();
    free_cached(true);
    const std::size_t after = region_.committed();
    return before - std::min(before, after);
}

RegionFigures Participant::figures() const {
    RegionFigures figures;
    std::array<ProcessFigures, most_processes> by_slot{};
    for_each_block([&](BlockId block, BlockWord word) {
        if (word.unused()) return;
        const std::size_t bytes = granules_.block_bytes(block);
        if (word.cached()) {
            figures.cached += bytes;
            return;
        }
        ++figures.blocks;
        figures.in_use += bytes;
        for (unsigned slot = 0; slot < most_processes; ++slot) {
            if (!word.held_by(slot)) continue;
            ++by_slot[slot].blocks;
            by_slot[slot].bytes += bytes;
        }
    });
    for (unsigned slot = 0; slot < most_processes; ++slot) {
        const Slot& one = region_.header().slots[slot];
        if ((one.generation.load(std::memory_order_acquire) & 1) == 0) continue;
        by_slot[slot].pid = one.pid.load(std::memory_order_relaxed);
        by_slot[slot].alive = slot == self_.slot || lock_.locked_elsewhere(slot);
        figures.processes.push_back(by_slot[slot]);
    }
    figures.committed = region_.committed();
    figures.in_transit = messages_.count();
    return figures;
}

void Participant::check() const {
    const auto fail = [](std::uint32_t granule, const std::string& what) {
        throw Corrupted{"SharedPool: granule " + std::to_string(granule) + " " + what};
    };
    const std::uint32_t covered = granules_.covered();
    for (std::uint32_t granule = 0; granule < covered;) {
        const GranuleWord word = granules_.word(granule);
        std::uint32_t step = 1;
        if (word.kind() == GranuleWord::Kind::span) {
            step = word.number();
            if (step == 0 || step > covered - granule)
                fail(granule, "begins a span beyond the pool");
            for (std::uint32_t i = 1; i < step; ++i) {
                // If the span ends meanwhile, its first word has changed.
                if (granules_.word(granule + i).kind() != GranuleWord::Kind::claimed &&
                    granules_.word(granule) == word) {
                    fail(granule + i, "is in a span and not claimed for it");
                }
            }
            const BlockWord block = region_.granules()[granule].block.load();
            if (block.unused() && granules_.word(granule) == word) {
                fail(granule, "begins a span that nobody holds");
            }
        } else if (word.kind() == GranuleWord::Kind::slab && word.number() >= small_classes) {
            fail(granule, "is a slab of no size class");
        }
        granule += step;
    }
}

void Participant::prepare_fork() noexcept {
    mutex_.lock();
    child_.reset();
    if (outside_) return;
    child_lock_.emplace(region_.fd());
    if (child_lock_->opened()) child_ = claim_slot(*child_lock_);
    if (child_) clean_up_after(child_->slot);
    for_each_block([&](BlockId id, BlockWord word) {
        if (!word.held_by(self_.slot) || word.cached()) return;
        Shared<BlockWord>& block = granules_.block(id);
        for (;;) {
            const BlockWord before = block.load();
            // Without a slot the child could not say when its use ends.
            const BlockWord after = child_ ? before.with_holder(child_->slot) : before.with_pin();
            if (block.compare_exchange(before, after)) break;
        }
    });
}

void Participant::after_fork_in_parent() noexcept {
    // The child keeps its slot locked. If the fork failed, the slot is unlocked and gets reaped.
    child_lock_.reset();
    mutex_.unlock();
}

void Participant::after_fork_in_child() noexcept {
    if (!child_) {
        outside_ = true;
    } else {
        lock_ = std::move(*child_lock_);
        self_ = *child_;
        region_.header().slots[self_.slot].pid.store(static_cast<std::uint32_t>(getpid()),
                                                     std::memory_order_relaxed);
    }
    child_lock_.reset();
    // The parent's cached blocks stay the parent's.
    spans_.clear();
    for (auto& cached : small_) cached.clear();
    cached_granules_ = 0;
    lent_.clear();
    mutex_.unlock();
}

}  // namespace numpool::processes
