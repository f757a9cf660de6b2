"""acquire_many of pools whose blocks are as large as asked, for numbers beyond all bounds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import numpool

POOLS = pytest.mark.parametrize(
    "make",
    [numpool.SlabPool, numpool.Arena],
    ids=["slabs", "arena"],
)


@POOLS
def test_more_buffers_than_memory_has_room_for_are_refused_at_once(
    make: Callable[[], Any],
) -> None:
    pool = make()
    start = time.monotonic()
    with pytest.raises(
        numpool.PoolExhausted,
        match=r"asked for \d+ buffers of 0 bytes at once, more than the .* of this process hold",
    ):
        pool.acquire_many(0, numpool.memory_limit() // 64)
    assert time.monotonic() - start < 1
    assert pool.stats().blocks == 0


@pytest.mark.parametrize(
    "pool",
    [numpool.SlabPool(limit="8MiB"), numpool.BuddyPool("8MiB", 16), numpool.SharedPool("8MiB")],
    ids=["slabs", "buddies", "shared"],
)
def test_more_bytes_than_the_limit_are_refused_at_once(pool: Any) -> None:
    with pytest.raises(
        numpool.PoolExhausted,
        match="asked for 131073 buffers of 64 bytes at once, more than its limit of 8 MiB",
    ):
        pool.acquire_many(64, (1 << 17) + 1)
    assert pool.stats().requests == 0


@POOLS
def test_many_can_be_interrupted_and_none_is_lost(make: Callable[[], Any]) -> None:
    class Alarm(Exception):
        pass

    def ring(number: int, frame: FrameType | None) -> None:
        raise Alarm

    pool = make()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            pool.acquire_many(0, 5_000_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pool.stats().blocks == 0
    pool.check()


@POOLS
def test_a_closed_pool_says_so_first(make: Callable[[], Any]) -> None:
    pool = make()
    pool.close()
    with pytest.raises(numpool.PoolClosed, match="is closed and takes no more requests"):
        pool.acquire_many(8, 1 << 60)
