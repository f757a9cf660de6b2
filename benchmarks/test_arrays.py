"""The cost of memory in Python, from pools and from other sources.

Each contender writes all its memory through ``numpy.frombuffer``, so figures include page faults.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import pytest
from races import label, race
from turns import Contender

import numpool

SIZES = [64 << 10, 1 << 20, 16 << 20, 64 << 20]
# It must stay alive: numpy-allocator uses its functions later.
LIBC = ctypes.CDLL(None)
Array = np.ndarray[Any, Any]
Allocator = AbstractContextManager[object]


def arrow() -> Callable[[int], object]:
    """PyArrow's function that allocates bytes from its pool."""
    allocate: Callable[[int], object] = pytest.importorskip("pyarrow").allocate_buffer
    return allocate


class Sources:
    """Sources of memory, each made at its first use."""

    def __init__(self, size: int) -> None:
        self.size = size

    @cached_property
    def slabs(self) -> numpool.SlabPool:
        return numpool.SlabPool()

    @cached_property
    def fixed(self) -> numpool.FixedPool:
        return numpool.FixedPool(self.size, 2)

    @cached_property
    def free(self) -> deque[bytearray]:
        return deque([bytearray(self.size), bytearray(self.size)])

    @cached_property
    def kept(self) -> Array:
        return np.zeros(self.size, np.uint8)


def rotated(free: deque[bytearray]) -> bytearray:
    """An unchecked pool, as a program may write it itself."""
    free.rotate()
    return free[0]


# Each returns a function that gets bytes from the sources.
WAYS: dict[str, Callable[[Sources], Callable[[], object]]] = {
    "FixedPool.acquire": lambda of: of.fixed.acquire,
    "SlabPool.acquire": lambda of: partial(of.slabs.acquire, of.size),
    "SlabPool.empty": lambda of: partial(of.slabs.empty, of.size, np.uint8),
    "bytearray": lambda of: partial(bytearray, of.size),
    "np.empty": lambda of: partial(np.empty, of.size, np.uint8),
    "PyArrow's pool": lambda of: partial(arrow(), of.size),
    "deque of bytearrays": lambda of: partial(rotated, of.free),
    "the limit: memset": lambda of: partial(getattr, of, "kept"),
}


@race("get, write and drop {size}", WAYS, reference="the limit: memset")
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_bytes_to_write_into(contender: str, size: int) -> Contender:
    get = WAYS[contender](Sources(size))

    def once() -> None:
        np.frombuffer(get(), np.uint8).fill(1)  # type: ignore[call-overload]

    return Contender(once)


def pool() -> Allocator:
    return numpool.use(numpool.SlabPool())


@cache
def numpy_allocator() -> Allocator:
    """glibc's malloc without NumPy's own additions: a cache of small blocks, huge pages.

    One for all tests: numpy-allocator 1.2.1 crashes if one of its classes is deleted.
    """
    package = pytest.importorskip("numpy_allocator")
    names = ("malloc", "calloc", "realloc", "free")
    fields = {f"_{name}_": ctypes.addressof(getattr(LIBC, name)) for name in names}
    allocator: Allocator = package.type("libc", (), fields)
    return allocator


# NumPy's allocator during a contender's turns.
ALLOCATORS: dict[str, Callable[[], Allocator]] = {
    "numpool": pool,
    "default NumPy": nullcontext,
    "numpy-allocator on malloc": numpy_allocator,
    "the limit: out=": nullcontext,
}


@race("a + b of {size}", ALLOCATORS, reference="the limit: out=")
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_a_sum_of_two_arrays(contender: str, size: int) -> Contender:
    limit = contender == "the limit: out="
    a, b, *out = np.ones((2 + limit, size // 8))
    work = partial(np.add, a, b, out=out[0]) if limit else lambda: a + b
    return Contender(work, ALLOCATORS[contender]())


LIVING = [4 << 10, 64 << 10, 1 << 20]


@race("100 arrays of {size} live, then all freed", ALLOCATORS, reference="default NumPy")
@pytest.mark.parametrize("size", LIVING, ids=label)
def test_arrays_that_live_at_once(contender: str, size: int) -> Contender:
    def make() -> list[Array]:
        return [np.full(size // 8, 1.0) for _ in range(100)]

    def write() -> None:
        for array in kept:
            array.fill(1)

    limit = contender == "the limit: out="
    kept = make() if limit else []
    return Contender(write if limit else make, ALLOCATORS[contender]())
