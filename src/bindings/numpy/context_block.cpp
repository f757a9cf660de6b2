#include "bindings/numpy/context_block.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_pool.hpp"

namespace numpool::bindings {
namespace {

struct Block {
    /// The content of the block that runs, or of the last one; empty before the first.
    py::object content;
    /// A `_Context`; empty while no block runs.
    py::object context;
};

Block& block_in(PyObject* self) {
    return py::handle{self}.cast<Block&>();
}

std::string text_of(PyObject* self) {
    return py::repr(self).cast<std::string>();
}

PyObject* enter(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [self] {
        const auto refuse_second = [self] {
            if (block_in(self).context) {
                throw std::runtime_error{text_of(self) +
                                         " runs already: end its block first, or "
                                         "make another one"};
            }
        };
        refuse_second();
        const py::object made = py::handle{self}.attr("_make")();
        auto& content = made.cast<BlockContent&>();
        const py::object type = py::module_::import("numpool._core").attr("_Context");
        py::object context = type(content.handler(), py::none{});
        refuse_second();  // `_make` may have begun this very block.
        content.begin();
        const auto entered = py::reinterpret_steal<py::object>(
            PyObject_CallMethod(context.ptr(), "__enter__", nullptr));
        if (!entered) {
            content.end();
            throw py::error_already_set{};
        }
        Block& block = block_in(self);
        block.content = made;
        block.context = std::move(context);
        return Py_NewRef(self);
    });
}

/// Adds the last refusal to a MemoryError that leaves the block.
void name_refusal(BlockContent& content, PyObject* error) {
    const std::string refused = content.take_refusal();
    if (error != nullptr && error != Py_None && !refused.empty())
        in_realtime_module("name_miss")(py::handle{error}, refused);
}

PyObject* exit(PyObject* self, PyObject* const* exception, Py_ssize_t count) {
    return guarded<PyObject*>(nullptr, [&] {
        Block& block = block_in(self);
        if (!block.context)
            throw std::runtime_error{text_of(self) + " does not run: its block has ended"};
        const py::object content = block.content;
        const py::object exit = block.context.attr("__exit__");
        block.context = {};
        const auto left = py::reinterpret_steal<py::object>(
            PyObject_Vectorcall(exit.ptr(), exception, static_cast<std::size_t>(count), nullptr));
        auto& ended = content.cast<BlockContent&>();
        ended.end();
        if (!left) throw py::error_already_set{};
        name_refusal(ended, count > 1 ? exception[1] : nullptr);
        return Py_NewRef(Py_None);
    });
}

}  // namespace

py::object in_realtime_module(const char* name) {
    return py::module_::import("numpool._realtime").attr(name);
}

py::object make_block_class() {
    py::class_<BlockContent>{py::handle{}, "_BlockContent", own_layout()};
    py::class_<Block> type{py::handle{}, "_Block", own_layout(),
                           "A block in which NumPy allocates in another way."};
    type.attr("__module__") = "numpool._core";
    type.def(py::init<>(), "__init__(self)\n--\n\n")
        .def_property_readonly(
            "_content",
            [](const Block& self) { return self.content ? self.content : py::object{py::none{}}; })
        .def_property_readonly("_runs",
                               [](const Block& self) { return static_cast<bool>(self.context); });
    static std::array methods{
        PyMethodDef{"__enter__", &enter, METH_NOARGS,
                    "__enter__($self, /)\n--\n\nBegin, and return self."},
        PyMethodDef{"__exit__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&exit)),
                    METH_FASTCALL,
                    "__exit__($self, /, *exc_info)\n--\n\nRestore what was there before."},
    };
    add_methods(type, methods);
    return type;
}

}  // namespace numpool::bindings
