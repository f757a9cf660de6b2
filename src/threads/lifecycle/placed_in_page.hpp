#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace numpool::threads {

/// An object of a class derived from this begins at `place` bytes into a page, wherever `new` puts
/// it.
///
/// A processor takes a load for one of what was just stored where the lowest twelve bits of both
/// addresses agree, and waits for the store: 0.5 to 0.9 ns, more than anything else in a pair of
/// acquire and release. What a pool reads in each pair lies in the pool; what the pair writes lies
/// in the thread's record, which begins at a page. So where the pool lies in its page decides, once
/// and for all of its life, which size classes are slow; left to malloc, some are. It costs up to a
/// page, so it is for few and large objects.
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
    /// As far as twelve bits reach, whatever the system's pages are.
    static constexpr std::size_t page = 4096;
    static_assert(place % 64 == 0 && place < page);
};

}  // namespace numpool::threads
