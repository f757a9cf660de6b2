#include <pybind11/stl.h>

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/processes/messages.hpp"
#include "bindings/processes/python_shared_pool.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/parameters.hpp"

namespace numpool::bindings {
namespace {

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

threads::PoolHandle<SharedPool> attach(int fd, const std::string& name, bool for_copies) {
    return SharedPool::attach(fd, name, for_copies);
}

py::bytes id(const SharedPool& pool) {
    const auto words = pool.id();
    return {reinterpret_cast<const char*>(words.data()), sizeof words};
}

py::list members(const SharedPool& pool) {
    py::list all;
    for (const processes::ProcessFigures& one : pool.region_figures().processes) {
        all.append(message_tuple("INnn", one.pid, PyBool_FromLong(one.alive),
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
        .def("__repr__", &repr)
        .def("__reduce__", &refuse_to_pickle);
    AnySize<BlockAccess<SharedPool>>::add_to(pool);
    add_array_methods<SharedPool>(pool);
    add_messages(pool);
    add_copies(pool);
    module.def("_attach_shared_pool", &attach, py::arg("fd"), py::arg("name"),
               py::arg("for_copies"), py::pos_only());
    module.def("_array_at", &array_at, py::arg("owner"), py::arg("start"), py::arg("nbytes"),
               py::arg("offset"), py::arg("shape"), py::arg("strides"), py::arg("dtype"),
               py::arg("writeable"), py::pos_only());
}

}  // namespace numpool::bindings
