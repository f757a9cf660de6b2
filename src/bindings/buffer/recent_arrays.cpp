#include "bindings/buffer/recent_arrays.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bindings/python/errors.hpp"

namespace numpool::bindings {
namespace {

/// The target of a weak reference, as a new reference; null where it has gone.
PyObject* target_of(PyObject* reference) noexcept {
#if PY_VERSION_HEX >= 0x030d0000
    PyObject* target = nullptr;
    if (PyWeakref_GetRef(reference, &target) < 0) PyErr_Clear();
    return target;
#else
    PyObject* const target = PyWeakref_GetObject(reference);
    if (target == Py_None) return nullptr;
    Py_INCREF(target);
    return target;
#endif
}

/// Without a GIL this always says no: looking takes a reference, which could become the last one.
bool has_gone(PyObject* reference) noexcept {
#ifdef Py_GIL_DISABLED
    static_cast<void>(reference);
    return false;
#else
    PyObject* const target = target_of(reference);
    if (target == nullptr) return true;
    Py_DECREF(target);
    return false;
#endif
}

}  // namespace

ArrayNote::ArrayNote(PyArrayObject* array) noexcept
    : data_{static_cast<const std::byte*>(PyArray_DATA(array))},
      bytes_{static_cast<std::size_t>(PyArray_NBYTES(array))},
      dimensions_{PyArray_NDIM(array)} {
    std::copy_n(PyArray_DIMS(array), std::min(dimensions_, most), shape_.begin());
    // "numpy.float64", "numpy.str_"
    const char* const full_name = PyArray_DESCR(array)->typeobj->tp_name;
    const char* const dot = std::strrchr(full_name, '.');
    std::strncpy(type_.data(), dot == nullptr ? full_name : dot + 1, type_.size() - 1);
}

bool ArrayNote::lies_in(const std::byte* start, std::size_t bytes) const noexcept {
    return static_cast<std::size_t>(data_ - start) < std::max<std::size_t>(bytes, 1);
}

std::string ArrayNote::text() const {
    std::string text = "(";
    for (int i = 0; i < std::min(dimensions_, most); ++i) {
        if (i != 0) text += ", ";
        text += std::to_string(shape_[static_cast<std::size_t>(i)]);
    }
    text += dimensions_ > most ? ", ...) " : dimensions_ == 1 ? ",) " : ") ";
    text += type_.data();
    if (text.ends_with('_')) text.pop_back();
    return text;
}

bool RecentArrays::Place::is_free() const noexcept {
    return reference == nullptr ? note.expired() : has_gone(reference);
}

RecentArrays::~RecentArrays() {
    for (const Place& one : places_) {
        auto reference = py::reinterpret_steal<py::object>(one.reference);
        drop_with_gil(reference);
    }
}

void RecentArrays::add(PyObject* array) noexcept {
    Place one;
    one.reference = PyWeakref_NewRef(array, nullptr);
    if (one.reference == nullptr) return PyErr_Clear();
    put(one);
}

void RecentArrays::add(std::weak_ptr<const ArrayNote> note) noexcept {
    Place one;
    one.note = std::move(note);
    put(one);
}

void RecentArrays::put(Place& one) noexcept {
    {
        const std::lock_guard lock{mutex_};
        std::size_t number = next_;
        for (std::size_t step = 0; step < room; ++step) {
            number = (next_ + step) % room;
            if (places_[number].is_free()) break;
            number = next_;
        }
        std::swap(places_[number], one);
        next_ = (number + 1) % room;
    }
    Py_XDECREF(one.reference);
}

std::vector<ArrayNote> RecentArrays::in(const std::byte* start, std::size_t bytes) const {
    std::vector<ArrayNote> found;
    found.reserve(room);
    std::array<PyObject*, room> arrays{};
    {
        const std::lock_guard lock{mutex_};
        for (std::size_t i = 0; i < room; ++i) {
            const Place& one = places_[i];
            if (one.reference != nullptr) {
                arrays[i] = target_of(one.reference);
            } else if (const auto note = one.note.lock(); note && note->lies_in(start, bytes)) {
                found.push_back(*note);
            }
        }
    }
    for (PyObject* const one : arrays) {
        if (one == nullptr) continue;
        const ArrayNote note{reinterpret_cast<PyArrayObject*>(one)};
        if (note.lies_in(start, bytes)) found.push_back(note);
        Py_DECREF(one);
    }
    return found;
}

}  // namespace numpool::bindings
