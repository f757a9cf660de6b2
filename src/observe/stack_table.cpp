#include "observe/stack_table.hpp"

#include <algorithm>

namespace numpool::observe {

StackTable::StackTable() : starts_{0, 0, 0} {}

std::uint64_t StackTable::hash(std::span<const Frame> frames) noexcept {
    std::uint64_t hash = frames.size();
    for (const Frame& frame : frames) {
        const auto code = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(frame.code));
        hash = (hash ^ code) * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 29) ^ static_cast<std::uint32_t>(frame.instruction)) *
               0xBF58476D1CE4E5B9;
    }
    return hash ^ (hash >> 32);
}

std::optional<StackTable::Number> StackTable::find(std::span<const Frame> frames) const noexcept {
    if (frames.empty()) return native;
    const auto [first, last] = numbers_.equal_range(hash(frames));
    for (auto one = first; one != last; ++one) {
        if (std::ranges::equal(frames_of(one->second), frames)) return one->second;
    }
    if (size() >= most_stacks) return other;
    return std::nullopt;
}

StackTable::Number StackTable::add(std::span<const Frame> frames) {
    const auto number = static_cast<Number>(size());
    const std::size_t before = frames_.size();
    try {
        frames_.insert(frames_.end(), frames.begin(), frames.end());
        starts_.push_back(frames_.size());
        numbers_.emplace(hash(frames), number);
    } catch (...) {
        starts_.resize(number + std::size_t{1});
        frames_.resize(before);
        throw;
    }
    return number;
}

}  // namespace numpool::observe
