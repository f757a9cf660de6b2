#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/pools/python_slab_pool.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {
namespace {

using pools::ClassFigures;
using pools::SpanBankOptions;
using threads::PoolFigures;
using threads::SharedSlabPool;

std::size_t to_milliseconds(const py::object& decay) {
    constexpr double a_century = 3.2e9;
    const double seconds = PyFloat_AsDouble(decay.ptr());
    if (seconds == -1 && PyErr_Occurred() != nullptr) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw py::error_already_set{};
        PyErr_Clear();
        throw py::type_error{std::string{"decay must be a number of seconds, not "} +
                             Py_TYPE(decay.ptr())->tp_name};
    }
    if (std::isnan(seconds) || seconds < 0) {
        throw BadArgument{"decay is " + std::to_string(seconds) +
                          ": give the seconds that unused pages are kept, from 0 on"};
    }
    return static_cast<std::size_t>(std::min(seconds, a_century) * 1000);
}

std::vector<std::size_t> to_classes(const py::object& classes) {
    std::vector<std::size_t> sizes;
    if (classes.is_none()) return sizes;
    if (!py::isinstance<py::iterable>(classes)) {
        throw py::type_error{std::string{"classes must be block sizes or None, not "} +
                             Py_TYPE(classes.ptr())->tp_name};
    }
    for (const py::handle size : classes) sizes.push_back(to_size(size, "a size in classes"));
    if (sizes.empty()) throw BadArgument{"classes is empty: name at least one block size, or None"};
    return sizes;
}

void set_huge_pages(pools::SpanBankOptions& options, const py::object& wanted) {
    if (PyBool_Check(wanted.ptr())) {
        options.huge_pages = wanted.is(py::bool_{true});
    } else if (py::isinstance<py::str>(wanted) && wanted.equal(py::str{"all"})) {
        options.small_huge_from = 0;
    } else {
        throw BadArgument{"huge_pages is " + std::string{py::repr(wanted)} +
                          ": it must be True (for blocks of 2 MiB and more), False or 'all' (for "
                          "small ones too)"};
    }
}

std::optional<CheckedBlocksOptions> to_slab_checks(const py::object& given, bool wipe) {
    auto checks = to_checks(given);
    if (checks && wipe) checks->contents = CheckedBlocksOptions::Contents::zeroed;
    return checks;
}

threads::PoolHandle<SharedSlabPool> create(const Given& given) {
    const py::object limit = given("limit");
    const py::object cache = given("cache");
    threads::SharedSlabPoolOptions options;
    if (!limit.is_none()) {
        options.spans.limit = to_size(limit, "limit");
        if (options.spans.limit == 0) {
            throw BadArgument{"limit is 0: a pool needs at least a byte, or None for no limit"};
        }
    }
    if (!cache.is_none()) options.spans.cached_limit = to_size(cache, "cache");
    set_huge_pages(options.spans, given("huge_pages", py::bool_{true}));
    options.spans.decay_milliseconds = to_milliseconds(given("decay", py::float_{1.0}));
    options.background = given.flag("background", false);
    options.wipe = given.flag("wipe", false);
    options.classes = to_classes(given("classes"));
    options.name = to_name(given("name", ""));
    const auto checks = to_slab_checks(given("checks"), options.wipe);
    auto pool = SharedSlabPool::create(options);
    if (checks) add_checks(*pool, *checks);
    return pool;
}

py::object stats(const SharedSlabPool& pool) {
    const pools::SlabPoolFigures figures = pool.class_figures();
    py::list classes;
    for (const ClassFigures& one : figures.classes) {
        if (one.requests != 0) classes.append(class_stats(one));
    }
    return stats_from(figures_of(pool), py::tuple{classes}, class_stats(figures.spans));
}

std::string repr(const SharedSlabPool& pool) {
    const PoolFigures figures = figures_of(pool);
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

constexpr const char* doc =
    R"(SlabPool(*, limit=None, cache=None, huge_pages=True, decay=1.0, background=False, wipe=False, classes=None, name="", checks=None)
--

Blocks of any size, in constant time.

Small blocks come from slabs of their size class, through a magazine of each thread; large ones are
spans of pages that are cached. They merge with free neighbours, and their pages move, when another
request needs them: free memory serves any request that is no larger. Any thread may
use the pool, and release what another acquired.

limit       the most bytes that may be in use, an int or a text like "2GiB" or "50%"; a request beyond
            it raises PoolExhausted. NumPy, under use() or install(), raises MemoryError then, unless
            the call names a fallback: a pool that serves what this one refuses
cache       the most bytes that may be kept for later, by default a quarter of the memory this process
            may use
huge_pages  ask for huge pages in blocks of 2 MiB and more, and for smaller ones once 128 MiB are in
            use; "all" asks for them at once: faster where many small blocks are in use, for up to
            2 MiB of memory more
decay       unused pages go back to the system after so many seconds, when the pool is next used
background  have a thread look after that, so that an idle process gives back, too
wipe        zero each block when it comes back; acquired blocks then always hold zeroes
classes     the block sizes to serve from slabs, if not the usual ones
name        shown in errors and reprs
checks      True finds memory bugs of those who use the blocks, and raises CorruptionError; "abort" ends
            the process instead. By default NUMPOOL_CHECKS says so; see "Find memory bugs")";

}  // namespace

void register_slab_pool(py::module_& module) {
    SlabPoolClass pool{module, "SlabPool", own_layout(), doc};
    pool.attr("__module__") = "numpool";
    define_init(pool, doc, &create);
    pool.def(
            "reallocate", &reallocate<SharedSlabPool>, py::arg("buffer"), py::arg("nbytes"),
            py::pos_only(),
            "reallocate(self, buffer, nbytes, /)\n--\n\n"
            "A buffer of another size with the contents of this one, as far as both reach; this "
            "one is "
            "released. Large blocks, and those that have grown to 16 KiB, grow in place or by "
            "moving their pages, without a copy. "
            "Raises, "
            "and leaves the buffer as it was, while a view of it lives or where memory is refused.")
        .def("stats", &stats,
             "stats(self)\n--\n\n"
             "The pool's figures at this moment, as a PoolStats, by size class too.")
        .def_property_readonly(
            "classes",
            [](const SharedSlabPool& self) {
                py::list sizes;
                for (std::size_t i = 0; i < self.classes().count(); ++i)
                    sizes.append(py::int_{self.classes().size(i)});
                return py::tuple{sizes};
            },
            "The block sizes that are served from slabs.")
        .def("__repr__", &repr);
    add_acquire_methods_of<SharedSlabPool>(pool);
    add_array_methods<threads::SharedSlabPool>(pool);
}

}  // namespace numpool::bindings
