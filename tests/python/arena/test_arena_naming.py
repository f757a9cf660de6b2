"""What a refused end of an arena says of the arrays and views in its way."""

from __future__ import annotations

import gc
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.fixture(scope="module", autouse=True)
def what_other_tests_left_comes_last() -> Iterator[None]:
    """A search stops after 50 ms; a process with all tests in it may hold more than that."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def refusal(arena: numpool.Arena, *, by_address: int = 0) -> str:
    """What the error names, but for so many things by name.

    A process searches for a tenth of its time at most, and other tests may have used that up.
    """
    deadline = time.monotonic() + 60
    while True:
        with pytest.raises(BufferError) as caught:
            arena.reset()
        what = str(caught.value).partition("by arrays or views: ")[2].partition("; drop them")[0]
        if what.count(" at 0x") <= by_address or time.monotonic() > deadline:
            return what
        time.sleep(0.1)


class Thing:
    """What a program keeps its arrays in."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


class Slotted:
    """The same without a dict."""

    __slots__ = ("kept",)

    def __init__(self, kept: object) -> None:
        self.kept = kept


def in_a_module(kept: object) -> types.ModuleType:
    module = types.ModuleType("keeps")
    module.__dict__["kept"] = kept
    return module


def in_a_generator(kept: object) -> Iterator[object]:
    def generate(kept: object) -> Iterator[object]:
        yield None
        yield kept

    generator = generate(kept)
    next(generator)
    return generator


def in_what_the_collector_has_dropped(kept: object) -> object:
    holder = [(1, {"deep": (kept, 2)})]
    gc.collect()
    return holder


PLACES: dict[str, Callable[[Any], object]] = {
    "a local": lambda array: array,
    "a module's global": in_a_module,
    "an attribute": lambda array: Thing(kept=array),
    "a list in an object": lambda array: Thing(deep=Thing(kept=[0, array])),
    "a slot": Slotted,
    "a closure": lambda array: lambda: array,
    "a default argument": lambda array: eval("lambda x=array: x", {"array": array}),
    "a generator": in_a_generator,
    "tuples and dicts that are not tracked": in_what_the_collector_has_dropped,
    "a view": lambda array: array[5:, 1],
    "a view of a view, backwards": lambda array: [array[::-1].T[:, ::-3]],
    "a memoryview": memoryview,
    "a flat iterator's array": lambda array: Thing(kept=array.flat.base),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_an_array_is_named_wherever_python_can_reach_it(
    arena: numpool.Arena, place: Callable[[Any], object]
) -> None:
    kept = place(arena.empty((1024, 3)))
    assert refusal(arena) == "(1024, 3) float64 of 24 KiB"
    del kept
    gc.collect()
    arena.reset()


@pytest.mark.parametrize(
    ("shape", "dtype", "text"),
    [
        ((), "f4", "() float32 of 4 bytes"),
        (7, "?", "(7,) bool of 7 bytes"),
        ((2, 3, 4), "c16", "(2, 3, 4) complex128 of 384 bytes"),
        (3, "U5", "(3,) str of 60 bytes"),
        (3, "S5", "(3,) bytes of 15 bytes"),
        (3, "M8[s]", "(3,) datetime64 of 24 bytes"),
        (3, [("a", "i4"), ("b", "f8")], "(3,) void of 36 bytes"),
        ((0, 5), "f8", "(0, 5) float64 of 0 bytes"),
        ((1000, 1000), "i2", "(1000, 1000) int16 of 1.91 MiB"),
    ],
)
def test_shape_and_type_are_said_as_numpy_says_them(
    arena: numpool.Arena, shape: Any, dtype: Any, text: str
) -> None:
    kept = arena.empty(shape, dtype)
    assert refusal(arena) == text
    del kept


def test_numpys_own_temporaries_are_named_too(arena: numpool.Arena) -> None:
    with numpool.use(arena):
        kept = np.ones((4, 5)) + 1
    assert refusal(arena) == "(4, 5) float64 of 160 bytes"
    del kept


BUFFERS: dict[str, tuple[Callable[[numpool.Buffer], object], str]] = {
    "memoryview": (memoryview, "Buffer of 64 bytes"),
    "slice": (lambda buffer: memoryview(buffer)[8:], "Buffer of 64 bytes"),
    "array": (lambda buffer: buffer.array("u2"), "(32,) uint16 on a Buffer of 64 bytes"),
    "frombuffer": (lambda buffer: np.frombuffer(buffer), "(8,) float64 on a Buffer of 64 bytes"),
    "of a memoryview": (
        lambda buffer: np.asarray(memoryview(buffer)),
        "(64,) uint8 on a Buffer of 64 bytes",
    ),
}


@pytest.mark.parametrize(("use", "text"), BUFFERS.values(), ids=BUFFERS)
def test_a_buffer_is_named_by_its_views(
    arena: numpool.Arena, use: Callable[[numpool.Buffer], object], text: str
) -> None:
    kept = use(arena.acquire(64))
    assert refusal(arena) == text
    del kept
    arena.reset()


def test_what_is_not_found_is_named_by_its_address(arena: numpool.Arena) -> None:
    # The collector does not look into arrays of objects.
    hidden = np.empty(3, object)
    hidden[0] = arena.empty(10)
    buffer = arena.acquire(64)
    hidden[1] = buffer.array()
    found = arena.empty(3)
    assert refusal(arena, by_address=2) == (
        f"80 bytes at {hidden[0].ctypes.data:#x}, Buffer of 64 bytes at {buffer.address:#x}, "
        "(3,) float64 of 24 bytes"
    )
    del found


def test_an_ended_buffer_is_not_taken_for_what_lies_there_now(arena: numpool.Arena) -> None:
    old = arena.acquire(80)
    view = memoryview(old)
    view.release()
    arena.reset()
    hidden = np.empty(1, object)
    hidden[0] = arena.empty(10)
    assert old.released
    assert refusal(arena, by_address=1) == f"80 bytes at {hidden[0].ctypes.data:#x}"


def test_a_childs_arrays_are_named_to_whoever_ends_its_parent(arena: numpool.Arena) -> None:
    child = numpool.Arena(parent=arena)
    kept = [arena.empty(5), child.empty((2, 2))]
    assert refusal(arena) == "(5,) float64 of 40 bytes, (2, 2) float64 of 32 bytes"
    kept.clear()


def test_rewind_and_close_name_them_too(arena: numpool.Arena) -> None:
    older = arena.empty(5)
    mark = arena.mark()
    newer = arena.empty((6, 7))
    with pytest.raises(BufferError, match=r"1 block .*: \(6, 7\) float64 of 336 bytes; drop"):
        arena.rewind(mark)
    with pytest.raises(BufferError, match=r"2 blocks .*: \(5,\) float64 of 40 bytes, \(6, 7\) fl"):
        arena.close()
    del older, newer
