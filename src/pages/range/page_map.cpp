#include "pages/range/page_map.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pages {
namespace {

constexpr std::size_t owner_slots = std::size_t{1} << 16;

void* map_memory(std::size_t bytes, int protection) noexcept {
    void* const memory =
        mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

/// A gibibyte has 16384 granules, and compilers store atomic variables one by one. The processor
/// stores many at a time, none of them in two halves.
template <class T>
void store_all(std::atomic<T>* first, std::size_t count, T value) noexcept {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    static_assert(sizeof(std::atomic<T>) == sizeof(T) && (sizeof(T) == 4 || sizeof(T) == 8));
    constexpr std::size_t many = 64;
    if (count >= many) {
        if constexpr (sizeof(T) == 8) {
            asm volatile("rep stosq" : "+D"(first), "+c"(count) : "a"(value) : "memory");
        } else {
            asm volatile("rep stosl" : "+D"(first), "+c"(count) : "a"(value) : "memory");
        }
        return;
    }
#endif
    for (std::size_t i = 0; i < count; ++i) first[i].store(value, std::memory_order_relaxed);
}

/// The arrays beside the range lie one behind the other in one reservation. Each has an entry more
/// than there are granules, for the address behind the last one; so have the tags.
struct Layout {
    explicit Layout(std::size_t granules) noexcept
        : notes{0},
          warm{notes + round_up((granules + 1) * sizeof(void*), huge_page)},
          seam{warm + round_up(granules + 1, huge_page)},
          end{seam + round_up(granules + 1, huge_page)} {}

    std::size_t notes;
    std::size_t warm;
    std::size_t seam;
    std::size_t end;
};

}  // namespace

std::mutex& owners_mutex() noexcept {
    static auto* const mutex = new std::mutex;
    return *mutex;
}

constinit PageMap page_map;

std::size_t PageMap::front(std::size_t bytes) noexcept {
    const std::size_t of_range = (bytes >> granule_shift) * sizeof(Tag);
    const std::size_t of_themselves = (of_range >> granule_shift) * sizeof(Tag);
    // Two granules more: one for what rounding left out, one that stays inaccessible.
    return round_up(of_range + of_themselves + 2 * granule, huge_page);
}

bool PageMap::reserve(std::byte* base, std::size_t bytes) noexcept {
    const std::size_t granules = (front(bytes) + bytes) >> granule_shift;
    const Layout layout{granules};
    auto* const arrays = static_cast<std::byte*>(map_memory(layout.end, PROT_NONE));
    if (arrays == nullptr) return false;
    // All tags of the range can be read from the start: so there is one bound to check, and it
    // never changes. The kernel accounts for read-only memory no more than for inaccessible memory.
    const std::size_t tags = round_up((granules + 1) * sizeof(Tag), page_size());
    if (mprotect(base, tags, PROT_READ) != 0) {
        munmap(arrays, layout.end);
        return false;
    }
    tags_.base_ = reinterpret_cast<std::uintptr_t>(base);
    tags_.granules_ = granules;
    front_ = front(bytes);
    notes_ = reinterpret_cast<std::atomic<void*>*>(arrays + layout.notes);
    warm_ = reinterpret_cast<std::uint8_t*>(arrays + layout.warm);
    seam_ = reinterpret_cast<std::uint8_t*>(arrays + layout.seam);
    return true;
}

bool PageMap::cover(std::size_t bytes) noexcept {
    // In large steps, each a few system calls; what is not touched costs nothing.
    constexpr std::size_t step = std::size_t{4} << 30;
    bytes = round_up(bytes + front_, step);
    const std::size_t granules = std::min(tags_.granules_, bytes >> granule_shift);
    if (granules <= covered_.load(std::memory_order_relaxed)) return true;
    const auto open = [granules](void* array, std::size_t size) {
        return mprotect(array, round_up((granules + 1) * size, page_size()),
                        PROT_READ | PROT_WRITE) == 0;
    };
    if (!open(tags_.first(), sizeof(Tag)) || !open(notes_, sizeof *notes_) || !open(warm_, 1) ||
        !open(seam_, 1)) {
        return false;
    }
    covered_.store(granules, std::memory_order_release);
    return true;
}

void PageMap::dismiss() noexcept {
    if (tags_.granules_ == 0) return;
    covered_.store(0, std::memory_order_release);
    munmap(notes_, Layout{tags_.granules_}.end);
    tags_ = {};
}

void PageMap::mark(Extent extent, Tag tag, void* note) noexcept {
    const std::size_t first = index_of(extent.start);
    const std::size_t last = first + (extent.bytes >> granule_shift);
    store_all(notes_ + first, last - first, note);
    store_all(tags_.first() + first, last - first, tag);
}

Tag PageMap::enrol(void* owner) {
    const std::lock_guard lock{owners_mutex()};
    std::atomic<void*>* owners = owners_.load(std::memory_order_relaxed);
    if (owners == nullptr) {
        owners = static_cast<std::atomic<void*>*>(
            map_memory(owner_slots * sizeof *owners, PROT_READ | PROT_WRITE));
        if (owners == nullptr) throw Exhausted{"no memory for the table of pools"};
        owners_.store(owners, std::memory_order_release);
    }
    // In a circle, so that a number comes again as late as possible. 0 is nobody's.
    for (std::size_t tries = 0; tries < owner_slots; ++tries) {
        last_owner_ = (last_owner_ + 1) % owner_slots;
        if (last_owner_ == 0 || owners[last_owner_].load(std::memory_order_relaxed) != nullptr) {
            continue;
        }
        owners[last_owner_].store(owner, std::memory_order_release);
        return last_owner_ << kind_bits;
    }
    throw Exhausted{"there are " + std::to_string(owner_slots - 1) +
                    " pools of pages already; close some before making more"};
}

void PageMap::withdraw(Tag owner) noexcept {
    const std::lock_guard lock{owners_mutex()};
    owners_.load(std::memory_order_relaxed)[owner >> kind_bits].store(nullptr,
                                                                      std::memory_order_release);
}

void* PageMap::owner(Tag tag) const noexcept {
    const auto* const owners = owners_.load(std::memory_order_acquire);
    const Tag number = tag >> kind_bits;
    if (owners == nullptr || number >= owner_slots) return nullptr;
    return owners[number].load(std::memory_order_acquire);
}

}  // namespace numpool::pages
