"""HandlePool: blocks with integer handles, of which the pool detects stale ones."""

from __future__ import annotations

import pickle
import random
import tracemalloc
from typing import Any

import numpy as np
import pytest

import numpool


def test_a_handle_leads_to_a_block_of_the_requested_size(table: numpool.HandlePool) -> None:
    handle = table.alloc(10)
    table[handle][:] = b"0123456789"
    view = table[handle]
    assert isinstance(view, memoryview)
    assert (view.nbytes, view.format, view.readonly) == (10, "B", False)
    assert bytes(view) == b"0123456789"
    assert len(table[table.alloc("1KiB")]) == 1024
    assert len(table[table.alloc(0)]) == 0


def test_the_smallest_size_that_fits_serves_and_larger_ones_after_it(
    table: numpool.HandlePool,
) -> None:
    for _ in range(6):
        table.alloc(64)
    by_size = {one.block_size: one.blocks for one in table.stats().classes}
    assert by_size == {64: 4, 4096: 2}
    with pytest.raises(
        numpool.PoolExhausted,
        match="HandlePool 'test': all 6 blocks of 64 bytes or more are in use: free some, or give",
    ):
        table.alloc(64)


def test_a_request_that_no_size_fits_is_refused(table: numpool.HandlePool) -> None:
    with pytest.raises(
        ValueError, match="'test': asked for 4097 bytes, and the largest blocks have 4096"
    ):
        table.alloc(4097)


def test_a_freed_handle_is_stale_and_says_so(table: numpool.HandlePool) -> None:
    handle = table.alloc(1)
    table.free(handle)
    for use in (table.free, table.__getitem__):
        with pytest.raises(numpool.StaleHandle, match="is stale: its block was freed") as raised:
            use(handle)
        assert str(raised.value) == f"HandlePool 'test': {handle} is stale: its block was freed"
        assert isinstance(raised.value, KeyError)
        assert isinstance(raised.value, numpool.PoolError)
    assert not table.try_free(handle)
    assert handle not in table


@pytest.mark.parametrize("made_up", [0, 1, -1, 2**49 + 1, 2**63 - 1, 2**63, -(2**63), 10**40])
def test_an_integer_that_never_was_a_handle_is_refused(
    table: numpool.HandlePool, made_up: int
) -> None:
    table.alloc(1)
    with pytest.raises(numpool.StaleHandle, match="no handle"):
        table[made_up]
    with pytest.raises(numpool.StaleHandle, match="no handle"):
        table.free(made_up)
    assert not table.try_free(made_up)
    assert made_up not in table
    assert len(table) == 1


def test_random_integers_touch_nothing() -> None:
    rng = random.Random(20261120)
    table = numpool.HandlePool({16: 1000})
    handles = [table.alloc(16) for _ in range(1000)]
    for handle in handles:
        table[handle][:] = handle.to_bytes(16, "little")
    for _ in range(50_000):
        # Any integer, or a handle with one bit changed or with a small number added.
        guess = rng.getrandbits(63)
        if rng.random() < 0.7:
            guess = rng.choice(handles) ^ (1 << rng.randrange(63))
        if guess in table:
            assert guess in handles
            continue
        assert not table.try_free(guess)
        with pytest.raises(numpool.StaleHandle):
            table[guess]
    assert sorted(table) == sorted(handles)
    for handle in handles:
        assert bytes(table[handle]) == handle.to_bytes(16, "little")
    table.check()


def test_a_handle_kept_through_a_million_reuses_is_stale() -> None:
    table = numpool.HandlePool({8: 1})
    kept = table.alloc(8)
    table.free(kept)
    alloc, free = table.alloc, table.free
    for _ in range(2**20):
        free(alloc(8))
    handle = alloc(8)
    assert kept not in table
    with pytest.raises(numpool.StaleHandle):
        table[kept]
    assert not table.try_free(kept)
    assert list(table) == [handle]
    assert table.retired == 0


def test_handles_of_other_pools_are_refused() -> None:
    """This includes handles of an earlier pool with the same address and the same sizes."""
    seen: set[int] = set()
    for _ in range(200):
        table = numpool.HandlePool({64: 5})
        handles = [table.alloc(1) for _ in range(5)]
        for foreign in seen:
            assert foreign not in table
        assert seen.isdisjoint(handles)
        seen.update(handles)
        del table


def test_handles_are_ints_for_sorting_hashing_pickling_and_int64_arrays(
    table: numpool.HandlePool,
) -> None:
    handles = [table.alloc(n) for n in (1, 100, 2, 200)]
    assert all(type(handle) is int and 0 < handle < 2**63 for handle in handles)
    assert len(set(handles)) == 4
    assert pickle.loads(pickle.dumps(handles)) == handles
    array = np.sort(np.array(handles, dtype=np.int64))
    assert array.tolist() == sorted(handles)
    for handle in array:
        assert handle in table
        table[handle][0] = 1
        table.free(handle)
    assert len(table) == 0


def test_iterating_lists_the_live_handles(table: numpool.HandlePool) -> None:
    handles = [table.alloc(1) for _ in range(5)]
    table.free(handles.pop(2))
    assert sorted(table) == sorted(handles)
    for handle in table:
        table.free(handle)
    assert list(table) == []
    assert len(table) == 0


def test_contains_is_false_for_other_types(table: numpool.HandlePool) -> None:
    handle = table.alloc(1)
    assert handle in table
    assert str(handle) not in table
    assert float(handle) not in table
    assert None not in table


