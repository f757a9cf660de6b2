#include <pybind11/stl.h>

#include <cstring>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "bindings/processes/messages.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {

using processes::Access;
using processes::Sent;
using processes::SharedPool;

namespace {

/// Ends the use of a block, unless it was given away.
class BlockInUse {
  public:
    BlockInUse(SharedPool& pool, std::size_t bytes) noexcept
        : pool_{pool}, start_{pool.try_acquire(bytes)} {}
    BlockInUse(const BlockInUse&) = delete;
    BlockInUse& operator=(const BlockInUse&) = delete;
    ~BlockInUse() {
        if (start_ != nullptr) pool_.release(start_);
    }

    std::byte* start() const noexcept { return start_; }
    std::byte* give_away() noexcept { return std::exchange(start_, nullptr); }

  private:
    SharedPool& pool_;
    std::byte* start_;
};

/// Copies the elements in C order, or in Fortran order where the array has only that.
void copy_elements(PyArrayObject* array, std::byte* to) {
    if (PyArray_IS_C_CONTIGUOUS(array) || PyArray_IS_F_CONTIGUOUS(array)) {
        const auto bytes = static_cast<std::size_t>(PyArray_NBYTES(array));
        without_gil([&] { std::memcpy(to, PyArray_DATA(array), bytes); });
        return;
    }
    PyArray_Descr* const dtype = PyArray_DESCR(array);
    Py_INCREF(dtype);
    PyObject* const made =
        PyArray_NewFromDescr(&PyArray_Type, dtype, PyArray_NDIM(array), PyArray_DIMS(array),
                             nullptr, to, NPY_ARRAY_WRITEABLE, nullptr);
    if (made == nullptr) throw py::error_already_set{};
    const auto target = py::reinterpret_steal<py::object>(made);
    if (PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(made), array) != 0)
        throw py::error_already_set{};
}

/// The message, and whether its elements are in Fortran order. None where the pool has no room.
py::object send_copy(SharedPool& pool, const py::object& subject) {
    require_numpy();
    auto* const array = reinterpret_cast<PyArrayObject*>(subject.ptr());
    if (!PyArray_Check(subject.ptr())) throw py::type_error{"_send_copy() takes an array"};
    const auto bytes = static_cast<std::size_t>(PyArray_NBYTES(array));
    BlockInUse block{pool, bytes};
    if (block.start() == nullptr) return py::none{};
    copy_elements(array, block.start());
    const std::optional<Sent> sent = pool.send_copy(block.give_away(), bytes);
    if (!sent) return py::none{};
    return message_tuple("IIKN", sent->index, sent->serial,
                         static_cast<unsigned long long>(sent->block),
                         PyBool_FromLong(PyArray_ISFORTRAN(array)));
}

/// A new array without an owner of its memory, at `data` or in new memory. Takes over the dtype.
py::object new_array(PyArray_Descr* dtype, const std::vector<npy_intp>& shape, std::byte* data,
                     bool fortran, bool writeable) {
    const int flags = (fortran ? NPY_ARRAY_F_CONTIGUOUS : 0) |
                      (writeable || data == nullptr ? NPY_ARRAY_WRITEABLE : 0);
    PyObject* const made =
        PyArray_NewFromDescr(&PyArray_Type, dtype, static_cast<int>(shape.size()), shape.data(),
                             nullptr, data, flags, nullptr);
    if (made == nullptr) throw py::error_already_set{};
    return py::reinterpret_steal<py::object>(made);
}

/// The array that was copied. Its pages are the message's until this process writes to them.
py::object receive_copy(SharedPool& pool, std::uint32_t index, std::uint32_t serial,
                        std::uint64_t block, const std::vector<npy_intp>& shape,
                        const py::object& dtype, bool fortran, bool writeable) {
    require_numpy();
    PyArray_Descr* descr = nullptr;
    if (PyArray_DescrConverter(dtype.ptr(), &descr) != NPY_SUCCEED) throw py::error_already_set{};
    const auto kept = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(descr));
    const auto of_array = [&] {
        Py_INCREF(descr);
        return descr;
    };
    const Sent sent{index, serial, block};
    if (!pool.can_copy_on_write()) {
        py::object array = new_array(of_array(), shape, nullptr, fortran, true);
        auto* const made = reinterpret_cast<PyArrayObject*>(array.ptr());
        pool.receive_copy(sent, static_cast<std::byte*>(PyArray_DATA(made)),
                          static_cast<std::size_t>(PyArray_NBYTES(made)));
        if (!writeable) PyArray_CLEARFLAGS(made, NPY_ARRAY_WRITEABLE);
        return array;
    }
    const SharedPool::Place place = pool.receive(sent, Access::copy_on_write);
    py::object held = hold(pool, place);
    py::object array = new_array(of_array(), shape, place.start, fortran, writeable);
    auto* const made = reinterpret_cast<PyArrayObject*>(array.ptr());
    if (static_cast<std::size_t>(PyArray_NBYTES(made)) > place.bytes)
        throw BadArgument{"this message is damaged: its array does not fit into its block"};
    if (PyArray_SetBaseObject(made, held.release().ptr()) != 0) throw py::error_already_set{};
    return array;
}

py::tuple copies(const SharedPool& pool) {
    const auto [arrays, bytes] = pool.copies();
    return message_tuple("KK", static_cast<unsigned long long>(arrays),
                         static_cast<unsigned long long>(bytes));
}

}  // namespace

void add_copies(SharedPoolClass& pool) {
    pool.def("_send_copy", &send_copy, py::arg("array"), py::pos_only())
        .def("_receive_copy", &receive_copy, py::arg("index"), py::arg("serial"), py::arg("block"),
             py::arg("shape"), py::arg("dtype"), py::arg("fortran"), py::arg("writeable"),
             py::pos_only())
        .def(
            "_take_back",
            [](SharedPool& self, std::uint32_t index, std::uint32_t serial, std::uint64_t block) {
                self.take_back({index, serial, block});
            },
            py::arg("index"), py::arg("serial"), py::arg("block"), py::pos_only())
        .def("_copies", &copies);
}

}  // namespace numpool::bindings
