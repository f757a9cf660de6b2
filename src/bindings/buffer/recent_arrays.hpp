#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bindings/python/numpy_api.hpp"

namespace numpool::bindings {

/// What errors say about an array. Cheap to make; only an error turns it into text.
class ArrayNote {
  public:
    explicit ArrayNote(PyArrayObject* array) noexcept;

    bool lies_in(const std::byte* start, std::size_t bytes) const noexcept;
    /// "(1024, 3) float64"
    std::string text() const;
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    static constexpr int most = 8;

    const std::byte* data_;
    std::size_t bytes_;
    int dimensions_;
    std::array<npy_intp, most> shape_{};
    std::array<char, 24> type_{};
};

/// The newest arrays on some memory that still live, for errors that name what uses it. There is
/// room for a few: a new one replaces one that has gone, or else the oldest. Any thread may call,
/// with the GIL.
class RecentArrays {
  public:
    RecentArrays() = default;
    RecentArrays(const RecentArrays&) = delete;
    RecentArrays& operator=(const RecentArrays&) = delete;
    /// From any thread, with or without the GIL.
    ~RecentArrays();

    /// An array on a buffer, held by a weak reference. NumPy does not resize an array that has one,
    /// nor any array that does not own its data. Without memory the array is not remembered.
    void add(PyObject* array) noexcept;
    /// An array that owns its data, whose handler keeps this note.
    void add(std::weak_ptr<const ArrayNote> note) noexcept;

    /// The arrays that still live and have their data in these bytes.
    std::vector<ArrayNote> in(const std::byte* start, std::size_t bytes) const;

  private:
    static constexpr std::size_t room = 8;

    /// Has one of the two, or neither.
    struct Place {
        PyObject* reference = nullptr;
        std::weak_ptr<const ArrayNote> note;

        bool is_free() const noexcept;
    };

    void put(Place& one) noexcept;

    mutable std::mutex mutex_;
    std::array<Place, room> places_;
    std::size_t next_ = 0;
};

/// An owner of blocks that remembers the arrays on them.
class RemembersArrays {
  public:
    virtual RecentArrays& recent_arrays() noexcept = 0;

  protected:
    ~RemembersArrays() = default;
};

}  // namespace numpool::bindings
