/// A fixed pool's `check` and `trim`: both walk all unused blocks.

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "pools/fixed/fixed_pool.hpp"

namespace numpool::pools {

/// The unused blocks, by their state. Those that are not fresh are *free*: in one of the free
/// lists.
struct FixedPool::Survey {
    BlockSet constructed;
    BlockSet unconstructed;
    BlockSet fresh;

    bool unused(Place at) const noexcept { return free(at) || fresh[at.chunk].test(at.index); }
    bool free(Place at) const noexcept {
        return constructed[at.chunk].test(at.index) || unconstructed[at.chunk].test(at.index);
    }
};

/// The blocks from `first` to `end` of a chunk, all unused, and the pages to purge in them.
struct FixedPool::Run {
    std::size_t chunk;
    std::size_t first;
    std::size_t end;
    pages::Extent pages;
};

FixedPool::BlockSet FixedPool::empty_set() const {
    BlockSet set;
    set.reserve(chunks_.size());
    for (const Chunk& chunk : chunks_) set.emplace_back(chunk.blocks);
    return set;
}

void FixedPool::add_list(BlockSet& set, const std::byte* list) const {
    for (; list != nullptr; list = next_of(list)) {
        const auto place = place_of(list);
        if (!place) throw Corrupted{"the free list leads to an address that is no block"};
        if (!set[place->chunk].set(place->index)) {
            throw Corrupted{"the free list has block " + std::to_string(place->index) +
                            " of chunk " + std::to_string(place->chunk) + " twice"};
        }
    }
}

void FixedPool::add_fresh(BlockSet& set) const {
    const auto add = [&](FreshRange range) {
        for (const std::byte* block = range.start; block != range.end; block += stride()) {
            const auto place = place_of(block);
            if (!place) throw Corrupted{"a range of fresh blocks leaves its chunk"};
            if (!set[place->chunk].set(place->index))
                throw Corrupted{"two ranges of fresh blocks overlap"};
        }
    };
    add({fresh_, fresh_end_});
    for (const FreshRange& range : fresh_ranges_) add(range);
}

FixedPool::Survey FixedPool::survey() const {
    Survey survey{empty_set(), empty_set(), empty_set()};
    add_list(survey.constructed, free_);
    add_list(survey.unconstructed, unconstructed_);
    add_fresh(survey.fresh);
    return survey;
}

FixedPool::BlockSet FixedPool::set_of(std::span<const RecordedBlock> in_magazines) const {
    BlockSet set = empty_set();
    for (const RecordedBlock& block : in_magazines) {
        const auto place = place_of(block.start);
        if (!place) throw Corrupted{"a magazine holds an address that is no block"};
        if (block.entry != entry_of(block.start)) {
            throw Corrupted{"a magazine has another block's entry for block " +
                            std::to_string(place->index) + " of chunk " +
                            std::to_string(place->chunk)};
        }
        if (!set[place->chunk].set(place->index)) {
            throw Corrupted{"block " + std::to_string(place->index) + " of chunk " +
                            std::to_string(place->chunk) + " is in magazines twice"};
        }
    }
    return set;
}

std::size_t FixedPool::check(std::span<const RecordedBlock> in_magazines) const {
    const Survey survey = this->survey();
    const BlockSet magazine_blocks = set_of(in_magazines);
    std::size_t blocks = 0;
    std::size_t in_use = 0;
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
        blocks += chunks_[chunk].blocks;
        for (std::size_t index = 0; index < chunks_[chunk].blocks; ++index) {
            const bool live = ledger_ && chunks_[chunk].ledger.entries()[index].is_live();
            const int free = int{survey.constructed[chunk].test(index)} +
                             int{survey.unconstructed[chunk].test(index)} +
                             int{survey.fresh[chunk].test(index)} +
                             int{magazine_blocks[chunk].test(index)};
            if (free == 0) ++in_use;
            const int records = free + int{live};
            if (records == 1 || (records == 0 && !ledger_)) continue;
            throw Corrupted{
                "block " + std::to_string(index) + " of chunk " + std::to_string(chunk) +
                (records == 0 ? " is neither live nor free" : " is in two places at once")};
        }
    }
    if (blocks != blocks_ || blocks_ > max_blocks_)
        throw Corrupted{"the number of blocks is wrong"};
    return in_use;
}

std::size_t FixedPool::trim() {
    const Survey survey = this->survey();
    const std::vector<Run> runs = plan_trim(survey);
    if (runs.empty()) return 0;
    // First everything that may throw.
    std::vector<Run> purged;
    purged.reserve(runs.size());
    fresh_ranges_.reserve(fresh_ranges_.size() + 1 + runs.size());

    // A purge erases links, so these blocks leave the lists first.
    free_ = without(free_, runs);
    unconstructed_ = without(unconstructed_, runs);
    std::size_t bytes = 0;
    for (const Run& run : runs) {
        const bool gone = whole_chunk(run) || source_.purge(run.pages);
        if (gone) {
            bytes += run.pages.bytes;
            purged.push_back(run);
        }
        relist(run, survey, gone);
    }
    collect_fresh(survey, purged);
    for (auto run = purged.rbegin(); run != purged.rend(); ++run) {
        if (!whole_chunk(*run)) continue;
        source_.unmap(chunks_[run->chunk].pages);
        blocks_ -= chunks_[run->chunk].blocks;
        chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(run->chunk));
    }
    note_newest();
    return bytes;
}

