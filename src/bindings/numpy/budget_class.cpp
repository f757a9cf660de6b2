/// `numpool.Budget`, and what `numpool.budget` makes of it.

#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/numpy/numpy_lookup.hpp"
#include "bindings/numpy/python_budget.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/numpy_api.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/sizes.hpp"
#include "bindings/sources/default_pool.hpp"

namespace numpool::bindings {
namespace {

using threads::BudgetAccount;
using threads::Pool;
using threads::PoolFigures;
using threads::PoolHandle;
using threads::SharedBudget;
using threads::SharedBudgetOptions;

/// How AnySize makes a Buffer of it.
struct Access {
    using Pool = Budget;

    static PyObject* acquire(Budget& budget, std::size_t bytes) {
        return to_buffer({&budget, budget.acquire(bytes), static_cast<Py_ssize_t>(bytes)});
    }
    static PyObject* try_acquire(Budget& budget, std::size_t bytes) {
        if (std::byte* const block = budget.try_acquire_held(bytes))
            return to_buffer({&budget, block, static_cast<Py_ssize_t>(bytes)});
        budget.require_open();
        return nullptr;
    }
};

/// What all budgets are made from, checked before anything is made.
struct Wanted {
    SharedBudgetOptions options;
    py::object on_soft;
    py::object source;

    explicit Wanted(const Given& given);
};

Wanted::Wanted(const Given& given) : source{given("source")} {
    const py::object limit = given("limit");
    const py::object soft = given("soft");
    const py::object function = given("on_soft");
    options.name = to_name(given("name", ""));
    if (!limit.is_none()) options.limit = to_size(limit, "limit");
    if (options.limit == 0)
        throw BadArgument{"limit is 0: a budget needs at least a byte, or None for no limit"};
    if (!soft.is_none()) options.soft = to_size(soft, "soft");
    if (!soft.is_none() && options.soft >= options.limit) {
        throw BadArgument{"soft is " + size_to_text(options.soft) + ": it must be less than the " +
                          "limit of " + size_to_text(options.limit)};
    }
    if (soft.is_none() != function.is_none()) {
        throw py::type_error{soft.is_none()
                                 ? "on_soft needs soft, the bytes above which it is called"
                                 : "soft needs on_soft, the function to call above it"};
    }
    if (!function.is_none()) {
        if (PyCallable_Check(function.ptr()) == 0) {
            throw py::type_error{std::string{"on_soft must be a function without arguments, not "} +
                                 Py_TYPE(function.ptr())->tp_name};
        }
        on_soft = function;
    }
    if (source.is_none()) return;
    if (!py::isinstance<Pool>(source)) {
        throw py::type_error{std::string{"source must be a pool or None, not "} +
                             Py_TYPE(source.ptr())->tp_name};
    }
    auto& pool = source.cast<Pool&>();
    require_open(pool);
    if (threads::source_of(pool) == nullptr) {
        throw py::type_error{pool.title() +
                             " can't be the source of a budget: it hands out no memory of the "
                             "size asked for"};
    }
}

PoolHandle<Budget> make(Wanted wanted, SharedBudget* outer) {
    auto& source = wanted.source.cast<Pool&>();
    return PoolHandle<Budget>{new Budget{wanted.options, source, outer, std::move(wanted.source),
                                         std::move(wanted.on_soft)}};
}

/// The pool that NumPy allocates from here, or the default pool.
py::object pool_here() {
    // Before NumPy is in use it allocates from none of our pools.
    py::object pool = PyArray_API == nullptr ? py::object{py::none{}} : current();
    return pool.is_none() ? object_of(&default_pool()) : pool;
}

PoolHandle<Budget> create(const Given& given) {
    Wanted wanted{given};
    if (wanted.source.is_none()) wanted.source = pool_here();
    return make(std::move(wanted), nullptr);
}

std::string repr(const Budget& budget) {
    const PoolFigures figures = budget.figures();
    std::string text = "<" + budget.title() + ": " + count_to_text(figures.blocks, "block") + ", " +
                       size_to_text(figures.in_use);
    if (figures.limit != BudgetAccount::unbounded) text += " of " + size_to_text(figures.limit);
    return text + (budget.closed() ? " in use, closed>" : " in use>");
}

py::object size_or_none(std::size_t bytes) {
    if (bytes == BudgetAccount::unbounded) return py::none{};
    return py::int_{bytes};
}

/// `source` may be a pool whose `init` refers to the budget, and `on_soft` a function that does. So
/// the garbage collector must see them.
void support_garbage_collection(PyHeapTypeObject* type) {
    give_own_layout(type);
    type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        if (const auto* const budget = made_in<Budget>(self)) {
            Py_VISIT(budget->source_reference());
            Py_VISIT(budget->function_reference());
            Py_VISIT(budget->error_reference());
        }
        return 0;
    };
    type->ht_type.tp_clear = [](PyObject* self) -> int {
        if (auto* const budget = made_in<Budget>(self)) budget->end_python_object();
        return 0;
    };
    tell_of_end<Budget>(&type->ht_type);
}

constexpr const char* doc =
    R"(Budget(limit, *, soft=None, on_soft=None, source=None, name="")
--

A limit on blocks of another pool: those that are acquired here count until they go back.

A budget holds no memory of its own. Its blocks come from `source`, and several budgets may share
one. Use it as any pool: with use(), as the source of another pool, or by itself. For a block of code
there is numpool.budget(), which makes a budget each time.

Blocks count with the bytes that they take: small ones with their size class, large ones as requested.
Where the source is a budget, they count against that one, too, and so on. A request beyond a limit
raises PoolExhausted, and in NumPy MemoryError; no other pool serves it.

limit    the most bytes that may be in use, an int or a text like "2GiB" or "50%"; None only counts
soft     when more bytes than this come into use, on_soft is called
on_soft  a function without arguments. It may free memory. It is called soon after the array was made
         that crossed the limit, never inside of NumPy: in the main thread, or in a thread of its own
         where another thread made the array. If it raises, the soft limit holds as the limit until
         no more than that is in use, and the MemoryError has the error as its cause
source   the pool that the blocks come from; by default the one that NumPy allocates from here, or else
         the default pool
name     shown in errors and reprs

stats() counts what the budget knows: what its source keeps for later is in the source's figures.)";

}  // namespace

