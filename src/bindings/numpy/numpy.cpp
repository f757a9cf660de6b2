/// What numpool/_numpy.py needs to set NumPy's allocator, and the functions that look pools up.

#include <algorithm>
#include <atomic>

#include "bindings/numpy/numpy_context.hpp"
#include "bindings/numpy/numpy_lookup.hpp"
#include "bindings/numpy/numpy_process.hpp"
#include "bindings/numpy/python_budget.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/free_threading.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/sources/default_pool.hpp"
#include "pages/system/heap_tuning.hpp"
#include "threads/slab/shared_slab_pool.hpp"

namespace numpool::bindings {
namespace {

using threads::Pool;
using threads::PoolHandle;

[[noreturn]] void refuse(const py::object& object) {
    if (PyType_Check(object.ptr()) &&
        PyObject_IsSubclass(object.ptr(), py::type::of<Pool>().ptr()) > 0) {
        throw py::type_error{"NumPy can allocate from a pool, not from its class: make one with " +
                             std::string{py::str(object.attr("__name__"))} + "(...)"};
    }
    throw py::type_error{std::string{"NumPy can allocate from a SlabPool, FixedPool, Arena, "
                                     "BuddyPool or SharedPool, not from "} +
                         Py_TYPE(object.ptr())->tp_name};
}

Pool& to_open_pool(const py::object& object) {
    if (!py::isinstance<Pool>(object)) refuse(object);
    auto& pool = object.cast<Pool&>();
    require_open(pool);
    return pool;
}

/// See `handler_on`.
Fallback to_fallback(Pool& pool, const py::object& fallback) {
    if (py::isinstance<py::str>(fallback) && fallback.equal(py::str{"default"})) {
        // A budget leaves nothing to a fallback that was not named.
        if (dynamic_cast<threads::SharedBudget*>(&pool) != nullptr) return {};
        return {PoolHandle<Pool>{&default_pool()}, false};
    }
    if (fallback.is_none()) return {};
    if (!py::isinstance<Pool>(fallback)) {
        throw py::type_error{"fallback must be a pool, None or 'default', not " +
                             std::string{py::repr(fallback)}};
    }
    auto& named = fallback.cast<Pool&>();
    if (threads::share_blocks(pool, named)) {
        throw BadArgument{"fallback: " + named.title() + " and " + pool.title() +
                          " have the same blocks, so it could not be told which of them an array "
                          "counts against"};
    }
    return {PoolHandle<Pool>{&named}, true};
}

/// Arrays of all pools that ever served the process are freed by their address alone.
void require_told_apart(Pool& pool, const Fallback& fallback) {
    Pool* const other = ProcessHandler::sharing_blocks_with(pool, fallback.pool.get());
    if (other == nullptr) return;
    throw BadArgument{
        pool.title() + " can't serve the process: " + other->title() +
        ", which has the same blocks, does or did, so it could not be told which of them an array "
        "counts against. Install a budget over a pool of its own: Budget(..., source=SlabPool())"};
}

/// The capsule of the default pool without a fallback; null before its first use.
constinit std::atomic<PyObject*> shared_capsule{nullptr};

/// This capsule, made once. It lives as long as the process, like the pool.
py::object default_handler() {
    if (shared_capsule == nullptr) {
        py::object capsule = NumpyHandler::capsule(default_pool(), {});
        immortalise(capsule.ptr());
        PyObject* none_yet = nullptr;
        PyObject* const made = capsule.release().ptr();
        shared_capsule.compare_exchange_strong(none_yet, made);
    }
    return py::reinterpret_borrow<py::object>(shared_capsule.load());
}

/// Which requests a pool in a file takes: those beyond the limit that are in spans. Slabs would be
/// read and written for the sake of single small blocks.
constexpr std::size_t least_spilled = SizeClasses::largest + 1;

/// How much of a limit is then for small blocks only.
std::size_t kept_for_small(const Pool& pool) {
    constexpr std::size_t most = std::size_t{256} << 20;
    return std::min(pool.figures().limit / 16, most);
}

/// If it spills, the fallback serves large requests only. Returns whether the pool has a limit: it
/// may then refuse what the machine could serve.
bool install(const py::object& pool, const py::object& fallback, bool tune_malloc, bool spills) {
    require_numpy();
    Pool& serving = to_open_pool(pool);
    Fallback second = to_fallback(serving, fallback);
    require_told_apart(serving, second);
    if (spills) second.least = least_spilled;
    if (tune_malloc) pages::keep_heap();
    ProcessHandler::install(serving, second);
    if (auto* const slabs = dynamic_cast<threads::SharedSlabPool*>(&serving))
        slabs->keep_for_small(spills ? kept_for_small(serving) : 0);
    // Both serve until the process ends. A FixedPool with an init closes when its Python object
    // goes, so the objects stay, too.
    pool.inc_ref();
    if (py::isinstance<Pool>(fallback)) fallback.inc_ref();
    if (!tune_malloc) without_gil(pages::release_heap);
    return serving.figures().limit != threads::PoolFigures::no_limit;
}

void name_refusal(const py::object& error) {
    if (const ProcessHandler* const handler = ProcessHandler::serving())
        handler->name_refusal(error);
}

void uninstall() {
    ProcessHandler::uninstall();
    without_gil(pages::release_heap);
}

}  // namespace

void renew_all_functions() noexcept {
    ProcessHandler::renew_all_functions();
    if (PyObject* const capsule = shared_capsule.load()) NumpyHandler::renew_functions(capsule);
}

py::object handler_on(const py::object& pool, const py::object& fallback) {
    require_numpy();
    Pool& serving = to_open_pool(pool);
    const Fallback second = to_fallback(serving, fallback);
    const bool alone = second.pool.get() == nullptr || second.pool.get() == &serving;
    if (alone && is_default_pool(serving)) return default_handler();
    return NumpyHandler::capsule(serving, second);
}

void register_numpy(py::module_& module) {
    register_numpy_context(module);
    // The version of NumPy's API that the extension was built for, whichever NumPy it runs with.
    module.attr("_numpy_feature_version") = NPY_FEATURE_VERSION;
    module.def(
        "owner", &owner, py::arg("x"), py::pos_only(),
        "owner(x, /)\n--\n\n"
        "The pool that x belongs to, or None. x is an array, a Buffer, a memoryview, another\n"
        "exporter of bytes, or an address. A view belongs to the pool of the memory that it\n"
        "shows. If one pool draws on another, an object belongs to the pool that handed it out,\n"
        "and an address to the pool whose memory it is. pool_of() is the same, but refuses\n"
        "addresses.");
    module.def(
        "pool_of", &pool_of, py::arg("array"), py::pos_only(),
        "pool_of(array, /)\n--\n\n"
        "Like owner(), but only for an array, a Buffer or a memoryview. Anything else raises\n"
        "TypeError, also an int, which owner() takes for an address.");
    module.def("current", &current,
               "current()\n--\n\n"
               "The pool that NumPy allocates from in this context, or None if it is no pool of "
               "numpool.");
    module.def(
        "default_pool", [] { return object_of(&default_pool()); },
        "default_pool()\n--\n\n"
        "The pool that is used if no other is named. It lives as long as the process.");
    module.def("_name_refusal", &name_refusal, py::arg("error"), py::pos_only(),
               "_name_refusal(error, /)\n--\n\n"
               "Name in a MemoryError the last refusal of the process's pool.");
    module.def("_counts_against", &counts_against, py::arg("array"), py::arg("pool"),
               py::pos_only(),
               "_counts_against(array, pool, /)\n--\n\n"
               "Whether an array's own data counts against this pool.");
    module.def("_age", &age, py::arg("array"), py::pos_only(),
               "_age(array, /)\n--\n\nThe seconds since an array's data was allocated, or None.");
    module.def("_install", &install, py::arg("pool"), py::arg("fallback"), py::arg("tune_malloc"),
               py::arg("spills"), py::pos_only(),
               "_install(pool, fallback, tune_malloc, spills, /)\n--\n\n");
    module.def("_uninstall", &uninstall, "_uninstall()\n--\n\n");
    module.def("_keep_heap", &pages::keep_heap, "_keep_heap()\n--\n\n");
    module.def(
        "_release_heap", [] { without_gil(pages::release_heap); }, "_release_heap()\n--\n\n");
}

}  // namespace numpool::bindings
