"""What a refused end of an arena says of the arrays and views in its way, and how it finds them."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

import numpool

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


def refusal(arena: numpool.Arena) -> str:
    """What the error names."""
    with pytest.raises(BufferError) as caught:
        arena.reset()
    return str(caught.value).partition("by arrays or views: ")[2].partition("; drop them")[0]


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
    assert refusal(arena) == (
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
    assert refusal(arena) == f"80 bytes at {hidden[0].ctypes.data:#x}"


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


class Trap(type):
    """A class that tells whenever somebody runs code of it or of its objects."""

    sprung: ClassVar[list[str]] = []

    def __instancecheck__(cls, instance: object) -> bool:
        Trap.sprung.append("__instancecheck__")
        return True

    def __subclasscheck__(cls, subclass: type) -> bool:
        Trap.sprung.append("__subclasscheck__")
        return True

    def __getattribute__(cls, name: str) -> Any:
        Trap.sprung.append(f"class's {name}")
        return super().__getattribute__(name)


def springing(name: str) -> Callable[..., Any]:
    def spring(*_: object) -> Any:
        Trap.sprung.append(name)
        raise RuntimeError(name)

    return spring


METHODS = [
    *("__eq__", "__hash__", "__repr__", "__str__", "__len__", "__iter__", "__getitem__"),
    *("__getattribute__", "__getattr__", "__bool__", "__array__", "__array_finalize__", "__del__"),
]
ATTRIBUTES = [
    *("__class__", "base", "shape", "dtype", "nbytes", "data", "ctypes", "__array_interface__"),
    *("__array_struct__", "flags", "strides", "ndim"),
]


def test_the_search_runs_no_code_of_what_it_looks_at(arena: numpool.Arena) -> None:
    traps: dict[str, Any] = {name: springing(name) for name in METHODS}
    traps.update((name, property(springing(name))) for name in ATTRIBUTES)
    array = arena.empty((3, 4))
    finalizer = traps.pop("__del__")
    array_finalizer = traps.pop("__array_finalize__")
    hostile = Trap("Hostile", (), {**traps, "__slots__": ("kept",)})
    hostile_array = Trap("HostileArray", (np.ndarray,), traps)
    one: Any = object.__new__(hostile)  # type: ignore[arg-type]
    hostile.__dict__["kept"].__set__(one, [array])
    another: Any = np.ndarray.__new__(hostile_array, 1)  # type: ignore[arg-type]
    kept: Any = [one, another, arena.empty((5, 6)).view(hostile_array)]
    del array, finalizer, array_finalizer
    Trap.sprung.clear()
    try:
        arena.reset()
    except BufferError as error:
        sprung = list(Trap.sprung)
        text = str(error)
    assert sprung == []
    assert "(3, 4) float64 of 96 bytes, (5, 6) float64 of 240 bytes; drop" in text
    kept.clear()
    Trap.sprung.clear()


def test_the_search_keeps_nothing_alive(arena: numpool.Arena) -> None:
    def work() -> BaseException:
        array = arena.empty(10)
        last = weakref.ref(array)
        counted = sys.getrefcount(array)
        for _ in range(3):
            with pytest.raises(BufferError, match=r"\(10,\) float64") as caught:
                arena.reset()
        assert sys.getrefcount(array) == counted
        del array
        assert last() is None
        arena.reset()
        return caught.value

    error = work()
    assert error.__traceback__ is not None
    assert error.__context__ is None
    arena.reset()


def test_locals_that_a_program_asked_for_stay_as_they_were(arena: numpool.Arena) -> None:
    before = locals()
    names = set(before)
    array = arena.empty(10)
    assert refusal(arena) == "(10,) float64 of 80 bytes"
    assert set(before) == names
    del array
    arena.reset()


@pytest.mark.skipif(not HAS_GIL, reason="other threads change their variables meanwhile")
def test_what_other_threads_have_in_their_variables_is_found(arena: numpool.Arena) -> None:
    ready, done = threading.Event(), threading.Event()

    def work() -> None:
        array = arena.empty((2, 9))
        ready.set()
        done.wait()
        assert array.shape == (2, 9)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    text = refusal(arena)
    done.set()
    thread.join()
    assert text == "(2, 9) float64 of 144 bytes"


def run(code: str) -> list[str]:
    """The lines that a program prints which has an arena and tries to reset it."""
    program = (
        "import sys, time, numpool\n"
        "arena = numpool.Arena()\n"
        "def refusal():\n"
        "    try: arena.reset()\n"
        "    except BufferError as error: return str(error)\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_the_search_is_short_however_much_there_is_and_however_often_it_is_asked_for() -> None:
    [longest, together, *texts] = run(
        "import numpy as np\n"
        "hidden = np.empty(1, object)\n"
        "hidden[0] = arena.empty(10)\n"
        "many = [[] for _ in range(2_000_000)]\n"
        "times, texts = [], []\n"
        "for _ in range(200):\n"
        "    start = time.process_time()\n"
        "    texts.append(refusal())\n"
        "    times.append(time.process_time() - start)\n"
        "print(max(times), sum(times), *texts, sep='\\n')"
    )
    assert len(texts) == 200
    assert all("80 bytes at 0x" in text for text in texts)
    assert float(longest) < 1
    assert float(together) < 4


def test_numpy_is_not_imported_for_it() -> None:
    [text, has_numpy] = run(
        "view = memoryview(arena.acquire(64)); print(refusal(), 'numpy' in sys.modules, sep='\\n')"
    )
    assert text.endswith("by arrays or views: Buffer of 64 bytes; drop them before reset()")
    assert has_numpy == "False"


def test_threads_that_change_what_is_looked_at_do_no_harm(arena: numpool.Arena) -> None:
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
