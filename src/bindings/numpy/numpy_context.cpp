#include "bindings/numpy/numpy_context.hpp"

#include <structmember.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "bindings/numpy/numpy_handler.hpp"
#include "bindings/numpy/python_budget.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/free_threading.hpp"
#include "observe/profile.hpp"

namespace numpool::bindings {
namespace {

py::object stolen(PyObject* object) {
    if (object == nullptr) throw py::error_already_set{};
    return py::reinterpret_steal<py::object>(object);
}

/// `_Context`: the capsule with NumPy's allocator, and the pool's Python object. Where each block
/// has a pool of its own, both are null, and `make` is the function that makes the pool.
struct ContextObject {
    PyObject ob_base;
    PyObject* handler;
    PyObject* pool;
    PyObject* make;
};

/// A `with` block that has begun in a context. Copies of that context hold it, too.
struct OpenBlock {
    PyObject ob_base;
    PyObject* block;
    /// What NumPy allocates from in this block. Null once it has ended: a copy of the context must
    /// not keep the pool.
    PyObject* handler;
    PyObject* pool;
    /// Resets NumPy's variable. Null before the block began, and once it has ended.
    PyObject* token;
};

PyTypeObject* open_block_type = nullptr;
/// A context variable that holds a tuple of OpenBlocks. It lives as long as the process.
PyObject* open_blocks = nullptr;

ContextObject* as_context(PyObject* object) {
    return reinterpret_cast<ContextObject*>(object);
}
OpenBlock* as_open(PyObject* object) {
    return reinterpret_cast<OpenBlock*>(object);
}

/// The context variable in which NumPy keeps its allocator. NumPy does not export it, so it is
/// looked up in an empty context after an allocator was set there.
PyObject* find_allocator_variable() {
    const py::object context = stolen(PyContext_New());
    if (PyContext_Enter(context.ptr()) != 0) throw py::error_already_set{};
    PyObject* const before = PyDataMem_SetHandler(nullptr);
    const bool exited = PyContext_Exit(context.ptr()) == 0;
    Py_XDECREF(before);
    if (before == nullptr || !exited) throw py::error_already_set{};
    const py::object variables = stolen(PySequence_List(context.ptr()));
    for (const py::handle variable : variables.cast<py::list>()) {
        if (py::str{variable.attr("name")}.equal(py::str{"current_allocator"}))
            return variable.inc_ref().ptr();
    }
    throw py::type_error{"numpool knows no way to tell this NumPy's context what allocates"};
}

PyObject* allocator_variable() {
    static std::atomic<PyObject*> known = nullptr;
    PyObject* variable = known.load(std::memory_order_acquire);
    if (variable != nullptr) return variable;
    require_numpy();
    PyObject* const found = find_allocator_variable();
    if (known.compare_exchange_strong(variable, found)) return found;
    Py_DECREF(found);
    return variable;
}

/// Sets the variable and returns the token that resets it. Where that throws, the variable has its
/// old value: CPython leaves the new one there if it has memory for it and none for the token.
py::object set_variable(PyObject* variable, PyObject* value) {
    PyObject* before = nullptr;
    if (PyContextVar_Get(variable, nullptr, &before) != 0) throw py::error_already_set{};
    const py::object as_before = stolen(before);
    PyObject* const token = PyContextVar_Set(variable, value);
    if (token != nullptr) return stolen(token);
    {
        const py::error_scope passing;
        Py_XDECREF(PyContextVar_Set(variable, before));
    }
    throw py::error_already_set{};
}

/// The blocks that have begun in this context, the outermost first. Some may have ended.
py::object blocks_here() {
    PyObject* blocks = nullptr;
    if (PyContextVar_Get(open_blocks, nullptr, &blocks) != 0) throw py::error_already_set{};
    return stolen(blocks);
}

/// A new tuple of those that have not ended, and of `one_more` unless it is null.
py::object with_block(const py::object& blocks, PyObject* one_more) {
    const Py_ssize_t count = PyTuple_GET_SIZE(blocks.ptr());
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < count; ++i)
        kept += as_open(PyTuple_GET_ITEM(blocks.ptr(), i))->token != nullptr;
    const py::object result = stolen(PyTuple_New(kept + (one_more != nullptr)));
    Py_ssize_t place = 0;
    for (Py_ssize_t i = 0; i < count && place < kept; ++i) {
        PyObject* const one = PyTuple_GET_ITEM(blocks.ptr(), i);
        if (as_open(one)->token == nullptr) continue;
        PyTuple_SET_ITEM(result.ptr(), place++, Py_NewRef(one));
    }
    if (one_more != nullptr) PyTuple_SET_ITEM(result.ptr(), place, Py_NewRef(one_more));
    return result;
}

/// A block on the pool of `self`, or on one that is made now.
py::object new_open_block(PyObject* self) {
    py::object handler;
    py::object pool;
    py::object make;
    {
        const CriticalSection section{self};
        const ContextObject* const context = as_context(self);
        handler = py::reinterpret_borrow<py::object>(context->handler);
        pool = py::reinterpret_borrow<py::object>(context->pool);
        make = py::reinterpret_borrow<py::object>(context->make);
    }
    if (make) {
        pool = stolen(calling_python([&] { return PyObject_CallNoArgs(make.ptr()); }));
        handler = handler_on(pool, py::none{});
    } else if (!handler) {
        throw py::type_error{std::string{Py_TYPE(self)->tp_name} +
                             ".__init__() was not called on this object"};
    }
    const py::object open = stolen(open_block_type->tp_alloc(open_block_type, 0));
    as_open(open.ptr())->block = Py_NewRef(self);
    as_open(open.ptr())->handler = handler.release().ptr();
    as_open(open.ptr())->pool = pool.release().ptr();
    return open;
}

PyTypeObject* context_type = nullptr;

/// `use(limit=...)` is a likely mistake, so its error says what to write. Not for `budget`, and not
/// for subclasses of `use`: they have such an argument, or may have it.
PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* options) {
    if (options == nullptr || std::strcmp(type->tp_name, "use") != 0 ||
        type->tp_base->tp_base != context_type || PyDict_GetItemString(options, "limit") == nullptr)
        return PyType_GenericNew(type, arguments, options);
    PyErr_SetString(PyExc_TypeError,
                    "use() takes no limit: give it to a pool, as in "
                    "use(SlabPool(limit=\"1GiB\"))");
    return nullptr;
}

