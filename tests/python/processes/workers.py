"""The functions that worker processes of the tests run. New processes import this file."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

import numpool

Array = np.ndarray[Any, Any]


def fill(array: Array) -> int:
    """Write into the array that was sent."""
    array[...] = 7
    return os.getpid()


def total(array: Array) -> float:
    return float(array.sum())


def doubled(array: Array) -> Array:
    """Return a result in the same pool."""
    pool = numpool.owner(array)
    assert isinstance(pool, numpool.SharedPool)
    result = pool.empty(array.shape, array.dtype)
    np.multiply(array, 2, out=result)
    return result


def try_to_write(array: Array) -> str:
    """NumPy's errors for a write, and for making the array writeable."""
    said = []
    try:
        array[...] = 1
    except ValueError as error:
        said.append(str(error))
    try:
        array.flags.writeable = True
    except ValueError as error:
        said.append(str(error))
    return " | ".join(said)


def hold(array: Array, ready: Any) -> None:
    """Hold the array that was sent, and more of its pool, until this process is killed."""
    pool = numpool.owner(array)
    assert isinstance(pool, numpool.SharedPool)
    more = pool.zeros(1 << 20)
    ready.send(more.nbytes)
    time.sleep(600)


def pass_on(inbox: Any, outbox: Any) -> None:
    """Add one to each array and pass it on, until None comes."""
    while (array := inbox.get()) is not None:
        array += 1
        outbox.put(array)
