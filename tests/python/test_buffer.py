"""What a buffer promises: bytes as long as anyone can reach them, and no longer."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
import sysconfig
import tracemalloc
import weakref
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
def test_the_error_names_the_pool_and_the_arrays_in_the_way(
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


def test_a_released_memoryview_lets_go(pool: numpool.FixedPool) -> None:
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


def test_a_with_block_does_not_throw_its_result_away(pool: numpool.FixedPool) -> None:
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


def test_a_view_outlives_a_with_block_whole(pool: numpool.FixedPool) -> None:
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


def test_an_exception_in_a_with_block_passes_and_no_view_is_cut(pool: numpool.FixedPool) -> None:
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


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        (None, None, ("u1", (4096,))),
        ("f4", (32, 32), ("f4", (32, 32))),
        (np.complex128, None, ("c16", (256,))),
        ("i2", 5, ("i2", (5,))),
        ("i2", (), ("i2", ())),
        ("i2", (0, 10**15), ("i2", (0, 10**15))),
        ([("x", "f8"), ("y", "i4")], (10,), ([("x", "f8"), ("y", "i4")], (10,))),
        ("M8[s]", (2,), ("M8[s]", (2,))),
        ("S8", (512,), ("S8", (512,))),
    ],
)
def test_array_makes_an_ndarray_on_the_block(
    pool: numpool.FixedPool, dtype: Any, shape: Any, expected: Any
) -> None:
    buffer = pool.acquire()
    array = buffer.array(dtype, shape)
    assert array.dtype == np.dtype(expected[0])
    assert array.shape == expected[1]
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert array.ctypes.data == buffer.address


@pytest.mark.parametrize(
    ("dtype", "shape", "error", "text"),
    [
        (
            "f4",
            -1,
            ValueError,
            "shape -1 has a negative dimension: give the numbers of items, or no",
        ),
        ("f4", (2, -3), ValueError, r"shape \(2, -3\) has a negative dimension"),
        ("f4", (1025,), ValueError, "does not fit into a buffer of 4096 bytes"),
        ("f4", (-1,), ValueError, r"shape \(-1,\) has a negative dimension"),
        ("u1", (2**32, 2**32), ValueError, "does not fit"),
        ("u1", (2**62, 4), ValueError, "does not fit"),
        ([("x", "u1", 3)], None, ValueError, "4096 bytes are no whole number of"),
        ("O", (4,), TypeError, "object, whose items are references"),
        ([("x", "O")], (4,), TypeError, "whose items are references"),
        ("S", None, ValueError, "has no size"),
        ("no such type", None, TypeError, "no such type|not understood"),
        ("f4", "shape", TypeError, "shape|sequence|integer"),
    ],
)
def test_array_refuses_what_does_not_fit(
    pool: numpool.FixedPool, dtype: Any, shape: Any, error: type[Exception], text: str
) -> None:
    buffer = pool.acquire()
    with pytest.raises(error, match=text):
        buffer.array(dtype, shape)
    buffer.release()


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has StringDType")
def test_array_refuses_variable_strings(pool: numpool.FixedPool) -> None:
    with pytest.raises(TypeError, match="whose items are references"):
        pool.acquire().array(np.dtypes.StringDType(), (4,))


def test_an_array_of_a_pool_with_little_alignment_knows_it() -> None:
    pool = numpool.FixedPool(24, 4, align=8)
    arrays = [buffer.array("c16", (1,)) for buffer in pool.acquire_many(4)]
    for array in arrays:
        assert array.flags.aligned == (array.ctypes.data % np.dtype("c16").alignment == 0)


def test_reading_a_socket_or_file_into_a_buffer_leaves_it_releasable(
    pool: numpool.FixedPool,
) -> None:
    buffer = pool.acquire()
    assert io.BytesIO(b"hello").readinto(buffer) == 5
    assert bytes(memoryview(buffer)[:5]) == b"hello"
    buffer.release()


@pytest.mark.parametrize("protocol", range(6))
def test_a_buffer_pickles_by_value(pool: numpool.FixedPool, protocol: int) -> None:
    buffer = pool.acquire()
    buffer.array()[:] = np.arange(4096) % 251
    restored = pickle.loads(pickle.dumps(buffer, protocol=protocol))
    assert isinstance(restored, numpool.Buffer)
    assert bytes(restored) == bytes(buffer)
    assert restored.pool is None
    restored.array()[0] = 99
    assert buffer.array()[0] == 0
    restored.release()
    buffer.release()


def test_a_buffer_pickles_out_of_band_without_a_copy(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    out_of_band: list[pickle.PickleBuffer] = []
    data = pickle.dumps(buffer, protocol=5, buffer_callback=out_of_band.append)
    assert len(data) < 200
    restored = pickle.loads(data, buffers=out_of_band)
    assert restored.address == buffer.address
    with pytest.raises(BufferError):
        buffer.release()
    del restored, out_of_band
    buffer.release()


def test_a_buffer_unpickled_from_read_only_bytes_is_a_writable_copy() -> None:
    pool = numpool.FixedPool(16, 1)
    data = pickle.dumps(pool.acquire(), protocol=5, buffer_callback=lambda _: None)
    restored = pickle.loads(data, buffers=[b"0123456789abcdef"])
    memoryview(restored)[0] = 65
    assert bytes(restored) == b"A123456789abcdef"


def test_a_copied_buffer_is_independent(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    buffer.array()[:] = 1
    for duplicate in (copy.copy(buffer), copy.deepcopy(buffer)):
        duplicate.array()[:] = 2
    assert buffer.array().sum() == 4096
    assert pool.stats().blocks == 1


def test_a_buffer_tells_what_it_is(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    assert buffer.pool is pool
    assert len(buffer) == buffer.nbytes == 4096
    assert repr(buffer) == f"<numpool.Buffer of 4 KiB at {buffer.address:#x} from FixedPool 'test'>"


def test_a_buffer_leads_back_to_its_pool_even_if_nobody_else_does() -> None:
    buffer = numpool.FixedPool(64, 2, name="lost").acquire()
    gc.collect()
    pool = buffer.pool
    assert isinstance(pool, numpool.FixedPool)
    assert pool.name == "lost"
    assert pool.acquire().address != buffer.address
    assert buffer.pool is pool


def test_only_pools_make_buffers() -> None:
    with pytest.raises(TypeError, match=r"cannot create 'numpool\.Buffer' instances"):
        numpool.Buffer()
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Mine", (numpool.Buffer,), {})
    with pytest.raises(TypeError):
        type(memoryview(numpool.FixedPool(8, 1).acquire()).obj)()


def test_a_buffer_can_be_referenced_weakly(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    died: list[object] = []
    reference = weakref.ref(buffer, died.append)
    assert reference() is buffer
    del buffer
    assert reference() is None
    assert len(died) == 1
    assert pool.stats().blocks == 0


def test_a_buffer_in_a_cycle_goes_back_when_it_is_collected(pool: numpool.FixedPool) -> None:
    cycle: list[Any] = [pool.acquire()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert pool.stats().blocks == 0


def test_tracemalloc_sees_blocks_in_use_in_their_own_domain(pool: numpool.FixedPool) -> None:
    def traced() -> int:
        domain = tracemalloc.DomainFilter(True, numpool.tracemalloc_domain)
        snapshot = tracemalloc.take_snapshot().filter_traces([domain])
        return sum(trace.size for trace in snapshot.traces)

    tracemalloc.start()
    try:
        assert traced() == 0
        buffers = pool.acquire_many(3)
        assert traced() == 3 * 4096
        buffers.pop().release()
        assert traced() == 2 * 4096
        array = buffers.pop().array()
        buffers.clear()
        assert traced() == 4096
        del array
        assert traced() == 0
    finally:
        tracemalloc.stop()


def test_dlpack_tells_the_cpu(pool: numpool.FixedPool) -> None:
    assert pool.acquire().__dlpack_device__() == (1, 0)


def test_writes_through_every_view_meet_in_the_block(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    buffer.array()[:] = 0
    memoryview(buffer)[0] = 1
    np.frombuffer(buffer, "u1")[1] = 2
    assert np.from_dlpack(buffer)[:3].tolist() == [1, 2, 0]
    assert bytes(memoryview(buffer)[:3]) == b"\x01\x02\x00"


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED") or sys.version_info < (3, 14),
    reason="with a GIL, reference counts are no thread's bottleneck",
)
def test_threads_that_acquire_do_not_count_references_to_one_type() -> None:
    assert sys._is_immortal(numpool.Buffer)  # type: ignore[attr-defined]
    assert sys._is_immortal(type(memoryview(numpool.SlabPool().acquire(8)).obj))  # type: ignore[attr-defined]
