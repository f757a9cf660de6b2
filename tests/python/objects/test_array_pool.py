"""ArrayPool: arrays of one shape and dtype, lent many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool


def test_an_array_has_its_shape_and_dtype_and_comes_back_filled() -> None:
    pool = numpool.ArrayPool((3, 4), "f4", 7, size=2, name="frames")
    for _ in range(3):
        with pool.take() as array:
            assert (array.shape, array.dtype) == ((3, 4), np.dtype("f4"))
            assert (array == 7).all()
            array[:] = 1
    assert pool.stats().built == 1
    assert (pool.shape, pool.dtype, pool.size) == ((3, 4), np.dtype("f4"), 2)
    assert repr(pool) == "<ArrayPool 'frames': 0 of 2 taken, 1 idle>"


def test_without_fill_an_array_holds_what_its_last_user_left() -> None:
    pool = numpool.ArrayPool(5, "i8", size=1)
    with pool.take() as array:
        array[:] = range(5)
    with pool.take() as array:
        assert array.tolist() == [0, 1, 2, 3, 4]


def test_fill_may_be_an_array_that_broadcasts() -> None:
    pool = numpool.ArrayPool((2, 3), int, [1, 2, 3], size=1)
    with pool.take() as array:
        assert array.tolist() == [[1, 2, 3]] * 2


VIEWS: dict[str, Callable[[Any], object]] = {
    "itself": lambda array: array,
    "a slice": lambda array: array[1:],
    "a view of a view": lambda array: array[1:][::-1].T,
    "a reshaped view": lambda array: array.reshape(-1),
    "another dtype": lambda array: array.view("u1"),
    "a memoryview": memoryview,
    "an array of a memoryview": lambda array: np.asarray(memoryview(array)),
    "dlpack": lambda array: np.from_dlpack(array),
    "an iterator": iter,
    "a broadcast": lambda array: np.broadcast_to(array, (3, *array.shape)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_an_array_that_has_views_is_not_lent_again(view: Callable[[Any], object]) -> None:
    pool = numpool.ArrayPool((4, 4), size=1)
    with pool.take() as array:
        array[:] = 1
        kept = [view(array)]
    assert pool.stats().kept == 1
    with pool.take() as other:
        assert not np.shares_memory(other, array)
        other[:] = 2
    assert (array == 1).all()
    del kept


def change_shape(array: Any) -> None:
    array.shape = (16,)


def change_dtype(array: Any) -> None:
    array.dtype = np.dtype("i8")


def make_read_only(array: Any) -> None:
    array.setflags(write=False)


@pytest.mark.parametrize(
    "change", [change_shape, change_dtype, make_read_only], ids=lambda change: change.__name__
)
@pytest.mark.filterwarnings("ignore:Setting the :DeprecationWarning")
def test_an_array_whose_attributes_changed_is_dropped(change: Callable[[Any], None]) -> None:
    pool = numpool.ArrayPool((4, 4), "f8", 0, size=1)
    with pool.take() as array:
        change(array)
    assert pool.stats().dropped == 1
    with pool.take() as array:
        assert (array.shape, array.dtype) == ((4, 4), np.dtype("f8"))
        array[:] = 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (((-1,), "f4"), ValueError),
        (((2,), "nonsense"), TypeError),
        (((2,), "f4", [1, 2, 3]), ValueError),
        (((2,), "f4", "text"), ValueError),
        (("ab", "f4"), TypeError),
    ],
)
def test_an_impossible_array_is_refused_at_once(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        numpool.ArrayPool(*arguments, size=1)


def test_an_array_too_large_for_the_machine_takes_no_place() -> None:
    pool = numpool.ArrayPool(2**45, "f8", size=1)
    for _ in range(2):
        with pytest.raises(MemoryError):
            pool.take()
        assert pool.stats().taken == 0


def test_a_with_block_can_return_its_result() -> None:
    arrays = numpool.ArrayPool(4, size=1)

    def total() -> float:
        with arrays.take() as array:
            array[...] = 2
            part = array[1:]
            return float(part.sum())

    assert total() == 6
    assert arrays.stats().taken == 0