void register_budget(py::module_& module) {
    py::class_<Budget, Pool, PoolHandle<Budget>> budget{
        module, "Budget", py::custom_type_setup{support_garbage_collection}, doc};
    budget.attr("__module__") = "numpool";
    define_init(budget, doc, &create);
    budget
        .def_property_readonly(
            "limit", [](const Budget& self) { return size_or_none(self.limit()); },
            "The most bytes that may be in use; None where nothing bounds them.")
        .def_property_readonly(
            "soft", [](const Budget& self) { return size_or_none(self.soft()); },
            "on_soft is called when more bytes than this come into use; None where it is not.")
        .def_property_readonly(
            "peak", [](const Budget& self) { return py::int_{self.figures().peak}; },
            "The most bytes that were in use, since the start or since reset_peak().")
        .def_property_readonly(
            "source", [](const Budget& self) { return object_of(&self.source()); },
            "The pool that it was made over.")
        .def("__repr__", &repr);
    AnySize<Access>::add_to(budget);
    add_array_methods<Budget>(budget);

    static const Parameters parameters{doc};
    module.def(
        "_check_budget",
        [](const py::args& by_place, const py::kwargs& by_name) {
            const Wanted checked{parameters.bind(by_place, by_name)};
        },
        "_check_budget(*args, **kwargs)\n--\n\nRaise what Budget() would raise for these.");
    module.def(
        "_budget_here",
        [](const py::args& by_place, const py::kwargs& by_name) {
            Wanted wanted{parameters.bind(by_place, by_name)};
            const py::object here = pool_here();
            SharedBudget* const outer =
                py::isinstance<Budget>(here) ? &here.cast<Budget&>() : nullptr;
            if (wanted.source.is_none()) wanted.source = here;
            return make(std::move(wanted), outer);
        },
        "_budget_here(*args, **kwargs)\n--\n\n"
        "A Budget that also counts against the one that NumPy allocates from here.");
}

}  // namespace numpool::bindings
