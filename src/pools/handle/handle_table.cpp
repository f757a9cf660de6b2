#include "pools/handle/handle_table.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::pools {
namespace {

std::size_t checked_blocks(std::size_t block_size, std::size_t blocks) {
    if (block_size == 0) throw BadArgument{"a size is 0: a block has at least 1 byte"};
    if (block_size > max_size) {
        throw BadArgument{"a size is " + std::to_string(block_size) +
                          ": more than an address space holds (128 TiB)"};
    }
    if (blocks == 0 || blocks > handle_blocks) {
        throw BadArgument{std::to_string(blocks) + " blocks of " + size_to_text(block_size) +
                          ": there can be 1 to " + std::to_string(handle_blocks) + " of a size"};
    }
    return blocks;
}

}  // namespace

HandleTable::HandleTable(std::size_t block_size, std::size_t blocks, Handle first,
                         pages::PageSource& source)
    : first_{first},
      index_bits_{static_cast<int>(std::bit_width(checked_blocks(block_size, blocks) - 1))},
      block_size_{block_size},
      stride_{round_up(block_size, usual_align(block_size))},
      blocks_{blocks},
      source_{source} {
    const std::uint64_t lowest = static_cast<std::uint64_t>(first % handle_versions);
    const std::uint64_t step = std::uint64_t{1} << index_bits_;
    first_version_ = std::max<std::uint64_t>(1, (lowest + step - 1) / step);

    const std::size_t record_bytes = round_up(blocks * sizeof(Record), pages::page_size());
    const auto block_bytes = checked_product(stride(), blocks);
    if (block_bytes) pages_ = source.map(record_bytes + *block_bytes, pages::page_size());
    if (!pages_) {
        throw Exhausted{"the system refused memory for " + count_to_text(blocks, "block") + " of " +
                        size_to_text(stride())};
    }
    // Pages read as zero, so all records are zero.
    records_ = reinterpret_cast<Record*>(pages_.start);
    blocks_start_ = pages_.start + record_bytes;
}

HandleTable::~HandleTable() {
    source_.unmap(pages_);
}

HandleTable::Record* HandleTable::record_of(Handle handle) const noexcept {
    if (number_of(handle) != number()) return nullptr;
    const auto parts = static_cast<std::uint64_t>(handle % handle_versions);
    const std::uint64_t index = parts & ((std::uint64_t{1} << index_bits_) - 1);
    if (index >= ever_used_) return nullptr;
    Record& record = records_[index];
    return record.next == live && record.version == parts >> index_bits_ ? &record : nullptr;
}

Handle HandleTable::handle_of(std::uint32_t index) const noexcept {
    const std::uint64_t parts = records_[index].version << index_bits_ | index;
    return number() * handle_versions + static_cast<Handle>(parts);
}

Handle HandleTable::acquire(std::size_t bytes) noexcept {
    std::uint32_t index = free_;
    if (index != none) {
        Record& record = records_[index];
        free_ = record.next;
        ++record.version;
        ++hits_;
        if (record.bytes == 0) --cold_;
    } else {
        if (ever_used_ == blocks_) return 0;
        index = ever_used_++;
        records_[index].version = first_version_;
    }
    Record& record = records_[index];
    record.next = live;
    record.bytes = bytes;
    newest_version_ = std::max(newest_version_, record.version);
    ++live_;
    ++requests_;
    requested_ += bytes;
    asked_ += bytes;
    return handle_of(index);
}

HandleTable::Block HandleTable::find(Handle handle) const noexcept {
    const Record* const record = record_of(handle);
    if (record == nullptr) return {};
    return {address_of(static_cast<std::size_t>(record - records_)), record->bytes};
}

HandleTable::Block HandleTable::hold(Handle handle) noexcept {
    const Block block = find(handle);
    if (block) ++record_of(handle)->holds;
    return block;
}

void HandleTable::unhold(const std::byte* start) noexcept {
    --records_[stride_.exact_quotient(static_cast<std::size_t>(start - blocks_start_))].holds;
}

