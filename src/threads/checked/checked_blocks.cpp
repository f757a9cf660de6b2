#include "threads/checked/checked_blocks.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace numpool::threads {

std::uint64_t CheckedBlocks::sum_of(const std::byte* start, std::size_t bytes) noexcept {
    std::uint64_t sum = bytes;
    for (std::size_t i = 0; i < bytes; i += sizeof sum) {
        std::uint64_t word = 0;
        std::memcpy(&word, start + i, std::min(sizeof word, bytes - i));
        sum = (std::rotl(sum, 5) ^ word) * 0x9E3779B97F4A7C15U;
    }
    return sum;
}

std::size_t CheckedBlocks::room_before(const CheckedBlocksOptions& options,
                                       std::size_t bytes) noexcept {
    const std::size_t least = std::max(options.align, fence);
    constexpr std::size_t most = ~std::size_t{0} / 4;
    return options.natural && bytes > least && bytes < most ? std::bit_ceil(bytes) : least;
}

CheckedBlocks::CheckedBlocks(Pool& pool, ByteSource& below, const CheckedBlocksOptions& options)
    : pool_{pool}, below_{below}, options_{options} {
    CheckedPools::instance().add(*this);
    guard(Rank::inner);
}

CheckedBlocks::~CheckedBlocks() {
    unguard();
    CheckedPools::instance().remove(*this);
}

std::byte* CheckedBlocks::take(std::size_t bytes, bool zeroed) noexcept try {
    std::size_t whole_bytes = 0;
    const std::size_t fences = room_before(options_, bytes) + fence;
    if (__builtin_add_overflow(bytes, fences, &whole_bytes)) return nullptr;
    const auto ask = [&] {
        return zeroed ? below_.try_acquire_zeroed(whole_bytes) : below_.try_acquire(whole_bytes);
    };
    std::byte* whole = ask();
    if (whole == nullptr && give_back()) whole = ask();
    if (whole == nullptr) return nullptr;
    try {
        return add(whole, bytes, Way::as_bytes, zeroed);
    } catch (const std::bad_alloc&) {
        below_.try_release(whole, whole_bytes);
        return nullptr;
    }
} catch (...) {
    return nullptr;
}

std::byte* CheckedBlocks::enter(std::byte* block, std::size_t bytes) {
    return add(block, bytes, Way::as_block, false);
}

std::byte* CheckedBlocks::add(std::byte* whole, std::size_t bytes, Way way, bool zeroed) {
    Record record;
    record.whole = whole;
    record.start = whole + room_before(options_, bytes);
    record.bytes = bytes;
    record.room = below_.usable_size(whole);
    record.way = way;
    record.since = Clock::now();
    record.acquired = CheckedPools::instance().line();
    std::memset(record.start - fence, static_cast<int>(fence_byte), fence);
    std::memset(record.end(), static_cast<int>(fence_byte), fence);
    if (!zeroed && options_.contents == CheckedBlocksOptions::Contents::filled)
        std::memset(record.start, static_cast<int>(acquired_byte), bytes);
    std::byte* const start = record.start;
    Texts found;
    std::vector<Record> leaving;
    {
        const std::lock_guard lock{mutex_};
        records_.insert_or_assign(start, record);
        // It may have been the pool's last one.
        while (is_to_leave()) leaving.push_back(leave(found));
    }
    report(found);
    pass_down(leaving);
    return start;
}

std::byte* CheckedBlocks::acquire(std::size_t bytes) {
    if (std::byte* const block = take(bytes, false)) return block;
    if (pool_.closed()) throw Closed{pool_.title() + " is closed and takes no more requests"};
    throw Exhausted{below_.refusal(bytes)};
}

std::byte* CheckedBlocks::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_acquire(bytes);
    const std::size_t before = usable_size(block);
    if (before == 0) {
        end(block, std::nullopt);  // It reports what is wrong with the address.
        return nullptr;
    }
    std::byte* const moved = try_acquire(bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(before, bytes));
    try_release(block, before);
    return moved;
}

std::byte* CheckedBlocks::reallocate(std::byte* block, std::size_t bytes) {
    if (std::byte* const moved = try_reallocate(block, bytes)) return moved;
    if (pool_.closed()) throw Closed{pool_.title() + " is closed and takes no more requests"};
    throw Exhausted{below_.refusal(bytes)};
}

std::size_t CheckedBlocks::usable_size(const void* block) const noexcept {
    const std::lock_guard lock{mutex_};
    const auto found = records_.find(static_cast<const std::byte*>(block));
    // A block of no bytes is a block, too.
    return found == records_.end() || found->second.resting
               ? 0
               : std::max<std::size_t>(found->second.bytes, 1);
}

bool CheckedBlocks::try_release(void* block, std::size_t) noexcept {
    return block == nullptr || end(block, std::nullopt);
}

void CheckedBlocks::release(std::byte* block, std::size_t) noexcept {
    if (!end(block, std::nullopt)) report_stray(block);
}

void CheckedBlocks::release_unused(std::byte* block) noexcept {
    if (!end(block, Way::unused)) report_stray(block);
}

