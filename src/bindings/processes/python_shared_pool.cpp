#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/processes/python_shared_pool.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/numpy_api.hpp"
#include "bindings/python/parameters.hpp"

namespace numpool::bindings {
namespace {

using processes::Sent;
using processes::SharedPool;
using processes::SharedPoolOptions;

py::module_ shared_module() {
    return py::module_::import("numpool._shared");
}

threads::PoolHandle<SharedPool> create(const Given& given) {
    SharedPoolOptions options;
    options.capacity = to_size(given("capacity"), "capacity");
    options.wipe = given.flag("wipe", false);
    options.name = to_name(given("name", ""));
    // From now on multiprocessing sends this pool's arrays as messages.
    shared_module();
    return SharedPool::create(options);
}

threads::PoolHandle<SharedPool> attach(int fd, const std::string& name) {
    return SharedPool::attach(fd, name);
}

py::bytes id(const SharedPool& pool) {
    const auto words = pool.id();
    return {reinterpret_cast<const char*>(words.data()), sizeof words};
}

/// Where Python has no memory, pybind11's own tuples crash.
template <class... Items>
py::tuple tuple_of(const char* format, Items... items) {
    PyObject* const made = Py_BuildValue(("(" + std::string{format} + ")").c_str(), items...);
    if (made == nullptr) throw py::error_already_set{};
    return py::reinterpret_steal<py::tuple>(made);
}

py::tuple send(SharedPool& pool, const py::object& array) {
    const std::byte* const at = address_in(array, "_send");
    const Sent sent = pool.send(at);
    return tuple_of("IIKn", sent.index, sent.serial, static_cast<unsigned long long>(sent.block),
                    static_cast<Py_ssize_t>(at - pool.place_of(at)->start));
}

/// Releases a received block when its capsule has gone.
void end_use(PyObject* capsule) {
    auto* const start = static_cast<std::byte*>(PyCapsule_GetPointer(capsule, nullptr));
    auto* const pool = static_cast<SharedPool*>(PyCapsule_GetContext(capsule));
    const threads::PoolHandle<SharedPool> kept{pool};
    pool->release(start);
    pool->drop_handle();
}

/// A capsule that holds the received block, the block's address, and its bytes.
py::tuple receive(SharedPool& pool, std::uint32_t index, std::uint32_t serial, std::uint64_t block,
                  bool read_only) {
    const SharedPool::Place place = pool.receive({index, serial, block}, read_only);
    PyObject* const capsule = PyCapsule_New(place.start, nullptr, nullptr);
    if (capsule == nullptr) {
        pool.release(place.start);
        throw py::error_already_set{};
    }
    pool.add_handle();
    PyCapsule_SetContext(capsule, &pool);
    PyCapsule_SetDestructor(capsule, end_use);
    return tuple_of("NKn", capsule,
                    static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(place.start)),
                    static_cast<Py_ssize_t>(place.bytes));
}

/// An array at `offset` in the memory from `start` on. It holds `owner`, which keeps that memory.
py::object array_at(const py::object& owner, std::uintptr_t start, std::size_t bytes,
                    npy_intp offset, const std::vector<npy_intp>& shape,
                    const std::vector<npy_intp>& strides, const py::object& dtype, bool writeable) {
    require_numpy();
    PyArray_Descr* descr = nullptr;
    if (PyArray_DescrConverter(dtype.ptr(), &descr) != NPY_SUCCEED) throw py::error_already_set{};
    const auto size = static_cast<npy_intp>(PyDataType_ELSIZE(descr));
    const auto dimensions = static_cast<int>(shape.size());
    if (strides.size() != shape.size() ||
        !PyArray_CheckStrides(static_cast<int>(size), dimensions, static_cast<npy_intp>(bytes),
                              offset, shape.data(), strides.data())) {
        Py_DECREF(descr);
        throw BadArgument{"this message is damaged: its array does not fit into its block"};
    }
    PyObject* const made = PyArray_NewFromDescr(
        &PyArray_Type, descr, dimensions, shape.data(), strides.data(),
        reinterpret_cast<std::byte*>(start) + offset, writeable ? NPY_ARRAY_WRITEABLE : 0, nullptr);
    if (made == nullptr) throw py::error_already_set{};
    auto array = py::reinterpret_steal<py::object>(made);
    if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(made), owner.inc_ref().ptr()) != 0) {
        throw py::error_already_set{};
    }
    return array;
}

py::list members(const SharedPool& pool) {
    py::list all;
    for (const processes::ProcessFigures& one : pool.region_figures().processes) {
        all.append(tuple_of("INnn", one.pid, PyBool_FromLong(one.alive),
                            static_cast<Py_ssize_t>(one.blocks),
                            static_cast<Py_ssize_t>(one.bytes)));
    }
    return all;
}

