"""What a buddy pool promises to its user: powers of two that split and come together again."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.fixture
def pool() -> Iterator[numpool.BuddyPool]:
    """A pool of 256 pages. Its check must succeed at the test's end."""
    pool = numpool.BuddyPool("1MiB", name="test")
    yield pool
    pool.check()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 4097, 65536, 10**6, 2**20])
def test_a_buffer_is_exactly_as_long_as_requested(pool: numpool.BuddyPool, size: int) -> None:
    with pool.acquire(size) as buffer:
        assert len(buffer) == buffer.nbytes == size
        view = memoryview(buffer)
        view[:] = b"\xff" * size
        view.release()
        assert buffer.pool is pool
        assert pool.owns(buffer)
        assert numpool.owner(buffer) is pool
        assert pool.stats().in_use == max(4096, 2 ** (size - 1).bit_length() if size else 0)
    assert pool.stats().blocks == 0


def test_blocks_split_and_merge(pool: numpool.BuddyPool) -> None:
    assert pool.free_blocks == {2**20: 1}
    assert pool.fragmentation == 0
    buffers = [pool.acquire(4096) for _ in range(4)]
    assert pool.free_blocks == {2**k: 1 for k in range(14, 20)}
    assert [buffer.address - buffers[0].address for buffer in buffers] == [0, 4096, 8192, 12288]
    buffers[1].release()
    buffers[2].release()
    assert pool.free_blocks[4096] == 2
    assert 0 < pool.fragmentation < 1
    buffers[0].release()
    assert pool.free_blocks == {4096: 1, 8192: 1, **{2**k: 1 for k in range(14, 20)}}
    buffers[3].release()
    assert pool.free_blocks == {2**20: 1}


def test_stats_show_each_size_and_the_total(pool: numpool.BuddyPool) -> None:
    kept = [pool.acquire(3000), pool.acquire(5000), pool.acquire(5000)]
    stats = pool.stats()
    assert stats.requested == stats.asked == 13_000
    assert stats.in_use == stats.peak == 4096 + 2 * 8192
    assert stats.blocks == stats.requests == 3
    assert stats.limit == pool.capacity == 2**20
    by_size = {one.block_size: one for one in stats.classes}
    assert by_size[8192].blocks == 2
    assert by_size[8192].requested == 10_000
    assert by_size[4096].cached == 4096
    assert sum(one.in_use + one.cached for one in stats.classes) == 2**20
    assert repr(pool) == "<BuddyPool 'test': 3 blocks, 20 KiB of 1 MiB in use>"
    kept.clear()


def test_a_refusal_says_what_is_free(pool: numpool.BuddyPool) -> None:
    kept = pool.acquire(1)
    text = (
        "BuddyPool 'test': 1 MiB requested; of 1 MiB, 1020 KiB are free, the largest block of "
        "them 512 KiB"
    )
    with pytest.raises(numpool.PoolExhausted) as caught:
        pool.acquire("1MiB")
    assert str(caught.value) == text
    assert pool.try_acquire("1MiB") is None
    for size in (2**20 + 1, 2**47, 2**64 - 1):
        with pytest.raises(numpool.PoolExhausted):
            pool.acquire(size)
    assert pool.stats().failures == 5
    kept.release()
    assert pool.acquire("1MiB").nbytes == 2**20


