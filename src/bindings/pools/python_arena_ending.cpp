/// What happens when blocks of an arena end: children first, then clean-ups, then the memory.

#include <string>
#include <utility>

#include "base/error.hpp"
#include "bindings/pools/finding.hpp"
#include "bindings/pools/python_arena.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {
namespace {

/// A list's last item, or nothing.
py::object pop(const py::object& list) {
    PyObject* const item = PyObject_CallMethod(list.ptr(), "pop", nullptr);
    if (item == nullptr) {
        if (PyErr_ExceptionMatches(PyExc_IndexError) == 0) throw py::error_already_set{};
        PyErr_Clear();
    }
    return py::reinterpret_steal<py::object>(item);
}

}  // namespace

void CleanUpErrors::add(py::error_already_set error) {
    if (last_ && !error.value().is(last_->value())) {
        // Behind what the error itself was raised during.
        py::object tail = error.value();
        while (auto* const context = PyException_GetContext(tail.ptr()))
            tail = py::reinterpret_steal<py::object>(context);
        if (!tail.is(last_->value()))
            PyException_SetContext(tail.ptr(), last_->value().inc_ref().ptr());
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

std::size_t Arena::deferred() const noexcept {
    return deferred_ ? static_cast<std::size_t>(PyList_GET_SIZE(deferred_.ptr())) : 0;
}

void Arena::defer(py::object callback, const py::args& arguments, const py::kwargs& keywords) {
    if (PyCallable_Check(callback.ptr()) == 0) {
        throw py::type_error{std::string{"defer() takes something to call, not "} +
                             Py_TYPE(callback.ptr())->tp_name};
    }
    if (closed()) throw Closed{title() + " is closed and takes no more requests"};
    if (!deferred_) deferred_ = py::list{};
    const py::tuple call = py::make_tuple(std::move(callback), arguments, keywords);
    if (PyList_Append(deferred_.ptr(), call.ptr()) != 0) throw py::error_already_set{};
}

ArenaMark Arena::mark_here() {
    return {threads::PoolHandle<Arena>{this}, mark(), deferred()};
}

/// Runs what was deferred last. False where nothing is left to run.
bool Arena::run_newest_deferred(std::size_t deferred_before, CleanUpErrors& errors) {
    if (deferred() <= deferred_before) return false;
    const py::object call = pop(deferred_);
    if (!call) return false;
    const auto parts = py::reinterpret_borrow<py::tuple>(call);
    const auto result = py::reinterpret_steal<py::object>(calling_python([&] {
        return PyObject_Call(py::object{parts[0]}.ptr(), py::object{parts[1]}.ptr(),
                             py::object{parts[2]}.ptr());
    }));
    if (!result) errors.add(py::error_already_set{});
    return true;
}

/// Ends children and runs clean-ups until there are none: they may make more of either.
void Arena::clean_up(const Mark& since, std::size_t deferred_before, CleanUpErrors& errors) {
    do {
        for (const auto& handle : children_since(since)) {
            auto& child = static_cast<Arena&>(*handle);
            child.clean_up({}, 0, errors);
            child.close();
        }
    } while (run_newest_deferred(deferred_before, errors));
}

std::size_t Arena::uses_of_family(const Mark& since) const {
    std::size_t uses = uses_since(since);
    for (const auto& child : children_since(since))
        uses += static_cast<const Arena&>(*child).uses_of_family(child->beginning());
    return uses;
}

void Arena::add_usage_of_family(const Mark& since, Usage& usage) const {
    add_usage(since, usage);
    for (const auto& child : children_since(since))
        static_cast<const Arena&>(*child).add_usage_of_family(child->beginning(), usage);
}

void Arena::throw_in_use(const Mark& since, const char* verb) const {
    Usage usage;
    add_usage_of_family(since, usage);
    name_what_is_in(usage);
    throw InUse{title() + ": " + text_of(usage) + "; drop them before " + verb};
}

void Arena::require_unused(const Mark& since, const char* verb) const {
    if (uses_of_family(since) != 0) throw_in_use(since, verb);
}

void Arena::rewind_to(const ArenaMark& mark) {
    if (mark.arena.get() != this) throw BadArgument{title() + ": this mark is another arena's"};
    require_known(mark.place);
    require_unused(mark.place, "rewind()");
    CleanUpErrors errors;
    clean_up(mark.place, mark.deferred, errors);
    if (!try_rewind(mark.place)) throw_in_use(mark.place, "rewind()");
    errors.raise();
}

void Arena::reset_all() {
    if (closed()) throw Closed{title() + " is closed and takes no more requests"};
    require_unused(beginning(), "reset()");
    CleanUpErrors errors;
    clean_up({}, 0, errors);
    if (!try_reset()) throw_in_use(beginning(), "reset()");
    errors.raise();
}

void Arena::close_all() {
    if (closed()) return;
    require_unused(beginning(), "close()");
    CleanUpErrors errors;
    clean_up({}, 0, errors);
    if (!try_close()) throw_in_use(beginning(), "close()");
    errors.raise();
}

void Arena::close_in_passing() {
    CleanUpErrors errors;
    clean_up({}, 0, errors);
    close();
    errors.raise();
}

void Arena::finalize() noexcept try {
    if (deferred() == 0) return;
    const py::error_scope passing;
    CleanUpErrors errors;
    clean_up({}, 0, errors);
    errors.report(nullptr);
} catch (abi::__forced_unwind&) {
    hang_thread();
} catch (...) {  // No memory to look at children with.
    const py::error_scope passing;
    set_python_error();
    PyErr_WriteUnraisable(nullptr);
}

}  // namespace numpool::bindings