std::string repr(const SharedPool& pool) {
    const processes::RegionFigures figures = pool.region_figures();
    return "<" + pool.title() + ": " + count_to_text(figures.blocks, "block") + ", " +
           size_to_text(figures.in_use) + " of " + size_to_text(pool.capacity()) + " in use" +
           (pool.closed() ? ", closed>" : ">");
}

[[noreturn]] void refuse_to_pickle(const py::object&) {
    throw py::type_error{
        "cannot pickle or copy a SharedPool: pass it to another process as an argument or through "
        "a queue of multiprocessing, or use listen() and SharedPool.connect()"};
}

constexpr const char* doc =
    R"(SharedPool(capacity, *, wipe=False, name="")
--

Blocks and arrays of any size in memory that processes share.

An array of this pool that is sent to another process, through a multiprocessing queue, pipe, pool or
process, or a ProcessPoolExecutor, arrives as the same memory: nothing is copied, and each process sees
what the other writes. Make it read-only first (``a.flags.writeable = False``) and the receiver cannot
write to it. Ordinary pickling, to a file say, still copies.

A block lives while any process can reach it, or a message that leads to it is on its way. If a process
is killed, no memory is lost: what it held goes back when a request needs memory, or in reap().
The memory has no name and no file; it ends with the last process that uses it. At most 45 processes
use one pool at a time.

capacity  the bytes of all processes together, an int or a text like "4GiB"; no memory is taken ahead
wipe      zero a block when no process holds it any more
name      shown in errors and reprs)";

}  // namespace

void register_shared_pool(py::module_& module) {
    py::class_<SharedPool, threads::Pool, threads::PoolHandle<SharedPool>> pool{
        module, "SharedPool", own_layout(), doc};
    define_init(pool, doc, &create);
    pool.def_property_readonly("capacity", number<SharedPool>(&SharedPool::capacity),
                               "The bytes of all processes together.")
        .def(
            "reap",
            [](SharedPool& self, double older_than) {
                if (!(older_than >= 0)) {
                    throw BadArgument{"older_than must be 0 seconds or more"};
                }
                constexpr double a_century = 3.2e9;
                const auto milliseconds =
                    static_cast<std::uint64_t>(std::min(older_than, a_century) * 1000);
                return py::int_{without_gil([&] { return self.reap(milliseconds); })};
            },
            py::kw_only(), py::arg("older_than") = 60.0,
            "reap(self, *, older_than=60.0)\n--\n\n"
            "Give back what ended processes held, and what they sent more than older_than seconds "
            "ago and no process received. Return the bytes of memory that became free. Requests do "
            "this, too, when they find no memory.")
        .def(
            "stats", [](const SharedPool& self) { return stats_from(self.figures()); },
            "stats(self)\n--\n\nThe figures of all processes at this moment, as a PoolStats.")
        .def(
            "share",
            [](const py::object& self, const py::object& array) {
                return shared_module().attr("share")(self, array);
            },
            py::arg("array"), py::pos_only(),
            "share(self, array, /)\n--\n\n"
            "Copy an array, or what NumPy makes one of, into the pool, and return the copy. "
            "Raises TypeError for arrays of Python objects.")
        .def(
            "processes",
            [](const py::object& self) { return shared_module().attr("processes")(self); },
            "processes(self)\n--\n\n"
            "What each process that uses the pool holds, as a list of ProcessShare.")
        .def(
            "listen",
            [](const py::object& self, const py::object& path) {
                return shared_module().attr("listen")(self, path);
            },
            py::arg("path"), py::pos_only(),
            "listen(self, path, /)\n--\n\n"
            "Let unrelated processes of the same user join the pool through a UNIX socket at this "
            "path, which must not exist yet. Close what this returns, or use it in a with block.")
        .def_static(
            "connect",
            [](const py::object& path, const py::object& name) {
                return shared_module().attr("connect")(path, py::arg("name") = name);
            },
            py::arg("path"), py::pos_only(), py::kw_only(), py::arg("name") = "",
            "connect(path, /, *, name=\"\")\n--\n\n"
            "Join the pool of a process that called listen() with this path. Raises "
            "PoolError if no process listens, or if the pool belongs to another user.")
        .def("_members", &members)
        .def_property_readonly("_fd", &SharedPool::fd)
        .def_property_readonly("_id", &id)
        .def("_send", &send, py::arg("array"), py::pos_only())
        .def("_receive", &receive, py::arg("index"), py::arg("serial"), py::arg("block"),
             py::arg("read_only"), py::pos_only())
        .def("__repr__", &repr)
        .def("__reduce__", &refuse_to_pickle);
    AnySize<BlockAccess<SharedPool>>::add_to(pool);
    add_array_methods<SharedPool>(pool);
    module.def("_attach_shared_pool", &attach, py::arg("fd"), py::arg("name"), py::pos_only());
    module.def("_array_at", &array_at, py::arg("owner"), py::arg("start"), py::arg("nbytes"),
               py::arg("offset"), py::arg("shape"), py::arg("strides"), py::arg("dtype"),
               py::arg("writeable"), py::pos_only());
}

}  // namespace numpool::bindings
