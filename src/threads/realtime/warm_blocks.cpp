#include "threads/realtime/warm_blocks.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "base/error.hpp"
#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

constexpr std::uint32_t none = ~std::uint32_t{0};
constexpr std::uint32_t in_use = none - 1;

using Lock = std::lock_guard<BriefMutex>;

[[noreturn]] void stop_at(const void* block) noexcept {
    std::fprintf(stderr, "numpool: realtime: block %p was released twice or is no block\n", block);
    std::abort();
}

[[noreturn]] void refuse_sum() {
    throw BadArgument{"the warm blocks are larger together than an address space (128 TiB)"};
}

std::string blocks_of(std::size_t blocks, std::size_t bytes) {
    return std::to_string(blocks) + (blocks == 1 ? " block of " : " blocks of ") +
           std::to_string(bytes) + " bytes";
}

}  // namespace

struct alignas(64) WarmBlocks::Size {
    std::size_t bytes;
    std::size_t stride;
    std::byte* start;
    Block* records;
    std::uint32_t blocks;
    std::uint32_t first_free;
    std::uint32_t live;
    std::uint32_t most;
    std::uint64_t requests;
    std::uint64_t smaller;

    std::byte* end() const noexcept { return start + blocks * stride; }
};

struct WarmBlocks::Block {
    std::uint32_t next;
};

/// From the smallest to the largest; sizes of one stride are one.
std::vector<WarmSize> WarmBlocks::merged(std::vector<WarmSize> sizes) {
    std::sort(sizes.begin(), sizes.end(),
              [](const WarmSize& a, const WarmSize& b) { return a.bytes < b.bytes; });
    std::vector<WarmSize> all;
    for (const WarmSize& one : sizes) {
        if (one.bytes > max_size) {
            throw BadArgument{"a warm block of " + std::to_string(one.bytes) +
                              " bytes is larger than an address space (128 TiB)"};
        }
        if (one.blocks == 0) continue;
        if (!all.empty() && warm_stride(all.back().bytes) == warm_stride(one.bytes)) {
            all.back().bytes = one.bytes;
            all.back().blocks += one.blocks;
        } else {
            all.push_back(one);
        }
        if (all.back().blocks >= in_use) {
            throw BadArgument{blocks_of(all.back().blocks, one.bytes) +
                              " are too many: there may "
                              "be no more than " +
                              std::to_string(in_use - 1) + " of a size"};
        }
    }
    if (all.size() > most_sizes) {
        throw BadArgument{std::to_string(all.size()) +
                          " sizes are too many: there may be no more "
                          "than " +
                          std::to_string(most_sizes) +
                          ". Give fewer, larger ones: a "
                          "block serves any request that fits"};
    }
    return all;
}

/// The bytes of the records and of the blocks.
std::size_t WarmBlocks::room_for(const std::vector<WarmSize>& sizes) {
    std::size_t room = sizes.size() * sizeof(Size) + 64;
    for (const WarmSize& one : sizes) {
        const auto bytes = checked_product(warm_stride(one.bytes) + sizeof(Block), one.blocks);
        if (!bytes || room + *bytes > max_size) refuse_sum();
        room += *bytes;
    }
    return room;
}

WarmBlocks::WarmBlocks(std::vector<WarmSize> sizes, pages::SourceHandle source,
                       const AllocatorTable& before)
    : source_{std::move(source)}, before_{before} {
    sizes = merged(std::move(sizes));
    const std::size_t room = room_for(sizes);
    for (const WarmSize& one : sizes) blocks_ += one.blocks;
    extent_ = source_->map_advised(room, pages::page_size(), room >= pages::huge_page);
    if (!extent_) {
        throw Exhausted{"realtime: the system refused " + size_to_text(room) + " for " +
                        std::to_string(blocks_) + (blocks_ == 1 ? " block" : " blocks") + " of " +
                        std::to_string(sizes.size()) + (sizes.size() == 1 ? " size" : " sizes") +
                        source_->refusal_clause()};
    }
    lay_out(sizes);
    guard(Rank::inner);
}

WarmBlocks::~WarmBlocks() {
    unguard();
    source_->unmap(extent_);
}

void WarmBlocks::lay_out(const std::vector<WarmSize>& sizes) noexcept {
    count_ = sizes.size();
    sizes_ = reinterpret_cast<Size*>(extent_.start);
    auto* records = reinterpret_cast<Block*>(sizes_ + count_);
    const auto first = reinterpret_cast<std::uintptr_t>(records + blocks_);
    first_block_ = end_ = reinterpret_cast<std::byte*>(round_up(first, 64));
    for (std::size_t i = 0; i < count_; ++i) {
        const auto blocks = static_cast<std::uint32_t>(sizes[i].blocks);
        auto* const size = new (sizes_ + i)
            Size{sizes[i].bytes, warm_stride(sizes[i].bytes), end_, records, blocks, 0, 0, 0, 0, 0};
        for (std::uint32_t block = 0; block < blocks; ++block)
            new (records + block) Block{block + 1 == blocks ? none : block + 1};
        with_free_[i / 64] |= std::uint64_t{1} << (i % 64);
        records += blocks;
        end_ = size->end();
    }
}

AllocatorTable WarmBlocks::table() noexcept {
    return {this, malloc, calloc, realloc, free};
}

void WarmBlocks::begin(MissListener& listener) noexcept {
    listener_ = &listener;
    thread_.store(this_thread(), std::memory_order_release);
}

void WarmBlocks::end() noexcept {
    thread_.store(nullptr, std::memory_order_release);
}