PyObject* enter(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [self] {
        PyObject* const variable = allocator_variable();
        // NumPy's variable is set last, since all these steps need memory and may fail. A block
        // that is in the tuple without a token has not begun.
        const py::object open = new_open_block(self);
        if (observe::Profile::runs()) NumpyHandler::renew_functions(as_open(open.ptr())->handler);
        const py::object blocks = with_block(blocks_here(), open.ptr());
        stolen(PyContextVar_Set(open_blocks, blocks.ptr()));
        OpenBlock* const block = as_open(open.ptr());
        const py::object pool = py::reinterpret_borrow<py::object>(block->pool);
        block->token = set_variable(variable, block->handler).release().ptr();
        return pool.inc_ref().ptr();
    });
}

[[noreturn]] void raise_elsewhere(PyObject* self) {
    PyErr_Clear();
    PyErr_Format(PyExc_RuntimeError,
                 "the block of %R ends in another thread or task than it began in: there, NumPy "
                 "goes on allocating from the pool. Let generators end where they began",
                 self);
    throw py::error_already_set{};
}

/// Gives NumPy's variable the value that it had before the token was made.
void restore(PyObject* self, const py::object& token) {
    PyObject* const variable = allocator_variable();
    if (PyContextVar_Reset(variable, token.ptr()) == 0) return;
    // The token belongs to another context, of which this one is a copy.
    if (PyErr_ExceptionMatches(PyExc_ValueError)) raise_elsewhere(self);
    if (!PyErr_ExceptionMatches(PyExc_MemoryError)) throw py::error_already_set{};
    PyErr_Clear();
    // A token works once, also where CPython lacked memory. So the old value is set by hand.
    const py::object before = token.attr("old_value");
    const bool was_set = PyCapsule_CheckExact(before.ptr());
    stolen(PyContextVar_Set(variable, was_set ? before.ptr() : PyDataMem_DefaultHandler));
}

