"""Each function of `numpool._C_API`, called as an extension in C calls it."""

from __future__ import annotations

import ctypes
import gc
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

SIZE, POINTER, OBJECT = ctypes.c_size_t, ctypes.c_void_p, ctypes.py_object
HEADER = Path(__file__).parents[2] / "src/bindings/c_api/c_api.h"


class Figures(ctypes.Structure):
    _fields_ = tuple((name, SIZE) for name in ("limit", "in_use", "peak", "cached", "failures"))


# PYFUNCTYPE calls with the GIL and raises Python's errors; CFUNCTYPE calls without the GIL.
WITH_GIL, WITHOUT_GIL = ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE
MEMBERS: dict[str, Any] = {
    "version": ctypes.c_int,
    "oldest": ctypes.c_int,
    "numpool_version": ctypes.c_char_p,
    "pool_from": WITH_GIL(POINTER, OBJECT),
    "owner": WITHOUT_GIL(POINTER, POINTER),
    "drop": WITHOUT_GIL(None, POINTER),
    "object_from": WITH_GIL(OBJECT, POINTER),
    "figures": WITHOUT_GIL(None, POINTER, ctypes.POINTER(Figures)),
    "acquire": WITHOUT_GIL(POINTER, POINTER, SIZE),
    "acquire_zeroed": WITHOUT_GIL(POINTER, POINTER, SIZE),
    "reallocate": WITHOUT_GIL(POINTER, POINTER, POINTER, SIZE),
    "release": WITHOUT_GIL(None, POINTER, POINTER, SIZE),
    "usable_size": WITHOUT_GIL(SIZE, POINTER, POINTER),
    "set_refusal": WITH_GIL(OBJECT, POINTER, SIZE),
    "array": WITH_GIL(
        OBJECT, POINTER, POINTER, SIZE, OBJECT, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t)
    ),
}


class Api(ctypes.Structure):
    _fields_ = tuple(MEMBERS.items())


def table() -> Any:
    capsule = numpool._C_API  # type: ignore[attr-defined]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = POINTER, [OBJECT, ctypes.c_char_p]
    return Api.from_address(pointer(capsule, b"numpool._C_API"))


api = table()


@pytest.fixture
def bounded() -> Iterator[numpool.SlabPool]:
    """A slab pool with a limit. Its check must succeed, and no block may be left at the end."""
    pool = numpool.SlabPool(limit="1MiB", name="bounded")
    yield pool
    gc.collect()
    assert pool.stats().blocks == 0
    pool.check()


@pytest.fixture
def reference(bounded: numpool.SlabPool) -> Iterator[int]:
    """A reference to the bounded pool."""
    taken = api.pool_from(bounded)
    yield taken
    api.drop(taken)


def shape(*dimensions: int) -> Any:
    return (ctypes.c_ssize_t * len(dimensions))(*dimensions)


def test_the_table_has_the_members_that_the_header_declares() -> None:
    declared = HEADER.read_text().partition("typedef struct NumpoolApi {")[2]
    declared = declared.partition("} NumpoolApi;")[0]
    names = re.findall(r"^    [\w*][^/(]*?(?:\(\*)?(\w+)(?:\)\(|;)", declared, re.MULTILINE)
    assert names == list(MEMBERS)
    assert (api.version, api.oldest) == (1, 1)
    assert api.numpool_version.decode() == numpool.__version__


def test_only_who_uses_the_capsule_gets_it_into_the_package() -> None:
    code = "import numpool; print('_C_API' in vars(numpool), numpool._C_API)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.match(r'False <capsule object "numpool._C_API"', done.stdout)


def test_none_stands_for_the_default_pool() -> None:
    taken = api.pool_from(None)
    assert api.object_from(taken) is numpool.default_pool()
    api.drop(taken)
    api.drop(None)


def test_a_block_is_acquired_written_and_released(
    bounded: numpool.SlabPool, reference: int
) -> None:
    block = api.acquire(reference, 1000)
    assert api.usable_size(reference, block) >= 1000
    assert api.usable_size(reference, id(bounded)) == 0
    ctypes.memset(block, 7, 1000)
    assert bounded.stats().blocks == 1
    api.release(reference, block, 1000)
    api.release(reference, None, 0)
    assert bounded.stats().blocks == 0


