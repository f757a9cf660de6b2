"""The program of test_no_memory.py: public operations while Python gets no memory.

Each act runs in a child process of its own, so that a crash is told by the act's name. There it
runs again and again: with no memory from the nth request of Python's on, or with one request
refused, for every n until it needs no more.
"""

from __future__ import annotations

import _testcapi  # type: ignore[import-not-found, unused-ignore]
import asyncio
import gc
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import numpool

TEXT = bytes(range(100))
# What an act could not start for want of memory was never awaited.
warnings.filterwarnings("ignore", "coroutine .* was never awaited")
LOOP = asyncio.new_event_loop()


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


def objects() -> Any:
    return numpool.ObjectPool(list, list.clear, size=2, name="objects")


def arrays() -> Any:
    return numpool.ArrayPool(3, "u1", fill=1, size=2)


def make(kind: Callable[[], Any]) -> Callable[[Any], object]:
    return lambda _: kind()


def acquire(pool: Any) -> Any:
    return pool.acquire() if isinstance(pool, numpool.FixedPool) else pool.acquire(100)


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
        _testcapi.remove_mem_hooks()
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


def current(pool: Any) -> None:
    numpool.current()
    numpool.default_pool()


def owners(pool: Any) -> None:
    buffer = acquire(pool)
    assert numpool.owner(buffer) is pool
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
    "fixed: wait in a loop": (fixed, wait_in_a_loop),
}
for kind in (fixed, slabs, buddy, arena, handles, reserve, objects):
    ACTS[f"make {kind.__name__}"] = (slabs, make(kind))
    if kind is not objects:
        ACTS[f"{kind.__name__}: figures"] = (kind, figures)
for kind in (fixed, slabs, buddy, arena):
    ACTS[f"{kind.__name__}: buffer"] = (kind, use_buffer)
    ACTS[f"{kind.__name__}: many"] = (kind, acquire_many)
    ACTS[f"{kind.__name__}: pickle"] = (kind, pickled)
    ACTS[f"{kind.__name__}: use"] = (kind, use)
    ACTS[f"{kind.__name__}: owners"] = (kind, owners)
for kind in (slabs, buddy, arena):
    ACTS[f"{kind.__name__}: arrays"] = (kind, numpy_arrays)
for kind in (slabs, buddy):
    ACTS[f"{kind.__name__}: reallocate"] = (kind, reallocate)
# Last: an installed pool lives as long as the process.
ACTS["install"] = (slabs, install)


def whole(pool: Any) -> str | None:
    """What is wrong after an act; None where nothing is."""
    gc.collect(0)
    if numpool.current() is not None:
        return "NumPy still allocates from the pool"
    pool.check()
    stats = pool.stats()
    live = stats.taken if isinstance(stats, numpool.ObjectStats) else stats.blocks
    kept = 1 if isinstance(pool, numpool.ReservePool) else 0
    return f"{live} blocks are live" if live > kept else None


def outcome(act: Callable[[Any], object], pool: Any, first: int, last: int) -> str | None:
    """What went wrong; "" where memory was missing, None where the act needed no more."""
    wrong = None
    _testcapi.set_nomemory(first, last)
    try:
        act(pool)
    except MemoryError:
        wrong = ""
    except BaseException as error:  # noqa: BLE001 - told by the act's name
        _testcapi.remove_mem_hooks()
        wrong = f"{type(error).__name__}: {error}"
    _testcapi.remove_mem_hooks()
    return wrong


def try_all(name: str, last_of: Callable[[int], int]) -> str:
    """What went wrong in an act with requests refused from the nth to some last one, for every n.

    Empty where nothing did, thirty times in a row without a MemoryError.
    """
    kind, act = ACTS[name]
    pool = kind()
    n = untouched = 0
    while untouched < 30:
        n += 1
        wrong = outcome(act, pool, n, last_of(n))
        if trouble := wrong or whole(pool):
            return f"{name}, requests {n} to {last_of(n) or 'the last'}: {trouble}"
        untouched = untouched + 1 if wrong is None else 0
    return ""


def try_act(name: str) -> str:
    """What went wrong in an act; empty where nothing did."""
    kind, act = ACTS[name]
    act(kind())  # What is imported late is there from now on.
    # CPython itself crashes where it sets a context's variable without memory for value and token,
    # and never ends where the number of an instruction, for a handler in Python, finds none.
    goes_on = not name.endswith((": use", ": arrays", ": refused", ": lend", ": wait in a loop"))
    return try_all(name, lambda n: n + 1) or (try_all(name, lambda _: 0) if goes_on else "")


def main() -> None:
    """Print what went wrong, a line for each act."""
    for name in sys.argv[1:] or ACTS:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(100)
            trouble = try_act(name)
            if trouble:
                print(trouble, flush=True)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status:
            print(f"{name}: ended with status {status}")


if __name__ == "__main__":
    main()
