#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/gate/owner_gate.hpp"
#include "base/size_classes.hpp"
#include "pages/range/page_map.hpp"
#include "pools/magazine/magazine.hpp"

namespace numpool::pools {

/// The distance in bytes from the first magazine to a size class's magazine: the class's number
/// times `sizeof(Magazine)`. So one addition finds the magazine.
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

/// The kind of the class's slabs in the page map is the class's offset. So a tag minus the pool's
/// number gives the class.
constexpr pages::Kind slab_kind(ClassOffset offset) noexcept {
    return pages::Kind{static_cast<pages::Tag>(offset)};
}
/// The class of slabs of this kind. At or above `ClassOffsets::end()` it is no slab's kind.
constexpr ClassOffset offset_of_kind(pages::Kind kind) noexcept {
    return ClassOffset{static_cast<std::size_t>(kind)};
}

/// The key of the gate of the class's magazine; `first` is the key of the pool's first magazine. If
/// `first` is the pool's number in the page map, the key is the tag of the class's slabs. Then a
/// release reads the key from the page map.
constexpr GateKey gate_key(GateKey first, ClassOffset offset) noexcept {
    return first + static_cast<std::size_t>(offset);
}

/// The offset of the class that serves a request: one load from a table with an entry for each 16
/// bytes. There is no branch that mixed sizes could mispredict.
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

    /// The class for `bytes`, which are at most `SizeClasses::largest`.
    ClassOffset of(std::size_t bytes) const noexcept {
        return ClassOffset{offsets_[(bytes + 15) / 16]};
    }
    /// The offset behind that of the last class.
    ClassOffset end() const noexcept { return end_; }

  private:
    std::array<std::uint16_t, SizeClasses::largest / 16 + 1> offsets_{};
    ClassOffset end_;
};

}  // namespace numpool::pools
