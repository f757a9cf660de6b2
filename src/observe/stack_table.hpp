#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace numpool::observe {

/// A place in a program: a function's code, and the instruction in it. The core does not look into
/// either.
struct Frame {
    const void* code = nullptr;
    int instruction = 0;

    friend bool operator==(const Frame&, const Frame&) noexcept = default;
};

/// Gives equal stacks one small number. The innermost frame comes first.
class StackTable {
  public:
    using Number = std::uint32_t;
    /// The stack without a frame: code that no Python code has called.
    static constexpr Number native = 0;
    /// Stands for every stack for which there is no room.
    static constexpr Number other = 1;
    static constexpr std::size_t most_stacks = std::size_t{1} << 16;

    StackTable();

    std::optional<Number> find(std::span<const Frame> frames) const noexcept;
    /// For a stack that is not in the table. Throws std::bad_alloc; then nothing has changed.
    Number add(std::span<const Frame> frames);

    std::span<const Frame> frames_of(Number number) const noexcept {
        return {frames_.data() + starts_[number], frames_.data() + starts_[number + 1]};
    }
    std::size_t size() const noexcept { return starts_.size() - 1; }

  private:
    static std::uint64_t hash(std::span<const Frame> frames) noexcept;

    /// The frames of all stacks, one stack after the other, and where each begins.
    std::vector<Frame> frames_;
    std::vector<std::size_t> starts_;
    std::unordered_multimap<std::uint64_t, Number> numbers_;
};

}  // namespace numpool::observe
