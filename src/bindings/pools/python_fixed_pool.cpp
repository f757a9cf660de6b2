#include "bindings/pools/python_fixed_pool.hpp"

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "base/size_text.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/sizes.hpp"
#include "bindings/sources/sources.hpp"

namespace numpool::bindings {

using threads::PoolFigures;
using threads::SharedFixedPoolOptions;

FixedPool::~FixedPool() {
    drop_with_gil(init_);
}

void FixedPool::end_python_object() noexcept {
    if (!init_) return;
    note_drop();
    close();
    drop_with_gil(init_);
}

void FixedPool::only_blocks_left() noexcept {
    note_drop();
}

void FixedPool::note_drop() noexcept try {
    if (checks_of(*this) != nullptr) return;  // Their own warning also names the lines.
    const std::size_t blocks = closed() ? 0 : figures().blocks;
    if (blocks == 0) return;
    notice_.warn_later(title() + " was dropped with " + count_to_text(blocks, "block") +
                       " in use: keep the pool as long as its blocks are used, or close it");
} catch (...) {  // No memory for a warning.
}

PyObject* FixedPool::hand_out(Block block) {
    if (!hands_out_plainly_) [[unlikely]]
        return hand_out_with_care(block);
    Buffer* const buffer =
        new_buffer({this, block.start, static_cast<Py_ssize_t>(block_size()), block.constructed});
    if (buffer == nullptr) {
        release_unused(block.start);
        throw py::error_already_set{};
    }
    buffer->holding.constructed = true;
    return &buffer->ob_base;
}

PyObject* FixedPool::hand_out_with_care(Block block) {
    threads::BlockOwner* owner = this;
    std::byte* start = block.start;
    if (CheckedBlocks* const checks = checks_of(*this)) {
        try {
            start = checks->wrap(block.start, block_size());
        } catch (const std::bad_alloc&) {
            release_unused(block.start);
            throw;
        }
        owner = checks;
    }
    Buffer* const buffer =
        new_buffer({owner, start, static_cast<Py_ssize_t>(block_size()), block.constructed});
    if (buffer == nullptr) {
        owner->release_unused(start);
        throw py::error_already_set{};
    }
    if (init_ && !block.constructed) return construct(&buffer->ob_base);
    buffer->holding.constructed = true;
    return &buffer->ob_base;
}

/// Runs `init` on the buffer, which this takes over and returns.
PyObject* FixedPool::construct(PyObject* buffer) {
    const auto handle = py::reinterpret_steal<py::object>(buffer);
    const py::object view = py::memoryview{handle};
    const py::object init = init_;  // A reference of its own: the call may drop the pool's.
    const auto result = py::reinterpret_steal<py::object>(
        calling_python([&] { return PyObject_CallOneArg(init.ptr(), view.ptr()); }));
    if (!result) {
        const py::error_already_set failure;
        // The exception's frames may hold the view for long. Unless others have exports of it, it
        // is released, and the block goes back now.
        const auto ended =
            py::reinterpret_steal<py::object>(PyObject_CallMethod(view.ptr(), "release", nullptr));
        if (!ended) PyErr_Clear();
        throw failure;
    }
    reinterpret_cast<Buffer*>(buffer)->lease->holding.constructed = true;
    return handle.inc_ref().ptr();
}

FixedPool::Block FixedPool::acquire_kept() {
    CheckedBlocks* const checks = checks_of(*this);
    return checks != nullptr && checks->empty_quarantine() ? try_acquire() : Block{};
}

bool FixedPool::acquire_all(std::span<Block> blocks) {
    if (try_acquire_many(blocks)) return true;
    CheckedBlocks* const checks = checks_of(*this);
    return checks != nullptr && checks->empty_quarantine() && try_acquire_many(blocks);
}

void FixedPool::add_checks(const CheckedBlocksOptions& options) {
    check_blocks(*this, options);
    hands_out_plainly_ = false;
}

void FixedPool::throw_exhausted(std::size_t wanted, const std::string& advice) {
    throw Exhausted{refuse(wanted) + advice};
}

namespace {

threads::PoolHandle<FixedPool> create(const Given& given) {
    const py::object max_blocks = given("max_blocks", "blocks");
    const bool strict = py::isinstance<py::str>(max_blocks) && max_blocks.equal(py::str{"blocks"});
    const py::object align = given("align");
    const py::object init = given("init");
    const bool wipe = given.flag("wipe", false);
    SharedFixedPoolOptions options;
    options.block_size = to_size(given("block_size"), "block_size");
    options.blocks = to_count(given("blocks"), "blocks");
    options.max_blocks = strict                 ? options.blocks
                         : max_blocks.is_none() ? SharedFixedPoolOptions::unbounded
                                                : to_count(max_blocks, "max_blocks");
    if (!align.is_none()) {
        options.align = to_size(align, "align");
        if (options.align == 0)
            throw BadArgument{"align is 0: it must be a power of two, like 64 or 4096"};
    }
    if (!init.is_none() && PyCallable_Check(init.ptr()) == 0) {
        throw py::type_error{std::string{"init must be callable with a memoryview, not "} +
                             Py_TYPE(init.ptr())->tp_name};
    }
    if (!init.is_none() && wipe) {
        throw BadArgument{"init and wipe contradict each other: wipe would erase what init wrote"};
    }
    options.keep_contents = !init.is_none();
    options.wipe = wipe;
    options.huge_pages = given.flag("huge_pages", true);
    options.name = to_name(given("name", ""));
    auto checks = to_checks(given("checks"));
    if (checks) {
        using Contents = CheckedBlocksOptions::Contents;
        checks->align = std::max(checks->align, options.align);
        checks->guard_align = std::max<std::size_t>(options.align, 1);
        checks->contents = !init.is_none() ? Contents::kept
                           : wipe          ? Contents::zeroed
                                           : Contents::filled;
        checks->most_blocks = options.max_blocks;
        options.fences = CheckedBlocks::bytes_before(*checks, 0) + CheckedBlocks::fence;
    }
    threads::PoolHandle<FixedPool> pool{
        new FixedPool{options, to_source(given("source"), pages::os_pages(), options.align),
                      init.is_none() ? py::object{} : init}};
    if (checks) pool->add_checks(*checks);
    return pool;
}

std::string repr(const FixedPool& pool) {
    const PoolFigures figures = figures_of(pool);
    const std::size_t blocks = pool.blocks();
    const std::string size = size_to_text(pool.block_size());
    std::string text = "<" + pool.title() + ": ";
    if (pool.closed()) {
        if (figures.blocks == 0) return text + "closed>";
        return text + "closed, " + count_to_text(figures.blocks, "block") + " of " + size +
               " still in use>";
    }
    text += std::to_string(figures.blocks) + " of " + count_to_text(blocks, "block") + " of " +
            size + " in use";
    if (pool.max_blocks() == SharedFixedPoolOptions::unbounded) {
        text += ", may grow without bound";
    } else if (pool.max_blocks() > blocks) {
        text += ", may grow to " + std::to_string(pool.max_blocks());
    }
    return text + ">";
}

/// `init` may refer to its pool, so the garbage collector must see it.
void support_garbage_collection(PyHeapTypeObject* type) {
    give_own_layout(type);
    type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
        Py_VISIT(Py_TYPE(self));
        if (const auto* const pool = made_in<FixedPool>(self)) Py_VISIT(pool->init());
        return 0;
    };
    type->ht_type.tp_clear = [](PyObject* self) -> int {
        if (auto* const pool = made_in<FixedPool>(self)) pool->end_python_object();
        return 0;
    };
    tell_of_end<FixedPool>(&type->ht_type);
}

constexpr const char* doc =
    R"(FixedPool(block_size, blocks, *, max_blocks="blocks", align=None, init=None, wipe=False, huge_pages=True, source=None, name="", checks=None)
--

Equal blocks of memory, handed out and taken back in constant time.

A new pool of any size touches no page; a block gets its pages when it is first used. The block that
was released last is handed out first, because it may still be in the processor's cache.

Any thread may acquire blocks, and may release those of other threads. Each thread keeps some of the
blocks that it releases, and acquires them again without a lock: one block, or more up to 256 KiB or
an eighth of the pool. Other threads get these blocks before the pool grows, lets a request wait or
refuses it. So stats().peak may count them as in use. trim() and the end of the thread give them back.

A pool that is dropped without close() while blocks are in use gives a ResourceWarning, which Python
shows with -X dev. Views and arrays stay valid.

block_size  the size of a block, an int or a text like "64KiB"
blocks      how many blocks there are from the start
max_blocks  how many it may grow to, in doubling steps: "blocks" means that it does not grow, None
            that it may grow without a bound
align       blocks start at multiples of this power of two; by default 64, less for small blocks
init        called with a memoryview of each block before its first use. The block keeps these
            contents, except for what its users change
wipe        zero each block when it is released, so that acquired blocks hold zeroes
huge_pages  blocks of 2 MiB and more use huge pages, if the system offers them. New blocks then come
            four times as fast, and are faster to write. Give False if only a part of each block is
            used. With a source, the source decides
source      the pool that it draws its memory from, a SlabPool or a BuddyPool; by default the system
name        shown in errors and reprs
checks      True finds memory bugs of the code that uses the blocks, and raises CorruptionError;
            "abort" aborts the process instead. "guard" also finds reads, by pages around a part
            of the blocks that cannot be accessed. None uses NUMPOOL_CHECKS. See "Find memory
            bugs")";

}  // namespace

void register_fixed_pool(py::module_& module) {
    register_request(module);
    py::class_<FixedPool, threads::Pool, threads::PoolHandle<FixedPool>> pool{
        module, "FixedPool", py::custom_type_setup{support_garbage_collection}, doc};
    define_init(pool, doc, &create);
    pool.def_property_readonly("block_size", number<FixedPool>(&FixedPool::block_size),
                               "The bytes in a block.")
        .def_property_readonly("blocks", number<FixedPool>(&FixedPool::blocks),
                               "How many blocks there are now, live and free.")
        .def_property_readonly(
            "max_blocks",
            [](const FixedPool& self) -> py::object {
                if (self.max_blocks() == SharedFixedPoolOptions::unbounded) return py::none{};
                return py::int_{self.max_blocks()};
            },
            "How many blocks there may be; None if nothing bounds them.")
        .def_property_readonly("align", number<FixedPool>(&FixedPool::align),
                               "Blocks start at multiples of this.")
        .def("__repr__", &repr);
    add_acquire_methods<FixedPool>(pool);
}

}  // namespace numpool::bindings
