/// What numpool/_item.py and numpool/_objects.py, the pools of built objects, need of C.

#include <atomic>

#include "bindings/python/classes.hpp"
#include "bindings/python/initialised.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {

/// A number that any thread may increment. It has no lock, so a fork needs no care.
struct Count {
    std::atomic<std::size_t> value = 0;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::Count)

namespace numpool::bindings {

void register_references(py::module_& module) {
    // sys.getrefcount counts its own references, too, and how many differs by version.
    module.def(
        "_references",
        [](const py::tuple& holder) {
            if (holder.empty()) throw py::index_error{"the tuple is empty: it has no first item"};
            return Py_REFCNT(PyTuple_GET_ITEM(holder.ptr(), 0));
        },
        py::arg("holder"), py::pos_only(),
        "_references(holder, /)\n--\n\n"
        "How many references there are to a tuple's first item, that of the tuple included.");
    py::class_<Count>(module, "_Count", py::is_final(), own_layout(),
                      "A number that threads count up together.")
        .def(py::init<>())
        .def(
            "add", [](Count& self) { ++self.value; }, "add(self)\n--\n\n")
        .def("__index__", [](const Count& self) { return self.value.load(); });
}

}  // namespace numpool::bindings
