"""The arrays that are alive."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpool import _core
from numpool.profiling import _stacks
from numpool.profiling._profile import _core_count


@dataclass(frozen=True)
class LiveArray:
    """An array that is alive and owns its memory, as ``numpool.live()`` lists it.

    size     bytes
    shape    its shape; None if no reference to it was found
    dtype    its dtype; None if no reference to it was found
    age      seconds since it was made; None if the profile has no sample of it
    line     the line that made it, as "file.py:3 in function"; None without a sample
    address  the address of its first byte
    """

    size: int
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any] | None
    age: float | None
    line: str | None
    address: int


def live(n: int = 10) -> list[LiveArray]:
    """List the ``n`` largest arrays that are alive, the largest first.

    It finds arrays through the garbage collector and the variables of running functions. An array
    is also found through its views. While a profile runs, its samples add the line and the age, and
    arrays to which no reference was found. Only numbers and texts are listed, so the list keeps no
    array alive.
    """
    count = _core_count(n, "n")
    samples = {}
    if _core._profile_runs():
        samples = {one.address: one for one in _stacks.take().live_samples}
    found: dict[int, LiveArray] = {}
    for array in _owners():
        address = array.__array_interface__["data"][0]
        sample = samples.pop(address, None)
        if address not in found:
            found[address] = LiveArray(
                array.nbytes,
                array.shape,
                array.dtype,
                None if sample is None else sample.age,
                None if sample is None else str(sample.shown),
                address,
            )
    for sample in samples.values():
        found.setdefault(
            sample.address,
            LiveArray(sample.size, None, None, sample.age, str(sample.shown), sample.address),
        )
    largest = sorted(found.values(), key=lambda one: (-one.size, one.address))
    return largest[:count]


def _owners() -> Iterator[np.ndarray[Any, Any]]:
    """The arrays that own memory and that references lead to; some more than once."""
    for one in _objects():
        if not isinstance(one, np.ndarray):
            continue
        array = one
        while isinstance(array.base, np.ndarray):
            array = array.base
        if array.flags.owndata and array.nbytes:
            yield array


def _objects() -> Iterator[object]:
    """What objects that may refer to arrays refer to."""
    for one in gc.get_objects():
        yield from _reached(gc.get_referents(one))
    for frame in sys._current_frames().values():
        here: Any = frame
        while here is not None:
            yield from _reached(here.f_locals.values())
            here = here.f_back


def _reached(referents: Iterable[object]) -> Iterator[object]:
    """These, and what is in dicts and tuples of arrays: the collector does not track those."""
    for one in list(referents):
        yield one
        if isinstance(one, (dict, tuple)) and not gc.is_tracked(one):
            yield from _reached(gc.get_referents(one))