/// False where the address has nothing to do with any block here. Afterwards the pool may be gone.
bool CheckedBlocks::end(void* address, std::optional<Way> way) noexcept {
    auto* const start = static_cast<std::byte*>(address);
    const SourceLine line = CheckedPools::instance().line();
    Texts found;
    std::vector<Record> leaving;
    {
        const std::lock_guard lock{mutex_};
        const auto place = records_.find(start);
        if (place == records_.end() || place->second.resting) {
            const std::string text = text_of_stray(start, line);
            if (text.empty()) return false;
            found.push_back(text);
        } else {
            Record& record = place->second;
            record.released = line;
            record.way = way.value_or(record.way);
            check_fences(record, found);
            rest(record);
            if (record.way == Way::unused || record.bytes > most_resting || retired_) {
                // It does not rest.
                leaving.push_back(record);
                records_.erase(place);
            } else {
                record.resting = true;
                resting_.push_back(start);
                resting_bytes_ += record.bytes;
            }
            while (is_to_leave()) leaving.push_back(leave(found));
        }
    }
    report(found);
    pass_down(leaving);
    return true;
}

/// Makes the contents such that a write to them is noticed.
void CheckedBlocks::rest(Record& record) noexcept {
    if (options_.contents == CheckedBlocksOptions::Contents::kept) {
        record.sum = sum_of(record.start, record.bytes);
    } else {
        std::memset(record.start, static_cast<int>(released_byte), record.bytes);
    }
}

/// Whether the block that rests longest must go back to the pool.
bool CheckedBlocks::is_to_leave() const noexcept {
    return !resting_.empty() &&
           (retired_ || resting_bytes_ > most_resting || records_.size() >= options_.most_blocks);
}

CheckedBlocks::Record CheckedBlocks::leave(Texts& found) {
    const auto place = records_.find(resting_.front());
    resting_.pop_front();
    Record record = place->second;
    resting_bytes_ -= record.bytes;
    records_.erase(place);
    check_fences(record, found);
    check_contents(record, found);
    return record;
}

/// The last one may end the pool, and this.
void CheckedBlocks::pass_down(const std::vector<Record>& records) noexcept {
    Pool& pool = pool_;
    ByteSource& below = below_;
    for (const Record& record : records) {
        if (record.way == Way::as_bytes) {
            below.try_release(record.whole, 0);
        } else if (record.way == Way::as_block) {
            pool.release(record.whole);
        } else {
            pool.release_unused(record.whole);
        }
    }
}

bool CheckedBlocks::give_back() noexcept {
    Texts found;
    std::vector<Record> leaving;
    {
        const std::lock_guard lock{mutex_};
        while (!resting_.empty()) leaving.push_back(leave(found));
    }
    report(found);
    pass_down(leaving);
    return !leaving.empty();
}

void CheckedBlocks::retire() noexcept {
    {
        const std::lock_guard lock{mutex_};
        retired_ = true;
    }
    give_back();
    CheckedPools::instance().note_left();
}

std::vector<std::string> CheckedBlocks::damage() {
    Texts found;
    {
        const std::lock_guard lock{mutex_};
        for (auto& [start, record] : records_) {
            check_fences(record, found);
            if (record.resting) check_contents(record, found);
        }
    }
    if (options_.aborts) report(found);
    return found;
}

void CheckedBlocks::check() {
    std::string all;
    for (const std::string& text : damage()) all += (all.empty() ? "" : "\n") + text;
    if (!all.empty()) throw Misused{all};
}

std::vector<LiveBlock> CheckedBlocks::live() const {
    const auto now = Clock::now();
    std::vector<LiveBlock> blocks;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [start, record] : records_) {
            if (record.resting) continue;
            const std::chrono::duration<double> age = now - record.since;
            blocks.push_back({record.start, record.bytes, age.count(), record.acquired});
        }
    }
    std::stable_sort(blocks.begin(), blocks.end(), [](const LiveBlock& one, const LiveBlock& next) {
        return one.age_seconds > next.age_seconds;
    });
    return blocks;
}

std::size_t CheckedBlocks::resting() const noexcept {
    const std::lock_guard lock{mutex_};
    return resting_.size();
}

PoolFigures CheckedBlocks::figures() const {
    PoolFigures figures = pool_.figures();
    std::size_t resting = 0;
    std::size_t room = 0;
    figures.requested = 0;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [start, record] : records_) {
            if (record.resting) {
                ++resting;
                room += record.room;
            } else {
                figures.requested += record.bytes;
            }
        }
    }
    // All blocks of a pool that has a bound of them are equal, and may lie further apart.
    const bool equal = options_.most_blocks != CheckedBlocksOptions{}.most_blocks;
    if (equal && figures.blocks != 0) room = figures.in_use / figures.blocks * resting;
    figures.blocks -= std::min(figures.blocks, resting);
    figures.in_use -= std::min(figures.in_use, room);
    for (std::size_t* const bytes :
         {&figures.in_use, &figures.peak, &figures.cached, &figures.committed,
          &figures.peak_committed, &figures.mapped}) {
        *bytes /= options_.scale;
    }
    if (figures.limit != PoolFigures::no_limit) figures.limit /= options_.scale;
    return figures;
}

}  // namespace numpool::threads
