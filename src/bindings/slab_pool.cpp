#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"
#include "bindings/buffer.hpp"
#include "bindings/errors.hpp"
#include "bindings/free_threading.hpp"
#include "bindings/sizes.hpp"
#include "bindings/slab_pool.hpp"

namespace numpool::bindings {
namespace {

using pools::ClassFigures;
using pools::SpanBankOptions;
using threads::PoolFigures;
using threads::SharedSlabPool;

std::size_t to_milliseconds(double seconds) {
    constexpr double a_century = 3.2e9;
    if (std::isnan(seconds) || seconds < 0) {
        throw BadArgument{"decay is " + std::to_string(seconds) +
                          ": give the seconds that unused pages are kept, from 0 on"};
    }
    return static_cast<std::size_t>(std::min(seconds, a_century) * 1000);
}

std::vector<std::size_t> to_classes(const py::object& classes) {
    std::vector<std::size_t> sizes;
    if (classes.is_none()) return sizes;
    for (const py::handle size : classes) sizes.push_back(to_size(size, "a size in classes"));
    if (sizes.empty()) throw BadArgument{"classes is empty: name at least one block size, or None"};
    return sizes;
}

threads::PoolHandle<SharedSlabPool> create(const py::object& limit, const py::object& cache,
                                           bool huge_pages, double decay, bool background,
                                           bool wipe, const py::object& classes,
                                           const py::object& name) {
    threads::SharedSlabPoolOptions options;
    if (!limit.is_none()) {
        options.spans.limit = to_size(limit, "limit");
        if (options.spans.limit == 0) {
            throw BadArgument{"limit is 0: a pool needs at least a byte, or None for no limit"};
        }
    }
    if (!cache.is_none()) options.spans.cached_limit = to_size(cache, "cache");
    options.spans.huge_pages = huge_pages;
    options.spans.decay_milliseconds = to_milliseconds(decay);
    options.background = background;
    options.wipe = wipe;
    options.classes = to_classes(classes);
    options.name = to_name(name);
    return SharedSlabPool::create(options);
}

PyObject* to_buffer(SharedSlabPool& pool, std::byte* block, std::size_t bytes) {
    Buffer* const buffer = new_buffer({&pool, block, static_cast<Py_ssize_t>(bytes)});
    if (buffer != nullptr) return &buffer->ob_base;
    pool.try_release(block, bytes);
    throw py::error_already_set{};
}

PyObject* acquire(PyObject* self, PyObject* nbytes) {
    return guarded<PyObject*>(nullptr, [&] {
        auto& pool = pool_in<SharedSlabPool>(self);
        const std::size_t bytes = to_size(nbytes, "nbytes");
        return to_buffer(pool, pool.acquire(bytes), bytes);
    });
}

PyObject* try_acquire(PyObject* self, PyObject* nbytes) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        auto& pool = pool_in<SharedSlabPool>(self);
        const std::size_t bytes = to_size(nbytes, "nbytes");
        if (std::byte* const block = pool.try_acquire(bytes)) return to_buffer(pool, block, bytes);
        if (pool.closed()) pool.acquire(bytes);  // Says so.
        Py_RETURN_NONE;
    });
}

py::list acquire_many(SharedSlabPool& pool, const py::object& nbytes, const py::object& n) {
    const std::size_t bytes = to_size(nbytes, "nbytes");
    const std::size_t count = to_count(n, "n");
    // Those acquired so far go back with the list where one is refused.
    py::list buffers;
    for (std::size_t i = 0; i < count; ++i) {
        buffers.append(
            py::reinterpret_steal<py::object>(to_buffer(pool, pool.acquire(bytes), bytes)));
    }
    return buffers;
}

py::object reallocate(SharedSlabPool& pool, const py::object& buffer, const py::object& nbytes) {
    const std::size_t bytes = to_size(nbytes, "nbytes");
    if (!is_buffer(buffer.ptr())) {
        throw py::type_error{std::string{"reallocate() takes a Buffer of this pool, not "} +
                             Py_TYPE(buffer.ptr())->tp_name};
    }
    auto* const old = reinterpret_cast<Buffer*>(buffer.ptr());
    const CriticalSection section{buffer.ptr()};
    if (!can_release(old)) throw py::error_already_set{};
    if (old->holding.owner != &pool) throw BadArgument{"this buffer is not one of " + pool.title()};
    std::byte* const block = pool.reallocate(old->holding.block, bytes);
    return py::reinterpret_steal<py::object>(
        replace_block(old, block, static_cast<Py_ssize_t>(bytes)));
}