/// The runs of unused blocks with pages to give back, ordered by chunk and block.
std::vector<FixedPool::Run> FixedPool::plan_trim(const Survey& survey) const {
    std::vector<Run> runs;
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
        const std::size_t blocks = chunks_[chunk].blocks;
        for (std::size_t first = 0; first < blocks; ++first) {
            if (!survey.unused({chunk, first})) continue;
            std::size_t end = first;
            std::size_t first_free = blocks;
            std::size_t last_free = 0;
            for (; end < blocks && survey.unused({chunk, end}); ++end) {
                if (!survey.free({chunk, end})) continue;
                first_free = std::min(first_free, end);
                last_free = end;
            }
            Run run{chunk, first, end, {}};
            if (first_free < blocks) {
                // Pages with fresh blocks only need no purge, and pages with a part of a live block
                // stay. The last page of a chunk may reach beyond the last block, which no other
                // block shares.
                std::byte* const base = chunks_[chunk].pages.start;
                const std::size_t page = pages::page_size();
                const std::size_t begin = std::max(round_up(first * stride(), page),
                                                   round_down(first_free * stride(), page));
                const std::size_t run_end =
                    end == blocks ? chunks_[chunk].pages.bytes : round_down(end * stride(), page);
                const std::size_t stop =
                    std::min(run_end, round_up((last_free + 1) * stride(), page));
                if (begin < stop) run.pages = {base + begin, stop - begin};
            }
            if (run.pages || whole_chunk(run)) runs.push_back(run);
            first = end;
        }
    }
    return runs;
}

/// Whether the run is a chunk that goes back. The first chunk, which the pool was created with,
/// stays.
bool FixedPool::whole_chunk(const Run& run) const noexcept {
    return run.chunk != 0 && run.first == 0 && run.end == chunks_[run.chunk].blocks;
}

/// Whether a block of the run loses some or all of its bytes if the run is purged.
bool FixedPool::loses_bytes(const Run& run, std::size_t index) const noexcept {
    const std::byte* const block = address_of({run.chunk, index});
    return whole_chunk(run) || (block + stride() > run.pages.start && block < run.pages.end());
}

/// The list without the blocks that the purges will change. The others keep their order.
std::byte* FixedPool::without(std::byte* list, const std::vector<Run>& runs) const noexcept {
    std::byte* first = nullptr;
    std::byte* last = nullptr;
    for (std::byte* block = list; block != nullptr; block = next_of(block)) {
        const Place place = *place_of(block);
        const auto after = [](Place at, const Run& run) {
            return at.chunk != run.chunk ? at.chunk < run.chunk : at.index < run.first;
        };
        const auto next_run = std::upper_bound(runs.begin(), runs.end(), place, after);
        if (next_run != runs.begin()) {
            const Run& run = *std::prev(next_run);
            if (run.chunk == place.chunk && place.index < run.end && loses_bytes(run, place.index))
                continue;
        }
        if (last == nullptr) {
            first = block;
        } else {
            set_next(last, block);
        }
        last = block;
    }
    if (last != nullptr) set_next(last, nullptr);
    return first;
}

/// Puts free blocks that `without` removed into a list again: all of them if the purge was refused,
/// otherwise those that lost only a part of their bytes. The others are fresh now.
void FixedPool::relist(const Run& run, const Survey& survey, bool purged) noexcept {
    if (whole_chunk(run)) return;
    for (std::size_t index = run.first; index < run.end; ++index) {
        const Place place{run.chunk, index};
        if (!survey.free(place) || !loses_bytes(run, index)) continue;
        std::byte* const block = address_of(place);
        if (!purged && survey.constructed[place.chunk].test(index)) {
            push(block);
        } else if (!purged || block < run.pages.start || block + stride() > run.pages.end()) {
            set_next(block, unconstructed_);
            unconstructed_ = block;
        }
    }
}

/// Collects the ranges of fresh blocks after the purges: the old ones and the blocks purged whole.
void FixedPool::collect_fresh(const Survey& survey, const std::vector<Run>& purged) {
    fresh_ranges_.clear();
    fresh_ = fresh_end_ = nullptr;
    auto run = purged.begin();
    for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
        std::byte* range_start = nullptr;
        for (std::size_t index = 0; index <= chunks_[chunk].blocks; ++index) {
            while (run != purged.end() &&
                   (run->chunk < chunk || (run->chunk == chunk && run->end <= index))) {
                ++run;
            }
            const bool in_run = run != purged.end() && run->chunk == chunk && run->first <= index;
            std::byte* const block = address_of({chunk, index});
            bool fresh = false;
            if (index < chunks_[chunk].blocks && !(in_run && whole_chunk(*run))) {
                fresh = survey.fresh[chunk].test(index) ||
                        (in_run && survey.free({chunk, index}) && block >= run->pages.start &&
                         block + stride() <= run->pages.end());
            }
            if (fresh && range_start == nullptr) range_start = block;
            if (!fresh && range_start != nullptr) {
                fresh_ranges_.push_back({range_start, block});
                range_start = nullptr;
            }
        }
    }
    // The last range is used first. It should be the lowest one, so that later chunks become empty.
    std::reverse(fresh_ranges_.begin(), fresh_ranges_.end());
}

}  // namespace numpool::pools
