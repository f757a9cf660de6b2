"""What an arena promises to its user. How things end is in test_arena_ending.py."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.mark.parametrize("size", [0, 1, 16, 100, 1024, 5000, 16384, 16385, 10**6, 10**8])
def test_a_buffer_is_exactly_as_long_as_requested(arena: numpool.Arena, size: int) -> None:
    buffer = arena.acquire(size)
    assert len(buffer) == buffer.nbytes == size
    view = memoryview(buffer)
    view[:] = b"\xff" * size
    assert buffer.address % (64 if size >= 1024 else 16) == 0
    assert buffer.pool is arena
    assert arena.owns(buffer)
    assert arena.stats().requested == size
    view.release()
    buffer.release()
    assert arena.stats().blocks == 0


arena_of: Any = numpool.Arena  # a call that the types do not allow


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: numpool.Arena(0), ValueError, "chunk_size is 0: an arena needs at least a byte"),
        (lambda: numpool.Arena("2GiB"), ValueError, "chunk_size is 2147483648: at most 1 GiB"),
        (lambda: numpool.Arena("a lot"), ValueError, "chunk_size: 'a lot' is not a size"),
        (lambda: arena_of(1.5), TypeError, "chunk_size must be an int or a text"),
        (lambda: arena_of(parent=3), TypeError, "parent must be an Arena or None, not int"),
        (lambda: arena_of(source=3), TypeError, "source must be a pool, Pages or None, not int"),
        (lambda: arena_of(name=3), TypeError, "name must be a str, not int"),
        (lambda: numpool.Arena().acquire(-1), ValueError, "nbytes is -1: it cannot be negative"),
        (
            lambda: arena_of().defer(3),
            TypeError,
            "defer\\(\\) takes something to call, not int",
        ),
    ],
)
def test_bad_arguments_are_named(
    make: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("size", [2**46, 2**47, 2**62, 2**64 - 1])
def test_a_request_beyond_all_memory_raises_a_memory_error(arena: numpool.Arena, size: int) -> None:
    with pytest.raises(numpool.PoolExhausted, match=r"Arena 'test': .* requested, 0 bytes taken"):
        arena.acquire(size)
    assert arena.try_acquire(size) is None
    assert arena.stats().failures == 2


def test_dead_blocks_are_no_obstacle_however_many(arena: numpool.Arena) -> None:
    for _ in range(100_000):
        arena.acquire(64)
    arrays = [arena.empty(8) for _ in range(10_000)]
    random.Random(1).shuffle(arrays)
    kept = arrays.pop()
    arrays.clear()
    with pytest.raises(BufferError, match="1 block is"):
        arena.reset()
    del kept
    arena.reset()
    stats = arena.stats()
    assert stats.blocks == stats.in_use == 0
    assert arena.chunk_size <= stats.mapped < 2 * arena.chunk_size
    assert stats.asked == 7_040_000
    assert stats.requests == 110_000


def test_blocks_do_not_overlap_whatever_comes_and_goes(arena: numpool.Arena) -> None:
    rng = random.Random(20260102)
    live: list[tuple[int, np.ndarray[Any, np.dtype[np.uint8]]]] = []
    for step in range(6000):
        if rng.random() < 0.55 or not live:
            size = int(2 ** rng.uniform(0, 15 if step % 50 else 20))
            array = arena.acquire(size).array() if step % 2 else arena.empty(size, "u1")
            array[:] = step % 251
            live.append((step % 251, array))
        else:
            mark, array = live.pop(rng.choice([-1, rng.randrange(len(live))]))
            assert (array == mark).all()
            del array
        if step % 1000 == 999:
            arena.check()
            assert arena.stats().blocks == len(live)
    assert all((array == mark).all() for mark, array in live)
    live.clear()


def test_with_closes_the_arena() -> None:
    with numpool.Arena(name="w") as arena:
        arena.acquire(10)
    assert arena.closed
    assert repr(arena) == "<Arena 'w': closed>"
    for request in (
        lambda: arena.acquire(1),
        lambda: arena.try_acquire(1),
        lambda: arena.empty(1),
        arena.mark,
        arena.reset,
        lambda: arena.defer(print),
    ):
        with pytest.raises(numpool.PoolClosed, match="Arena 'w' is closed"):
            request()
    with pytest.raises(numpool.PoolClosed):
        numpool.use(arena)


def test_the_repr_and_stats_show_the_state() -> None:
    arena = numpool.Arena("16KiB", name="r")
    assert repr(arena) == "<Arena 'r': 0 blocks of 0 bytes in 0 bytes>"
    buffers = [arena.acquire(1000), arena.acquire(24)]
    stats = arena.stats()
    taken = numpool.format_size(stats.mapped)
    assert repr(arena) == f"<Arena 'r': 2 blocks of 1 KiB in {taken}>"
    assert stats.requested == stats.asked == 1024
    assert stats.in_use == 1008 + 16 + 32 + 16
    assert stats.blocks == stats.requests == 2
    assert stats.growths == stats.hits == 1
    assert stats.mapped == stats.in_use + stats.cached == stats.peak_committed
    buffers.clear()
    assert arena.stats().peak == stats.in_use
    assert arena.trim() == stats.mapped
    assert arena.stats().mapped == 0
    assert arena.stats().peak_committed == stats.mapped
    assert not arena.owns(np.empty(3))


def test_acquire_many_takes_all_or_none() -> None:
    source = numpool.SlabPool(limit="16MiB")
    arena = numpool.Arena(source=source)
    assert [buffer.nbytes for buffer in arena.acquire_many(1000, 5)] == [1000] * 5
    with pytest.raises(numpool.PoolExhausted):
        arena.acquire_many("5MiB", 4)
    gc.collect()
    assert arena.stats().blocks == 0


def test_reset_keeps_what_the_next_cycle_needs_and_trim_gives_it_back(arena: numpool.Arena) -> None:
    def cycle(count: int) -> numpool.PoolStats:
        buffers = [arena.acquire(1000) for _ in range(count)]
        arena.reset()
        assert all(buffer.released for buffer in buffers)
        stats = arena.stats()
        assert stats.in_use == 0
        assert stats.cached == stats.committed == stats.mapped
        return stats

    spike = cycle(5000)
    assert spike.growths > 2
    assert spike.mapped > 5_000_000
    assert cycle(5000).growths == spike.growths
    assert cycle(10).mapped < spike.mapped
    assert cycle(5000).mapped == spike.mapped
    assert arena.trim() == spike.mapped
    assert arena.stats().mapped == 0