std::size_t HandleTable::holds(Handle handle) const noexcept {
    const Record* const record = record_of(handle);
    return record == nullptr ? 0 : record->holds;
}

bool HandleTable::free(Handle handle) noexcept {
    Record* const record = record_of(handle);
    if (record == nullptr || record->holds != 0) return false;
    --live_;
    requested_ -= record->bytes;
    record->bytes = 1;
    const std::uint64_t last_version =
        (std::uint64_t{1} << (handle_version_bits - index_bits_)) - 1;
    if (record->version == last_version) {
        record->next = gone;
        ++retired_;
    } else {
        record->next = free_;
        free_ = static_cast<std::uint32_t>(record - records_);
    }
    return true;
}

bool HandleTable::issued(Handle handle) const noexcept {
    if (number_of(handle) != number()) return false;
    const auto parts = static_cast<std::uint64_t>(handle % handle_versions);
    const std::uint64_t index = parts & ((std::uint64_t{1} << index_bits_) - 1);
    const std::uint64_t version = parts >> index_bits_;
    return index < ever_used_ && version >= first_version_ && version <= records_[index].version;
}

Handle HandleTable::beyond() const noexcept {
    if (newest_version_ == 0) return first_;
    const std::uint64_t parts = (newest_version_ + 1) << index_bits_;
    return number() * handle_versions + static_cast<Handle>(parts);
}

/// Purges the pages that have no other blocks than those from `begin` to `end`, which are unused.
std::size_t HandleTable::purge(std::uint32_t begin, std::uint32_t end) noexcept {
    const bool warm = std::any_of(records_ + begin, records_ + end,
                                  [](const Record& record) { return record.bytes != 0; });
    if (!warm) return 0;
    const std::size_t page = pages::page_size();
    const std::size_t from = round_up(begin * stride(), page);
    // Fresh blocks on the last page do not need it.
    const std::size_t to =
        end == ever_used_ ? round_up(end * stride(), page) : round_down(end * stride(), page);
    if (from >= to || !source_.purge({blocks_start_ + from, to - from})) return 0;
    for (std::uint32_t index = begin; index < end; ++index) {
        if (std::exchange(records_[index].bytes, 0) != 0) ++cold_;
    }
    return to - from;
}

std::size_t HandleTable::trim() noexcept {
    std::size_t bytes = 0;
    std::uint32_t begin = 0;
    for (std::uint32_t index = 0; index <= ever_used_; ++index) {
        if (index != ever_used_ && records_[index].next != live) continue;
        if (begin < index) bytes += purge(begin, index);
        begin = index + 1;
    }
    return bytes;
}

[[gnu::cold]] void HandleTable::check() const {
    const auto require = [this](bool sound, const char* what) {
        if (!sound) {
            throw Corrupted{"blocks of " + size_to_text(block_size_) + ": " + what};
        }
    };
    std::size_t free = 0;
    for (std::uint32_t index = free_; index != none; index = records_[index].next) {
        require(index < ever_used_, "the free list leads to a block that was never used");
        require(++free <= ever_used_, "the free list has a cycle");
    }
    std::size_t live_blocks = 0;
    std::size_t retired = 0;
    std::size_t cold = 0;
    std::size_t requested = 0;
    for (std::uint32_t index = 0; index < ever_used_; ++index) {
        const Record& record = records_[index];
        require(record.version >= first_version_ && record.version <= newest_version_,
                "a version is out of bounds");
        if (record.next == live) {
            ++live_blocks;
            requested += record.bytes;
            require(record.bytes <= block_size_, "a live block has more bytes than its size");
        } else {
            if (record.next == gone) ++retired;
            if (record.bytes == 0) ++cold;
            require(record.holds == 0, "a block is held but not live");
        }
    }
    require(free + live_blocks + retired == ever_used_, "a block is neither live nor free");
    require(live_blocks == live_ && retired == retired_ && cold == cold_, "the counts are wrong");
    require(requested == requested_, "the number of live bytes is wrong");
}

}  // namespace numpool::pools
