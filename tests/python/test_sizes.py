"""Sizes as texts, both ways."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import numpool


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("17", 17), ("17B", 17), ("64KiB", 2**16), (" 1.5 GiB ", 3 * 2**29), ("1kB", 1000)],
)
def test_texts_are_read(text: str, expected: int) -> None:
    assert numpool.parse_size(text) == expected


def test_a_percentage_is_of_the_memory_this_process_may_use() -> None:
    assert numpool.parse_size("50%") == numpool.memory_limit() // 2


@pytest.mark.parametrize("text", ["", "a lot", "-1", "1e9", "1 2", "64KK", "K", "nan", "\0", "1\0"])
def test_a_bad_size_is_refused_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write a number of bytes"):
        numpool.parse_size(text)


@pytest.mark.parametrize("text", ["4K", "4k", " 4 k "])
def test_a_bare_prefix_is_refused_with_its_possible_meanings(text: str) -> None:
    with pytest.raises(
        ValueError,
        match=f"'{text}' may mean two sizes: write '4 ?KiB' .powers of 1024. or '4 ?kB' .powers of",
    ):
        numpool.parse_size(text)
    with pytest.raises(ValueError, match=r"'1.5G' may mean two sizes: write '1.5GiB' .* '1.5GB'"):
        numpool.SlabPool(limit="1.5G")


def test_a_part_of_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^block_size: '1.5' is no whole number of bytes: write"):
        numpool.FixedPool("1.5", 4)


def test_one_is_singular() -> None:
    assert numpool.format_size(1) == "1 byte"
    pool = numpool.FixedPool(1, 1)
    buffer = pool.acquire()
    assert repr(pool) == "<FixedPool: 1 of 1 block of 1 byte in use>"
    with pytest.raises(ValueError, match=r"does not fit into a buffer of 1 byte$"):
        buffer.array("u1", 2)
    with pytest.raises(ValueError, match="a buffer of 1 byte holds no whole number of int16 items"):
        buffer.array("i2")
    with pytest.raises(numpool.PoolExhausted, match="its only block, of 1 byte, is in use"):
        pool.acquire()
    slabs = numpool.SlabPool(limit=1)
    with pytest.raises(numpool.PoolExhausted, match=r"SlabPool: 1 byte requested, 0 bytes of a "):
        slabs.acquire(1)
    handles = numpool.HandlePool({1: 2})
    kept = [handles.alloc(1), handles.alloc(1)]
    with pytest.raises(numpool.PoolExhausted, match="all 2 blocks of 1 byte or more are in use"):
        handles.alloc(1)
    with pytest.raises(numpool.PoolExhausted) as caught:
        numpool.ReservePool(numpool.FixedPool(1, 1), 1, 2)
    assert "of the 2 blocks of 1 byte" in str(caught.value)
    del kept


def test_one_second_is_singular() -> None:
    pool = numpool.FixedPool(8, 1)
    with pool.acquire(), pytest.raises(numpool.PoolExhausted, match=r"within 1 second$"):
        pool.acquire(timeout=1)
    objects: numpool.ObjectPool[list[int]] = numpool.ObjectPool(list, size=1)
    with objects.take(), pytest.raises(numpool.PoolExhausted, match=r"within 1 second$"):
        objects.take(timeout=1)


def test_a_percentage_above_100_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^limit: '200%' is more than 100 % of the memory this"):
        numpool.SlabPool(limit="200%")


@pytest.mark.parametrize("size", [None, 1.5, b"64KiB", [1]])
def test_other_types_are_refused(size: Any) -> None:
    with pytest.raises(TypeError, match="size must be an int or a text like '64KiB', not"):
        numpool.parse_size(size)


@given(st.integers(0, 2**47))
def test_a_formatted_size_reads_back_within_a_percent(size: int) -> None:
    text = numpool.format_size(size).replace("bytes", "B").replace("byte", "B")
    assert abs(numpool.parse_size(text) - size) <= size / 100


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert numpool.parse_size(text) >= 0
