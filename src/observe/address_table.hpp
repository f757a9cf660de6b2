#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace numpool::observe {

/// What is known of some addresses. A look at an address that is not in the table takes about one
/// cache miss: most blocks are not.
template <class Value>
class AddressTable {
  public:
    struct Entry {
        const void* address = nullptr;
        Value value{};
    };

    std::size_t size() const noexcept { return count_; }

    /// Sets the value of an address that is not null. Returns its earlier value. Throws
    /// std::bad_alloc; then nothing has changed.
    std::optional<Value> put(const void* address, const Value& value) {
        if (entries_.size() < 2 * (count_ + 1)) grow();
        Entry& entry = entries_[place_of(address)];
        if (entry.address != nullptr) return std::exchange(entry.value, value);
        entry = {address, value};
        ++count_;
        return std::nullopt;
    }

    /// Removes an address, and returns its value.
    std::optional<Value> take(const void* address) noexcept {
        if (count_ == 0 || address == nullptr) return std::nullopt;
        std::size_t hole = place_of(address);
        if (entries_[hole].address == nullptr) return std::nullopt;
        const Value value = entries_[hole].value;
        --count_;
        // Those behind the hole move forward, as far as a search for them would end at it.
        for (std::size_t i = after(hole); entries_[i].address != nullptr; i = after(i)) {
            const std::size_t home = home_of(entries_[i].address);
            if (((i - home) & mask()) < ((i - hole) & mask())) continue;
            entries_[hole] = entries_[i];
            hole = i;
        }
        entries_[hole] = {};
        return value;
    }

    void clear() noexcept { *this = {}; }

    template <class Act>
    void for_each(Act act) const {
        for (const Entry& entry : entries_) {
            if (entry.address != nullptr) act(entry);
        }
    }

  private:
    std::size_t mask() const noexcept { return entries_.size() - 1; }
    std::size_t after(std::size_t place) const noexcept { return (place + 1) & mask(); }
    /// Blocks start at multiples of 16 at least, so the upper bits of a product decide.
    std::size_t home_of(const void* address) const noexcept {
        const auto number = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(address));
        return ((number * 0x9E3779B97F4A7C15) >> 32) & mask();
    }
    /// Where the address is, or the free place where it belongs.
    std::size_t place_of(const void* address) const noexcept {
        std::size_t place = home_of(address);
        while (entries_[place].address != nullptr && entries_[place].address != address)
            place = after(place);
        return place;
    }

    void grow() {
        std::vector<Entry> larger(entries_.empty() ? 64 : 2 * entries_.size());
        entries_.swap(larger);
        for (const Entry& entry : larger) {
            if (entry.address != nullptr) entries_[place_of(entry.address)] = entry;
        }
    }

    /// As many as a power of two; at most half of them are used.
    std::vector<Entry> entries_;
    std::size_t count_ = 0;
};

}  // namespace numpool::observe
