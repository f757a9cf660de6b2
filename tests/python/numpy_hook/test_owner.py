"""numpool.owner finds the pool of an array, a buffer, a view or an address."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import numpool

POOLS: dict[str, Any] = {
    "FixedPool": lambda: numpool.FixedPool(4096, 4),
    "SlabPool": numpool.SlabPool,
    "HandlePool": lambda: numpool.HandlePool({4096: 4}),
}


def block_of(pool: Any) -> Any:
    if isinstance(pool, numpool.HandlePool):
        return pool[pool.alloc(4096)]
    return pool.acquire(4096) if isinstance(pool, numpool.SlabPool) else pool.acquire()


def address_of(exporter: Any) -> int:
    address: int = np.frombuffer(exporter, "u1").__array_interface__["data"][0]
    return address


@pytest.mark.parametrize("make", POOLS.values(), ids=POOLS)
def test_everything_that_shows_a_block_belongs_to_its_pool(make: Any) -> None:
    pool = make()
    other = make()
    block = block_of(pool)
    view = memoryview(block)
    address = address_of(block)
    for x in (
        block,
        view,
        view[10:20],
        np.frombuffer(block, "f4"),
        np.frombuffer(block, "f4")[::-2],
        pickle.PickleBuffer(view),
        (ctypes.c_char * 4096).from_buffer(view),
        np.ctypeslib.as_array((ctypes.c_byte * 4096).from_address(address)),
        address,
        address + 4095,
        np.array(address),
    ):
        if isinstance(x, np.ndarray) and x.ndim == 0:
            assert (
                numpool.owner(x) is None
            )  # An array whose items are addresses is not at those addresses.
            continue
        assert numpool.owner(x) is pool
    assert numpool.owner(block_of(other)) is other


def test_an_array_belongs_to_the_pool_that_it_owns_its_data_through() -> None:
    slabs = numpool.SlabPool()
    with numpool.use(slabs):
        array = np.ones(1000)
    assert numpool.owner(array) is slabs
    assert numpool.owner(array[3:]) is slabs
    assert numpool.owner(array.__array_interface__["data"][0]) is slabs
    assert numpool.owner(slabs.empty(10)) is slabs


def test_other_memory_belongs_to_no_pool() -> None:
    numpool.FixedPool(64, 1).acquire()
    for x in (np.zeros(3), b"bytes", bytearray(3), memoryview(b"x"), 0, 1, 2**64 - 1, id(pytest)):
        assert numpool.owner(x) is None
    unpickled = pickle.loads(pickle.dumps(numpool.FixedPool(64, 1).acquire()))
    assert numpool.owner(unpickled) is None


@pytest.mark.parametrize("x", [None, "text", 1.5, object()])
def test_the_error_of_owner_names_what_it_takes(x: Any) -> None:
    with pytest.raises(TypeError, match=r"owner\(\) takes a buffer, an array, a memoryview or an"):
        numpool.owner(x)


@pytest.mark.parametrize("x", [2**64, -1])
def test_an_impossible_address_is_refused(x: int) -> None:
    with pytest.raises(ValueError, match="address is "):
        numpool.owner(x)


@pytest.mark.parametrize("make", POOLS.values(), ids=POOLS)
def test_owner_finds_a_pool_whose_object_is_gone(make: Any) -> None:
    pool = make()
    view = memoryview(block_of(pool))
    kind = type(pool)
    address = address_of(view)
    del pool
    gc.collect()
    for x in (view, address):
        found = numpool.owner(x)
        assert isinstance(found, kind)
        assert found.owns(view)
        del found
    view.release()
    gc.collect()
    assert numpool.owner(address) is None


def test_a_buffer_belongs_to_the_pool_that_handed_it_out_and_its_address_to_the_backing_one() -> (
    None
):
    backing = numpool.FixedPool(4096, 2)
    reserve = numpool.ReservePool(backing, 4096, 1)
    buffer = reserve.acquire()
    assert numpool.owner(buffer) is reserve
    assert numpool.owner(memoryview(buffer)) is reserve
    assert numpool.owner(buffer.address) is backing


def test_a_lent_array_is_found_through_its_memory() -> None:
    slabs = numpool.SlabPool()
    with numpool.use(slabs), numpool.ArrayPool(10, size=1).take() as array:
        assert numpool.owner(array) is slabs


def test_pools_may_come_and_go_while_threads_call_owner() -> None:
    stop = threading.Event()
    addresses = [0]
    bad: list[object] = []

    def come_and_go() -> None:
        while not stop.is_set():
            pool = numpool.FixedPool(4096, 2)
            buffer = pool.acquire()
            addresses[0] = buffer.address
            if numpool.owner(buffer.address) is not pool:
                bad.append(pool)
            del pool, buffer

    def ask() -> None:
        for _ in range(3000):
            # Without a GIL, the object that was found may end at this moment, and this is reported.
            with contextlib.suppress(numpool.PoolClosed):
                found = numpool.owner(addresses[0])
                if found is not None and not isinstance(found, numpool.FixedPool):
                    bad.append(found)
                del found

    makers = [threading.Thread(target=come_and_go) for _ in range(2)]
    askers = [threading.Thread(target=ask) for _ in range(2)]
    for thread in makers + askers:
        thread.start()
    for thread in askers:
        thread.join()
    stop.set()
    for thread in makers:
        thread.join()
    assert bad == []


def test_a_released_memoryview_has_no_owner() -> None:
    pool = numpool.FixedPool(64, 4)
    view = memoryview(pool.acquire())
    of_bytes = memoryview(b"bytes")
    for released in (view, of_bytes):
        released.release()
        with pytest.raises(ValueError, match="operation forbidden on released memoryview object"):
            numpool.owner(released)
        with pytest.raises(ValueError, match="operation forbidden on released memoryview object"):
            numpool.pool_of(released)
    assert pool.stats().blocks == 0