/// The last block of `self` that has not ended, and the next after it; null where there is none.
struct Place {
    OpenBlock* block = nullptr;
    OpenBlock* next = nullptr;

    Place(PyObject* self, const py::object& blocks) {
        OpenBlock* later = nullptr;
        for (Py_ssize_t i = PyTuple_GET_SIZE(blocks.ptr()); i-- > 0;) {
            OpenBlock* const one = as_open(PyTuple_GET_ITEM(blocks.ptr(), i));
            if (one->token == nullptr) continue;
            if (one->block == self) {
                block = one;
                next = later;
                return;
            }
            later = one;
        }
    }
};

void forget_ended(const py::object& blocks) {
    try {
        stolen(PyContextVar_Set(open_blocks, with_block(blocks, nullptr).ptr()));
    } catch (py::error_already_set&) {
        // Without memory they stay in the tuple until the next block begins or ends.
    }
}

void warn_of_order(PyObject* self) {
    const int raised =
        PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "the block of %R ends before one that began after it, probably in a "
                         "generator that yielded inside; decorate that generator instead",
                         self);
    if (raised != 0) throw py::error_already_set{};
}

/// What is left to do once the block is over: `on_soft` of its budget, and words for its error. An
/// error of `on_soft` that refused no array is raised here, where the budget is the block's own.
void finish(PyObject* self, const py::object& handler, PyObject* error) {
    const NumpyHandler* const pools = NumpyHandler::in(handler.ptr());
    if (pools == nullptr) return;
    auto* const budget = dynamic_cast<Budget*>(pools->pool());
    if (budget != nullptr) budget->call_if_due();
    if (error != nullptr) pools->name_refusal(error);
    const bool failing = error != nullptr && error != Py_None;
    if (budget == nullptr || failing || as_context(self)->make == nullptr) return;
    const py::object raised = budget->take_error();
    if (!raised) return;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
    throw py::error_already_set{};
}

/// What NumPy allocated from in a block that has ended.
struct Ended {
    py::object handler;
    py::object pool;
};

/// Ends the last block of `self` that has not ended.
Ended end_block(PyObject* self) {
    const py::object blocks = blocks_here();
    Ended ended;
    bool in_order = true;
    {
        // Copies of this context hold the same blocks, and may be in other threads.
        const CriticalSection section{open_blocks};
        const Place place{self, blocks};
        if (place.block == nullptr) raise_elsewhere(self);
        const py::object token = py::reinterpret_borrow<py::object>(place.block->token);
        in_order = place.next == nullptr;
        if (in_order) {
            restore(self, token);
        } else {
            // The block that began next will restore what this one would have restored.
            std::swap(place.block->token, place.next->token);
        }
        Py_CLEAR(place.block->token);
        std::swap(ended.handler.ptr(), place.block->handler);
        std::swap(ended.pool.ptr(), place.block->pool);
        forget_ended(blocks);
    }
    if (!in_order) warn_of_order(self);
    return ended;
}

PyObject* exit(PyObject* self, PyObject* const* exception, Py_ssize_t count) {
    return guarded<PyObject*>(nullptr, [&] {
        const Ended ended = end_block(self);
        finish(self, ended.handler, count > 1 ? exception[1] : nullptr);
        return Py_NewRef(Py_None);
    });
}

/// An allocator's capsule may stand in the place of the pool.
py::object handler_for(PyObject* pool, PyObject* fallback) {
    if (PyCapsule_IsValid(pool, "mem_handler")) return py::reinterpret_borrow<py::object>(pool);
    return handler_on(py::reinterpret_borrow<py::object>(pool),
                      py::reinterpret_borrow<py::object>(fallback));
}