def test_a_zeroed_block_is_zero_where_the_memory_was_used_before(reference: int) -> None:
    for nbytes in (100, 100_000):
        block = api.acquire(reference, nbytes)
        ctypes.memset(block, 7, nbytes)
        api.release(reference, block, 0)
        block = api.acquire_zeroed(reference, nbytes)
        assert ctypes.string_at(block, nbytes) == bytes(nbytes)
        api.release(reference, block, nbytes)


def test_a_reallocated_block_keeps_its_contents(reference: int) -> None:
    block = api.acquire(reference, 100)
    ctypes.memset(block, 7, 100)
    block = api.reallocate(reference, block, 100_000)
    assert ctypes.string_at(block, 100) == bytes([7]) * 100
    assert api.reallocate(reference, block, 2 << 20) is None
    assert api.usable_size(reference, block) >= 100_000
    api.release(reference, block, 100_000)


def test_the_owner_of_an_address_is_found(bounded: numpool.SlabPool, reference: int) -> None:
    block = api.acquire(reference, 1000)
    owner = api.owner(block + 500)
    assert api.object_from(owner) is bounded
    api.drop(owner)
    api.release(reference, block, 1000)
    assert api.owner(id(bounded)) is None
    # Its blocks have handles, and end with them alone.
    handles = numpool.HandlePool({64: 4})
    address = np.frombuffer(handles[handles.alloc(64)], "u1").ctypes.data
    assert numpool.owner(address) is handles
    assert api.owner(address) is None


def test_a_refused_request_gives_null_and_its_error_on_request(
    bounded: numpool.SlabPool, reference: int
) -> None:
    assert api.acquire(reference, 2 << 20) is None
    with pytest.raises(numpool.PoolExhausted, match=r"'bounded': 2097152 bytes .* limit of 1 MiB"):
        api.set_refusal(reference, 2 << 20)
    bounded.close()
    assert api.acquire(reference, 8) is None
    with pytest.raises(numpool.PoolClosed, match="SlabPool 'bounded' is closed and takes no more"):
        api.set_refusal(reference, 8)


def test_figures_say_how_much_of_the_limit_is_left(
    bounded: numpool.SlabPool, reference: int
) -> None:
    figures = Figures()
    block = api.acquire(reference, 700_000)
    api.acquire(reference, 700_000)
    api.figures(reference, figures)
    stats = bounded.stats()
    assert (figures.limit, figures.failures) == (1 << 20, 1)
    assert (figures.in_use, figures.peak, figures.cached) == (
        stats.in_use,
        stats.peak,
        stats.cached,
    )
    api.release(reference, block, 700_000)
    endless = api.pool_from(None)
    api.figures(endless, figures)
    assert figures.limit == SIZE(-1).value
    api.drop(endless)


def test_an_array_owns_its_block(bounded: numpool.SlabPool, reference: int) -> None:
    block = api.acquire(reference, 96)
    array = api.array(reference, block, 96, "f8", 2, shape(3, 4))
    assert (array.shape, array.dtype, array.ctypes.data) == ((3, 4), np.dtype("f8"), block)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert numpool.owner(array) is bounded
    view = array[1:]
    del array
    assert bounded.stats().blocks == 1
    del view
    assert bounded.stats().blocks == 0


def test_an_array_has_as_many_items_as_fit_where_no_shape_is_given(reference: int) -> None:
    array = api.array(reference, api.acquire(reference, 64), 64, "i4", -1, None)
    assert array.shape == (16,)
    plain = api.array(reference, api.acquire(reference, 3), 3, None, -1, None)
    assert (plain.shape, plain.dtype) == ((3,), np.dtype("u1"))
    scalar = api.array(reference, api.acquire(reference, 8), 8, "f8", 0, None)
    assert scalar.shape == ()


def test_an_array_outlives_the_pool_and_all_references() -> None:
    pool = numpool.SlabPool(name="gone")
    reference = api.pool_from(pool)
    array = api.array(reference, api.acquire_zeroed(reference, 800), 800, "f8", -1, None)
    api.drop(reference)
    del pool
    array += 1
    assert array.sum() == 100
    assert "gone" in repr(numpool.owner(array))


