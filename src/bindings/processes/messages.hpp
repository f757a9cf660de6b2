#pragma once

#include <string>
#include <vector>

#include "bindings/processes/python_shared_pool.hpp"
#include "bindings/python/numpy_api.hpp"

/// What the Python package sends to other processes, and makes of what it receives.
namespace numpool::bindings {

using SharedPoolClass =
    py::class_<processes::SharedPool, threads::Pool, threads::PoolHandle<processes::SharedPool>>;

/// Where Python has no memory, pybind11's own tuples crash.
template <class... Items>
py::tuple message_tuple(const char* format, Items... items) {
    PyObject* const made = Py_BuildValue(("(" + std::string{format} + ")").c_str(), items...);
    if (made == nullptr) throw py::error_already_set{};
    return py::reinterpret_steal<py::tuple>(made);
}

/// A capsule that holds a received block.
py::object hold(processes::SharedPool& pool, const processes::SharedPool::Place& place);

/// An array at `offset` in the memory from `start` on. It holds `owner`, which keeps that memory.
py::object array_at(const py::object& owner, std::uintptr_t start, std::size_t bytes,
                    npy_intp offset, const std::vector<npy_intp>& shape,
                    const std::vector<npy_intp>& strides, const py::object& dtype, bool writeable);

/// `_send` and `_receive`: the receiver gets the sender's memory.
void add_messages(SharedPoolClass& pool);

/// `_send_copy`, `_receive_copy`, `_take_back` and `_copies`: the receiver gets a copy.
void add_copies(SharedPoolClass& pool);

}  // namespace numpool::bindings
