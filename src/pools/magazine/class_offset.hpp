#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/gate/owner_gate.hpp"
#include "base/size_classes.hpp"
#include "pages/range/page_map.hpp"
#include "pools/magazine/magazine.hpp"

namespace numpool::pools {

/// How far a size class's magazine lies behind the first one: so it is found by a sum, without a
/// multiplication. The class's number times the size of a magazine.
enum class ClassOffset : std::size_t {};

constexpr ClassOffset offset_of_class(std::size_t number) noexcept {
    return ClassOffset{number * sizeof(Magazine)};
}
constexpr std::size_t class_at(ClassOffset offset) noexcept {
    return static_cast<std::size_t>(offset) / sizeof(Magazine);
}

/// The magazine at this offset from the first one.
template <class Block>
MagazineOf<Block>& magazine_at(MagazineOf<Block>* first, ClassOffset offset) noexcept {
    static_assert(sizeof(MagazineOf<Block>) == sizeof(Magazine));
    return *reinterpret_cast<MagazineOf<Block>*>(reinterpret_cast<std::byte*>(first) +
                                                 static_cast<std::size_t>(offset));
}

/// What the page map says of the class's slabs: its offset is their kind, so that a tag, less its
/// owner, tells the class by one comparison.
constexpr pages::Kind slab_kind(ClassOffset offset) noexcept {
    return pages::Kind{static_cast<pages::Tag>(offset)};
}
/// The class of slabs of this kind, if it is one of slabs.
constexpr ClassOffset offset_of_kind(pages::Kind kind) noexcept {
    return ClassOffset{static_cast<std::size_t>(kind)};
}

/// What opens the gate of the class's magazine, in a pool whose first magazine's opens for `first`.
/// Where that is the pool's number in the page map, it is the tag of the class's slabs: what is
/// released brings the key along.
constexpr GateKey gate_key(GateKey first, ClassOffset offset) noexcept {
    return first + static_cast<std::size_t>(offset);
}

/// The offset of the class that serves a request, in constant time: one load from a table with an
/// entry for each 16 bytes, without a branch, so that mixed sizes mispredict nothing.
class ClassOffsets {
  public:
    explicit ClassOffsets(const SizeClasses& classes) noexcept
        : end_{offset_of_class(classes.count())} {
        std::size_t number = 0;
        for (std::size_t entry = 0; entry < offsets_.size(); ++entry) {
            if (entry * 16 > classes.size(number)) ++number;
            offsets_[entry] = static_cast<std::uint16_t>(offset_of_class(number));
        }
    }

    /// For so many bytes, `SizeClasses::largest` at most.
    ClassOffset of(std::size_t bytes) const noexcept {
        return ClassOffset{offsets_[(bytes + 15) / 16]};
    }
    /// The offset behind the last class's.
    ClassOffset end() const noexcept { return end_; }

  private:
    std::array<std::uint16_t, SizeClasses::largest / 16 + 1> offsets_{};
    ClassOffset end_;
};

}  // namespace numpool::pools
