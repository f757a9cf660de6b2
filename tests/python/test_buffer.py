"""A buffer by itself: arrays on it, pickles and copies, its pool, and the garbage collector."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import sysconfig
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import numpool


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
        ([("x", "u1", 3)], None, ValueError, "4096 bytes holds no whole number of"),
        ("O", (4,), TypeError, "object, whose items are references"),
        ([("x", "O")], (4,), TypeError, "whose items are references"),
        ("S", None, ValueError, "has no size"),
        ("no such type", None, TypeError, "no such type|not understood"),
        ("f4", "shape", TypeError, "shape|sequence|integer"),
    ],
)
def test_array_refuses_bad_arguments(
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


def test_an_array_of_a_pool_with_little_alignment_has_the_right_flag() -> None:
    pool = numpool.FixedPool(24, 4, align=8)
    arrays = [buffer.array("c16", (1,)) for buffer in pool.acquire_many(4)]
    for array in arrays:
        assert array.flags.aligned == (array.ctypes.data % np.dtype("c16").alignment == 0)


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


def test_a_buffer_shows_its_pool_and_size(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    assert buffer.pool is pool
    assert len(buffer) == buffer.nbytes == 4096
    assert repr(buffer) == f"<numpool.Buffer of 4 KiB at {buffer.address:#x} from FixedPool 'test'>"


def test_a_buffer_leads_to_its_pool_without_another_reference() -> None:
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


def test_dlpack_names_the_cpu(pool: numpool.FixedPool) -> None:
    assert pool.acquire().__dlpack_device__() == (1, 0)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED") or sys.version_info < (3, 14),
    reason="with a GIL, reference counts are no thread's bottleneck",
)
def test_threads_that_acquire_do_not_count_references_to_one_type() -> None:
    assert sys._is_immortal(numpool.Buffer)  # type: ignore[attr-defined]
    assert sys._is_immortal(type(memoryview(numpool.SlabPool().acquire(8)).obj))  # type: ignore[attr-defined]