bool WarmBlocks::is_for_this_thread() const noexcept {
    return thread_.load(std::memory_order_relaxed) == this_thread();
}

bool WarmBlocks::may_pass_on(std::size_t bytes) const noexcept {
    return !is_for_this_thread() || listener_->missed(bytes);
}

bool WarmBlocks::owns(const void* address) const noexcept {
    const auto* const byte = static_cast<const std::byte*>(address);
    return byte >= first_block_ && byte < end_;
}

std::size_t WarmBlocks::first_that_fits(std::size_t bytes) const noexcept {
    const Size* const found =
        std::lower_bound(sizes_, sizes_ + count_, bytes,
                         [](const Size& size, std::size_t wanted) { return size.bytes < wanted; });
    return static_cast<std::size_t>(found - sizes_);
}

/// This size or the next larger one that has a free block; `count_` where none has.
std::size_t WarmBlocks::first_with_free(std::size_t number) const noexcept {
    if (number == count_) return count_;
    std::uint64_t word = with_free_[number / 64] >> (number % 64) << (number % 64);
    for (std::size_t i = number / 64; i * 64 < count_; word = with_free_[++i]) {
        if (word != 0) return i * 64 + static_cast<std::size_t>(std::countr_zero(word));
        if ((i + 1) * 64 >= count_) break;
    }
    return count_;
}

std::byte* WarmBlocks::take(std::size_t bytes) noexcept {
    const std::size_t wanted = first_that_fits(bytes);
    const Lock lock{mutex_};
    const std::size_t found = first_with_free(wanted);
    if (found == count_) return nullptr;
    Size& size = sizes_[found];
    const std::uint32_t block = size.first_free;
    size.first_free = size.records[block].next;
    size.records[block].next = in_use;
    if (size.first_free == none) with_free_[found / 64] &= ~(std::uint64_t{1} << (found % 64));
    size.most = std::max(size.most, ++size.live);
    ++size.requests;
    if (found != wanted) ++size.smaller;
    return size.start + block * size.stride;
}

WarmBlocks::Size& WarmBlocks::size_of(const std::byte* block) const noexcept {
    return *std::partition_point(sizes_, sizes_ + count_,
                                 [&](const Size& size) { return size.end() <= block; });
}

void WarmBlocks::give_back(std::byte* block) noexcept {
    Size& size = size_of(block);
    const auto offset = static_cast<std::size_t>(block - size.start);
    const auto number = static_cast<std::uint32_t>(offset / size.stride);
    const Lock lock{mutex_};
    if (number * size.stride != offset || size.records[number].next != in_use) stop_at(block);
    size.records[number].next = size.first_free;
    size.first_free = number;
    --size.live;
    const auto index = static_cast<std::size_t>(&size - sizes_);
    with_free_[index / 64] |= std::uint64_t{1} << (index % 64);
}

std::vector<WarmBlocks::Figures> WarmBlocks::figures() const {
    std::vector<Figures> all(count_);
    const Lock lock{mutex_};
    for (std::size_t i = 0; i < count_; ++i) {
        const Size& size = sizes_[i];
        all[i] = {size.bytes, size.blocks, size.live, size.most, size.requests, size.smaller};
    }
    return all;
}

std::string WarmBlocks::refusal(std::size_t bytes) const {
    const std::string start = std::to_string(bytes) + " bytes requested; ";
    if (count_ == 0) return start + "there are no warm blocks";
    const std::size_t wanted = first_that_fits(bytes);
    if (wanted == count_)
        return start + "the largest warm block has " + std::to_string(sizes_[count_ - 1].bytes);
    const Size& size = sizes_[wanted];
    return start + (size.blocks == 1 ? "the " : "all ") + blocks_of(size.blocks, size.bytes) +
           (size.blocks == 1 ? " is" : " are") + " in use" +
           (wanted + 1 < count_ ? ", and all larger ones" : "");
}

void* WarmBlocks::malloc(void* context, std::size_t bytes) noexcept {
    auto& self = *static_cast<WarmBlocks*>(context);
    if (self.is_for_this_thread()) {
        if (std::byte* const block = self.take(bytes)) return block;
        if (!self.listener_->missed(bytes)) return nullptr;
    }
    return self.before_.malloc(self.before_.context, bytes);
}

void* WarmBlocks::calloc(void* context, std::size_t count, std::size_t size) noexcept {
    auto& self = *static_cast<WarmBlocks*>(context);
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
    if (self.is_for_this_thread()) {
        if (std::byte* const block = self.take(bytes)) return std::memset(block, 0, bytes);
        if (!self.listener_->missed(bytes)) return nullptr;
    }
    return self.before_.calloc(self.before_.context, count, size);
}

void* WarmBlocks::realloc(void* context, void* block, std::size_t bytes) noexcept {
    auto& self = *static_cast<WarmBlocks*>(context);
    if (block == nullptr) return malloc(context, bytes);
    if (!self.owns(block)) {
        if (!self.may_pass_on(bytes)) return nullptr;
        return self.before_.realloc(self.before_.context, block, bytes);
    }
    const std::size_t room = self.size_of(static_cast<std::byte*>(block)).bytes;
    if (bytes <= room) return block;
    void* const moved = malloc(context, bytes);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, room);
    self.give_back(static_cast<std::byte*>(block));
    return moved;
}

void WarmBlocks::free(void* context, void* block, std::size_t bytes) noexcept {
    auto& self = *static_cast<WarmBlocks*>(context);
    if (self.owns(block)) return self.give_back(static_cast<std::byte*>(block));
    self.before_.free(self.before_.context, block, bytes);
}

}  // namespace numpool::threads
