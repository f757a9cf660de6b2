"""The traps of NumPy's allocator hook. Each test shows what a trap would break.

Tests that concern any array run with each way of allocating from a pool.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import resource
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 2**20


NUMPYS_CORE = "numpy._core" if np.__version__ >= "2" else "numpy.core"


@contextlib.contextmanager
def installed(pool: numpool.Pool) -> Iterator[numpool.Pool]:
    numpool.install(pool)
    try:
        yield pool
    finally:
        numpool.uninstall()


@pytest.fixture(params=["install", "use", "use of a fixed pool"])
def on_pool(request: pytest.FixtureRequest) -> Iterator[numpool.Pool]:
    """NumPy allocates from a pool. At the test's end it must have all blocks back."""
    pool: numpool.Pool = numpool.default_pool()
    if request.param == "use of a fixed pool":
        pool = numpool.FixedPool(MIB, 64, name="fixed")
    gc.collect()
    live = pool.stats().blocks
    begin = installed if request.param == "install" else numpool.use
    with begin(pool):
        assert numpool.pool_of(np.empty(1)) is pool
        yield pool
        pool.check()
        gc.collect()
        assert pool.stats().blocks == live


def test_trap_01_free_of_null_as_argsort_does_it(on_pool: numpool.Pool) -> None:
    for size in (0, 1, 17, 1000):
        array = np.arange(size)[::-1]
        for kind in ("quicksort", "stable", "heapsort"):
            assert (np.argsort(array, kind=kind) == array).all()
    assert np.argsort(np.ones((0, 3)), axis=0).shape == (0, 3)


def test_trap_02_the_size_in_a_free_is_only_a_hint(on_pool: numpool.Pool, tmp_path: Path) -> None:
    assert np.fromstring("", sep=" ").size == 0
    array = np.ones(1000)
    array.resize(0, refcheck=False)
    assert array.size == 0
    (tmp_path / "short").write_bytes(bytes(100))
    assert np.fromfile(tmp_path / "short", np.uint8, count=5000).size == 100
    del array


def test_trap_03_reallocation_without_the_gil(on_pool: numpool.Pool) -> None:
    text = "1 " * 10_000

    def read(_: int) -> float:
        with numpool.use(on_pool):
            return sum(float(np.fromstring(text, sep=" ").sum()) for _ in range(20))

    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(read, range(8))) == [200_000.0] * 8


@pytest.mark.parametrize("make", [np.empty, np.zeros, np.ones])
def test_trap_04_a_size_that_nothing_holds_raises(
    on_pool: numpool.Pool, make: Callable[..., Any]
) -> None:
    for size in (2**62, 2**63 - 1, 2**63 - 4096, 2**63 - 65):
        with pytest.raises(MemoryError):
            make(size, "u1")
    array = np.ones(3)
    with pytest.raises(MemoryError):
        array.resize(2**59, refcheck=False)
    assert array.sum() == 3


def test_trap_05_reallocation_keeps_alignment_and_contents(on_pool: numpool.Pool) -> None:
    for dtype in (np.uint8, np.float64, np.clongdouble):
        array = np.arange(5).astype(dtype)
        for size in (1, 7, 100, 4099, 65_537, 8, 500_000, 3):
            expected = array[:size].copy()
            array.resize(size, refcheck=False)
            address = array.__array_interface__["data"][0]
            assert address % min(16, max(1, 2 ** (array.nbytes.bit_length() - 1))) == 0
            assert (array[: expected.size] == expected).all()
            assert not array[expected.size :].any()


def test_trap_05_a_reallocation_that_fails_keeps_the_block() -> None:
    pool = numpool.FixedPool(4096, 1)
    with numpool.use(pool, fallback=None):
        array = np.arange(512)
    for _ in range(3):
        with pytest.raises(MemoryError):
            array.resize(10_000, refcheck=False)
    assert (array == np.arange(512)).all()
    del array
    assert pool.stats().blocks == 0


