/// How an arena ends blocks: children end first, then clean-ups run, then the memory goes.

#include <string>
#include <utility>
#include <vector>

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
    require_open();
    clean_ups_.defer(std::move(callback), arguments, keywords);
}

ArenaMark Arena::mark_here() {
    return {threads::PoolHandle<Arena>{this}, mark(), clean_ups_.next()};
}

/// Ends children and runs clean-ups until there are none; clean-ups may add more of both. Arenas
/// that are about to end wait in a list, since families may be deeper than the C stack.
void Arena::clean_up(const Mark& since, std::size_t first, CleanUpErrors& errors) {
    struct Ending {
        threads::PoolHandle<SharedArena> arena;
        std::vector<threads::PoolHandle<SharedArena>> children;
        std::size_t ended = 0;
    };
    std::vector<Ending> endings;
    endings.push_back({threads::PoolHandle<SharedArena>{this}, children_since(since)});
    for (;;) {
        Ending& last = endings.back();
        auto& arena = static_cast<Arena&>(*last.arena);
        const bool own = endings.size() == 1;
        if (last.ended < last.children.size()) {
            auto child = std::move(last.children[last.ended++]);
            auto grandchildren = child->children_since({});
            endings.push_back({std::move(child), std::move(grandchildren)});
        } else if (arena.clean_ups_.run_newest(own ? first : 0, errors)) {
            endings.back() = {std::move(last.arena), arena.children_since(own ? since : Mark{})};
        } else if (own) {
            return;
        } else {
            arena.close();
            endings.pop_back();
        }
    }
}

/// "(1024, 3) float64 of 24 KiB". Empty where no array is remembered and the block has no Buffer.
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

void Arena::throw_in_use(const Mark& since, const char* verb) const {
    Usage usage;
    add_usage_of_family(since, usage);
    throw InUse{title() + ": " + usage.text() + "; drop them before " + verb};
}

void Arena::require_unused(const Mark& since, const char* verb) const {
    if (uses_of_family_since(since) != 0) throw_in_use(since, verb);
}

/// Whether a clean-up itself has reset, rewound or closed the arena, so that the mark is unknown.
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
    require_open();
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
