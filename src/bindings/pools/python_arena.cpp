#include "bindings/pools/python_arena.hpp"

#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/pools/any_size.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/sources/sources.hpp"

namespace numpool::bindings {

using threads::PoolFigures;
using threads::PoolHandle;
using threads::SharedArena;

Arena::Arena(const threads::SharedArenaOptions& options, pages::SourceHandle source,
             PoolHandle<SharedArena> parent, py::object parent_object)
    : SharedArena{options, std::move(source), parent},
      parent_{std::move(parent_object)},
      family_{parent.get()} {}

Arena::~Arena() {
    drop_with_gil(parent_);
}

py::object Arena::parent() const {
    return parent_ ? parent_ : object_of(family_);
}

void Arena::clear() noexcept {
    clean_ups_.clear();
    drop_in_turn(parent_);
}

namespace {

/// How AnySize makes a Buffer of it.
struct Access {
    using Pool = Arena;

    static PyObject* buffer_on(Arena& arena, Arena::Idle block, std::size_t bytes) {
        Holding holding{&arena, block.start, static_cast<Py_ssize_t>(bytes)};
        holding.office = &arena;
        holding.ticket = block.ticket;
        // A reset ends blocks without a report to tracemalloc.
        holding.traced = false;
        return to_buffer(holding);
    }
    static PyObject* acquire(Arena& arena, std::size_t bytes) {
        return buffer_on(arena, arena.acquire(bytes), bytes);
    }
    static PyObject* try_acquire(Arena& arena, std::size_t bytes) {
        const Arena::Idle block = arena.try_acquire_idle(bytes);
        return block.start == nullptr ? nullptr : buffer_on(arena, block, bytes);
    }
};

PoolHandle<Arena> create(const Given& given) {
    const py::object parent = given("parent");
    threads::SharedArenaOptions options;
    options.chunk_size = to_size(given("chunk_size", "64KiB"), "chunk_size");
    options.name = to_name(given("name", ""));
    PoolHandle<SharedArena> family;
    if (!parent.is_none()) {
        if (!py::isinstance<Arena>(parent)) {
            throw py::type_error{std::string{"parent must be an Arena or None, not "} +
                                 Py_TYPE(parent.ptr())->tp_name};
        }
        family = PoolHandle<SharedArena>{&parent.cast<Arena&>()};
    }
    const pages::SourceHandle otherwise =
        family.get() != nullptr ? family->source() : default_source();
    pages::SourceHandle pages = to_source(given("source"), otherwise);
    PoolHandle<Arena> arena{new Arena{options, std::move(pages), std::move(family),
                                      parent.is_none() ? py::object{} : parent}};
    arena->join_family();
    return arena;
}

std::string repr(const Arena& arena) {
    const PoolFigures figures = arena.figures();
    const std::string blocks =
        std::to_string(figures.blocks) + (figures.blocks == 1 ? " block" : " blocks");
    std::string text = "<" + arena.title() + ": ";
    if (arena.closed())
        return text + (figures.blocks == 0 ? "closed>" : "closed, " + blocks + " still in use>");
    return text + blocks + " of " + size_to_text(figures.requested) + " in " +
           size_to_text(figures.mapped) + ">";
}

/// Clean-ups run once the arena's Python object is unreachable, like a `__del__`: see CleanUps.
/// They may refer to the arena, so the garbage collector must see them.
void support_clean_ups(PyHeapTypeObject* heap_type) {
    give_own_layout(heap_type);
    PyTypeObject* const type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        const auto* const arena = made_in<Arena>(self);
        if (arena == nullptr) return 0;
        Py_VISIT(arena->parent_reference());
        Py_VISIT(arena->clean_ups_reference());
        return 0;
    };
    type->tp_clear = [](PyObject* self) -> int {
        if (auto* const arena = made_in<Arena>(self)) arena->clear();
        return 0;
    };
    tell_of_end<Arena>(type);
}

constexpr const char* doc = R"(Arena(chunk_size="64KiB", parent=None, *, source=None, name="")
--

A region: blocks of any size by moving a pointer, ended all at once.

For what lives and dies together: a request's buffers, a frame's temporaries, a parse. reset() and
rewind() end any number of small blocks in one step, a million as fast as one. The chunks they lie
in stay, and serve the next cycle: from one reset to the next, or from one rewind to a mark to the
next. A chunk that a whole cycle did not need goes back to the source at its end; trim() gives all
unused chunks back at once. Large blocks go back one by one. A block that dies early is only counted,
except where its room comes back for free: as the newest block, as a large one, or as the last one
of its chunk. For long loops whose blocks come and go in any order use a SlabPool.

While an array, made by the arena or by NumPy under numpool.use(arena), or a view of a buffer lives,
reset(), rewind() and close() raise BufferError and change nothing. The error says how many blocks
are in use and names the first few: the newest arrays of this arena and its buffers like
"(1024, 3) float64 of 24 KiB", and others by size and address. A Buffer without views does not stop
them: it ends, and any use of it raises ValueError, as after release().

Any thread may use an arena; a lock guards it. tracemalloc does not see its blocks.

chunk_size  what it takes at first, an int or a text like "64KiB"; later chunks double. A request of
            more than a quarter of it gets memory of its own, given back when it dies
parent      an arena that this one ends with
source      the pool that it draws its chunks from: by default its parent's source, or the default
            pool
name        shown in errors and reprs)";

}  // namespace

