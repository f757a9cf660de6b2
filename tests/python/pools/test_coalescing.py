"""Blocks of any size merge with their neighbours as soon as both are free: dlmalloc's contract."""

from __future__ import annotations

import random

import pytest

import numpool

MIB = 2**20


@pytest.fixture
def slabs() -> numpool.SlabPool:
    """A pool that gives no memory back during the test."""
    return numpool.SlabPool(decay=1000)


def filled(slabs: numpool.SlabPool, nbytes: int) -> numpool.Buffer:
    buffer = slabs.acquire(nbytes)
    memoryview(buffer)[:] = b"x" * nbytes
    return buffer


def hole_of(address: int, holes: list[tuple[int, int]]) -> int:
    """The index of the place that contains the address. A place is a start and a size."""
    return next(i for i, (start, size) in enumerate(holes) if start <= address < start + size)


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_that_are_released_in_any_order_serve_one_block_of_their_sum(
    slabs: numpool.SlabPool, seed: int
) -> None:
    buffers = sorted((filled(slabs, MIB) for _ in range(17)), key=lambda one: one.address)
    wall = buffers.pop()
    places = [(buffers[0].address, wall.address - buffers[0].address)]
    random.Random(seed).shuffle(buffers)
    before = slabs.stats()
    assert before.spans is not None
    while buffers:
        buffers.pop().release()
        slabs.check()
    large = slabs.acquire(16 * MIB)
    after = slabs.stats()
    assert after.spans is not None
    assert hole_of(large.address, places) == 0
    assert after.mapped == before.mapped
    assert after.committed == before.committed
    # It has their pages, and the system gave none.
    assert after.spans.hits == before.spans.hits + 1
    assert memoryview(large)[: MIB // 2] == b"x" * (MIB // 2)


def test_the_rest_of_a_split_merges_again(slabs: numpool.SlabPool) -> None:
    with slabs.acquire(32 * MIB) as buffer:
        place = [(buffer.address, 32 * MIB)]
    mapped = slabs.stats().mapped
    for sizes in ([1, 2, 3], [16, 15], [5, 5, 5, 5, 5, 5]):
        parts = [slabs.acquire(size * MIB) for size in sizes]
        assert all(hole_of(part.address, place) == 0 for part in parts)
        random.Random(len(sizes)).shuffle(parts)
        del parts
        slabs.check()
    with slabs.acquire(32 * MIB) as buffer:
        assert hole_of(buffer.address, place) == 0
    assert slabs.stats().mapped == mapped


def test_a_block_grows_in_place_into_a_free_neighbour(slabs: numpool.SlabPool) -> None:
    first, second, wall = sorted(
        (filled(slabs, 4 * MIB) for _ in range(3)), key=lambda one: one.address
    )
    address = first.address
    second.release()
    grown = slabs.reallocate(first, 7 * MIB)
    assert grown.address == address
    assert memoryview(grown)[: 4 * MIB] == b"x" * 4 * MIB
    assert wall.nbytes == 4 * MIB


def test_a_block_that_shrinks_leaves_its_end_to_others(slabs: numpool.SlabPool) -> None:
    buffer = slabs.acquire(16 * MIB)
    place = [(buffer.address, 16 * MIB)]
    kept = slabs.reallocate(buffer, 4 * MIB)
    with slabs.acquire(11 * MIB) as end:
        assert hole_of(end.address, place) == 0
        assert end.address > kept.address


def test_merging_lets_blocks_in_use_reach_the_limit() -> None:
    slabs = numpool.SlabPool(limit="64MiB")
    for size in (1, 2, 4, 8, 16, 32):
        buffers = [slabs.acquire(size * MIB - 2**16) for _ in range(64 // size)]
        random.Random(size).shuffle(buffers)
        assert slabs.stats().in_use <= 64 * MIB
        del buffers
    slabs.check()