int init(PyObject* self, PyObject* arguments, PyObject*) {
    PyObject* pool = nullptr;
    PyObject* fallback = nullptr;
    if (!PyArg_UnpackTuple(arguments, "_Context", 1, 2, &pool, &fallback)) return -1;
    return guarded(-1, [&] {
        py::object handler;
        auto kept = py::reinterpret_borrow<py::object>(pool);
        py::object make;
        if (fallback == nullptr) {
            std::swap(kept, make);
        } else {
            handler = handler_for(pool, fallback);
        }
        {
            const CriticalSection section{self};
            ContextObject* const context = as_context(self);
            std::swap(context->handler, handler.ptr());
            std::swap(context->pool, kept.ptr());
            std::swap(context->make, make.ptr());
        }
        return 0;
    });
}

int traverse_context(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(as_context(self)->handler);
    Py_VISIT(as_context(self)->pool);
    Py_VISIT(as_context(self)->make);
    return 0;
}

/// Clears all, so that no code finds a pool without its handler.
int clear_context(PyObject* self) {
    Py_CLEAR(as_context(self)->handler);
    Py_CLEAR(as_context(self)->pool);
    Py_CLEAR(as_context(self)->make);
    return 0;
}

int traverse_open(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(as_open(self)->block);
    Py_VISIT(as_open(self)->handler);
    Py_VISIT(as_open(self)->pool);
    Py_VISIT(as_open(self)->token);
    return 0;
}

int clear_open(PyObject* self) {
    Py_CLEAR(as_open(self)->token);
    Py_CLEAR(as_open(self)->handler);
    Py_CLEAR(as_open(self)->pool);
    Py_CLEAR(as_open(self)->block);
    return 0;
}

template <inquiry clear>
void dealloc(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

template <class Function>
PyCFunction as_function(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyTypeObject* make_type(PyType_Spec& spec) {
    return reinterpret_cast<PyTypeObject*>(stolen(PyType_FromSpec(&spec)).release().ptr());
}

PyTypeObject* make_context_type() {
    static PyMethodDef methods[] = {
        {"__enter__", &enter, METH_NOARGS,
         "__enter__($self, /)\n--\n\nBegin, and return the pool."},
        {"__exit__", as_function(&exit), METH_FASTCALL,
         "__exit__($self, /, *exc_info)\n--\n\nRestore what was there before."},
        {},
    };
    static PyMemberDef members[] = {
        {"_handler", T_OBJECT_EX, offsetof(ContextObject, handler), READONLY, nullptr},
        {"_pool", T_OBJECT_EX, offsetof(ContextObject, pool), READONLY, nullptr},
        {},
    };
    static PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(&create)},
        {Py_tp_init, reinterpret_cast<void*>(&init)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc<clear_context>)},
        {Py_tp_traverse, reinterpret_cast<void*>(&traverse_context)},
        {Py_tp_clear, reinterpret_cast<void*>(&clear_context)},
        {Py_tp_methods, methods},
        {Py_tp_members, members},
        {Py_tp_doc,
         const_cast<char*>(
             "_Context(pool_or_make, fallback=..., /)\n--\n\nA block in which NumPy allocates from "
             "a "
             "pool: from this one, or without a fallback from the one that the function makes.")},
        {0, nullptr},
    };
    static PyType_Spec spec{"numpool._core._Context", sizeof(ContextObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
    return make_type(spec);
}

PyTypeObject* make_open_block_type() {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc<clear_open>)},
        {Py_tp_traverse, reinterpret_cast<void*>(&traverse_open)},
        {Py_tp_clear, reinterpret_cast<void*>(&clear_open)},
        {0, nullptr},
    };
    static PyType_Spec spec{
        "numpool._core._OpenBlock", sizeof(OpenBlock), 0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return make_type(spec);
}

}  // namespace

void register_numpy_context(py::module_& module) {
    open_block_type = make_open_block_type();
    const py::tuple none;
    open_blocks = stolen(PyContextVar_New("numpool.use", none.ptr())).release().ptr();
    context_type = make_context_type();
    module.attr("_Context") =
        py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(context_type));
}

}  // namespace numpool::bindings