def of_this_process(field: str) -> int:
    """Bytes of one kind of this process's memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(field)


@pytest.mark.parametrize("way", ["install", "use"])
def test_trap_06_zeroes_cost_neither_time_nor_memory_until_touched(way: str) -> None:
    with (installed if way == "install" else numpool.use)(numpool.default_pool()) as pool:
        pool.trim()
        for _ in range(2):
            before = of_this_process("VmRSS")
            start = time.perf_counter()
            array = np.zeros(256 * MIB, np.uint8)
            made = time.perf_counter() - start
            assert of_this_process("VmRSS") - before < 16 * MIB
            # The second time, the bytes that were written here must be zero again.
            array[:] = 0xFF
            assert made < (time.perf_counter() - start) / 4
            del array
        assert not np.zeros(256 * MIB, np.uint8)[:: 1 << 12].any()
        pool.trim()


@pytest.mark.parametrize("way", ["install", "use"])
def test_trap_07_temporaries_of_64_mib_are_not_faulted_in_again(way: str) -> None:
    a = np.ones(8 * MIB)
    b = np.ones(8 * MIB)
    with (installed if way == "install" else numpool.use)(numpool.default_pool()) as pool:
        for _ in range(2):
            c = a + b
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            c = a + b
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        assert c[-1] == 2
        # A block of 64 MiB has 16384 pages.
        assert faults < 500
        del c
        pool.trim()


DTYPES = ["u1", "f8", "O", "S5", "U5", "i4,O", "M8[s]"]


if hasattr(np.dtypes, "StringDType"):
    DTYPES.append("T")


@pytest.mark.parametrize("dtype", DTYPES)
def test_trap_08_recycled_blocks_are_clean_where_numpy_asks_for_zeroes(
    on_pool: numpool.Pool, dtype: str
) -> None:
    for size in (1, 100, 1000, 50_000):
        expected = [0 if dtype == "O" else np.zeros(1, dtype)[0]] * 3
        item = np.dtype(dtype).itemsize
        for _ in range(3):
            dirty = np.full(size * item, 0xFF, np.uint8)
            del dirty
            zeros = np.zeros(size, dtype)
            assert [zeros[0], zeros[size // 2], zeros[-1]] == expected
            del zeros
            dirty = np.full(size * item, 0xFF, np.uint8)
            del dirty
            # NumPy also zeroes empty arrays whose items are references.
            empty = np.empty(size, dtype)
            if empty.dtype.hasobject:
                assert str(empty[0]) == str(np.empty(1, dtype)[0])
            del empty


def test_trap_10_a_block_around_a_yield_leaks_and_the_decorator_does_not(
    pool: numpool.FixedPool,
) -> None:
    def block() -> Generator[numpool.Pool | None]:
        with numpool.use(pool):
            yield numpool.pool_of(np.ones(10))

    @numpool.use(pool)
    def decorated() -> Generator[numpool.Pool | None]:
        yield numpool.pool_of(np.ones(10))

    leaking = block()
    assert next(leaking) is pool
    assert numpool.current() is pool
    leaking.close()
    assert numpool.current() is None
    sound = decorated()
    assert next(sound) is pool
    assert numpool.current() is None
    sound.close()


def test_trap_12_arrays_keep_the_pool_that_was_dropped() -> None:
    arrays = []
    for value in range(20):
        pool = numpool.FixedPool(65536, 4)
        with numpool.use(pool):
            arrays.append(np.full(8192, value))
        del pool
        gc.collect()
    assert [int(array.sum()) for array in arrays] == [8192 * value for value in range(20)]


def test_trap_13_the_capsule_has_the_name_that_numpy_asks_for(pool: numpool.FixedPool) -> None:
    # NumPy 1.26 accepts any name, and then cannot allocate.
    assert '"mem_handler"' in repr(numpool.use(pool)._handler)
    with numpool.use(pool):
        assert np.ones(10).sum() == 10


def test_trap_14_no_array_owns_a_pools_data_without_its_handler(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    assert not buffer.array("f4").flags.owndata
    with numpool.use(pool):
        array = np.ones(10)
    assert array.flags.owndata
    assert handler_name(array) == "numpool"


def handler_name(array: np.ndarray[Any, Any]) -> str:
    name: str = importlib.import_module(f"{NUMPYS_CORE}.multiarray").get_handler_name(array)
    return name


def test_trap_15_release_while_an_array_lives_is_refused(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    array = np.frombuffer(buffer, np.uint8)
    with pytest.raises(BufferError, match="still in use"):
        buffer.release()
    del array
    buffer.release()


NUMPYS_DOMAIN = 389047


def traced(domain: int) -> int:
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, domain)])
    return sum(trace.size for trace in snapshot.traces)


def test_trap_18_tracemalloc_counts_arrays_once(on_pool: numpool.Pool) -> None:
    tracemalloc.start()
    try:
        before = traced(NUMPYS_DOMAIN)
        arrays = [np.empty(size, np.uint8) for size in (8, 1000, 100_000, 900_000)]
        assert traced(NUMPYS_DOMAIN) - before == sum(array.nbytes for array in arrays)
        arrays[1].resize(50_000, refcheck=False)
        assert traced(NUMPYS_DOMAIN) - before == sum(array.nbytes for array in arrays)
        assert traced(numpool.tracemalloc_domain) == 0
        del arrays
        assert traced(NUMPYS_DOMAIN) == before
    finally:
        tracemalloc.stop()
