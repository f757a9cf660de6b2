/// What a checked pool says: reports, live blocks and figures.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "threads/checked/checked_blocks.hpp"

namespace numpool::threads {
namespace {

/// The most lines that a text about live blocks names.
constexpr std::size_t most_lines = 5;

std::string hexadecimal(const void* address) {
    char text[2 * sizeof address + 3];
    std::snprintf(text, sizeof text, "%p", address);
    return text;
}

std::string text_of_byte(std::byte byte) {
    char text[5];
    std::snprintf(text, sizeof text, "0x%02X", std::to_integer<unsigned>(byte));
    return text;
}

/// The bytes that differ from an expected value.
struct Changes {
    std::size_t count = 0;
    std::size_t first = 0;
    std::size_t last = 0;

    Changes(const std::byte* start, std::size_t bytes, std::byte expected) noexcept {
        // Usually no byte differs. memcmp finds that faster than the loop.
        if (bytes == 0 || (start[0] == expected && std::memcmp(start, start + 1, bytes - 1) == 0))
            return;
        for (std::size_t i = 0; i < bytes; ++i) {
            if (start[i] == expected) continue;
            if (count++ == 0) first = i;
            last = i;
        }
    }
};

std::string text_of_change(const char* what, long long place, std::byte now, std::size_t count) {
    return std::string{what} + ": byte " + std::to_string(place) + " is " + text_of_byte(now) +
           (count == 1 ? "" : ", " + std::to_string(count) + " bytes were changed");
}

}  // namespace

std::string CheckedBlocks::text_of(const Record& record, const std::string& what) const {
    std::string text = pool_.title() + ": " + what + " (a block of " +
                       count_to_text(record.bytes, "byte") + " at " + hexadecimal(record.start) +
                       ")";
    const auto line = [&](const char* event, SourceLine where) {
        text += std::string{"\n  "} + event + " " + (where == nullptr ? "by native code" : where);
    };
    line("acquired", record.acquired);
    if (record.released != nullptr || record.quarantined) line("released", record.released);
    return text;
}

/// Checks the fences, and repairs them, so that damage is reported only once.
void CheckedBlocks::check_fences(Record& record, Texts& found) const {
    std::byte* const first = record.start - record.fence_before;
    if (const Changes before{first, record.fence_before, fence_byte}; before.count != 0) {
        const std::byte now = first[before.last];
        const auto place =
            static_cast<long long>(before.last) - static_cast<long long>(record.fence_before);
        found.push_back(
            text_of(record, text_of_change("a write before a block", place, now, before.count)));
        std::memset(first, static_cast<int>(fence_byte), record.fence_before);
    }
    if (const Changes past{record.end(), record.fence_past, fence_byte}; past.count != 0) {
        const std::byte now = record.end()[past.first];
        const auto place = static_cast<long long>(record.bytes + past.first);
        found.push_back(
            text_of(record, text_of_change("a write past a block", place, now, past.count)));
        std::memset(record.end(), static_cast<int>(fence_byte), record.fence_past);
    }
}

void CheckedBlocks::check_contents(Record& record, Texts& found) const {
    if (options_.contents == CheckedBlocksOptions::Contents::kept) {
        const std::uint64_t before = std::exchange(record.sum, sum_of(record.start, record.bytes));
        if (before != record.sum)
            found.push_back(text_of(record, "a write to a block after its release"));
        return;
    }
    const Changes changes{record.start, record.bytes, released_byte};
    if (changes.count == 0) return;
    found.push_back(text_of(record, text_of_change("a write to a block after its release",
                                                   static_cast<long long>(changes.first),
                                                   record.start[changes.first], changes.count)));
    std::memset(record.start, static_cast<int>(released_byte), record.bytes);
}

/// The report for the release of this address; empty if it is in none of the blocks here. The lock
/// is held.
std::string CheckedBlocks::text_of_stray(const std::byte* address, SourceLine here) const {
    const auto released_here = [&](std::string text) {
        return text + "\n  released " + (here == nullptr ? "by native code" : here);
    };
    const auto next = records_.lower_bound(address);
    if (next != records_.end() && next->first == address)
        return released_here(text_of(next->second, "a second release of a block")) + " again";
    const Record* around = nullptr;
    if (next != records_.end() && next->second.is_around(address)) {
        around = &next->second;
    } else if (next != records_.begin() && std::prev(next)->second.is_around(address)) {
        around = &std::prev(next)->second;
    }
    if (around == nullptr) return {};
    const std::ptrdiff_t place = address - around->start;
    return released_here(text_of(*around, "a release of " + hexadecimal(address) +
                                              ", which is byte " + std::to_string(place) +
                                              " of a block"));
}

void CheckedBlocks::report_stray(const void* address) noexcept {
    const SourceLine here = CheckedPools::instance().line();
    report(
        {pool_.title() + ": a release of " + hexadecimal(address) +
         ", which is no block of this pool, or was released too long ago to be known\n  released " +
         (here == nullptr ? "by native code" : here)});
}

std::string CheckedBlocks::take_leak_text() {
    struct OfLine {
        std::size_t blocks = 0;
        std::size_t bytes = 0;
    };
    std::map<SourceLine, OfLine> lines;
    OfLine all;
    {
        const std::lock_guard lock{mutex_};
        if (!retired_ || leaks_reported_) return {};
        for (const auto& [start, record] : records_) {
            if (record.quarantined) continue;
            for (OfLine* const sum : {&lines[record.acquired], &all}) {
                ++sum->blocks;
                sum->bytes += record.bytes;
            }
        }
        leaks_reported_ = all.blocks != 0;
    }
    if (all.blocks == 0) return {};
    const auto text_of = [](const OfLine& sum) {
        return count_to_text(sum.blocks, "block") + ", " + count_to_text(sum.bytes, "byte");
    };
    std::string text =
        pool_.title() + " was closed or dropped with " + text_of(all) + " in use, acquired by";
    std::size_t shown = 0;
    for (const auto& [line, sum] : lines) {
        if (shown++ == most_lines) return text + "\n  and others";
        text +=
            std::string{"\n  "} + (line == nullptr ? "native code" : line) + ": " + text_of(sum);
    }
    return text;
}

void CheckedBlocks::report(const Texts& found) const noexcept {
    for (const std::string& text : found) {
        if (!options_.aborts) {
            CheckedPools::instance().report(text);
            continue;
        }
        std::fprintf(stderr, "numpool: %s\n", text.c_str());
    }
    if (options_.aborts && !found.empty()) std::abort();
}

std::vector<std::string> CheckedBlocks::damage() {
    Texts found;
    {
        const std::lock_guard lock{mutex_};
        for (auto& [start, record] : records_) {
            if (record.quarantined && record.guarded != nullptr) continue;
            check_fences(record, found);
            if (record.quarantined) check_contents(record, found);
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
            if (record.quarantined) continue;
            const std::chrono::duration<double> age = now - record.since;
            blocks.push_back({record.start, record.bytes, age.count(), record.acquired});
        }
    }
    std::stable_sort(blocks.begin(), blocks.end(), [](const LiveBlock& one, const LiveBlock& next) {
        return one.age_seconds > next.age_seconds;
    });
    return blocks;
}

std::size_t CheckedBlocks::quarantined() const noexcept {
    const std::lock_guard lock{mutex_};
    return quarantine_.size() + guarded_quarantine_.size();
}

PoolFigures CheckedBlocks::figures() const {
    PoolFigures figures = pool_.figures();
    std::size_t quarantined = 0;
    std::size_t bytes = 0;
    figures.requested = 0;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [start, record] : records_) {
            if (record.quarantined) {
                ++quarantined;
                bytes += record.whole_bytes;
            } else {
                figures.requested += record.bytes;
            }
        }
    }
    // A pool with a bound on its blocks has equal ones, and their distance may exceed their size.
    const bool equal = options_.most_blocks != CheckedBlocksOptions{}.most_blocks;
    if (equal && figures.blocks != 0) bytes = figures.in_use / figures.blocks * quarantined;
    figures.blocks -= std::min(figures.blocks, quarantined);
    figures.in_use -= std::min(figures.in_use, bytes);
    for (std::size_t* const scaled :
         {&figures.in_use, &figures.peak, &figures.cached, &figures.committed,
          &figures.peak_committed, &figures.mapped}) {
        *scaled /= options_.scale;
    }
    if (figures.limit != PoolFigures::no_limit) figures.limit /= options_.scale;
    return figures;
}

}  // namespace numpool::threads
