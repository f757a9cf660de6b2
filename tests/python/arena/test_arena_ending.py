"""An arena ends all blocks at once, but only if no array or view uses one."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import numpool


def in_a_cycle(used: object) -> list[object]:
    cycle = [used]
    cycle.append(cycle)
    return cycle


USES: dict[str, Callable[[numpool.Arena], object]] = {
    "memoryview": lambda arena: memoryview(arena.acquire(100)),
    "slice of a memoryview": lambda arena: memoryview(arena.acquire(100))[10:20],
    "array on a buffer": lambda arena: arena.acquire(100).array("f4"),
    "view of an array": lambda arena: arena.acquire(100).array()[::2],
    "frombuffer": lambda arena: np.frombuffer(arena.acquire(100), "u1"),
    "from_dlpack": lambda arena: np.from_dlpack(arena.acquire(100)),
    "dlpack capsule": lambda arena: arena.acquire(100).__dlpack__(),
    "ndarray(buffer=)": lambda arena: np.ndarray(100, "u1", buffer=arena.acquire(100)),
    "PickleBuffer": lambda arena: memoryview(pickle.PickleBuffer(arena.acquire(100))),
    "empty": lambda arena: arena.empty(100, "u1"),
    "zeros": lambda arena: arena.zeros(100, "u1"),
    "full": lambda arena: arena.full(100, 7, "u1"),
    "array": lambda arena: arena.array(range(100), "u1"),
    "large": lambda arena: arena.empty(10**6),
    "a cycle": lambda arena: in_a_cycle(arena.empty(9)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("verb", ["reset", "close"])
def test_an_arena_does_not_end_while_an_array_or_view_lives(
    arena: numpool.Arena, use: Callable[[numpool.Arena], object], verb: str
) -> None:
    used = use(arena)
    with pytest.raises(BufferError, match=rf"1 block is still in use .* before {verb}\(\)"):
        getattr(arena, verb)()
    assert not arena.closed
    assert arena.stats().blocks == 1
    assert arena.acquire(10).nbytes == 10
    del used
    gc.collect()
    getattr(arena, verb)()
    assert arena.stats().blocks == 0


def test_the_error_names_how_many_and_the_first_few(arena: numpool.Arena) -> None:
    views = [memoryview(arena.acquire(100 + i)) for i in range(6)]
    buffers = [arena.acquire(50) for _ in range(3)]
    with pytest.raises(BufferError) as caught:
        arena.reset()
    addresses = [np.asarray(view).ctypes.data for view in views]
    named = ", ".join(f"{100 + i} bytes at {addresses[i]:#x}" for i in range(4))
    assert str(caught.value) == (
        f"Arena 'test': 6 blocks are still in use by arrays or views: {named} and 2 more; "
        "drop them before reset()"
    )
    assert not any(buffer.released for buffer in buffers)


ENDED_USES: dict[str, Callable[[numpool.Buffer], object]] = {
    "memoryview": memoryview,
    "array": lambda buffer: buffer.array(),
    "frombuffer": lambda buffer: np.frombuffer(buffer, "u1"),
    "dlpack": lambda buffer: buffer.__dlpack__(),
    "ndarray(buffer=)": lambda buffer: np.ndarray(10, "u1", buffer=buffer),
    "bytes": lambda buffer: bytes(buffer),
    "len": len,
    "nbytes": lambda buffer: buffer.nbytes,
    "address": lambda buffer: buffer.address,
    "pool": lambda buffer: buffer.pool,
    "with": lambda buffer: buffer.__enter__(),
    "pickle": lambda buffer: pickle.dumps(buffer),
}


@pytest.mark.parametrize("use", ENDED_USES.values(), ids=ENDED_USES)
@pytest.mark.parametrize("verb", ["reset", "rewind", "close"])
def test_a_buffer_without_views_ends_and_its_use_raises(
    arena: numpool.Arena, use: Callable[[numpool.Buffer], object], verb: str
) -> None:
    mark = arena.mark()
    buffer = arena.acquire(100)
    memoryview(buffer).release()
    arena.rewind(mark) if verb == "rewind" else getattr(arena, verb)()
    text = "this buffer ended when its arena was reset, rewound or closed: acquire another one"
    with pytest.raises((ValueError, BufferError), match=text):
        use(buffer)
    assert repr(buffer) == "<numpool.Buffer, ended by its arena>"


def test_releasing_an_ended_buffer_keeps_the_new_block_at_its_address(arena: numpool.Arena) -> None:
    old = arena.acquire(100)
    address = old.address
    arena.reset()
    new = arena.acquire(100)
    assert new.address == address
    view = memoryview(new)
    view[:] = b"n" * 100
    old.release()
    with pytest.raises(ValueError, match="was released"):
        len(old)
    del old
    gc.collect()
    assert arena.stats().blocks == 1
    other = arena.acquire(100)
    memoryview(other)[:] = b"o" * 100
    assert bytes(view) == b"n" * 100


def test_release_refuses_while_views_live_and_counts_them(arena: numpool.Arena) -> None:
    buffer = arena.acquire(100)
    views = [memoryview(buffer), memoryview(buffer)]
    with pytest.raises(BufferError, match="still in use by 2 views"):
        buffer.release()
    views.clear()
    buffer.release()
    assert arena.stats().blocks == 0


def test_views_outlive_their_buffer_and_the_arena() -> None:
    arena = numpool.Arena()
    view = memoryview(arena.acquire(100))
    with numpool.use(arena):
        array = np.arange(1000)
    del arena
    gc.collect()
    view[:] = b"v" * 100
    assert bytes(view) == b"v" * 100
    assert array.sum() == 499500
    pool = numpool.pool_of(array)
    assert isinstance(pool, numpool.Arena)
    pool.check()
    del array, view
    gc.collect()
    assert pool.stats().blocks == 0


def test_a_buffer_outlives_its_dropped_arena() -> None:
    buffer = numpool.Arena(name="gone").acquire(100)
    gc.collect()
    memoryview(buffer)[:] = b"b" * 100
    assert bytes(buffer) == b"b" * 100
    pool = buffer.pool
    assert pool is not None
    assert pool.name == "gone"


def test_a_pinned_buffer_is_in_use_until_it_is_dropped(arena: numpool.Arena) -> None:
    buffer = arena.acquire(100)
    array = np.ndarray(100, "u1", buffer=buffer)
    with pytest.raises(BufferError, match="1 block is still in use"):
        arena.reset()
    del array
    with pytest.raises(BufferError, match="1 block is still in use"):
        arena.reset()
    del buffer
    arena.reset()


def test_with_refuses_to_end_blocks_in_use_but_lets_an_exception_pass() -> None:
    events: list[str] = []
    with pytest.raises(BufferError, match=r"before close\(\)"), numpool.Arena() as arena:
        array = arena.empty(10)
    assert repr(arena).startswith("<Arena: 1 block")
    arena.defer(events.append, "clean-up")
    with pytest.raises(KeyError, match="passes"), arena:
        raise KeyError("passes")
    assert repr(arena) == "<Arena: closed, 1 block still in use>"
    assert events == ["clean-up"]
    array[:] = 1
    del array
    assert repr(arena) == "<Arena: closed>"
    assert arena.stats().mapped == 0
