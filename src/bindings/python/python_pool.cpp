#include "bindings/python/python_pool.hpp"

#include "base/error.hpp"
#include "bindings/python/checks.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/numpy_api.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {

using threads::Pool;
using threads::PoolFigures;
using threads::PoolHandle;

py::object object_of(Pool* pool) {
    if (pool == nullptr) return py::none{};
    // pybind11 still knows an object that is being destroyed. It must not get a new reference.
    const py::detail::type_info* const type = py::detail::get_type_info(typeid(*pool));
    const py::handle known =
        type == nullptr ? py::handle{}
                        : py::detail::get_object_handle(dynamic_cast<const void*>(pool), type);
    if (known && Py_REFCNT(known.ptr()) == 0) {
        throw Closed{pool->title() + ": its Python object is being destroyed"};
    }
    return py::cast(pool, py::return_value_policy::take_ownership);
}

py::object stats_from(const PoolFigures& figures, const py::object& classes,
                      const py::object& spans) {
    using namespace py::literals;
    const py::object limit =
        figures.limit == PoolFigures::no_limit ? py::none{} : py::object{py::int_{figures.limit}};
    return py::module_::import("numpool._stats")
        .attr("PoolStats")(
            "live_bytes"_a = py::int_{figures.requested}, "in_use"_a = py::int_{figures.in_use},
            "peak"_a = py::int_{figures.peak}, "cached"_a = py::int_{figures.cached},
            "committed"_a = py::int_{figures.committed},
            "peak_committed"_a = py::int_{figures.peak_committed},
            "mapped"_a = py::int_{figures.mapped}, "limit"_a = limit,
            "blocks"_a = py::int_{figures.blocks}, "total_blocks"_a = py::int_{figures.requests},
            "total_bytes"_a = py::int_{figures.asked}, "reused"_a = py::int_{figures.hits},
            "growths"_a = py::int_{figures.growths}, "waits"_a = py::int_{figures.waits},
            "failures"_a = py::int_{figures.failures}, "classes"_a = classes, "spans"_a = spans,
            "in_file"_a = py::int_{figures.in_file});
}

py::object class_stats(const pools::ClassFigures& figures) {
    using namespace py::literals;
    return py::module_::import("numpool._stats")
        .attr("ClassStats")(
            "block_size"_a = py::int_{figures.block_size},
            "live_bytes"_a = py::int_{figures.requested}, "in_use"_a = py::int_{figures.in_use},
            "cached"_a = py::int_{figures.cached}, "committed"_a = py::int_{figures.committed},
            "mapped"_a = py::int_{figures.mapped}, "blocks"_a = py::int_{figures.blocks},
            "total_blocks"_a = py::int_{figures.requests},
            "total_bytes"_a = py::int_{figures.asked}, "reused"_a = py::int_{figures.hits});
}

void add_methods(py::handle type, std::span<PyMethodDef> methods) {
    for (PyMethodDef& method : methods) {
        const auto descriptor = py::reinterpret_steal<py::object>(
            PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &method));
        if (!descriptor) throw py::error_already_set{};
        type.attr(method.ml_name) = descriptor;
    }
}

std::string to_name(const py::object& name) {
    if (!py::isinstance<py::str>(name)) {
        throw py::type_error{std::string{"name must be a str, not "} +
                             Py_TYPE(name.ptr())->tp_name};
    }
    const std::string text = to_text(name);
    if (text.find('\0') != std::string::npos) {
        throw BadArgument{"name holds a NUL character, which would end it where it is shown"};
    }
    return text;
}

const std::byte* address_in(const py::object& subject, const char* function) {
    if (PyIndex_Check(subject.ptr()) && !PyObject_CheckBuffer(subject.ptr())) {
        return reinterpret_cast<const std::byte*>(to_count(subject, "address"));
    }
    // NumPy's own attribute crashes where Python has no memory.
    if (PyArray_API != nullptr && PyArray_Check(subject.ptr())) {
        return static_cast<const std::byte*>(
            PyArray_DATA(reinterpret_cast<PyArrayObject*>(subject.ptr())));
    }
    // Arrays of some dtypes (dates, for one) export no buffer, but all tell their address.
    const py::object interface = py::getattr(subject, "__array_interface__", py::none());
    if (py::isinstance<py::dict>(interface)) {
        const auto data = interface["data"].cast<py::tuple>();
        return reinterpret_cast<const std::byte*>(to_count(data[0], "address"));
    }
    if (!PyObject_CheckBuffer(subject.ptr())) {
        throw py::type_error{std::string{function} +
                             "() takes a buffer, an array, a memoryview or an address, not " +
                             Py_TYPE(subject.ptr())->tp_name};
    }
    Py_buffer view{};
    if (PyObject_GetBuffer(subject.ptr(), &view, PyBUF_FULL_RO) != 0) throw py::error_already_set{};
    const auto* const address = static_cast<const std::byte*>(view.buf);
    PyBuffer_Release(&view);
    return address;
}

