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

/// How AnySize makes a Buffer on a block of an arena.
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
    const std::string blocks = count_to_text(figures.blocks, "block");
    std::string text = "<" + arena.title() + ": ";
    if (arena.closed())
        return text + (figures.blocks == 0 ? "closed>" : "closed, " + blocks + " still in use>");
    return text + blocks + " of " + size_to_text(figures.requested) + " in " +
           size_to_text(figures.mapped) + ">";
}

/// Clean-ups run when the arena's Python object becomes unreachable, as a `__del__` does: see
/// CleanUps. They may refer to the arena, so the garbage collector must see them.
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

Blocks of any size that are released together. A request only moves a pointer.

Use it for blocks that are needed for the same time: those of a request, a frame or a parse. reset()
releases all blocks, and rewind() all blocks since a mark. Both take the same time for a million small
blocks as for one.

The arena cuts small blocks from chunks. It keeps its chunks when it is reset, and uses them again. A
chunk that was not needed between two resets goes back to the source; trim() gives back all unused
chunks. A large block has memory of its own, which goes back when the block is released. If a small
block is released early, its memory is reused at once only if it is the newest block, or if no other
block of its chunk is left. So if blocks come and go in any order for long, use a SlabPool.

reset(), rewind() and close() raise BufferError, and change nothing, while one of their blocks is in
use: by an array of the arena, by an array that NumPy made under numpool.use(arena), or by a view of a
buffer. The error has the number of these blocks, and names the first few: the newest arrays like
"(1024, 3) float64 of 24 KiB", others by size and address. A Buffer without views does not count as
use. It is released, and then raises ValueError when it is used.

Any thread may use an arena; a lock guards it. tracemalloc does not see its blocks.

chunk_size  the size of the first chunk, an int or a text like "64KiB"; each further chunk is twice as
            large. A block larger than a quarter of this has memory of its own
parent      another arena: when the parent is reset or closed, this arena is closed
source      the pool that provides the chunks: by default the parent's source, or the default pool
name        shown in errors and reprs)";

}  // namespace

void register_arena(py::module_& module) {
    CleanUps::create_type();
    py::class_<ArenaMark> mark{module, "ArenaMark", py::is_final(), own_layout(),
                               "ArenaMark(*args, **kwargs)\n--\n\nA place in an arena. "
                               "Arena.mark() returns it, and Arena.rewind() takes it."};
    refuse_init(mark, "an ArenaMark is made by mark() of an arena");
    py::class_<Arena, threads::Pool, PoolHandle<Arena>> arena{
        module, "Arena", py::custom_type_setup{support_clean_ups}, doc};
    define_init(arena, doc, &create);
    arena
        .def_property_readonly("chunk_size", number<Arena>(&Arena::chunk_size),
                               "The size of the first chunk, in whole pages.")
        .def_property_readonly("parent", &Arena::parent,
                               "The parent, which closes this arena when it is reset, or None.")
        .def("defer", &Arena::defer, py::arg("callback"), py::pos_only(),
             "defer(self, callback, /, *args, **kwargs)\n--\n\n"
             "Call callback(*args, **kwargs) when the arena is reset, rewound to an older mark, "
             "closed\nor dropped. Such callbacks run in reverse order, after all children are "
             "closed and before\nblocks are released. A callback may call defer(). If callbacks "
             "raise, the others still run,\nand the last exception is raised.")
        .def("mark", &Arena::mark_here,
             "mark(self)\n--\n\n"
             "A mark of this moment, for rewind(). It costs a few words of memory.")
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
            "Reset the arena to the state at the mark: close later children, call later callbacks "
            "of\ndefer(), and release later blocks. The mark stays valid; later marks do not. "
            "Raises\nBufferError, and changes nothing, while one of those blocks is in use.")
        .def("reset", &Arena::reset_all,
             "reset(self)\n--\n\n"
             "Close all children, call the callbacks of defer() in reverse order, and release all "
             "blocks.\nThe arena keeps the chunks that it needed since the last reset. Raises "
             "BufferError, and\nchanges nothing, while a block is in use, also in a child. If a "
             "callback itself begins to use\na block, BufferError is raised after the callbacks.")
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
            "Close the arena. If the with block raises, its exception is passed on. Blocks that "
            "its frames still use are then released after their last use.")
        .def("__repr__", &repr);
    AnySize<Access>::add_to(arena);
    add_array_methods<Arena>(arena);
}

}  // namespace numpool::bindings
