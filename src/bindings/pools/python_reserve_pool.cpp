#include "bindings/pools/python_reserve_pool.hpp"

#include "base/size_text.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {

using threads::ByteSource;
using threads::Pool;
using threads::PoolFigures;
using threads::PoolHandle;
using threads::SharedReservePoolOptions;

PyObject* ReservePool::hand_out(Block block) {
    Buffer* const buffer = new_buffer({this, block.start, static_cast<Py_ssize_t>(bytes())});
    if (buffer != nullptr) return &buffer->ob_base;
    release(block.start);
    throw py::error_already_set{};
}

void ReservePool::throw_exhausted(std::size_t, const std::string& advice) {
    throw Exhausted{refuse() + advice};
}

namespace {

PoolHandle<ReservePool> create(const Given& given) {
    const py::object pool = given("pool");
    if (!py::isinstance<Pool>(pool)) {
        throw py::type_error{std::string{"a reserve is kept of a pool's blocks, not of "} +
                             Py_TYPE(pool.ptr())->tp_name};
    }
    auto& backing = pool.cast<Pool&>();
    ByteSource* const source = threads::source_of(backing);
    if (source == nullptr) {
        throw py::type_error{backing.title() +
                             " can't back a reserve: it hands out no memory of the size asked for"};
    }
    require_open(backing);
    SharedReservePoolOptions options;
    options.bytes = to_size(given("nbytes"), "nbytes");
    options.reserve = to_count(given("reserve"), "reserve");
    options.name = to_name(given("name", ""));
    PoolHandle<ReservePool> made{new ReservePool{options, backing, *source, pool}};
    made->replenish_or_throw();
    return made;
}

std::string repr(const ReservePool& pool) {
    const PoolFigures figures = pool.figures();
    const std::string blocks =
        count_to_text(figures.blocks, "block") + " of " + size_to_text(pool.bytes());
    const std::string text = "<" + pool.title() + ": ";
    if (pool.closed())
        return text + (figures.blocks == 0 ? "closed>" : "closed, " + blocks + " still in use>");
    return text + blocks + " in use, " + std::to_string(pool.at_hand()) + " of " +
           std::to_string(pool.reserve()) + " in reserve, from " + pool.backing().title() + ">";
}

/// The backing pool's `init` may refer to this pool, so the garbage collector must see it.
void support_garbage_collection(PyHeapTypeObject* type) {
    give_own_layout(type);
    type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        if (const auto* const pool = made_in<ReservePool>(self))
            Py_VISIT(pool->backing_reference());
        return 0;
    };
    type->ht_type.tp_clear = [](PyObject* self) -> int {
        if (auto* const pool = made_in<ReservePool>(self)) pool->end_python_object();
        return 0;
    };
    tell_of_end<ReservePool>(&type->ht_type);
}

constexpr const char* doc = R"(ReservePool(pool, nbytes, reserve, *, name="")
--

Blocks of another pool, with a reserve for requests that the other pool refuses.

A request asks the other pool first, then takes a block of the reserve, and then waits, if it may. A
request that may wait never fails, because blocks of the reserve always come back. A released block
goes to the first waiter, else into the reserve, else to the other pool.

Use it for work that must go on when memory runs out: to write changes back, to answer requests that
were accepted, to shut down in order.

pool        any pool that hands out memory of the size asked for: a FixedPool, a SlabPool
nbytes      the size of each block, an int or a text like "64KiB"
reserve     how many blocks to keep, 1 or more. If the pool refuses one of them now, PoolExhausted is
            raised
name        shown in errors and reprs)";

}  // namespace

void register_reserve_pool(py::module_& module) {
    py::class_<ReservePool, Pool, PoolHandle<ReservePool>> pool{
        module, "ReservePool", py::custom_type_setup{support_garbage_collection}, doc};
    define_init(pool, doc, &create);
    pool.def_property_readonly(
            "pool", [](const ReservePool& self) { return object_of(&self.backing()); },
            "The pool that the blocks come from.")
        .def_property_readonly("nbytes", number<ReservePool>(&ReservePool::bytes),
                               "The bytes in a block.")
        .def_property_readonly("reserve", number<ReservePool>(&ReservePool::reserve),
                               "How many blocks the reserve should have.")
        .def_property_readonly("at_hand", number<ReservePool>(&ReservePool::at_hand),
                               "How many blocks the reserve has now.")
        .def(
            "resize",
            [](ReservePool& self, const py::object& reserve) {
                const std::size_t count = to_count(reserve, "reserve");
                without_gil([&] { self.resize(count); });
            },
            py::arg("reserve"), py::pos_only(),
            "resize(self, reserve, /)\n--\n\n"
            "Keep so many blocks from now on, 1 or more. Surplus blocks go back at once. Missing "
            "ones are\nrequested now; if the pool refuses, released blocks fill the reserve.")
        .def("__repr__", &repr);
    add_acquire_methods<ReservePool>(pool);
}

}  // namespace numpool::bindings
