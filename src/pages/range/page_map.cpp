#include "pages/range/page_map.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool::pages {
namespace {

void* map_memory(std::size_t bytes, int protection) noexcept {
    void* const memory =
        mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

/// A gibibyte has 16384 granules, and compilers store atomic variables one by one. `rep stos`
/// stores many at a time and never tears a variable.
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

/// The arrays that do not lie in front of the range share one reservation. Each of them, and the
/// tags too, has one entry more than there are granules: for the address behind the last one.
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

std::mutex& pool_numbers_mutex() noexcept {
    static auto* const mutex = new std::mutex;
    return *mutex;
}

constinit PageMap page_map;

std::size_t PageMap::front(std::size_t bytes) noexcept {
    const std::size_t of_range = (bytes >> granule_shift) * sizeof(Tag);
    const std::size_t of_themselves = (of_range >> granule_shift) * sizeof(Tag);
    // Two granules more: one for the rounding, one that stays inaccessible.
    return round_up(of_range + of_themselves + 2 * granule, huge_page);
}

bool PageMap::attach(std::byte* base, std::size_t bytes) noexcept {
    const std::size_t granules = (front(bytes) + bytes) >> granule_shift;
    const Layout layout{granules};
    auto* const arrays = static_cast<std::byte*>(map_memory(layout.end, PROT_NONE));
    if (arrays == nullptr) return false;
    // All tags are readable from the start, so a reader has one bound to check, which never
    // changes. The kernel does not count read-only memory as used, nor inaccessible memory.
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
    // In large steps, because each takes a few system calls. Untouched memory costs nothing.
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

void PageMap::detach() noexcept {
    if (tags_.granules_ == 0) return;
    covered_.store(0, std::memory_order_release);
    munmap(notes_, Layout{tags_.granules_}.end);
    tags_ = {};
}

void PageMap::set(Extent extent, Tag tag, void* note) noexcept {
    const std::size_t first = index_of(extent.start);
    const std::size_t last = first + (extent.bytes >> granule_shift);
    store_all(notes_ + first, last - first, note);
    store_all(tags_.first() + first, last - first, tag);
}

Tag PageMap::register_pool() {
    const std::lock_guard lock{pool_numbers_mutex()};
    // In a circle, so that a number is reused as late as possible. No pool has number 0.
    for (std::size_t tries = 0; tries < pool_numbers_.size(); ++tries) {
        last_pool_number_ = (last_pool_number_ + 1) % pool_numbers_.size();
        if (last_pool_number_ == 0 || pool_numbers_[last_pool_number_]) continue;
        pool_numbers_[last_pool_number_] = true;
        return static_cast<Tag>(last_pool_number_) << kind_bits;
    }
    throw Exhausted{"there are " + std::to_string(pool_numbers_.size() - 1) +
                    " slab pools already; close some before you make more"};
}

void PageMap::unregister_pool(Tag pool) noexcept {
    const std::lock_guard lock{pool_numbers_mutex()};
    pool_numbers_[pool >> kind_bits] = false;
}

}  // namespace numpool::pages
