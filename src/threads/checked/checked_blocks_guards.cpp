/// How a checked pool guards blocks.

#include <algorithm>
#include <bit>
#include <iterator>

#include "pages/source/guarded_pages.hpp"
#include "threads/checked/checked_blocks.hpp"

namespace numpool::threads {

/// Null if this block is not to be guarded, or cannot be.
GuardedBlock* CheckedBlocks::guard_if_due(std::size_t bytes, SourceLine acquired) {
    if (!guards_ || bytes == 0) return nullptr;
    const std::size_t align = options_.natural ? std::min(std::bit_ceil(bytes), pages::page_size())
                                               : options_.guard_align;
    GuardedBlock* guarded = nullptr;
    Texts found;
    std::vector<Record> leaving;
    leaving.reserve(1);
    {
        const std::lock_guard lock{mutex_};
        if (!guards_->take_turn()) return nullptr;
        guarded = guards_->add(bytes, align, acquired);
        if (guarded == nullptr && !guarded_quarantine_.empty()) {
            leaving.push_back(leave_quarantine(guarded_quarantine_, found));
            guarded = guards_->add(bytes, align, acquired);
        }
    }
    report(found);
    release_below(leaving);
    FaultReports::renew();
    return guarded;
}

/// Where the user's block and its fences are. Those of a guarded block take the rest of its pages.
void CheckedBlocks::place(Record& record) const noexcept {
    if (record.guarded == nullptr) {
        record.start = record.whole + bytes_before(options_, record.bytes);
        return;
    }
    const pages::Extent extent = record.guarded->extent();
    record.start = record.guarded->start();
    record.fence_before = static_cast<std::size_t>(record.start - extent.start);
    record.fence_past = static_cast<std::size_t>(extent.end() - record.end());
}

bool CheckedBlocks::Record::is_around(const std::byte* address) const noexcept {
    if (guarded != nullptr) return pages::is_in_guarded(guarded->extent(), address);
    return address >= whole && address < end() + fence_past;
}

bool CheckedBlocks::contains(const std::byte* address) const noexcept {
    if (!guards_) return false;
    const std::lock_guard lock{mutex_};
    const auto next = records_.upper_bound(address);
    if (next == records_.begin()) return false;
    const Record& record = std::prev(next)->second;
    return record.guarded != nullptr && address < record.end();
}

}  // namespace numpool::threads