void require_undrawn(const Pool& pool) {
    const std::size_t pools = pool.drawing_pools();
    if (pools == 0 || pool.closed()) return;
    throw InUse{pool.title() + ": " + std::to_string(pools) +
                (pools == 1 ? " pool draws on it: close that one first"
                            : " pools draw on it: close those first")};
}

void register_pool(py::module_& module) {
    py::class_<Pool, PoolHandle<Pool>> pool{module, "Pool", R"(Pool(*args, **kwargs)
--

What all pools have in common.

A pool may be used by any thread. Its memory lives as long as anyone can reach it: the pool
object, a buffer, a view or an array.)"};
    refuse_init(
        pool,
        "Pool is what all pools have in common: make one of its kinds, a FixedPool, SlabPool, "
        "BuddyPool, Arena, HandlePool, ReservePool or SharedPool");
    pool.def_property_readonly("name", &Pool::name,
                               "The name that errors and reprs show; may be empty.")
        .def_property_readonly("closed", &Pool::closed, "Whether close() was called.")
        .def(
            "owns",
            [](const Pool& self, const py::object& x) {
                return threads::is_in_pool_or_layer(self, address_in(x, "owns"));
            },
            py::arg("x"), py::pos_only(),
            "owns(self, x, /)\n--\n\n"
            "Whether x lies in this pool's memory: a buffer, an array or another exporter of "
            "bytes, or "
            "an address. Views count as the memory they show.")
        .def(
            "stats", [](const Pool& self) { return stats_from(figures_of(self)); },
            "stats(self)\n--\n\n"
            "The pool's figures at this moment, as a PoolStats.")
        .def(
            "check",
            [](const Pool& self) {
                without_gil([&] {
                    if (CheckedBlocks* const checks = checks_of(self)) checks->check();
                    self.check();
                });
            },
            "check(self)\n--\n\n"
            "Check all records of the pool. Raise PoolError, which says what is broken, if "
            "anything is. With checks, raise CorruptionError if a block is damaged.")
        .def(
            "live", &live_blocks,
            "live(self)\n--\n\n"
            "The blocks in use, the oldest first: a list of LiveBlock, each with its size, its age "
            "and\nthe line that acquired it. A pool without checks raises ValueError.")
        .def(
            "trim",
            [](Pool& self) {
                return py::int_{without_gil([&] {
                    if (CheckedBlocks* const checks = checks_of(self)) checks->empty_quarantine();
                    return self.trim();
                })};
            },
            "trim(self)\n--\n\n"
            "Give back to the system all pages that no live block needs, and return how many "
            "bytes.")
        .def_property_readonly(
            "used_bytes", [](const Pool& self) { return py::int_{figures_of(self).in_use}; },
            "The bytes of live blocks, as the pool rounds them: stats().in_use.")
        .def_property_readonly(
            "peak_bytes", [](const Pool& self) { return py::int_{figures_of(self).peak}; },
            "The most that used_bytes has been, since the start or since reset_peak().")
        .def(
            "reset_peak", [](Pool& self) { without_gil([&] { self.reset_peak(); }); },
            "reset_peak(self)\n--\n\nStart peak_bytes and stats().peak_committed again from what "
            "is in use now.")
        .def(
            "summary",
            [](const py::object& self) {
                return py::module_::import("numpool._summary").attr("text_of")(self);
            },
            "summary(self)\n--\n\nThe pool's figures as a table to print. For programs there is "
            "stats().")
        .def(
            "_repr_html_",
            [](const py::object& self) {
                return py::module_::import("numpool._summary").attr("html_of")(self);
            },
            "_repr_html_(self)\n--\n\nThe summary for a notebook.")
        .def(
            "close",
            [](Pool& self) {
                require_undrawn(self);
                without_gil([&] { self.close(); });
            },
            "close(self)\n--\n\n"
            "Take no more requests: they raise PoolClosed, and so do those that wait. Live buffers "
            "stay valid, and the memory goes back with the last of them. Closing again does "
            "nothing. Raises BufferError, and closes nothing, while another pool draws on this "
            "one.")
        .def(
            "__enter__", [](const py::object& self) { return self; },
            "__enter__(self)\n--\n\n"
            "The pool itself.")
        .def(
            "__exit__",
            [](Pool& self, const py::args& exc_info) {
                // An exception of the block is passed on. Pools that draw on this one keep theirs.
                const bool failing = exc_info.size() > 0 && !exc_info[0].is_none();
                if (!failing) require_undrawn(self);
                without_gil([&] { self.close(); });
            },
            "__exit__(self, *exc_info)\n--\n\n"
            "Close the pool. An exception of the with block is passed on.");
}

}  // namespace numpool::bindings
