#include "bindings/numpy/numpy_handler.hpp"

#include <atomic>
#include <memory>
#include <utility>

#include "bindings/numpy/python_budget.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_pool.hpp"
#include "observe/profiled_functions.hpp"
#include "threads/budget/shared_budget.hpp"
#include "threads/slab/allocator_functions.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;

constexpr const char* capsule_name = "mem_handler";

/// The pool, which may be null. Throws a type_error where it is no ByteSource.
Pool* checked(Pool* pool) {
    if (pool != nullptr && dynamic_cast<threads::ByteSource*>(pool) == nullptr) {
        throw py::type_error{pool->title() +
                             " can't serve NumPy: it hands out no memory of the size asked for, "
                             "as SlabPool, FixedPool, Arena, BuddyPool and SharedPool do"};
    }
    return pool;
}
const Fallback& checked(const Fallback& fallback) {
    checked(fallback.pool.get());
    return fallback;
}

/// What a capsule of ours points to.
struct Capsuled {
    PyDataMem_Handler handler;
    NumpyHandler pools;

    Capsuled(Pool& pool, const Fallback& fallback)
        : handler{"numpool", 1, {}}, pools{pool, fallback} {
        handler.allocator = pools.functions();
    }

    static Capsuled* in(PyObject* capsule) noexcept {
        return static_cast<Capsuled*>(PyCapsule_GetPointer(capsule, capsule_name));
    }
};

threads::AllocatorTable budget_functions(threads::PoolWithFallback* pools, bool apart) noexcept {
    using threads::AllocatorFunctions;
    return apart ? AllocatorFunctions<threads::SharedBudget, true>::table(pools)
                 : AllocatorFunctions<threads::SharedBudget, false>::table(pools);
}

/// The error of `on_soft` that made this budget, or one outside of it, refuse; else nothing.
py::object error_of_on_soft(Pool* pool) noexcept {
    for (auto* one = dynamic_cast<threads::SharedBudget*>(pool); one != nullptr;
         one = one->outer()) {
        auto* const budget = dynamic_cast<Budget*>(one);
        if (budget == nullptr) continue;
        if (py::object error = budget->take_error()) return error;
    }
    return {};
}

/// The pool whose refusal this text is: a budget in which the pool is, its bottom, or itself.
Pool& refusing(Pool* pool, const std::string& text) {
    for (auto* one = dynamic_cast<threads::SharedBudget*>(pool); one != nullptr;
         one = one->outer()) {
        if (text.starts_with(one->title() + ":")) return *one;
    }
    return threads::bottom_of(*pool);
}

/// The largest arrays of the pool in words. Empty where none is found, or words fail: the error
/// must not turn into another one.
std::string holders_of(Pool& pool, py::handle error) {
    try {
        return calling_python([&] {
            return py::module_::import("numpool._holders")
                .attr("describe")(object_of(&pool), error)
                .cast<std::string>();
        });
    } catch (py::error_already_set& failed) {
        if (!failed.matches(PyExc_Exception)) throw;
    } catch (const std::exception&) {
    }
    return {};
}

/// Gives the error this cause, unless it has one.
void set_cause(py::handle error, py::object cause) {
    if (!cause || py::reinterpret_steal<py::object>(PyException_GetCause(error.ptr()))) return;
    PyException_SetCause(error.ptr(), cause.release().ptr());
}

void end_capsule(PyObject* capsule) {
    delete Capsuled::in(capsule);
}

}  // namespace

NumpyHandler::NumpyHandler(Pool& pool, const Fallback& fallback)
    : PoolWithFallback{*checked(&pool), checked(fallback)} {}

PyDataMemAllocator NumpyHandler::functions() noexcept {
    const bool numpy_1 = PyArray_GetNDArrayCFeatureVersion() < NPY_2_0_API_VERSION;
    const auto* const budget = dynamic_cast<threads::SharedBudget*>(pool());
    const threads::AllocatorTable table =
        budget != nullptr          ? budget_functions(this, numpy_1 && budget->slabs() != nullptr)
        : observe::Profile::runs() ? numpy_1 ? observe::profiled_functions<true>(this)
                                             : observe::profiled_functions<false>(this)
        : numpy_1                  ? threads::allocator_functions<true>(this)
                                   : threads::allocator_functions<false>(this);
    return {table.context, table.malloc, table.calloc, table.realloc, table.free};
}

void NumpyHandler::replace(PyDataMemAllocator& table,
                           const PyDataMemAllocator& functions) noexcept {
    std::atomic_ref{table.malloc}.store(functions.malloc, std::memory_order_relaxed);
    std::atomic_ref{table.calloc}.store(functions.calloc, std::memory_order_relaxed);
    std::atomic_ref{table.realloc}.store(functions.realloc, std::memory_order_relaxed);
    std::atomic_ref{table.free}.store(functions.free, std::memory_order_relaxed);
}

void NumpyHandler::renew_functions(PyObject* capsule) noexcept {
    Capsuled* const ours = Capsuled::in(capsule);
    replace(ours->handler.allocator, ours->pools.functions());
}

py::object NumpyHandler::capsule(Pool& pool, const Fallback& fallback) {
    auto handler = std::make_unique<Capsuled>(pool, fallback);
    const auto capsule = py::reinterpret_steal<py::object>(
        PyCapsule_New(&handler->handler, capsule_name, end_capsule));
    if (!capsule) throw py::error_already_set{};
    static_cast<void>(handler.release());
    return capsule;
}

void NumpyHandler::name_refusal(py::handle error) const {
    if (!PyExceptionInstance_Check(error.ptr()) ||
        PyErr_GivenExceptionMatches(error.ptr(), PyExc_MemoryError) == 0)
        return;
    const std::string text = pop_refusal();
    if (text.empty()) return;
    py::object raised = error_of_on_soft(pool());
    const std::string holders = holders_of(refusing(pool(), text), error);
#if PY_VERSION_HEX >= 0x030b0000
    error.attr("add_note")("numpool: " + text);
    if (!holders.empty()) error.attr("add_note")("numpool: " + holders);
    set_cause(error, std::move(raised));
#else
    // Exceptions take no notes yet. What the pool refused is the cause of the error.
    const auto known = py::reinterpret_steal<py::object>(PyException_GetCause(error.ptr()));
    if (known) return;
    py::object cause = py::module_::import("numpool").attr("PoolExhausted")(
        holders.empty() ? text : text + "\n" + holders);
    set_cause(cause, std::move(raised));
    PyException_SetContext(cause.ptr(), PyException_GetContext(error.ptr()));
    PyException_SetCause(error.ptr(), cause.release().ptr());
#endif
}

NumpyHandler* NumpyHandler::in(PyObject* capsule) noexcept {
    if (PyCapsule_GetDestructor(capsule) != end_capsule) {
        PyErr_Clear();
        return nullptr;
    }
    return &Capsuled::in(capsule)->pools;
}

}  // namespace numpool::bindings
