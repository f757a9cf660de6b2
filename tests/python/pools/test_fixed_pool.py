"""What a fixed pool promises to its user."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool
from numpool.cli.huge_pages import huge_bytes_at, try_for_huge_pages


def test_a_strict_pool_hands_out_its_blocks_and_then_says_what_to_do(
    pool: numpool.FixedPool,
) -> None:
    buffers = [pool.acquire() for _ in range(4)]
    assert len({buffer.address for buffer in buffers}) == 4
    with pytest.raises(numpool.PoolExhausted) as caught:
        pool.acquire()
    assert str(caught.value) == (
        "FixedPool 'test': all 4 blocks of 4 KiB are in use: release one, wait with "
        "acquire(timeout=...), or allow more with max_blocks"
    )
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, numpool.PoolError)


def test_try_acquire_returns_none_where_acquire_raises(pool: numpool.FixedPool) -> None:
    buffers = [pool.try_acquire() for _ in range(4)]
    assert None not in buffers
    assert pool.try_acquire() is None


def test_the_block_released_last_is_acquired_first(pool: numpool.FixedPool) -> None:
    buffers = [pool.acquire() for _ in range(4)]
    address = buffers[2].address
    buffers[0].release()
    buffers[2].release()
    assert pool.acquire().address == address


def test_acquire_many_takes_all_or_none(pool: numpool.FixedPool) -> None:
    three = pool.acquire_many(3)
    assert [len(buffer) for buffer in three] == [4096] * 3
    with pytest.raises(numpool.PoolExhausted, match="asked for 2 blocks at once, 1 of at most 4"):
        pool.acquire_many(2)
    assert pool.stats().blocks == 3
    with pytest.raises(
        numpool.PoolExhausted,
        match="asked for 5 blocks at once, but it never has more than 4: ask for fewer, or create",
    ):
        pool.acquire_many(5)
    assert len(pool.acquire_many(1)) == 1
    assert pool.acquire_many(0) == []


def test_one_block_is_not_counted_in_an_error() -> None:
    pool = numpool.FixedPool("4KiB", 1, name="one")
    buffer = pool.acquire()
    with pytest.raises(
        numpool.PoolExhausted, match=r"^FixedPool 'one': its only block, of 4 KiB, is"
    ):
        pool.acquire()
    del buffer


@pytest.mark.parametrize("count", [5, 2**40, 2**62])
def test_acquire_many_refuses_more_than_there_can_be(pool: numpool.FixedPool, count: int) -> None:
    with pytest.raises(numpool.PoolExhausted, match=f"asked for {count} blocks at once"):
        pool.acquire_many(count)
    assert pool.stats().blocks == 0


def test_a_refused_acquire_many_touches_no_block(resident_bytes: Callable[[], int]) -> None:
    pool = numpool.FixedPool(4096, 100_000)
    buffer = pool.acquire()
    before = resident_bytes()
    with pytest.raises(numpool.PoolExhausted):
        pool.acquire_many(100_000)
    assert resident_bytes() - before < 2**22
    assert pool.stats().peak == 4096
    del buffer


def test_the_list_of_acquire_many_is_hidden_until_it_is_full() -> None:
    def init(view: memoryview) -> None:
        for candidate in gc.get_objects():
            if type(candidate) is list and len(candidate) == 37:
                candidate.clear()

    assert len(numpool.FixedPool(64, 40, init=init).acquire_many(37)) == 37


def test_acquire_many_without_bound_refuses_impossible_numbers() -> None:
    pool = numpool.FixedPool(64, 1, max_blocks=None)
    with pytest.raises(MemoryError):
        pool.acquire_many(2**60)
    assert pool.stats().blocks == 0
    pool.check()


@pytest.mark.parametrize("count", [-1, 1.5, "2", None])
def test_acquire_many_needs_a_count(pool: numpool.FixedPool, count: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"n (is -1|must be an int)"):
        pool.acquire_many(count)


@pytest.mark.parametrize(
    ("size", "expected"), [("64KiB", 65536), ("1.5 kib", 1536), ("2MB", 2_000_000), (17, 17)]
)
def test_sizes_are_numbers_or_texts(size: int | str, expected: int) -> None:
    pool = numpool.FixedPool(size, 2)
    assert pool.block_size == expected
    assert len(pool.acquire()) == expected


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        pytest.param((0, 1), {}, ValueError, "block_size is 0", id="no size"),
        pytest.param((8, 0), {}, ValueError, "blocks is 0", id="no blocks"),
        pytest.param((-8, 1), {}, ValueError, "block_size is -8: it cannot be negative", id="neg"),
        pytest.param(
            (8, -1), {}, ValueError, "blocks is -1: it cannot be negative", id="neg blocks"
        ),
        pytest.param((2**80, 1), {}, ValueError, "more than an address space", id="huge size"),
        pytest.param((8, 2**80), {}, ValueError, "more than an address space", id="huge blocks"),
        pytest.param((2**40, 2**40), {}, ValueError, "more than an address space", id="product"),
        pytest.param((1.5, 1), {}, TypeError, "block_size must be an int or a text", id="float"),
        pytest.param((None, 1), {}, TypeError, "block_size must be .*not NoneType", id="none"),
        pytest.param((8, "4"), {}, TypeError, "blocks must be an int, not str", id="text count"),
        pytest.param(("4 apples", 1), {}, ValueError, "block_size: '4 apples' is not", id="unit"),
        pytest.param(("", 1), {}, ValueError, "block_size: '' is not a size", id="empty text"),
        pytest.param(
            (8, 1), {"align": 3}, ValueError, "align is 3: it must be a power", id="align"
        ),
        pytest.param(
            (8, 1), {"align": 0}, ValueError, "align is 0: it must be a power", id="align 0"
        ),
        pytest.param((8, 2), {"max_blocks": 1}, ValueError, "max_blocks is 1, less", id="max"),
        pytest.param((8, 2), {"init": 3}, TypeError, "init must be callable", id="init"),
        pytest.param(
            (8, 2), {"init": print, "wipe": True}, ValueError, "init and wipe contradict", id="both"
        ),
        pytest.param((8, 2), {"name": 7}, TypeError, "name must be a str, not int", id="name"),
        pytest.param((8, 2), {"name": "a\0b"}, ValueError, "NUL", id="nul in name"),
        pytest.param((10**5000, 1), {}, ValueError, "thousands of digits", id="digits"),
        pytest.param((8, 2**43), {}, MemoryError, "the system refused 64 TiB", id="ledger"),
        pytest.param(("x" + "é" * 80, 1), {}, ValueError, "is not a size", id="long text"),
        pytest.param(("\ud800", 1), {}, ValueError, "surrogates", id="surrogate"),
        pytest.param((8,), {}, TypeError, "is missing 'blocks'", id="missing"),
    ],
)
def test_bad_arguments_are_named(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        numpool.FixedPool(*arguments, **options)


@pytest.mark.parametrize("align", [1, 16, 64, 4096, "2MiB"])
def test_blocks_are_aligned_as_asked(align: int | str) -> None:
    pool = numpool.FixedPool(100, 3, align=align)
    for buffer in pool.acquire_many(3):
        assert buffer.address % numpool.parse_size(align) == 0


def test_a_growing_pool_grows_to_its_bound_and_no_further() -> None:
    pool = numpool.FixedPool(64, 2, max_blocks=7)
    buffers = pool.acquire_many(7)
    assert pool.blocks == 7
    assert pool.stats().growths == 2
    assert pool.try_acquire() is None
    assert len({buffer.address for buffer in buffers}) == 7


def test_an_unbounded_pool_keeps_growing() -> None:
    pool = numpool.FixedPool(64, 1, max_blocks=None)
    assert pool.max_blocks is None
    assert pool.stats().limit is None
    buffers = pool.acquire_many(10_000)
    assert len({buffer.address for buffer in buffers}) == 10_000
    pool.check()


@pytest.mark.skipif(not try_for_huge_pages(), reason="the system gives no huge pages now")
@pytest.mark.parametrize(
    ("options", "huge"),
    [
        ({}, True),
        ({"huge_pages": False}, False),
        ({"source": numpool.Pages(populated=True)}, True),
    ],
)
def test_large_blocks_have_huge_pages_unless_switched_off(
    options: dict[str, Any], huge: bool
) -> None:
    buffer = numpool.FixedPool("8MiB", 2, **options).acquire()
    buffer.array()[:] = 1
    smaps = Path("/proc/self/smaps").read_text()
    assert (huge_bytes_at(buffer.address + 2**22, smaps) > 0) == huge


def test_creating_a_large_pool_takes_no_memory(resident_bytes: Callable[[], int]) -> None:
    before = resident_bytes()
    pool = numpool.FixedPool(4096, 1_000_000)
    buffer = pool.acquire()
    memoryview(buffer)[:] = bytes(4096)
    assert resident_bytes() - before < 2**20
    assert pool.stats().mapped >= 4096 * 1_000_000


def test_trim_gives_back_unused_pages(resident_bytes: Callable[[], int]) -> None:
    pool = numpool.FixedPool("64KiB", 1000)
    before = resident_bytes()
    buffers = pool.acquire_many(1000)
    for buffer in buffers:
        buffer.array()[:] = 1
    assert resident_bytes() - before > 60_000_000
    assert pool.trim() == 0
    kept = buffers[500]
    del buffers, buffer
    assert pool.trim() == 999 * 65536
    assert resident_bytes() - before < 2_000_000
    assert pool.trim() == 0
    assert kept.array().all()
    pool.check()


def test_trim_unmaps_grown_chunks_and_the_pool_grows_again() -> None:
    pool = numpool.FixedPool(4096, 4, max_blocks=64)
    for _ in range(2):
        buffers = pool.acquire_many(64)
        for buffer in buffers:
            buffer.array()[:] = 1
        del buffers, buffer
        assert pool.trim() == 64 * 4096
        assert pool.blocks == 4
        assert pool.stats().mapped == 4 * 4096


def test_stats_show_the_pools_history(pool: numpool.FixedPool) -> None:
    first = pool.acquire()
    second = pool.acquire()
    second.release()
    second = pool.acquire()
    pool.try_acquire()
    stats = pool.stats()
    assert stats.blocks == 2
    assert stats.requested == stats.in_use == 8192
    assert stats.peak == 3 * 4096
    assert stats.committed == 3 * 4096
    assert stats.cached == 4096
    assert stats.mapped == stats.limit == 4 * 4096
    assert stats.requests == 4
    assert stats.asked == 4 * 4096
    assert stats.peak_committed == stats.committed > 0
    assert stats.hits == 1
    assert stats.failures == 0
    buffers = [first, second, *pool.acquire_many(2)]
    with pytest.raises(MemoryError):
        pool.acquire()
    assert pool.stats().failures == 1
    assert len(buffers) == 4


def test_owns_knows_buffers_views_arrays_and_addresses(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    array = buffer.array("f4")
    assert pool.owns(buffer)
    assert pool.owns(memoryview(buffer)[100:])
    assert pool.owns(array)
    assert pool.owns(array[::-1])
    assert pool.owns(array.view("M8[s]"))
    assert pool.owns(buffer.address + 4095)
    assert not pool.owns(buffer.address - 1)
    assert not pool.owns(np.zeros(3))
    assert not pool.owns(bytearray(3))
    assert not pool.owns(0)
    assert not numpool.FixedPool(8, 1).owns(buffer)


@pytest.mark.parametrize("subject", [None, "text", 1.5, object()])
def test_the_error_of_owns_names_what_it_takes(pool: numpool.FixedPool, subject: Any) -> None:
    with pytest.raises(TypeError, match=r"owns\(\) takes a buffer, an array"):
        pool.owns(subject)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "<FixedPool: 1 of 2 blocks of 64 bytes in use>"),
        (
            {"max_blocks": 8, "name": "n"},
            "<FixedPool 'n': 1 of 2 blocks of 64 bytes in use, may grow to 8>",
        ),
        (
            {"max_blocks": None},
            "<FixedPool: 1 of 2 blocks of 64 bytes in use, may grow without bound>",
        ),
    ],
)
def test_the_repr_shows_the_state(options: dict[str, Any], text: str) -> None:
    pool = numpool.FixedPool(64, 2, **options)
    buffer = pool.acquire()
    assert repr(pool) == text
    del buffer


def test_a_pool_can_be_subclassed() -> None:
    class Frames(numpool.FixedPool):
        def __init__(self) -> None:
            super().__init__(1024, 2, name="frames")

    frames = Frames()
    assert frames.acquire().nbytes == 1024
    with pytest.raises(TypeError, match="__init__"):
        type("Broken", (numpool.FixedPool,), {"__init__": lambda self: None})()


def test_a_pool_that_was_never_initialised_is_no_pool() -> None:
    broken = numpool.FixedPool.__new__(numpool.FixedPool)
    for use in (lambda: broken.acquire(), lambda: broken.stats(), lambda: broken.try_acquire()):
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            use()
