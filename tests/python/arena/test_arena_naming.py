"""The error of a refused end of an arena names the arrays and views that are in use."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool


def refusal(arena: numpool.Arena) -> str:
    """The arrays and views that the error names."""
    with pytest.raises(BufferError) as caught:
        arena.reset()
    return str(caught.value).partition("by arrays or views: ")[2].partition("; drop them")[0]


class Thing:
    """An object in which a program keeps its arrays."""

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
def test_shape_and_type_have_numpys_text(
    arena: numpool.Arena, shape: Any, dtype: Any, text: str
) -> None:
    kept = arena.empty(shape, dtype)
    assert refusal(arena) == text
    del kept


def test_an_array_that_numpy_makes_is_named_by_its_size_and_address(arena: numpool.Arena) -> None:
    with numpool.use(arena):
        kept = np.ones((4, 5)) + 1
    assert refusal(arena) == f"160 bytes at {kept.ctypes.data:#x}"


BUFFERS: dict[str, tuple[Callable[[numpool.Buffer], object], str]] = {
    "memoryview": (memoryview, "Buffer of 64 bytes"),
    "slice": (lambda buffer: memoryview(buffer)[8:], "Buffer of 64 bytes"),
    "array": (lambda buffer: buffer.array("u2"), "(32,) uint16 on a Buffer of 64 bytes"),
    "frombuffer": (lambda buffer: np.frombuffer(buffer), "Buffer of 64 bytes"),
    "two arrays": (
        lambda buffer: [buffer.array("u2"), buffer.array("f4", (2, 2))],
        "(32,) uint16 and (2, 2) float32 on a Buffer of 64 bytes",
    ),
}


@pytest.mark.parametrize(("use", "text"), BUFFERS.values(), ids=BUFFERS)
def test_a_buffer_is_named_by_its_views(
    arena: numpool.Arena, use: Callable[[numpool.Buffer], object], text: str
) -> None:
    buffer = arena.acquire(64)
    kept = use(buffer)
    assert refusal(arena) == text
    del kept
    arena.reset()


def test_the_view_of_a_buffer_that_was_dropped_is_named_by_its_size_and_address(
    arena: numpool.Arena,
) -> None:
    kept = memoryview(arena.acquire(64))
    assert refusal(arena) == f"64 bytes at {np.asarray(kept).ctypes.data:#x}"


def test_the_arena_knows_the_last_few_arrays_and_those_that_live_on(
    arena: numpool.Arena,
) -> None:
    kept = arena.empty((2, 3))
    for _ in range(100):
        arena.empty(5)
    assert refusal(arena) == "(2, 3) float64 of 48 bytes"
    del kept
    first, *others = [arena.empty(7) for _ in range(9)]
    first_named, *others_named = refusal(arena).partition(" and ")[0].split(", (")
    assert first_named.split(",")[0] == f"56 bytes at {first.ctypes.data:#x}"
    assert len(others_named) == 3
    others.clear()


def test_a_dead_array_is_not_confused_with_a_new_one_at_its_address(arena: numpool.Arena) -> None:
    address = arena.empty((2, 5)).ctypes.data
    arena.reset()
    with numpool.use(arena):
        there = np.empty(10)
    assert there.ctypes.data == address
    assert refusal(arena) == f"80 bytes at {address:#x}"


def test_an_ended_buffer_is_not_confused_with_a_new_one_at_its_address(
    arena: numpool.Arena,
) -> None:
    old = arena.acquire(80)
    view = memoryview(old)
    view.release()
    arena.reset()
    with numpool.use(arena):
        there = np.empty(10)
    assert old.released
    assert refusal(arena) == f"80 bytes at {there.ctypes.data:#x}"


def test_the_error_of_a_parent_names_a_childs_arrays(arena: numpool.Arena) -> None:
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


def test_naming_keeps_nothing_alive(arena: numpool.Arena) -> None:
    array = arena.empty(10)
    last = weakref.ref(array)
    counted = sys.getrefcount(array)
    for _ in range(3):
        assert refusal(arena) == "(10,) float64 of 80 bytes"
    assert sys.getrefcount(array) == counted
    del array
    assert last() is None
    arena.reset()


def test_numpy_is_not_imported_to_name_a_view() -> None:
    program = (
        "import sys, numpool\n"
        "arena = numpool.Arena()\n"
        "buffer = arena.acquire(64); view = memoryview(buffer)\n"
        "try: arena.reset()\n"
        "except BufferError as error: print(error, 'numpy' in sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    [text, has_numpy] = done.stdout.splitlines()
    assert text.endswith("by arrays or views: Buffer of 64 bytes; drop them before reset()")
    assert has_numpy == "False"


def test_naming_works_while_threads_make_and_drop_arrays(arena: numpool.Arena) -> None:
    shared: list[Any] = []
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for step in range(400):
                array = arena.empty((seed, step % 50 + 1))
                view = memoryview(arena.acquire(64))
                shared.append({"a": (array[::2], {step: view[:]})})
                if len(shared) > 20:
                    shared.pop(0)
                view.release()
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    def end() -> None:
        while not stop.is_set():
            try:
                arena.reset()
            except BufferError as error:  # noqa: PERF203 - as long as it takes
                if "still in use" not in str(error):
                    failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 4)]
    ending = threading.Thread(target=end)
    for thread in (*threads, ending):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    ending.join()
    assert failures == []
    shared.clear()
    arena.reset()
