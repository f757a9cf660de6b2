"""The largest arrays of a pool that refused memory: a note for the MemoryError."""

from __future__ import annotations

import gc
import heapq
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from numpool import _core
from numpool._core import Pool, format_size

# How many arrays the note shows, and how long the search may compute. It looks for arrays in the
# variables of functions and modules, and then in all containers that the garbage collector knows.
SHOWN = 5
SECONDS = 0.2
# How deep it looks into containers that have a name, and how long they may be.
DEPTH = 3
LONGEST = 10_000
BATCH = 256

_Array: TypeAlias = NDArray[Any]

# A subclass may have properties of these names, and they may run any code.
_base = np.ndarray.base.__get__
_nbytes = np.ndarray.nbytes.__get__
_shape = np.ndarray.shape.__get__
_dtype = np.ndarray.dtype.__get__


class Holder(NamedTuple):
    """An array that is alive, and where it was found."""

    nbytes: int
    dtype: str
    shape: tuple[int, ...]
    age: float | None
    place: str

    def line(self) -> str:
        """The array in a line of the note."""
        text = f"{format_size(self.nbytes)}: {self.dtype} {self.shape}"
        if self.age is not None:
            text += f", {self.age:.1f} s old"
        return f"{text}, {self.place}" if self.place else text


def describe(pool: Pool, error: BaseException) -> str:
    """The largest arrays that count against the pool; empty where none was found."""
    found = largest(pool, error)
    if not found:
        return ""
    stats = pool.stats()
    cached = f" and {format_size(stats.cached)} cached" if stats.cached else ""
    lines = [
        f"the largest arrays alive, of {format_size(stats.in_use)} in use{cached} now:",
        *(f"  {one.line()}" for one in found),
    ]
    return "\n".join(lines)


def largest(pool: Pool, error: BaseException, *, seconds: float = SECONDS) -> list[Holder]:
    """The largest arrays that count against the pool, of those that the search finds in time."""
    end = time.thread_time() + seconds
    places: dict[int, str] = {}
    arrays: dict[int, _Array] = {}
    for found, place in _places(error):
        for array in found:
            root = _root(array)
            if id(root) not in arrays and _core._counts_against(root, pool):
                arrays[id(root)] = root
                places[id(root)] = place
        if time.thread_time() > end:
            break
    best = heapq.nlargest(SHOWN, arrays.values(), key=_nbytes)
    return [
        Holder(_nbytes(one), str(_dtype(one)), _shape(one), _core._age(one), places[id(one)])
        for one in best
    ]


def _root(array: _Array) -> _Array:
    """The array whose data a view shows."""
    while _is_array(base := _base(array)):
        array = base
    return array


def _is_array(value: object) -> TypeGuard[_Array]:
    # `isinstance` asks objects for their class, and a proxy may run any code then.
    return issubclass(type(value), np.ndarray)


def _places(error: BaseException) -> Iterator[tuple[list[_Array], str]]:
    """Where arrays may be, those with a name first, and the arrays there. They may come twice."""
    for frame in _frames(error):
        function = frame.f_code.co_name
        if function == "<module>":
            continue
        for name, value in list(frame.f_locals.items()):
            yield _inside(value), f"{name!r} in {function}()"
    for module_name, module in list(sys.modules.items()):
        # These hold no arrays of a program, and many objects.
        if module_name.partition(".")[0] in ("numpy", "numpool"):
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(name, str) and not name.startswith("__"):
                yield _inside(value), f"{name!r} in module {module_name}"
    objects = gc.get_objects()
    for start in range(0, len(objects), BATCH):
        yield _referents(objects[start : start + BATCH]), ""


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of the error, the innermost first, then those of its callers."""
    traceback = error.__traceback__
    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    yield from reversed(frames)
    caller = (frames[0] if frames else sys._getframe()).f_back
    while caller is not None:
        yield caller
        caller = caller.f_back


def _inside(value: object, depth: int = DEPTH) -> list[_Array]:
    """The arrays in a value: itself, or the contents of a container that is not too long."""
    if _is_array(value):
        return [value]
    if not depth or type(value) not in (list, tuple, dict, set):
        return []
    if len(value) > LONGEST:  # type: ignore[arg-type]
        return []
    return [array for one in gc.get_referents(value) for array in _inside(one, depth - 1)]


def _referents(objects: list[object]) -> list[_Array]:
    """The arrays that these containers refer to."""
    found: list[_Array] = []
    for one in gc.get_referents(*objects):
        if _is_array(one):
            found.append(one)
        elif type(one) in (dict, tuple) and not gc.is_tracked(one):
            # It has no containers in it, so the garbage collector does not know it.
            found += [inner for inner in gc.get_referents(one) if _is_array(inner)]
    return found
