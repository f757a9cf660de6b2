#include "bindings/pools/clean_ups.hpp"

#include <memory>
#include <unordered_set>
#include <vector>

#include "bindings/pools/python_arena.hpp"
#include "bindings/python/free_threading.hpp"

namespace numpool::bindings {
namespace {

using Calls = std::vector<CleanUp>;
using Lock = std::unique_lock<std::mutex>;

struct List {
    PyObject ob_base;
    /// Null once the arena no longer uses this list.
    Arena* arena;
    Calls* calls;
};

PyTypeObject* list_type = nullptr;

List* as_list(PyObject* object) noexcept {
    return reinterpret_cast<List*>(object);
}

Calls& calls_in(const py::object& list) noexcept {
    return *as_list(list.ptr())->calls;
}

py::object new_list(Arena& arena) {
    auto calls = std::make_unique<Calls>();
    const auto list = py::reinterpret_steal<py::object>(list_type->tp_alloc(list_type, 0));
    if (!list) throw py::error_already_set{};
    as_list(list.ptr())->arena = &arena;
    as_list(list.ptr())->calls = calls.release();
    return list;
}

int list_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (as_list(self)->calls == nullptr) return 0;
    for (const CleanUp& one : *as_list(self)->calls) {
        Py_VISIT(one.callback.ptr());
        Py_VISIT(one.arguments.ptr());
        Py_VISIT(one.keywords.ptr());
    }
    return 0;
}

void list_finalize(PyObject* self) {
    if (Arena* const arena = as_list(self)->arena) arena->finalize();
}

void list_dealloc(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    delete as_list(self)->calls;
    type->tp_free(self);
    Py_DECREF(type);
}

/// An exception with its `__context__`, that one's `__context__`, and so on. Programs can make a
/// cycle of them, so each is in the chain once.
class Chain {
  public:
    explicit Chain(py::object newest) {
        while (newest && known_.insert(newest.ptr()).second) {
            errors_.push_back(newest);
            newest = context_of(newest.ptr());
        }
    }

    bool has(PyObject* error) const { return known_.contains(error); }
    PyObject* oldest() const noexcept { return errors_.back().ptr(); }

    /// Unlinks the first exception that also is in the other chain, and all behind it.
    void end_before(const Chain& other) const {
        for (const py::object& one : errors_) {
            if (other.has(context_of(one.ptr()).ptr()))
                return PyException_SetContext(one.ptr(), nullptr);
        }
    }

  private:
    static py::object context_of(PyObject* error) {
        return py::reinterpret_steal<py::object>(PyException_GetContext(error));
    }

    std::vector<py::object> errors_;
    std::unordered_set<PyObject*> known_;
};

}  // namespace

void CleanUpErrors::add(py::error_already_set error) {
    if (last_ && !error.value().is(last_->value())) {
        const Chain newer{error.value()};
        if (!newer.has(last_->value().ptr())) {
            const Chain older{last_->value()};
            older.end_before(newer);
            PyException_SetContext(newer.oldest(), last_->value().inc_ref().ptr());
        }
    }
    last_.emplace(std::move(error));
}

void CleanUpErrors::raise() {
    if (last_) throw py::error_already_set{*std::exchange(last_, std::nullopt)};
}

void CleanUpErrors::report(PyObject* subject) noexcept {
    if (!last_) return;
    last_->restore();
    last_.reset();
    PyErr_WriteUnraisable(subject);
}

CleanUps::~CleanUps() {
    if (list_) as_list(list_.ptr())->arena = nullptr;
    drop_with_gil(list_);
}

void CleanUps::defer(py::object callback, py::object arguments, py::object keywords) {
    py::object made;
    Lock lock{mutex_};
    while (!list_ || PyObject_GC_IsFinalized(list_.ptr()) != 0) {
        if (!made) {
            lock.unlock();
            made = new_list(arena_);
            lock.lock();
            continue;
        }
        if (list_) {
            std::swap(as_list(made.ptr())->calls, as_list(list_.ptr())->calls);
            as_list(list_.ptr())->arena = nullptr;
        }
        std::swap(list_, made);
    }
    calls_in(list_).push_back(
        {next_, std::move(callback), std::move(arguments), std::move(keywords)});
    ++next_;
    lock.unlock();
}

std::size_t CleanUps::next() const {
    const Lock lock{mutex_};
    return next_;
}

bool CleanUps::run_newest(std::size_t first, CleanUpErrors& errors) {
    CleanUp newest;
    {
        const Lock lock{mutex_};
        if (!list_ || calls_in(list_).empty()) return false;
        CleanUp& last = calls_in(list_).back();
        if (last.number < first) return false;
        newest = std::move(last);
        calls_in(list_).pop_back();
    }
    errors.run([&] {
        const auto result = py::reinterpret_steal<py::object>(calling_python([&] {
            return PyObject_Call(newest.callback.ptr(), newest.arguments.ptr(),
                                 newest.keywords.ptr());
        }));
        if (!result) throw py::error_already_set{};
    });
    return true;
}

bool CleanUps::is_empty() const {
    const Lock lock{mutex_};
    return !list_ || calls_in(list_).empty();
}

bool CleanUps::may_run() const {
    const Lock lock{mutex_};
    return !list_ || PyObject_GC_IsFinalized(list_.ptr()) == 0;
}

void CleanUps::clear() noexcept {
    py::object dropped;
    {
        const Lock lock{mutex_};
        if (!list_ || PyObject_GC_IsFinalized(list_.ptr()) == 0) return;
        as_list(list_.ptr())->arena = nullptr;
        std::swap(list_, dropped);
    }
}

void CleanUps::create_type() {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(list_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(list_traverse)},
        {Py_tp_finalize, reinterpret_cast<void*>(list_finalize)},
        {Py_tp_doc, const_cast<char*>("What an arena calls before its blocks end.")},
        {0, nullptr},
    };
    static PyType_Spec spec = {
        "numpool._core.CleanUps",
        sizeof(List),
        0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
            Py_TPFLAGS_IMMUTABLETYPE,
        slots,
    };
    list_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (list_type == nullptr) throw py::error_already_set{};
}

}  // namespace numpool::bindings
