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
#include "bindings/sources/sources.hpp"

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

/// Pages of a file are not moved, and are not huge. Unused ones would be written to the disk, so
/// they go back at once.
void fit_to_file(SpanBankOptions& options, bool without_cache) {
    options.huge_pages = false;
    options.moving = nullptr;
    if (without_cache) options.cached_limit = 0;
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
    const auto file = to_file_source(given("source"));
    if (file) fit_to_file(options.spans, cache.is_none());
    const auto checks = to_slab_checks(given("checks"), options.wipe);
    auto pool = SharedSlabPool::create(options, file.value_or(pages::range_pages()));
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
        return text + "closed, " + count_to_text(figures.blocks, "block") + " still in use>";
    }
    text += count_to_text(figures.blocks, "block") + ", " + size_to_text(figures.in_use);
    if (figures.limit != PoolFigures::no_limit) text += " of " + size_to_text(figures.limit);
    return text + " in use, " + size_to_text(figures.cached) + " cached>";
}

constexpr const char* doc =
    R"(SlabPool(*, limit=None, cache=None, huge_pages=True, decay=1.0, background=False, wipe=False, classes=None, name="", checks=None, source=None)
--

Blocks of any size, in constant time.

Each thread has a cache of small blocks, which it uses without a lock. Large blocks are whole pages,
and the pool caches them, too. Free memory merges with its free neighbours, and its pages can move to
other addresses, so it serves any request that is not larger than all of it. Any thread may use the
pool, and may release blocks of other threads.

limit       the most bytes that may be in use, an int or a text like "2GiB" or "50%"; a request beyond
            it raises PoolExhausted. Under use() or install() NumPy then raises MemoryError, unless
            the call names a fallback: a pool that serves requests that this one refuses
cache       the most free bytes that the pool keeps, by default a quarter of the memory this process
            may use
huge_pages  True asks for huge pages in blocks of 2 MiB and more, and in smaller ones once 128 MiB are
            in use. "all" asks for them in all blocks from the start: faster for many small blocks,
            and up to 2 MiB more memory
decay       unused pages go back to the system after so many seconds, when the pool is next used
background  use a thread for this, so that an idle process gives memory back, too
wipe        zero each block when it is released, so that acquired blocks hold zeroes
classes     other block sizes for small blocks than the usual ones
name        shown in errors and reprs
checks      True finds memory bugs of the code that uses the blocks, and raises CorruptionError;
            "abort" aborts the process instead. "guard" also finds reads, by pages around a part
            of the blocks that cannot be accessed. None uses NUMPOOL_CHECKS. See "Find memory
            bugs"
source      Pages(file=folder) keeps the blocks in a file; None has them in memory. A pool in a file
            uses no huge pages, moves no pages, and by default caches none)";

}  // namespace

void register_slab_pool(py::module_& module) {
    SlabPoolClass pool{module, "SlabPool", own_layout(), doc};
    define_init(pool, doc, &create);
    pool.def(
            "reallocate", &reallocate<SharedSlabPool>, py::arg("buffer"), py::arg("nbytes"),
            py::pos_only(),
            "reallocate(self, buffer, nbytes, /)\n--\n\n"
            "A buffer of another size with the contents of this one, up to the smaller size; this "
            "one is released. Large blocks, and those that have grown to 16 KiB, grow in place or "
            "by moving their pages, without a copy. While a view of the buffer lives, or if memory "
            "is refused, this raises, and the buffer stays as it was.")
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