def test_a_block_stays_the_callers_where_its_array_is_refused(
    bounded: numpool.SlabPool, reference: int
) -> None:
    block = api.acquire(reference, 64)
    refused = [
        (64, "f8", 1, shape(9), ValueError, "does not fit into a buffer of 64 bytes"),
        (64, "O", -1, None, TypeError, "whose items are references"),
        (64, "f8", 1, None, ValueError, "shape is NULL: give as many numbers as there are"),
        (6400, "f8", -1, None, ValueError, "has no live block of 6400 bytes at this address: give"),
    ]
    for nbytes, dtype, ndim, dimensions, error, text in refused:
        with pytest.raises(error, match=text):
            api.array(reference, block, nbytes, dtype, ndim, dimensions)
    with pytest.raises(ValueError, match="has no live block of 0 bytes at this address"):
        api.array(reference, id(bounded), 0, None, -1, None)
    assert bounded.stats().blocks == 1
    api.release(reference, block, 64)


KINDS: dict[str, Callable[[], numpool.Pool]] = {
    "FixedPool": lambda: numpool.FixedPool(4096, 2),
    "FixedPool with init": lambda: numpool.FixedPool(4096, 2, init=lambda view: None),
    "checked SlabPool": lambda: numpool.SlabPool(checks=True),
    "Arena": numpool.Arena,
    "BuddyPool": lambda: numpool.BuddyPool("1MiB"),
    "SharedPool": lambda: numpool.SharedPool("1MiB"),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_pool_with_blocks_of_bytes_serves_it(
    make: Callable[[], numpool.Pool],
) -> None:
    pool = make()
    reference = api.pool_from(pool)
    api.release(reference, api.acquire(reference, 4000), 4000)
    array = api.array(reference, api.acquire_zeroed(reference, 4000), 4000, "f4", -1, None)
    assert not array.any()
    assert numpool.owner(array) is pool
    assert pool.stats().blocks == 1
    del array
    assert pool.stats().blocks == 0
    api.drop(reference)
    pool.check()


def test_a_block_with_an_init_is_constructed_again_after_its_use_as_bytes() -> None:
    calls = []
    pool = numpool.FixedPool(64, 1, init=lambda view: calls.append(len(view)))
    reference = api.pool_from(pool)
    array = api.array(reference, api.acquire(reference, 64), 64, None, -1, None)
    del array
    pool.acquire().release()
    assert calls == [64]
    api.drop(reference)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda: 5, "pool must be a pool of numpool or None, not int"),
        (
            lambda: numpool.HandlePool({64: 4}, name="table"),
            (
                "HandlePool 'table' can't serve the C API: it hands out no memory of the size "
                "asked for, as SlabPool, FixedPool, Arena, BuddyPool and SharedPool do"
            ),
        ),
        (
            lambda: numpool.SlabPool.__new__(numpool.SlabPool),
            "numpool.SlabPool.__init__() was not called on this object",
        ),
    ],
    ids=["no pool", "handles", "without init"],
)
def test_what_serves_no_bytes_is_refused(given: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        api.pool_from(given())
    assert str(caught.value) == text


def test_tracemalloc_sees_the_block_of_an_array(reference: int) -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        array = api.array(reference, api.acquire(reference, 54321), 54321, None, -1, None)
        sizes = [trace.size for trace in tracemalloc.take_snapshot().traces]
        assert sizes.count(54321) == 1
        del array
        sizes = [trace.size for trace in tracemalloc.take_snapshot().traces]
        assert sizes.count(54321) == 0
    finally:
        tracemalloc.stop()


def test_threads_acquire_and_release_without_the_gil(
    bounded: numpool.SlabPool, reference: int
) -> None:
    def work() -> None:
        for i in range(2000):
            block = api.acquire(reference, 16 + i % 500)
            api.release(reference, block, 0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bounded.stats().blocks == 0


ABORTS = """
import sys
sys.path.insert(0, {folder!r})
import numpool
from test_c_api import api
reference = api.pool_from(numpool.SlabPool(name="mine"))
api.release(reference, id(numpool), 0)
"""


def test_releasing_a_foreign_block_aborts_and_says_so() -> None:
    code = ABORTS.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -6
    assert re.match(r"numpool: SlabPool 'mine': block 0x\w+ is not its own", done.stderr)
