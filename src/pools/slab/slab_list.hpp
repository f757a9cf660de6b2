#pragma once

#include "pools/slab/slab.hpp"

namespace numpool::pools {

/// A doubly linked list of slabs, through their records. Removal takes constant time.
class SlabList {
  public:
    bool empty() const noexcept { return first_ == nullptr; }
    Slab* first() const noexcept { return first_; }
    std::size_t size() const noexcept { return size_; }

    void push(Slab& slab) noexcept {
        slab.previous = nullptr;
        slab.next = first_;
        if (first_ != nullptr) first_->previous = &slab;
        first_ = &slab;
        ++size_;
    }

    void remove(Slab& slab) noexcept {
        if (slab.next != nullptr) slab.next->previous = slab.previous;
        (slab.previous != nullptr ? slab.previous->next : first_) = slab.next;
        --size_;
    }

  private:
    Slab* first_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace numpool::pools
