#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace numpool::threads {

/// An object of a derived class begins `place` bytes into a page when `new` makes it. That costs up
/// to a page, so it is for few and large objects.
///
/// If the lowest twelve bits of a load's address equal those of a recent store, the processor takes
/// the load for one of the stored value and waits: 0.5 to 0.9 ns, more than any other part of a
/// pair of acquire and release. A pair reads the pool, and writes the thread's record, which begins
/// at a page. So the pool's place in its page decides which size classes are slow; at an arbitrary
/// place some are.
template <std::size_t place>
class PlacedInPage {
  public:
    static void* operator new(std::size_t bytes) {
        void* memory = nullptr;
        if (posix_memalign(&memory, page, place + bytes) != 0) throw std::bad_alloc{};
        return static_cast<std::byte*>(memory) + place;
    }
    static void operator delete(void* object) noexcept {
        if (object != nullptr) std::free(static_cast<std::byte*>(object) - place);
    }

  protected:
    ~PlacedInPage() = default;

  private:
    /// What twelve bits address, whatever the size of the system's pages is.
    static constexpr std::size_t page = 4096;
    static_assert(place % 64 == 0 && place < page);
};

}  // namespace numpool::threads
