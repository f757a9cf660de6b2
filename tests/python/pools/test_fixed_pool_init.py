"""Blocks of a fixed pool that are built once by `init`, or wiped."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import numpool


def test_init_sees_each_block_once_and_its_bytes_stay() -> None:
    seen = []

    def init(view: memoryview) -> None:
        seen.append(len(view))
        view[:] = bytes([len(seen)]) * len(view)

    pool = numpool.FixedPool(24, 3, init=init)
    for _ in range(3):
        contents = sorted(bytes(memoryview(buffer)) for buffer in pool.acquire_many(3))
        assert contents == [bytes([i]) * 24 for i in (1, 2, 3)]
    assert seen == [24, 24, 24]


def test_a_block_whose_init_raised_is_not_lost_and_gets_init_again() -> None:
    calls = 0

    def init(view: memoryview) -> None:
        nonlocal calls
        calls += 1
        view[:4] = b"half"
        if calls < 4:
            raise LookupError(f"call {calls}")
        view[:4] = b"full"

    pool = numpool.FixedPool(16, 1, init=init)
    for call in (1, 2):
        with pytest.raises(LookupError, match=f"call {call}"):
            pool.acquire()
        assert pool.stats().blocks == 0
    with pytest.raises(LookupError, match="call 3"):
        pool.acquire_many(1)
    pool.check()
    assert bytes(memoryview(pool.acquire())[:4]) == b"full"
    assert calls == 4


def test_acquire_many_whose_init_raises_halfway_gives_everything_back() -> None:
    calls = 0

    def init(view: memoryview) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise LookupError

    pool = numpool.FixedPool(16, 5, init=init)
    with pytest.raises(LookupError):
        pool.acquire_many(5)
    gc.collect()
    assert pool.stats().blocks == 0
    pool.check()
    assert len(pool.acquire_many(5)) == 5
    assert calls == 6  # Two blocks were constructed before.


def test_a_block_whose_init_raised_is_free_while_the_exception_still_lives() -> None:
    attempts: list[memoryview] = []

    def init(view: memoryview) -> None:
        attempts.append(view)
        if len(attempts) == 1:
            raise LookupError

    pool = numpool.FixedPool(16, 1, init=init)
    try:
        pool.acquire()
    except LookupError:
        assert pool.acquire().nbytes == 16
    with pytest.raises(ValueError, match="released memoryview"):
        attempts[0][0]


def test_an_array_that_init_kept_holds_the_block() -> None:
    kept: list[Any] = []

    def init(view: memoryview) -> None:
        kept.append(np.frombuffer(view, "u1"))
        raise LookupError

    pool = numpool.FixedPool(16, 1, init=init)
    with pytest.raises(LookupError):
        pool.acquire()
    assert pool.stats().blocks == 1
    kept[0][:] = 1
    kept.clear()
    assert pool.stats().blocks == 0
    pool.check()


def test_init_may_use_the_pool_itself() -> None:
    inner: list[numpool.Buffer] = []
    views: list[int] = []

    def init(view: memoryview) -> None:
        views.append(len(view))
        if len(views) == 1:
            inner.append(pool.acquire())
        view[0] = 1

    pool = numpool.FixedPool(16, 2, init=init)
    outer = pool.acquire()
    assert outer.address != inner[0].address
    pool.check()


def test_a_wiping_pool_hands_out_zeroes() -> None:
    pool = numpool.FixedPool(100, 2, wipe=True)
    for _ in range(3):
        for buffer in pool.acquire_many(2):
            assert bytes(memoryview(buffer)) == bytes(100)
            memoryview(buffer)[:] = b"\xff" * 100
        del buffer
        pool.trim()


def test_a_pool_that_only_its_init_can_reach_is_collected() -> None:
    class Owner:
        pool: numpool.FixedPool

        def init(self, view: memoryview) -> None:
            view[0] = 1

    owner = Owner()
    owner.pool = numpool.FixedPool(64, 1, init=owner.init)
    gone = weakref.ref(owner)
    buffer = owner.pool.acquire()
    del owner
    gc.collect()
    assert gone() is None
    assert buffer.array()[0] == 1


def test_a_block_that_only_the_init_of_its_pool_keeps_goes_back() -> None:
    class Keeper:
        buffer: numpool.Buffer

        def init(self, view: memoryview) -> None:
            view[0] = 1

    keeper = Keeper()
    gone = weakref.ref(keeper)
    pool = numpool.FixedPool(64, 1, init=keeper.init)
    keeper.buffer = pool.acquire()
    block = weakref.ref(keeper.buffer)
    del pool, keeper
    gc.collect()
    assert gone() is None
    assert block() is None
