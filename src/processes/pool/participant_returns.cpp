#include <algorithm>

#include "processes/pool/participant.hpp"

/// A span goes back to the process that made it, so that a process that sends and one that receives
/// use the same memory again and again.
namespace numpool::processes {

/// The last user's part. False where the maker has ended, or has got enough back.
bool Participant::return_to_maker(BlockId block) noexcept {
    const GranuleWord span = granules_.word(granule_of(block));
    if (span.kind() != GranuleWord::Kind::span || span.slot() == self_.slot ||
        span.slot() >= most_processes) {
        return false;
    }
    Slot& maker = region_.header().slots[span.slot()];
    const std::uint32_t generation = maker.generation.load(std::memory_order_acquire);
    if ((generation & 1) == 0 || (generation & GranuleWord::generations) != span.generation())
        return false;
    // About the same as each process caches; the rest goes back to the machine.
    if (maker.returned.load(std::memory_order_relaxed) + span.number() > region_.count() / 4)
        return false;
    maker.returned.fetch_add(span.number(), std::memory_order_relaxed);
    // If the maker ends now, the next process in its slot frees the block.
    Shared<BlockWord>& word = granules_.block(block);
    word.store(word.load().as_cached(span.slot()));
    return true;
}

/// The maker's part: remembers a span that it sends.
void Participant::expect_back(BlockId block) noexcept {
    const GranuleWord span = granules_.word(granule_of(block));
    if (span != GranuleWord{GranuleWord::Kind::span, self_, span.number()}) return;
    constexpr std::size_t many = 4096;
    if (lent_.size() >= many) forget_freed();
    try {
        lent_.emplace(span.number(), block);
    } catch (...) {  // No memory for the list. `free_cached` finds the block anyway.
    }
}

/// A span of about this size that its last user gave back.
std::optional<BlockId> Participant::take_returned(std::uint32_t granules) noexcept {
    for (auto one = lent_.lower_bound({granules, 0});
         one != lent_.end() && one->first <= granules + granules / 8;) {
        const auto [size, block] = *one;
        const GranuleWord span{GranuleWord::Kind::span, self_, size};
        if (granules_.word(granule_of(block)) != span) {
            one = lent_.erase(one);
            continue;
        }
        if (use_cached(block)) {
            lent_.erase(one);
            region_.header().slots[self_.slot].returned.fetch_sub(size, std::memory_order_relaxed);
            return block;
        }
        ++one;
    }
    forget_freed();
    return {};
}

/// Forgets spans that others have freed, and counts those that were given back.
void Participant::forget_freed() noexcept {
    std::uint32_t returned = 0;
    for (auto one = lent_.begin(); one != lent_.end();) {
        const auto [size, block] = *one;
        const GranuleWord span{GranuleWord::Kind::span, self_, size};
        if (granules_.word(granule_of(block)) != span) {
            one = lent_.erase(one);
            continue;
        }
        const BlockWord word = granules_.block(block).load();
        if (word.cached() && word.held_only_by(self_.slot)) returned += size;
        ++one;
    }
    region_.header().slots[self_.slot].returned.store(returned, std::memory_order_relaxed);
}

}  // namespace numpool::processes
