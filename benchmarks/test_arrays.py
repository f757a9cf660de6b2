"""What memory to write into costs in Python, beside everything else that gives it, and the limits.

All of it is written, through the same ``numpy.frombuffer``, so that page faults are in the figures.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from test_fixed_pool import label

import numpool

SIZES = [64 << 10, 1 << 20, 16 << 20, 64 << 20]
Array = np.ndarray[Any, Any]
Allocator = AbstractContextManager[object]


def arrow(size: int) -> object:
    return pytest.importorskip("pyarrow").allocate_buffer(size)


class Sources:
    """Each gives so many bytes; what is kept from one time to the next is ready before."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.slabs = numpool.SlabPool()
        self.fixed = numpool.FixedPool(size, 2)
        self.free = deque([bytearray(size), bytearray(size)])
        self.kept = np.zeros(size, np.uint8)

    def from_free_list(self) -> object:
        """The pool that programs write themselves, unchecked."""
        self.free.rotate()
        return self.free[0]

    def ways(self) -> dict[str, Callable[[], object]]:
        return {
            "FixedPool.acquire": self.fixed.acquire,
            "SlabPool.acquire": lambda: self.slabs.acquire(self.size),
            "SlabPool.empty": lambda: self.slabs.empty(self.size, np.uint8),
            "bytearray": lambda: bytearray(self.size),
            "np.empty": lambda: np.empty(self.size, np.uint8),
            "PyArrow's pool": lambda: arrow(self.size),
            "deque of bytearrays": self.from_free_list,
            "the limit: memset": lambda: self.kept,
        }


@pytest.mark.parametrize("size", SIZES, ids=label)
@pytest.mark.parametrize("source", Sources(1).ways())
def test_bytes_to_write_into(benchmark: BenchmarkFixture, source: str, size: int) -> None:
    benchmark.group = f"get, write and drop {label(size)}"
    get = Sources(size).ways()[source]

    def once() -> None:
        np.frombuffer(get(), np.uint8).fill(1)  # type: ignore[call-overload]

    benchmark(once)


def pool() -> Allocator:
    return numpool.use(numpool.SlabPool())


def numpy_allocator() -> Allocator:
    """glibc's malloc without what NumPy does for its own: a cache of small blocks, huge pages."""
    package = pytest.importorskip("numpy_allocator")
    libc = ctypes.CDLL(None)
    names = ("malloc", "calloc", "realloc", "free")
    fields = {f"_{name}_": ctypes.addressof(getattr(libc, name)) for name in names}
    allocator: Allocator = package.type("libc", (), fields)
    return allocator


ALLOCATORS: dict[str, Callable[[], Allocator]] = {
    "numpool": pool,
    "default NumPy": nullcontext,
    "numpy-allocator on malloc": numpy_allocator,
    "the limit: out=": nullcontext,
}


@pytest.fixture(params=ALLOCATORS)
def allocator(request: pytest.FixtureRequest) -> Iterator[str]:
    """NumPy allocates from it meanwhile."""
    with ALLOCATORS[request.param]():
        yield request.param


@pytest.mark.parametrize("size", SIZES, ids=label)
def test_a_sum_of_two_arrays(benchmark: BenchmarkFixture, allocator: str, size: int) -> None:
    benchmark.group = f"a + b of {label(size)}"
    a, b, out = np.ones((3, size // 8))
    if allocator == "the limit: out=":
        benchmark(lambda: np.add(a, b, out=out))
    else:
        benchmark(lambda: a + b)


@pytest.mark.parametrize("size", [4 << 10, 64 << 10, 1 << 20], ids=label)
def test_arrays_that_live_at_once(benchmark: BenchmarkFixture, allocator: str, size: int) -> None:
    benchmark.group = f"100 arrays of {label(size)} live, then all freed"
    kept = [np.ones(size // 8) for _ in range(100)]

    def write() -> None:
        for array in kept:
            array.fill(1)

    def make() -> list[Array]:
        return [np.full(size // 8, 1.0) for _ in range(100)]

    benchmark(write if allocator == "the limit: out=" else make)
