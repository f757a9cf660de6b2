"""How a refused end of an arena looks for what is in its way: it does no harm and is soon over."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import numpool

HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


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
    with pytest.raises(BufferError, match=r"\(10,\) float64 of 80 bytes"):
        arena.reset()
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
    with pytest.raises(BufferError, match=r"\(2, 9\) float64 of 144 bytes"):
        arena.reset()
    done.set()
    thread.join()


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
