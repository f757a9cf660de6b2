"""The largest arrays that are alive."""

from __future__ import annotations

from typing import Any

import numpy as np

import numpool

SIZE = 16 << 20


def of_address(address: int) -> numpool.LiveArray:
    [one] = [one for one in numpool.live(1000) if one.address == address]
    return one


def address_of(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_an_array_is_listed_with_its_shape_dtype_age_and_line() -> None:
    with numpool.profile():
        kept = np.ones((1024, 4096), "f4")
        one = of_address(address_of(kept))
    assert (one.size, one.shape, one.dtype) == (SIZE, (1024, 4096), np.dtype("f4"))
    assert one.age is not None
    assert 0 <= one.age < 60
    assert one.line is not None
    assert one.line.startswith(f"{__file__}:")
    assert one.line.endswith("test_an_array_is_listed_with_its_shape_dtype_age_and_line")


def test_without_a_profile_there_is_neither_line_nor_age() -> None:
    kept = np.ones(1 << 21)
    one = of_address(address_of(kept))
    assert (one.size, one.shape, one.age, one.line) == (SIZE, (1 << 21,), None, None)


def test_a_small_view_shows_the_array_that_it_keeps_alive() -> None:
    held = {"rows": np.ones((4096, 512))[:1]}
    base = held["rows"].base
    assert base is not None
    address = address_of(base)
    del base
    assert of_address(address).shape == (4096, 512)


def test_the_largest_comes_first_and_n_bounds_the_list() -> None:
    kept = [np.ones(n << 20) for n in (1, 3, 2)]
    sizes = [one.size for one in numpool.live(1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(numpool.live(2)) == 2
    assert numpool.live(0) == []
    assert len(kept) == 3


def test_an_array_without_a_reference_from_python_is_listed_by_its_sample() -> None:
    with numpool.profile():
        array = np.ones(1 << 21)
        address = address_of(array)
        hidden = iter(memoryview(array.view("u1")))
        del array
        one = of_address(address)
        assert one.size == SIZE
        assert one.line is not None
        del hidden


def test_the_list_keeps_no_array_alive() -> None:
    kept = np.ones(1 << 21)
    address = address_of(kept)
    numpool.live()
    del kept
    assert [one for one in numpool.live(1000) if one.address == address] == []
