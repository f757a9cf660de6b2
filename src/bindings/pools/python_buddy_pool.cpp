#include "bindings/pools/python_buddy_pool.hpp"

#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/sources/sources.hpp"

namespace numpool::bindings {
namespace {

using threads::OrderFigures;
using threads::PoolFigures;
using threads::SharedBuddyPool;

/// Each block of a checked pool has a fourfold one: as much as itself before it, so that it starts
/// at a multiple of its own size, and room for the fence after it.
constexpr std::size_t checked_scale = 4;
constexpr std::size_t least_checked_block = CheckedBlocks::fence;

std::size_t scale_of(const SharedBuddyPool& pool) noexcept {
    return checks_of(pool) == nullptr ? 1 : checked_scale;
}

threads::PoolHandle<SharedBuddyPool> create(const Given& given) {
    threads::SharedBuddyPoolOptions options;
    options.capacity = to_size(given("capacity"), "capacity");
    options.min_block = to_size(given("min_block", py::int_{4096}), "min_block");
    options.name = to_name(given("name", ""));
    const py::object wanted = given("checks");
    auto checks = to_checks(wanted);
    const auto source = to_source(given("source"), pages::os_pages(), pages::page_size());
    auto pool = SharedBuddyPool::create(options, source);
    if (!checks || (wanted.is_none() && options.min_block < least_checked_block)) return pool;
    if (options.min_block < least_checked_block) {
        throw BadArgument{"min_block is " + std::to_string(options.min_block) +
                          ": a pool with checks needs at least " +
                          std::to_string(least_checked_block)};
    }
    // The user's figures were good.
    pool = {};
    checks->natural = true;
    checks->scale = checked_scale;
    checks->align = options.min_block;
    options.capacity *= checked_scale;
    options.min_block *= checked_scale;
    pool = SharedBuddyPool::create(options, source);
    add_checks(*pool, *checks);
    return pool;
}

py::object stats(const SharedBuddyPool& pool) {
    using namespace py::literals;
    py::list orders;
    for (const OrderFigures& order : pool.order_figures()) {
        if (order.requests == 0 && order.free == 0) continue;
        const std::size_t block_size = order.block_size / scale_of(pool);
        const std::size_t in_use = order.live * block_size;
        const std::size_t unused = order.free * block_size;
        orders.append(
            py::module_::import("numpool._stats")
                .attr("ClassStats")(
                    "block_size"_a = py::int_{block_size},
                    "live_bytes"_a = py::int_{order.requested}, "in_use"_a = py::int_{in_use},
                    "cached"_a = py::int_{unused}, "committed"_a = py::int_{in_use + unused},
                    "mapped"_a = py::int_{in_use + unused}, "blocks"_a = py::int_{order.live},
                    "total_blocks"_a = py::int_{order.requests},
                    "total_bytes"_a = py::int_{order.asked},
                    "reused"_a = py::int_{order.requests}));
    }
    return stats_from(figures_of(pool), py::tuple{orders});
}

py::dict free_blocks(const SharedBuddyPool& pool) {
    py::dict free;
    for (const OrderFigures& order : pool.order_figures()) {
        if (order.free != 0) free[py::int_{order.block_size / scale_of(pool)}] = order.free;
    }
    return free;
}

std::string repr(const SharedBuddyPool& pool) {
    const PoolFigures figures = figures_of(pool);
    std::string text = "<" + pool.title() + ": ";
    const std::string blocks = count_to_text(figures.blocks, "block");
    if (pool.closed())
        return text + (figures.blocks == 0 ? "closed>" : "closed, " + blocks + " still in use>");
    return text + blocks + ", " + size_to_text(figures.in_use) + " of " +
           size_to_text(pool.capacity() / scale_of(pool)) + " in use>";
}

constexpr const char* doc =
    R"(BuddyPool(capacity, min_block=4096, *, source=None, name="", checks=None)
--

Blocks of one region, each a power of two in size, which split on demand and merge again.

Use it for a bounded region whose blocks differ much in size and must merge again: a page allocator,
textures, memory that a device sees. A block starts at a multiple of its own size within the region.
The time of acquire, release and growing in place depends on the number of sizes, not of blocks. Free
buddies always merge. A request is rounded up to a power of two, which wastes a quarter on average: if
you need no region, a SlabPool wastes less.

A new pool of any capacity touches no page. Any thread may use it; a lock guards it. Callers cannot
wait for a block, because it is unknown which release will make room for a large one.

capacity   the bytes of the region, an int or a text like "64MiB"; rounded down to a whole number of
           smallest blocks
min_block  the smallest block, a power of two from 16 on
source     the pool that it draws its region from, a SlabPool or a BuddyPool; by default the system
name       shown in errors and reprs
checks     True finds memory bugs of the code that uses the blocks, and raises CorruptionError;
           "abort" aborts the process instead. "guard" also finds reads, by pages around a part
           of the blocks that cannot be accessed. None uses NUMPOOL_CHECKS. See "Find memory
           bugs")";

}  // namespace

void register_buddy_pool(py::module_& module) {
    py::class_<SharedBuddyPool, threads::Pool, threads::PoolHandle<SharedBuddyPool>> pool{
        module, "BuddyPool", own_layout(), doc};
    define_init(pool, doc, &create);
    pool.def_property_readonly(
            "capacity",
            [](const SharedBuddyPool& self) { return py::int_{self.capacity() / scale_of(self)}; },
            "The bytes of the region.")
        .def_property_readonly(
            "min_block",
            [](const SharedBuddyPool& self) { return py::int_{self.min_block() / scale_of(self)}; },
            "The bytes of the smallest block.")
        .def_property_readonly("free_blocks", &free_blocks,
                               "How many free blocks there are, by their size: a dict, from the "
                               "smallest to the largest.")
        .def_property_readonly(
            "fragmentation", &SharedBuddyPool::fragmentation,
            "External fragmentation: the part of the free bytes that is not in the largest free "
            "block. It is 0.0 if the largest free block has all of them.")
        .def("reallocate", &reallocate<SharedBuddyPool>, py::arg("buffer"), py::arg("nbytes"),
             py::pos_only(),
             "reallocate(self, buffer, nbytes, /)\n--\n\n"
             "A buffer of another size with the contents of this one, up to the smaller size; this "
             "one is released. The block stays at its address if it shrinks, or if its buddies are "
             "free. While a view of the buffer lives, or if no block is free, this raises, and the "
             "buffer stays as it was.")
        .def("stats", &stats,
             "stats(self)\n--\n\n"
             "The pool's figures at this moment, as a PoolStats, also for each block size.")
        .def("__repr__", &repr);
    add_acquire_methods_of<SharedBuddyPool>(pool);
    add_array_methods<threads::SharedBuddyPool>(pool);
}

}  // namespace numpool::bindings