make: Any = numpool.BuddyPool  # a call that the types do not allow


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: make(0), ValueError, "capacity is 0, less than one min_block of 4096"),
        (lambda: make(4096, 100), ValueError, "min_block is 100: it must be a power of two"),
        (lambda: make(4096, 8), ValueError, "min_block is 8: it must be a power of two from 16"),
        (lambda: make("1TiB", 16), ValueError, "with a min_block of 16 bytes it can be at most"),
        (lambda: make(1.5), TypeError, "capacity must be an int or a text"),
        (lambda: make(4096, None), TypeError, "min_block must be an int or a text"),
        (lambda: make(4096, name=3), TypeError, "name must be a str, not int"),
        (lambda: make(4096, source=3), TypeError, "source must be a pool, Pages or None, not int"),
        (lambda: make(4096).acquire(-1), ValueError, "nbytes is -1: it cannot be negative"),
    ],
)
def test_bad_arguments_are_named(
    call: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        call()


def test_reallocate_grows_in_place_while_buddies_are_free(pool: numpool.BuddyPool) -> None:
    buffer = pool.acquire(4096)
    memoryview(buffer)[:] = b"x" * 4096
    address = buffer.address
    for size in (5000, 60_000, 2**20, 8192):
        buffer = pool.reallocate(buffer, size)
        assert buffer.address == address
        assert bytes(memoryview(buffer)[:4096]) == b"x" * 4096
    neighbour = pool.acquire(8192)
    assert neighbour.address == address + 8192
    buffer = pool.reallocate(buffer, 10_000)
    assert buffer.address != address
    assert bytes(memoryview(buffer)[:4096]) == b"x" * 4096
    assert pool.stats().blocks == 2


def test_reallocate_refuses_unsafe_calls(pool: numpool.BuddyPool) -> None:
    buffer = pool.acquire(100)
    view = memoryview(buffer)
    with pytest.raises(BufferError, match="still in use by 1 view"):
        pool.reallocate(buffer, 200)
    view[:] = b"v" * 100
    view.release()
    with pytest.raises(numpool.PoolExhausted):
        pool.reallocate(buffer, "2MiB")
    assert bytes(buffer) == b"v" * 100
    with pytest.raises(ValueError, match=r"not one of BuddyPool"):
        numpool.BuddyPool(4096).reallocate(buffer, 200)


def test_release_refuses_while_a_view_lives(pool: numpool.BuddyPool) -> None:
    buffer = pool.acquire(100)
    array = buffer.array()
    with pytest.raises(BufferError, match="still in use by 1 view"):
        buffer.release()
    del array
    buffer.release()
    with pytest.raises(ValueError, match="was released"):
        memoryview(buffer)


def test_arrays_and_numpy_use_it(pool: numpool.BuddyPool) -> None:
    array = pool.zeros((10, 10))
    assert numpool.pool_of(array) is pool
    with numpool.use(pool):
        result = np.arange(1000.0) * 2
        too_large = np.ones(200_000)
    assert numpool.pool_of(result) is pool
    assert numpool.pool_of(too_large) is numpool.default_pool()
    result.resize(3000, refcheck=False)
    assert result[999] == 1998
    assert not result[1000:].any()
    assert pool.array([1, 2]).tolist() == [1, 2]
    with pytest.raises(
        numpool.PoolExhausted,
        match=r"BuddyPool .test.: 7.63 MiB requested; .* \(Unable to allocate",
    ):
        pool.empty(10**6)


def test_zeros_are_zero_where_blocks_were_dirty(pool: numpool.BuddyPool) -> None:
    for size in (8, 5000, 100_000):
        pool.full(size, 0xFF, "u1")
        assert not pool.zeros(size, "u1").any()
    pool.trim()
    assert not pool.zeros(2**20, "u1").any()


def test_trim_gives_the_pages_of_free_blocks_back(resident_bytes: Callable[[], int]) -> None:
    pool = numpool.BuddyPool("256MiB")
    before = resident_bytes()
    kept = pool.full(4096, 1, "u1")
    pool.full(100_000_000, 1, "u1")
    assert resident_bytes() - before > 95_000_000
    assert pool.trim() >= 100_000_000
    assert resident_bytes() - before < 5_000_000
    assert kept.sum() == 4096
    pool.check()


def test_a_capacity_is_rounded_down_to_whole_smallest_blocks() -> None:
    pool = numpool.BuddyPool(10_000)
    assert pool.capacity == 8192
    assert pool.free_blocks == {8192: 1}
    assert numpool.BuddyPool(10_000, 16).capacity == 10_000


def test_arrays_outlive_the_pool() -> None:
    pool = numpool.BuddyPool("1MiB", name="b")
    array = pool.acquire(5000).array()
    pool.close()
    assert repr(pool) == "<BuddyPool 'b': closed, 1 block still in use>"
    for request in (pool.acquire, pool.try_acquire):
        with pytest.raises(numpool.PoolClosed, match="BuddyPool 'b' is closed"):
            request(1)
    del pool
    gc.collect()
    array[:] = 1
    assert array.sum() == 5000


def test_random_use_keeps_every_byte(pool: numpool.BuddyPool) -> None:
    rng = random.Random(20260103)
    live: list[tuple[int, numpool.Buffer]] = []
    for step in range(6000):
        action = rng.random()
        if action < 0.5:
            buffer = pool.try_acquire(int(2 ** rng.uniform(0, 17)))
            if buffer is None:
                continue
            memoryview(buffer)[:] = bytes([step % 251]) * buffer.nbytes
            live.append((step % 251, buffer))
        elif action < 0.9 and live:
            mark, buffer = live.pop(rng.randrange(len(live)))
            assert set(bytes(buffer)) <= {mark}
            buffer.release()
        elif live:
            at = rng.randrange(len(live))
            mark, buffer = live[at]
            size, old = int(2 ** rng.uniform(0, 17)), buffer.nbytes
            try:
                moved = pool.reallocate(buffer, size)
            except numpool.PoolExhausted:
                assert set(bytes(buffer)) <= {mark}
                continue
            assert set(bytes(moved)[: min(size, old)]) <= {mark}
            memoryview(moved)[:] = bytes([mark]) * size
            live[at] = (mark, moved)
        if step % 500 == 0:
            pool.check()
            assert pool.stats().blocks == len(live)
    for mark, buffer in live:
        assert set(bytes(buffer)) <= {mark}
        buffer.release()
    assert pool.free_blocks == {2**20: 1}


def test_threads_share_a_pool(pool: numpool.BuddyPool) -> None:
    wrong: list[int] = []

    def work(mark: int) -> None:
        rng = random.Random(mark)
        for _ in range(2000):
            buffer = pool.try_acquire(int(2 ** rng.uniform(0, 16)))
            if buffer is None:
                continue
            array = buffer.array()
            array[:] = mark
            if not (array == mark).all():
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert pool.free_blocks == {2**20: 1}
