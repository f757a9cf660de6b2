/// What happens when blocks of an arena end: children first, then clean-ups, then the memory.

#include <string>
#include <utility>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/python_arena.hpp"
#include "bindings/python/errors.hpp"

namespace numpool::bindings {
void Arena::defer(py::object callback, const py::args& arguments, const py::kwargs& keywords) {
    if (PyCallable_Check(callback.ptr()) == 0) {
        throw py::type_error{std::string{"defer() takes something to call, not "} +
                             Py_TYPE(callback.ptr())->tp_name};
    }
    if (closed()) throw Closed{title() + " is closed and takes no more requests"};
    clean_ups_.defer(std::move(callback), arguments, keywords);
}

ArenaMark Arena::mark_here() {
    return {threads::PoolHandle<Arena>{this}, mark(), clean_ups_.next()};
}

/// Ends children and runs clean-ups until there are none: they may make more of either.
void Arena::clean_up(const Mark& since, std::size_t first, CleanUpErrors& errors) {
    do {
        for (const auto& handle : children_since(since)) {
            auto& child = static_cast<Arena&>(*handle);
            child.clean_up({}, 0, errors);
            child.close();
        }
    } while (clean_ups_.run_newest(first, errors));
}

std::size_t Arena::uses_of_family(const Mark& since) const {
    std::size_t uses = uses_since(since);
    for (const auto& child : children_since(since))
        uses += static_cast<const Arena&>(*child).uses_of_family(child->beginning());
    return uses;
}

void Arena::add_usage_of_family(const Mark& since, Usage& usage) {
    const std::size_t known = usage.first.size();
    add_usage(since, usage);
    for (std::size_t i = known; i < usage.first.size(); ++i) name(usage.first[i]);
    for (const auto& child : children_since(since))
        static_cast<Arena&>(*child).add_usage_of_family(child->beginning(), usage);
}

/// "(1024, 3) float64 of 24 KiB"; nothing where no array is remembered and the block no Buffer's.
void Arena::name(Named& one) const {
    const std::string buffer =
        one.block.has_ticket ? "Buffer of " + size_to_text(one.block.bytes) : "";
    const auto arrays = recent_arrays_.in(one.block.start, one.block.bytes);
    for (const auto& array : arrays) {
        if (!one.what.empty()) one.what += " and ";
        one.what += array.text();
        if (buffer.empty()) one.what += " of " + size_to_text(array.bytes());
    }
    if (!buffer.empty()) one.what += (arrays.empty() ? "" : " on a ") + buffer;
}

void Arena::throw_in_use(const Mark& since, const char* verb) {
    Usage usage;
    add_usage_of_family(since, usage);
    throw InUse{title() + ": " + text_of(usage) + "; drop them before " + verb};
}

void Arena::require_unused(const Mark& since, const char* verb) {
    if (uses_of_family(since) != 0) throw_in_use(since, verb);
}

/// Whether a clean-up has itself ended what the mark is of.
bool Arena::has_left(const Mark& mark) const {
    try {
        require_known(mark);
        return false;
    } catch (const BadArgument&) {
        return true;
    } catch (const Closed&) {
        return true;
    }
}

void Arena::rewind_to(const ArenaMark& mark) {
    if (mark.arena.get() != this) throw BadArgument{title() + ": this mark is another arena's"};
    require_known(mark.place);
    require_unused(mark.place, "rewind()");
    CleanUpErrors errors;
    errors.run([&] {
        clean_up(mark.place, mark.next_clean_up, errors);
        if (!has_left(mark.place) && !try_rewind(mark.place)) throw_in_use(mark.place, "rewind()");
    });
    errors.raise();
}

void Arena::reset_all() {
    if (closed()) throw Closed{title() + " is closed and takes no more requests"};
    require_unused(beginning(), "reset()");
    CleanUpErrors errors;
    errors.run([&] {
        clean_up({}, 0, errors);
        if (!closed() && !try_reset()) throw_in_use(beginning(), "reset()");
    });
    errors.raise();
}

void Arena::close_all() {
    if (closed()) return;
    require_unused(beginning(), "close()");
    CleanUpErrors errors;
    errors.run([&] {
        clean_up({}, 0, errors);
        if (!try_close()) throw_in_use(beginning(), "close()");
    });
    errors.raise();
}

void Arena::close_in_passing() {
    CleanUpErrors errors;
    errors.run([&] { clean_up({}, 0, errors); });
    close();
    errors.raise();
}

void Arena::finalize() noexcept try {
    if (clean_ups_.is_empty()) return;
    const threads::PoolHandle<Arena> kept{this};
    const py::error_scope passing;
    CleanUpErrors errors;
    errors.run([&] { clean_up({}, 0, errors); });
    errors.report(nullptr);
} catch (abi::__forced_unwind&) {
    hang_thread();
}

void Arena::end_python_object() noexcept {
    if (clean_ups_.may_run()) finalize();
    clear();
}

}  // namespace numpool::bindings