py::object stats(const SharedSlabPool& pool) {
    const pools::SlabPoolFigures figures = pool.class_figures();
    py::list classes;
    for (const ClassFigures& one : figures.classes) {
        if (one.requests != 0) classes.append(class_stats(one));
    }
    return stats_from(pool.figures(), py::tuple{classes}, class_stats(figures.spans));
}

std::string repr(const SharedSlabPool& pool) {
    const PoolFigures figures = pool.figures();
    std::string text = "<" + pool.title() + ": ";
    if (pool.closed()) {
        if (figures.blocks == 0) return text + "closed>";
        return text + "closed, " + std::to_string(figures.blocks) +
               (figures.blocks == 1 ? " block still out>" : " blocks still out>");
    }
    text += std::to_string(figures.blocks) + (figures.blocks == 1 ? " block, " : " blocks, ") +
            size_to_text(figures.in_use);
    if (figures.limit != PoolFigures::no_limit) text += " of " + size_to_text(figures.limit);
    return text + " in use, " + size_to_text(figures.cached) + " cached>";
}

PyMethodDef methods[] = {
    {"acquire", acquire, METH_O,
     "acquire($self, nbytes, /)\n--\n\n"
     "A buffer of exactly that many bytes, an int or a text like '64KiB'; none at all is a size "
     "too.\n"
     "Raises PoolExhausted where the limit or the system refuses; nothing has changed then."},
    {"try_acquire", try_acquire, METH_O,
     "try_acquire($self, nbytes, /)\n--\n\nA buffer, or None where acquire() would raise "
     "PoolExhausted."},
};

constexpr const char* doc = R"(Blocks of any size, in constant time.

Small blocks come from slabs of their size class, through a magazine of each thread; large ones are
spans of pages that are cached, merged with free neighbours as soon as they are released, and moved
to where the next one needs them: free memory serves any request that is no larger. Any thread may
use the pool, and release what another acquired.

limit       the most bytes that may be in use, an int or a text like "2GiB" or "50%"; a request beyond
            it raises PoolExhausted
cache       the most bytes that may be kept for later, by default a quarter of the memory this process
            may use
huge_pages  ask for huge pages in blocks of 2 MiB and more
decay       unused pages go back to the system after so many seconds, when the pool is next used
background  have a thread look after that, so that an idle process gives back, too
wipe        zero each block when it comes back; acquired blocks then always hold zeroes
classes     the block sizes to serve from slabs, if not the usual ones
name        shown in errors and reprs)";

}  // namespace

void register_slab_pool(py::module_& module) {
    SlabPoolClass pool{module, "SlabPool", doc};
    pool.attr("__module__") = "numpool";
    pool.def(py::init(&create), py::kw_only(), py::arg("limit") = py::none(),
             py::arg("cache") = py::none(), py::arg("huge_pages") = true, py::arg("decay") = 1.0,
             py::arg("background") = false, py::arg("wipe") = false,
             py::arg("classes") = py::none(), py::arg("name") = "")
        .def("acquire_many", &acquire_many, py::arg("nbytes"), py::arg("n"), py::pos_only(),
             "A list of n buffers of so many bytes each; where one is refused, raise PoolExhausted "
             "and "
             "take none.")
        .def(
            "reallocate", &reallocate, py::arg("buffer"), py::arg("nbytes"), py::pos_only(),
            "A buffer of another size with the contents of this one, as far as both reach; this "
            "one is "
            "released. Large blocks grow in place or by moving their pages, without a copy. "
            "Raises, "
            "and leaves the buffer as it was, while a view of it lives or where memory is refused.")
        .def("stats", &stats,
             "The pool's figures at this moment, as a PoolStats, by size class too.")
        .def_property_readonly(
            "classes",
            [](const SharedSlabPool& self) {
                py::list sizes;
                for (std::size_t i = 0; i < self.classes().count(); ++i)
                    sizes.append(self.classes().size(i));
                return py::tuple{sizes};
            },
            "The block sizes that are served from slabs.")
        .def("__repr__", &repr);
    add_methods(pool, methods);
    add_array_methods(pool);
}

}  // namespace numpool::bindings
