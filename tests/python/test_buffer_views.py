"""A buffer is not released while a view uses its block, and views outlive buffer and pool."""

from __future__ import annotations

import gc
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool

View = Callable[[numpool.Buffer], object]

VIEWS: dict[str, View] = {
    "memoryview": memoryview,
    "slice": lambda buffer: memoryview(buffer)[10:20],
    "cast": lambda buffer: memoryview(buffer).cast("I"),
    "frombuffer": lambda buffer: np.frombuffer(buffer, "u1"),
    "asarray": np.asarray,
    "array": lambda buffer: buffer.array("f8"),
    "view of array": lambda buffer: buffer.array("f8")[3:].view("u1"),
    "dlpack": np.from_dlpack,
    "dlpack capsule": lambda buffer: buffer.__dlpack__(),
    "ndarray on memoryview": lambda buffer: np.ndarray((8,), "f8", memoryview(buffer)),
    "ndarray on buffer": lambda buffer: np.ndarray((8,), "f8", buffer),
    "picklebuffer": pickle.PickleBuffer,
    "ctypes": lambda buffer: __import__("ctypes").c_char.from_buffer(buffer),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_buffer_is_not_released_under_a_live_view(pool: numpool.FixedPool, view: View) -> None:
    buffer = pool.acquire()
    live = view(buffer)
    with pytest.raises(BufferError, match=r"still in use by 1 view|numpy.ndarray\(buffer=...\)"):
        buffer.release()
    assert not buffer.released
    assert pool.stats().blocks == 1
    del live
    gc.collect()
    if view is not VIEWS["ndarray on buffer"]:
        buffer.release()
        assert buffer.released
    del buffer
    assert pool.stats().blocks == 0


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_keeps_the_block_when_buffer_and_pool_are_gone(view: View) -> None:
    pool = numpool.FixedPool(4096, 1)
    live = view(pool.acquire())
    address = pool.stats()
    assert address.blocks == 1
    assert pool.try_acquire() is None
    del pool
    gc.collect()
    if isinstance(live, np.ndarray) and live.flags.writeable:
        live[...] = 1
        assert live.sum() == live.size
    del live


def test_an_array_cannot_hide_behind_a_pickle_buffer(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    for exporter in (pickle.PickleBuffer(buffer), memoryview(buffer).obj):
        with pytest.raises(BufferError, match=r"use numpy.frombuffer\(\) or Buffer.array\(\)"):
            np.ndarray((8,), "f8", exporter)
    del exporter
    buffer.release()


def release_error(buffer: numpool.Buffer) -> str:
    with pytest.raises(BufferError) as caught:
        buffer.release()
    return str(caught.value)


OWNERS: dict[str, tuple[Callable[[], numpool.Pool], str]] = {
    "FixedPool": (lambda: numpool.FixedPool(4096, 4, name="a"), "FixedPool 'a'"),
    "SlabPool": (lambda: numpool.SlabPool(name="a"), "SlabPool 'a'"),
    "BuddyPool": (lambda: numpool.BuddyPool("64KiB", name="a"), "BuddyPool 'a'"),
    "Arena": (lambda: numpool.Arena(name="a"), "Arena 'a'"),
}


@pytest.mark.parametrize(("make", "title"), OWNERS.values(), ids=OWNERS)
def test_the_error_names_the_pool_and_the_arrays_that_are_in_use(
    make: Callable[[], Any], title: str
) -> None:
    pool = make()
    buffer = pool.acquire() if isinstance(pool, numpool.FixedPool) else pool.acquire(4096)
    start = f"this buffer of {title} is still in use by"
    kinds = "(memoryview, array or DLPack)"
    views: list[object] = [memoryview(buffer)]
    assert release_error(buffer) == f"{start} 1 view {kinds}: drop it first"
    views.append(buffer.array("f4", (32, 32))[::2])
    assert release_error(buffer) == (
        f"{start} 2 views: (32, 32) float32 of 4 KiB or a view of it, and 1 other {kinds}: drop "
        "them first"
    )
    views.append(buffer.array("u1", 7))
    del views[0]
    assert release_error(buffer) == (
        f"{start} 2 views: (32, 32) float32 of 4 KiB or a view of it, (7,) uint8 of 7 bytes or a "
        "view of it: drop them first"
    )
    del views[0]
    assert release_error(buffer) == (
        f"{start} 1 view: (7,) uint8 of 7 bytes or a view of it: drop it first"
    )
    views.clear()
    buffer.release()


def test_an_unpickled_buffers_error_names_no_pool() -> None:
    buffer = pickle.loads(pickle.dumps(numpool.SlabPool().acquire(8)))
    array = buffer.array()
    assert release_error(buffer) == (
        "this buffer is still in use by 1 view: (8,) uint8 of 8 bytes or a view of it: drop it "
        "first"
    )
    del array


def test_a_released_memoryview_does_not_count(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    view = memoryview(buffer)
    view.release()
    buffer.release()
    with pytest.raises(ValueError, match="released memoryview"):
        view[0]


USES: dict[str, Callable[[numpool.Buffer], object]] = {
    "memoryview": memoryview,
    "bytes": bytes,
    "len": len,
    "nbytes": lambda buffer: buffer.nbytes,
    "address": lambda buffer: buffer.address,
    "pool": lambda buffer: buffer.pool,
    "array": lambda buffer: buffer.array("f4"),
    "frombuffer": np.frombuffer,
    "dlpack": np.from_dlpack,
    "with": lambda buffer: buffer.__enter__(),
    "pickle": lambda buffer: pickle.dumps(buffer, protocol=5),
    "old pickle": lambda buffer: pickle.dumps(buffer, protocol=2),
    "owns": lambda buffer: numpool.FixedPool(8, 1).owns(buffer),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_any_use_after_release_raises(
    pool: numpool.FixedPool, use: Callable[[numpool.Buffer], object]
) -> None:
    buffer = pool.acquire()
    buffer.release()
    buffer.release()
    assert repr(buffer) == "<numpool.Buffer, released>"
    with pytest.raises(ValueError, match="this buffer was released"):
        use(buffer)


def test_a_with_block_releases(pool: numpool.FixedPool) -> None:
    with pool.acquire() as buffer:
        assert pool.stats().blocks == 1
    assert buffer.released
    assert pool.stats().blocks == 0


def test_a_with_block_can_return_its_result(pool: numpool.FixedPool) -> None:
    def total() -> float:
        with pool.acquire() as buffer:
            a = buffer.array("f4", (32, 32))
            a[...] = 2
            return float(a.sum())

    assert total() == 2048
    assert pool.stats().blocks == 0


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_the_end_of_a_with_block_leaves_the_block_to_the_last_view(
    pool: numpool.FixedPool, view: View
) -> None:
    with pool.acquire() as buffer:
        live = view(buffer)
    # NumPy does not tell of arrays that it makes so: their block stays with the buffer.
    assert buffer.released == (view is not VIEWS["ndarray on buffer"])
    buffers = [buffer, *pool.acquire_many(3)]
    assert pool.try_acquire() is None
    del buffer, buffers
    assert pool.stats().blocks == 1
    del live
    gc.collect()
    assert pool.stats().blocks == 0


def test_a_view_outlives_a_with_block_and_can_be_written(pool: numpool.FixedPool) -> None:
    with pool.acquire() as buffer:
        view = memoryview(buffer)
    with pytest.raises(ValueError, match="this buffer was released"):
        memoryview(buffer)
    view[:] = b"x" * 4096
    assert bytes(view) == b"x" * 4096
    view.release()
    assert pool.stats().blocks == 0


def test_a_with_block_of_a_released_buffer_ends_quietly(pool: numpool.FixedPool) -> None:
    with pool.acquire() as buffer:
        buffer.release()
    assert pool.stats().blocks == 0


def test_an_exception_in_a_with_block_passes_and_views_stay_valid(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    view: memoryview | None = None

    def fail() -> None:
        nonlocal view
        with buffer:
            view = memoryview(buffer)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert view is not None
    assert buffer.released
    assert pool.stats().blocks == 1
    view[0] = 1
    view.release()
    assert pool.stats().blocks == 0


def test_reading_a_socket_or_file_into_a_buffer_leaves_it_releasable(
    pool: numpool.FixedPool,
) -> None:
    buffer = pool.acquire()
    assert io.BytesIO(b"hello").readinto(buffer) == 5
    assert bytes(memoryview(buffer)[:5]) == b"hello"
    buffer.release()


def test_writes_through_every_view_meet_in_the_block(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    buffer.array()[:] = 0
    memoryview(buffer)[0] = 1
    np.frombuffer(buffer, "u1")[1] = 2
    assert np.from_dlpack(buffer)[:3].tolist() == [1, 2, 0]
    assert bytes(memoryview(buffer)[:3]) == b"\x01\x02\x00"