void register_arena(py::module_& module) {
    CleanUps::create_type();
    py::class_<ArenaMark> mark{module, "ArenaMark", py::is_final(), own_layout(),
                               "ArenaMark(*args, **kwargs)\n--\n\nA place in an arena, from "
                               "Arena.mark() and for Arena.rewind()."};
    mark.attr("__module__") = "numpool";
    refuse_init(mark, "an ArenaMark is made by mark() of an arena");
    py::class_<Arena, threads::Pool, PoolHandle<Arena>> arena{
        module, "Arena", py::custom_type_setup{support_clean_ups}, doc};
    arena.attr("__module__") = "numpool";
    define_init(arena, doc, &create);
    arena
        .def_property_readonly("chunk_size", number<Arena>(&Arena::chunk_size),
                               "What it takes at first, in whole pages.")
        .def_property_readonly("parent", &Arena::parent,
                               "The arena that this one ends with, or None.")
        .def("defer", &Arena::defer, py::arg("callback"), py::pos_only(),
             "defer(self, callback, /, *args, **kwargs)\n--\n\n"
             "Call callback(*args, **kwargs) when the arena is reset, rewound to an older mark, "
             "closed\nor dropped. Clean-ups run in reverse order, after all children have ended "
             "and before any\nblock ends; one may defer another. All of them run, and the last "
             "exception is raised.")
        .def("mark", &Arena::mark_here,
             "mark(self)\n--\n\n"
             "A mark of this place, for rewind(). Nothing is copied; a mark costs a few words.")
        .def(
            "rewind",
            [](Arena& self, const py::object& to) {
                if (!py::isinstance<ArenaMark>(to)) {
                    throw py::type_error{std::string{"mark must be what mark() returned, not "} +
                                         Py_TYPE(to.ptr())->tp_name};
                }
                self.rewind_to(to.cast<const ArenaMark&>());
            },
            py::arg("mark"), py::pos_only(),
            "rewind(self, mark, /)\n--\n\n"
            "End what began since the mark: children, clean-ups, blocks. The mark stays valid, "
            "later ones\ndo not. Raises BufferError, and changes nothing, while one of those "
            "blocks is in use.")
        .def("reset", &Arena::reset_all,
             "reset(self)\n--\n\n"
             "End everything: children, then clean-ups in reverse order, then all blocks in one "
             "step. Chunks\nstay for the next cycle, except those that this one did not need. "
             "Raises BufferError, and\nchanges nothing, while a block is in use, also in a child. "
             "(If a clean-up itself begins to use\na block, BufferError comes after the "
             "clean-ups.)")
        .def("close", &Arena::close_all,
             "close(self)\n--\n\n"
             "Like reset(), and take no more requests. Closing again does nothing.")
        .def(
            "__exit__",
            [](Arena& self, const py::args& exc_info) {
                const bool failing = exc_info.size() > 0 && !exc_info[0].is_none();
                failing ? self.close_in_passing() : self.close_all();
            },
            "__exit__(self, *exc_info)\n--\n\n"
            "Close the arena. An exception of the with block is passed on, and blocks that its "
            "frames still use go with their last use.")
        .def("__repr__", &repr);
    AnySize<Access>::add_to(arena);
    add_array_methods<Arena>(arena);
}

}  // namespace numpool::bindings
