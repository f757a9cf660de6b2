"""Errors give the right reason if the cause is capacity, memory or re-entry."""

from __future__ import annotations

import pytest

import numpool


def test_a_number_of_blocks_that_no_memory_can_hold_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="no memory is as large as what was asked for"):
        numpool.ReservePool(numpool.SlabPool(), 64, 1 << 62)


def test_a_clean_up_that_resets_its_arena_gets_the_right_reason() -> None:
    arena = numpool.Arena()
    mark = arena.mark()
    arena.acquire(3)
    arena.defer(arena.reset)
    arena.rewind(mark)
    assert arena.stats().blocks == 0


def test_init_that_requests_the_only_block_gets_the_right_reason() -> None:
    pool = numpool.FixedPool(64, 1, init=lambda _: pool.acquire())
    with pytest.raises(numpool.PoolExhausted, match="its only block, of 64 bytes, is in use"):
        pool.acquire()
    assert pool.stats().blocks == 0
