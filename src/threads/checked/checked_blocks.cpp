#include "threads/checked/checked_blocks.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "pages/source/page_source.hpp"

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

std::size_t CheckedBlocks::bytes_before(const CheckedBlocksOptions& options,
                                        std::size_t bytes) noexcept {
    const std::size_t least = std::max(options.align, fence);
    constexpr std::size_t most = ~std::size_t{0} / 4;
    return options.natural && bytes > least && bytes < most ? std::bit_ceil(bytes) : least;
}

CheckedBlocks::CheckedBlocks(Pool& pool, ByteSource& below, const CheckedBlocksOptions& options)
    : pool_{pool}, below_{below}, options_{options} {
    if (options.guard_every != 0 && options.guard_align <= pages::page_size() &&
        options.contents != CheckedBlocksOptions::Contents::kept)
        guards_.emplace(options.guard_every, pool.title());
    CheckedPools::instance().add(*this);
    guard(Rank::inner);
}

CheckedBlocks::~CheckedBlocks() {
    unguard();
    CheckedPools::instance().remove(*this);
}

std::byte* CheckedBlocks::take(std::size_t bytes, bool zeroed) noexcept try {
    std::size_t whole_bytes = 0;
    const std::size_t fences = bytes_before(options_, bytes) + fence;
    if (__builtin_add_overflow(bytes, fences, &whole_bytes)) return nullptr;
    const auto ask = [&] {
        return zeroed ? below_.try_acquire_zeroed(whole_bytes) : below_.try_acquire(whole_bytes);
    };
    std::byte* whole = ask();
    if (whole == nullptr && empty_quarantine()) whole = ask();
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

std::byte* CheckedBlocks::wrap(std::byte* block, std::size_t bytes) {
    return add(block, bytes, Way::as_block, false);
}

std::byte* CheckedBlocks::add(std::byte* whole, std::size_t bytes, Way way, bool zeroed) {
    Record record;
    record.whole = whole;
    record.bytes = bytes;
    record.whole_bytes = below_.usable_size(whole);
    record.way = way;
    record.since = Clock::now();
    record.acquired = CheckedPools::instance().line();
    record.guarded = guard_if_due(bytes, record.acquired);
    place(record);
    std::memset(record.start - record.fence_before, static_cast<int>(fence_byte),
                record.fence_before);
    std::memset(record.end(), static_cast<int>(fence_byte), record.fence_past);
    if (!zeroed && options_.contents == CheckedBlocksOptions::Contents::filled)
        std::memset(record.start, static_cast<int>(acquired_byte), bytes);
    Texts found;
    std::vector<Record> leaving;
    try {
        const std::lock_guard lock{mutex_};
        records_.insert_or_assign(record.start, record);
        // This may have been the pool's last free block.
        while (quarantine_is_full()) leaving.push_back(leave_quarantine(found));
    } catch (const std::bad_alloc&) {
        if (record.guarded != nullptr) record.guarded->end();
        throw;
    }
    report(found);
    release_below(leaving);
    return record.start;
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
        take_back(block, std::nullopt);  // It reports what is wrong with the address.
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
    // For a live block this is not 0, even if the block has no bytes.
    return found == records_.end() || found->second.quarantined
               ? 0
               : std::max<std::size_t>(found->second.bytes, 1);
}

bool CheckedBlocks::try_release(void* block, std::size_t) noexcept {
    return block == nullptr || take_back(block, std::nullopt);
}

void CheckedBlocks::release(std::byte* block, std::size_t) noexcept {
    if (!take_back(block, std::nullopt)) report_stray(block);
}

void CheckedBlocks::release_unused(std::byte* block) noexcept {
    if (!take_back(block, Way::unused)) report_stray(block);
}

/// False if the address is in none of the blocks here. The pool may be destroyed on return.
bool CheckedBlocks::take_back(void* address, std::optional<Way> way) noexcept {
    auto* const start = static_cast<std::byte*>(address);
    const SourceLine line = CheckedPools::instance().line();
    Texts found;
    std::vector<Record> leaving;
    {
        const std::lock_guard lock{mutex_};
        const auto place = records_.find(start);
        if (place == records_.end() || place->second.quarantined) {
            const std::string text = text_of_stray(start, line);
            if (text.empty()) return false;
            found.push_back(text);
        } else {
            Record& record = place->second;
            record.released = line;
            record.way = way.value_or(record.way);
            check_fences(record, found);
            const bool can_wait = end_use(record);
            if (record.way == Way::unused || record.bytes > most_quarantined || retired_ ||
                !can_wait) {
                // It skips the quarantine.
                if (record.guarded != nullptr) record.guarded->end();
                leaving.push_back(record);
                records_.erase(place);
            } else {
                record.quarantined = true;
                (record.guarded == nullptr ? quarantine_ : guarded_quarantine_).push_back(start);
                quarantined_bytes_ += record.bytes;
            }
            while (quarantine_is_full()) leaving.push_back(leave_quarantine(found));
        }
    }
    report(found);
    release_below(leaving);
    return true;
}

/// Prepares the block so that a later access is found. False if it cannot be.
bool CheckedBlocks::end_use(Record& record) noexcept {
    if (record.guarded != nullptr) return record.guarded->shut(record.released);
    if (options_.contents == CheckedBlocksOptions::Contents::kept) {
        record.sum = sum_of(record.start, record.bytes);
    } else {
        std::memset(record.start, static_cast<int>(released_byte), record.bytes);
    }
    return true;
}

/// Whether the oldest block of the quarantine must go back to the pool.
bool CheckedBlocks::quarantine_is_full() const noexcept {
    return !quarantine_is_empty() && (retired_ || quarantined_bytes_ > most_quarantined ||
                                      records_.size() >= options_.most_blocks);
}

CheckedBlocks::Record CheckedBlocks::leave_quarantine(Texts& found) {
    return leave_quarantine(quarantine_.empty() ? guarded_quarantine_ : quarantine_, found);
}

CheckedBlocks::Record CheckedBlocks::leave_quarantine(std::deque<const std::byte*>& queue,
                                                      Texts& found) {
    const auto place = records_.find(queue.front());
    queue.pop_front();
    Record record = place->second;
    quarantined_bytes_ -= record.bytes;
    records_.erase(place);
    if (record.guarded != nullptr) {
        record.guarded->end();
    } else {
        check_fences(record, found);
        check_contents(record, found);
    }
    return record;
}

/// The last release may destroy the pool and this object, so the loop does not use `this`.
void CheckedBlocks::release_below(const std::vector<Record>& records) noexcept {
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

bool CheckedBlocks::empty_quarantine() noexcept {
    Texts found;
    std::vector<Record> leaving;
    {
        const std::lock_guard lock{mutex_};
        while (!quarantine_is_empty()) leaving.push_back(leave_quarantine(found));
    }
    report(found);
    release_below(leaving);
    return !leaving.empty();
}

void CheckedBlocks::retire() noexcept {
    {
        const std::lock_guard lock{mutex_};
        retired_ = true;
    }
    empty_quarantine();
    CheckedPools::instance().note_leaks();
}

}  // namespace numpool::threads
