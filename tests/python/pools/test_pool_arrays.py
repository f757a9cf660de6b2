"""Arrays that a pool makes: their data is memory of the pool, and NumPy frees it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool


def test_arrays_own_their_data_through_the_pool(slabs: numpool.SlabPool) -> None:
    arrays = [
        slabs.empty((10, 20)),
        slabs.empty(100, "f4"),
        slabs.zeros((1000, 1000), np.int16),
        slabs.full(5, 7.5),
        slabs.full((5, 2), 7, "i8"),
        slabs.array([[1, 2], [3, 4]]),
        slabs.array(range(3), dtype="u1"),
    ]
    assert [array.dtype for array in arrays] == ["f8", "f4", "i2", "f8", "i8", "i8", "u1"]
    assert [array.shape for array in arrays][:3] == [(10, 20), (100,), (1000, 1000)]
    for array in arrays:
        assert array.flags.owndata
        assert slabs.owns(array)
        assert numpool.pool_of(array) is slabs
    assert not arrays[2].any()
    assert arrays[3].tolist() == [7.5] * 5
    assert arrays[5].tolist() == [[1, 2], [3, 4]]
    assert not slabs.owns(np.empty(100))
    arrays[1].resize(10**6, refcheck=False)
    assert slabs.owns(arrays[1])
    del arrays, array
    assert slabs.stats().blocks == 0


def test_numpy_computes_in_place_only_in_temporaries(slabs: numpool.SlabPool) -> None:
    made = []

    def temporary(full: Callable[..., np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        array = full(1 << 20, 2.0)
        made.append(array.ctypes.data)
        return array

    def in_place(full: Callable[..., np.ndarray[Any, Any]]) -> bool:
        result = temporary(full) * 3 + 1
        assert result[-1] == 7
        return result.ctypes.data == made[-1]

    # NumPy checks its callers and does not always compute in place. If it does, it does so here.
    assert in_place(slabs.full) == in_place(np.full)


def test_zeros_are_zero_where_blocks_were_dirty(slabs: numpool.SlabPool) -> None:
    for size in (8, 100, 5000, 10**6, 10**7, 5 * 10**7):
        dirty = slabs.full(size, 0xFF, "u1")
        del dirty
        assert not slabs.zeros(size, "u1").any()


def test_the_error_of_a_refused_array_names_the_limit() -> None:
    pool = numpool.SlabPool(limit="64MiB", name="small")
    for make in (pool.empty, pool.zeros):
        with pytest.raises(
            numpool.PoolExhausted, match=r"128 MiB. requested, .* 64 MiB in use; .*Unable to"
        ):
            make(2**27, "u1")
    with pytest.raises(MemoryError):
        pool.full(2**27, 1, "u1")
    with pytest.raises(TypeError):
        pool.empty("shape")  # type: ignore[arg-type]
    pool.close()
    with pytest.raises(numpool.PoolClosed):
        pool.empty(3)
    assert np.empty(3).size == 3
    assert numpool.current() is None


def test_a_memory_error_of_the_users_own_passes_unchanged(slabs: numpool.SlabPool) -> None:
    own = MemoryError("of the device")

    class OnDevice:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            raise own

    with pytest.raises(MemoryError) as caught:
        slabs.array(OnDevice())
    assert caught.value is own


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pool: pool.empty(), "empty() needs 'shape'"),
        (lambda pool: pool.full(3, dtype="u1"), "full() needs 'fill_value'"),
        (lambda pool: pool.zeros(3, "u1", "F"), "zeros() takes 2 arguments, not 3"),
        (lambda pool: pool.array([1], object=[2]), "array() got 'object' twice"),
        (lambda pool: pool.empty(3, order="F"), "empty() takes no 'order'"),
    ],
)
def test_the_error_of_an_array_names_the_wrong_argument(
    slabs: numpool.SlabPool, call: Callable[[numpool.SlabPool], object], message: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(slabs)
    assert str(caught.value) == message
    assert slabs.stats().requests == 0


@pytest.mark.parametrize("kind", [numpool.SlabPool, numpool.BuddyPool, numpool.Arena])
def test_an_object_without_a_pool_makes_no_array(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"__init__\(\) was not called on this object"):
        kind.__new__(kind).empty(3)


def test_arguments_of_arrays_may_be_named(slabs: numpool.SlabPool) -> None:
    array = slabs.full(dtype="i2", fill_value=7, shape=(2, 2))
    assert (array.dtype, array.tolist()) == (np.dtype("i2"), [[7, 7], [7, 7]])
    assert slabs.array(dtype=complex, object=[1]).tolist() == [1 + 0j]
    assert slabs.empty(3, None).dtype == slabs.zeros(shape=3).dtype == np.float64
    assert numpool.pool_of(array) is slabs


def test_arrays_outlive_the_pool() -> None:
    pool = numpool.SlabPool()
    small, large = pool.acquire(100).array(), pool.acquire(10**7).array()
    pool.close()
    with pytest.raises(numpool.PoolClosed, match="SlabPool is closed"):
        pool.acquire(8)
    with pytest.raises(numpool.PoolClosed):
        pool.try_acquire(8)
    del pool
    gc.collect()
    small[:] = 1
    large[:] = 2
    assert small.sum() == 100
    assert large.sum() == 2 * 10**7


class Marked(np.ndarray[Any, Any]):
    pass


def test_more_makers_that_numpy_users_know(slabs: numpool.SlabPool) -> None:
    like = np.asfortranarray(np.arange(6, dtype="i2").reshape(2, 3)).view(Marked)
    arrays = [
        slabs.ones((2, 3), "f4"),
        slabs.empty_like(like),
        slabs.zeros_like(like),
        slabs.ones_like(like, dtype="f4"),
        slabs.full_like(like, 7),
        slabs.full_like([1.5, 2.5], fill_value=0.5),
    ]
    assert [array.dtype for array in arrays] == ["f4", "i2", "i2", "f4", "i2", "f8"]
    assert [array.shape for array in arrays] == [(2, 3)] * 5 + [(2,)]
    assert [array.sum() for array in (arrays[0], *arrays[2:])] == [6, 0, 6, 42, 1]
    assert [type(array) for array in arrays] == [np.ndarray, *[Marked] * 4, np.ndarray]
    assert arrays[1].flags.f_contiguous
    for array in arrays:
        assert numpool.pool_of(array) is slabs
    with pytest.raises(TypeError, match=r"full_like\(\) needs 'fill_value'"):
        slabs.full_like(like)  # type: ignore[call-overload]
    del arrays, array
    assert slabs.stats().blocks == 0


def test_a_refused_array_has_the_error_of_a_refused_buffer() -> None:
    slabs = numpool.SlabPool(limit="1MiB", name="frames")
    text = (
        "SlabPool 'frames': 2097152 bytes (2 MiB) requested, 0 bytes of a limit of 1 MiB in use; "
        "that is more than the limit: raise the limit"
    )
    with pytest.raises(numpool.PoolExhausted) as caught:
        slabs.acquire("2MiB")
    assert str(caught.value) == text
    with pytest.raises(numpool.PoolExhausted) as caught:
        slabs.empty(2**21, "u1")
    assert str(caught.value).startswith(f"{text} (Unable to allocate 2.00 MiB for an array with")


def test_a_request_beyond_the_machines_memory_has_its_own_error() -> None:
    limit = numpool.format_size(numpool.memory_limit())
    slabs = numpool.SlabPool(name="frames")
    with pytest.raises(
        numpool.PoolExhausted,
        match=f"1 TiB. requested, 0 bytes in use; that is more than the {limit} this process",
    ):
        slabs.acquire("1TiB")
    with pytest.raises(numpool.PoolExhausted, match=f"that is more than the {limit} this process"):
        slabs.empty(2**40, "u1")