@pytest.mark.parametrize("key", [None, "text", 1.5, slice(1)])
def test_a_handle_is_an_int(table: numpool.HandlePool, key: Any) -> None:
    for use in (table.free, table.try_free, table.__getitem__):
        with pytest.raises(TypeError, match=r"a handle is an int, as alloc\(\) returns it, not "):
            use(key)


@pytest.mark.parametrize(
    ("sizes", "error", "text"),
    [
        ({}, ValueError, "there is no size: give at least one"),
        ({0: 1}, ValueError, "a size is 0: a block has at least 1 byte"),
        ({64: 0}, ValueError, "0 blocks of 64 bytes: there can be 1 to 16777216 of a size"),
        ({64: 2**24 + 1}, ValueError, "there can be 1 to 16777216 of a size"),
        ({"64": 1, 64: 2}, ValueError, "64 bytes is there twice: give each size once"),
        ({2**60: 1}, ValueError, "more than an address space holds"),
        ({64: "many"}, TypeError, "a number of blocks must be an int, not str"),
        ({1.5: 1}, TypeError, "a size must be an int or a text like '64KiB', not float"),
        ({-1: 1}, ValueError, "a size is -1: it cannot be negative"),
        (64, TypeError, "sizes must be a dict of block sizes and their numbers.*, not int"),
        ([(64, 1)], TypeError, "sizes must be a dict"),
        ({2**46: 2**20}, MemoryError, "the system refused memory for 1048576 blocks of 64 TiB"),
    ],
)
def test_bad_sizes_are_named(sizes: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        numpool.HandlePool(sizes)


def test_creating_a_large_table_takes_no_memory(resident_bytes: Any) -> None:
    before = resident_bytes()
    table = numpool.HandlePool({4096: 1_000_000, 64: 10_000_000})
    table[table.alloc(4096)][:] = bytes(4096)
    assert resident_bytes() - before < 2**20
    assert table.stats().mapped > 4_000_000_000


def test_trim_gives_back_the_pages_of_freed_blocks(resident_bytes: Any) -> None:
    table = numpool.HandlePool({"64KiB": 1000})
    before = resident_bytes()
    handles = [table.alloc("64KiB") for _ in range(1000)]
    for handle in handles:
        table[handle][:] = b"\1" * 65536
    assert table.trim() == 0
    kept = handles.pop(500)
    for handle in handles:
        table.free(handle)
    assert table.trim() == 999 * 65536
    assert resident_bytes() - before < 2_000_000
    assert table.trim() == 0
    assert bytes(table[kept]) == b"\1" * 65536
    table.check()


def test_stats_tell_the_history_by_size(table: numpool.HandlePool) -> None:
    first = table.alloc(10)
    table.alloc(100)
    table.free(first)
    table.alloc(20)
    stats = table.stats()
    assert (stats.requested, stats.in_use, stats.peak) == (120, 64 + 4096, 64 + 4096)
    assert (stats.blocks, stats.requests, stats.hits, stats.failures) == (2, 3, 1, 0)
    assert stats.limit == 4 * 64 + 2 * 4096
    assert [(one.block_size, one.blocks, one.requests) for one in stats.classes] == [
        (64, 1, 2),
        (4096, 1, 1),
    ]
    assert table.sizes == {64: 4, 4096: 2}


def test_the_repr_shows_the_state() -> None:
    table = numpool.HandlePool({64: 4, "4KiB": 2})
    assert repr(table) == "<HandlePool: 0 handles live of 6, of 64 bytes, 4 KiB>"
    handle = table.alloc(1)
    table.close()
    assert repr(table) == "<HandlePool: closed, 1 handle live>"
    table.free(handle)
    assert repr(table) == "<HandlePool: closed>"


def test_owns_and_pool_of_know_its_views(table: numpool.HandlePool) -> None:
    view = table[table.alloc(8)]
    assert table.owns(view)
    assert numpool.pool_of(view) is table
    assert numpool.pool_of(np.frombuffer(view, "u1")[2:]) is table
    assert not table.owns(b"bytes")


def test_numpy_cannot_allocate_from_it(table: numpool.HandlePool) -> None:
    with pytest.raises(TypeError, match="HandlePool 'test' can't serve NumPy"):
        numpool.use(table)


def test_tracemalloc_sees_the_blocks_of_live_handles() -> None:
    def traced() -> int:
        only = tracemalloc.DomainFilter(True, numpool.tracemalloc_domain)
        snapshot = tracemalloc.take_snapshot().filter_traces([only])
        return sum(trace.size for trace in snapshot.traces)

    tracemalloc.start()
    try:
        before = traced()
        table = numpool.HandlePool({1000: 3})
        handle = table.alloc(1000)
        table.alloc(500)
        del handle
        view = table[next(iter(table))]
        del view
        assert traced() - before == 1500
        table.free(next(iter(table)))
        assert traced() - before in (500, 1000)
        del table
        assert traced() == before
    finally:
        tracemalloc.stop()


def test_a_pool_that_was_never_initialised_is_no_pool() -> None:
    broken = numpool.HandlePool.__new__(numpool.HandlePool)
    uses: list[Any] = [
        lambda: broken.alloc(1),
        lambda: broken[1],
        lambda: len(broken),
        lambda: 1 in broken,
        lambda: list(broken),
    ]
    for use in uses:
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            use()
