"""The public operations that test programs call while something fails at each of their steps.

An act has a pool, or another object, to work on. It ends as it should or raises what the failure is
to raise; then `whole` says what is wrong, if anything is.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import tempfile
import warnings
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

import numpool

TEXT = bytes(range(100))
# What an act could not start for want of memory was never awaited.
warnings.filterwarnings("ignore", "coroutine .* was never awaited")
LOOP = asyncio.new_event_loop()


def stop_failing() -> None:
    """End the failures, for what an act does when it raises. A program sets its own."""


def fixed() -> Any:
    return numpool.FixedPool(128, 2, name="fixed")


def slabs() -> Any:
    return numpool.SlabPool(name="slabs")


def buddy() -> Any:
    return numpool.BuddyPool("64KiB", name="buddy")


def arena() -> Any:
    return numpool.Arena(name="arena")


def handles() -> Any:
    return numpool.HandlePool({128: 2}, name="handles")


def reserve() -> Any:
    return numpool.ReservePool(numpool.FixedPool(128, 2), 128, 1, name="reserve")


def budget() -> Any:
    return numpool.Budget("1MiB", source=numpool.SlabPool(), name="budget")


def objects() -> Any:
    return numpool.ObjectPool(list, list.clear, size=2, name="objects")


def arrays() -> Any:
    return numpool.ArrayPool(3, "u1", fill=1, size=2)


def shared() -> Any:
    return numpool.SharedPool("8MiB", name="shared")


def drawing() -> Any:
    return numpool.FixedPool(4096, 2, max_blocks=None, source=slabs(), name="drawing")


def prepared() -> Any:
    return numpool.FixedPool(4096, 2, source=numpool.Pages(populated=True), name="prepared")


def in_file() -> Any:
    pages = numpool.Pages(file=tempfile.gettempdir(), force=True)
    return numpool.SlabPool(source=pages, name="in_file")


def make(kind: Callable[[], Any]) -> Callable[[Any], object]:
    return lambda _: kind()


def acquire(pool: Any) -> Any:
    fixed_size = isinstance(pool, numpool.FixedPool | numpool.ReservePool)
    return pool.acquire() if fixed_size else pool.acquire(100)


def use_buffer(pool: Any) -> None:
    with acquire(pool) as buffer:
        view = memoryview(buffer)
        view.release()
        array = buffer.array("u1", (4, 5))
        array[:] = 3
        del array
        repr(buffer)
        capsule = buffer.__dlpack__()
        del capsule
        assert buffer.pool is pool


def acquire_many(pool: Any) -> None:
    many = pool.acquire_many(2) if isinstance(pool, numpool.FixedPool) else pool.acquire_many(9, 2)
    assert len(many) == 2


def reallocate(pool: Any) -> None:
    buffer = pool.acquire(100)
    memoryview(buffer)[:] = TEXT
    try:
        for size in (200, 40_000, 100):
            buffer = pool.reallocate(buffer, size)
    except MemoryError:
        stop_failing()
        assert not buffer.released, "the old buffer was lost"
        assert bytes(memoryview(buffer)[:100]) == TEXT, "the bytes were lost"
        raise
    assert bytes(memoryview(buffer)) == TEXT


def pickled(pool: Any) -> None:
    buffer = acquire(pool)
    try:
        copy = pickle.loads(pickle.dumps(buffer))
    except pickle.PicklingError as error:
        # pickle hides why it could not look a function up.
        raise MemoryError from error
    assert len(copy) == len(buffer)


def numpy_arrays(pool: Any) -> None:
    pool.empty(10)
    pool.zeros((2, 3), "f4")
    pool.full(3, 7)
    pool.array([1, 2, 3])


def use(pool: Any) -> None:
    with numpool.use(pool):
        np.empty(10)


def budgeted(pool: Any) -> None:
    with numpool.use(pool), numpool.budget("1MiB", soft=1, on_soft=list) as inner:
        np.empty(10)
        assert inner.peak > 0


def current(pool: Any) -> None:
    numpool.current()
    numpool.default_pool()


def owners(pool: Any) -> None:
    buffer = acquire(pool)
    assert numpool.owner(buffer) is pool
    if not isinstance(pool, numpool.Budget):  # An address is the serving pool's.
        assert numpool.owner(buffer.address) is pool
    assert numpool.pool_of(buffer.array()) is pool


def figures(pool: Any) -> None:
    pool.stats()
    repr(pool)
    pool.check()
    pool.trim()


def cycle(arena: Any) -> None:
    mark = arena.mark()
    buffer = arena.acquire(100)
    arena.defer(len, "x")
    child = numpool.Arena(parent=arena)
    child.acquire(10)
    del buffer
    arena.rewind(mark)
    arena.reset()


def refused(arena: Any) -> None:
    array = arena.empty(10)
    try:
        arena.reset()
    except BufferError:
        del array
    else:
        raise AssertionError("the arena ended an array that lives")


def by_handle(table: Any) -> None:
    handle = table.alloc(100)
    try:
        table[handle][:3] = b"abc"
        assert handle in table
        assert list(table) == [handle]
        assert len(table) == 1
    finally:
        table.free(handle)


def resize(pool: Any) -> None:
    pool.resize(2)
    pool.resize(1)
    pool.acquire().release()


def spans(pool: Any) -> None:
    """Blocks that need every kind of system call that a SlabPool knows."""
    many = [pool.acquire(size << 20) for size in (3, 5, 1, 7, 4)]
    many.clear()
    memoryview(pool.acquire("33MiB"))[::4096] = bytes(33 << 8)
    pool.reallocate(pool.acquire("3MiB"), "9MiB")
    pool.trim()


def grow(pool: Any) -> None:
    many = [pool.acquire() for _ in range(40)]
    del many[::2]
    pool.trim()


def send(_: Any) -> None:
    # A message whose pickling fails after it was made holds its block until the sender ends.
    pool = shared()
    array = pool.full(1000, 7, "u1")
    try:
        sent = ForkingPickler.dumps(array)
    except (pickle.PicklingError, SystemError) as error:
        # SystemError is what NumPy's dtypes say.
        raise MemoryError from error
    del array
    assert bytes(ForkingPickler.loads(sent)) == b"\7" * 1000


def lend(pool: Any) -> None:
    with pool.take() as one:
        repr(pool)
        del one
    loan = pool.try_take()
    loan.release()
    pool.stats()


def wait_in_a_loop(pool: Any) -> None:
    coroutine = pool.acquire_async()
    # CPython says SystemError where StopIteration leaves a send() in Python without memory.
    steps = coroutine.__await__()
    try:
        asyncio._set_running_loop(LOOP)
        steps.send(None)
    except StopIteration as end:
        end.value.release()
    finally:
        coroutine.close()
        asyncio._set_running_loop(None)


def install(pool: Any) -> None:
    try:
        numpool.install(pool)
        np.empty(10)
    finally:
        numpool.uninstall()


def sizes(_: Any) -> None:
    numpool.parse_size("64KiB")
    numpool.format_size(3 << 20)
    numpool.memory_limit()
    repr(numpool.Pages(populated=True))


def wrong(pool: Any) -> None:
    try:
        pool.acquire("x")
    except ValueError:
        pass
    else:
        raise AssertionError("it was taken")
    try:
        pool.owns(None)
    except TypeError:
        pass
    else:
        raise AssertionError("it was taken")


ACTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "current": (slabs, current),
    "sizes": (slabs, sizes),
    "wrong arguments": (slabs, wrong),
    "arena: cycle": (arena, cycle),
    "arena: refused": (arena, refused),
    "handles: by handle": (handles, by_handle),
    "reserve: resize": (reserve, resize),
    "objects: lend": (objects, lend),
    "arrays: lend": (arrays, lend),
    "slabs: spans": (slabs, spans),
    "in_file: spans": (in_file, spans),
    "drawing: grow": (drawing, grow),
    "shared: send": (slabs, send),
    "fixed: wait in a loop": (fixed, wait_in_a_loop),
}
ALL = (
    fixed, slabs, buddy, arena, handles, reserve, budget, objects, shared, drawing, prepared,
    in_file,
)  # fmt: skip
for kind in ALL:
    ACTS[f"make {kind.__name__}"] = (slabs, make(kind))
    if kind is not objects:
        ACTS[f"{kind.__name__}: figures"] = (kind, figures)
for kind in (fixed, slabs, buddy, arena, budget, shared):
    ACTS[f"{kind.__name__}: buffer"] = (kind, use_buffer)
    ACTS[f"{kind.__name__}: many"] = (kind, acquire_many)
    ACTS[f"{kind.__name__}: pickle"] = (kind, pickled)
    ACTS[f"{kind.__name__}: use"] = (kind, use)
    ACTS[f"{kind.__name__}: owners"] = (kind, owners)
for kind in (slabs, budget):
    ACTS[f"{kind.__name__}: budgeted"] = (kind, budgeted)
for kind in (slabs, buddy, arena, budget, shared):
    ACTS[f"{kind.__name__}: arrays"] = (kind, numpy_arrays)
for kind in (slabs, buddy, in_file):
    ACTS[f"{kind.__name__}: reallocate"] = (kind, reallocate)
for kind in (drawing, prepared, reserve, in_file):
    ACTS[f"{kind.__name__}: buffer"] = (kind, use_buffer)
# Last: an installed pool lives as long as the process.
ACTS["install"] = (slabs, install)


def whole(pool: Any) -> str | None:
    """What is wrong after an act; None where nothing is."""
    gc.collect(0)
    if isinstance(pool, numpool.SharedPool) and not pool.closed:
        pool.reap(older_than=0)
    if numpool.current() is not None:
        return "NumPy still allocates from the pool"
    pool.check()
    stats = pool.stats()
    live = stats.taken if isinstance(stats, numpool.ObjectStats) else stats.blocks
    kept = 1 if isinstance(pool, numpool.ReservePool) else 0
    return f"{live} blocks are live" if live > kept else None
