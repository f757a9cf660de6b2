"""Fixtures and functions that several test files use."""

from __future__ import annotations

import ctypes
import gc
import importlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

import numpool


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle",
        metavar="SEED",
        type=int,
        help="run the files, and the tests of each, in an order that this number decides",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--shuffle", default=None)
    return None if seed is None else f"shuffled: --shuffle {seed} gives the same order again"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle", default=None)
    if seed is None:
        return
    shuffled = random.Random(seed)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = list(files.values())
    shuffled.shuffle(order)
    for tests in order:
        shuffled.shuffle(tests)
    items[:] = itertools.chain.from_iterable(order)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts. A shell makes its background jobs ignore it, so the tests undo that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def set_default_handler() -> None:
    """Sets NumPy's own allocator in this context, by NumPy's C function PyDataMem_SetHandler."""
    core = "numpy._core" if np.__version__ >= "2" else "numpy.core"
    api = importlib.import_module(f"{core}._multiarray_umath")._ARRAY_API
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = ctypes.cast(pointer_of(api, None), ctypes.POINTER(ctypes.c_void_p))
    ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(table[304])(None)


@pytest.fixture(autouse=True)
def allocator_put_back() -> Iterator[None]:
    """Checks that NumPy has its own allocator again after each test. The test must restore it."""
    yield
    numpool.uninstall()
    left = numpool.current()
    set_default_handler()
    assert left is None, f"the test left NumPy allocating from {left!r}"


class Run(Protocol):
    """The output of a program in its own process. It must succeed and print no error."""

    def __call__(self, code: str, *, seconds: float = 120) -> str: ...


@pytest.fixture
def printed_by(tmp_path: Path) -> Run:
    """Runs programs. Each program is a file, because spawned processes read it again."""
    numbers = itertools.count()

    def run(code: str, *, seconds: float = 120) -> str:
        program = tmp_path / f"program{next(numbers)}.py"
        program.write_text(code)
        done = subprocess.run(
            # CPython warns of a fork in a process with threads. Some tests do exactly that.
            [sys.executable, "-X", "faulthandler", "-W", "ignore:This process", str(program)],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def ends_cleanly(printed_by: Run) -> Callable[[str], None]:
    """Runs a program in its own process. It must reach its end and print no error."""

    def run(code: str) -> None:
        assert printed_by(f"{code}\nprint('end')") == "end\n"

    return run


class ForkAmid(Protocol):
    """Forks while two threads repeat their work. Each child runs its act, and exits."""

    def __call__(
        self, work: Callable[[], object], act: Callable[[], object], *, children: int
    ) -> None: ...


@pytest.fixture
def fork_amid() -> ForkAmid:
    """Forks this number of children. Each must reach the end of its act."""

    def fork(work: Callable[[], object], act: Callable[[], object], *, children: int) -> None:
        stop = threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                work()

        threads = [threading.Thread(target=go_on) for _ in range(2)]
        for thread in threads:
            thread.start()
        statuses = []
        try:
            for _ in range(children):
                child = os.fork()
                if child == 0:
                    signal.alarm(20)
                    status = 1
                    try:
                        act()
                        status = 0
                    finally:
                        os._exit(status)
                statuses.append(os.waitpid(child, 0)[1])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert statuses == [0] * children

    return fork


@pytest.fixture
def pool() -> Iterator[numpool.FixedPool]:
    """A strict pool of four 4 KiB blocks. Its check must succeed at the test's end."""
    pool = numpool.FixedPool(4096, 4, name="test")
    yield pool
    pool.check()


@pytest.fixture
def arena() -> Iterator[numpool.Arena]:
    """An arena. Its check must succeed at the test's end."""
    arena = numpool.Arena(name="test")
    yield arena
    arena.check()


@pytest.fixture
def other() -> Iterator[numpool.FixedPool]:
    """A pool of the same size with another name. Its check must succeed at the test's end."""
    pool = numpool.FixedPool(4096, 4, name="other")
    yield pool
    pool.check()


@pytest.fixture
def table() -> Iterator[numpool.HandlePool]:
    """Handles of two sizes. The pool's check must succeed at the test's end."""
    table = numpool.HandlePool({64: 4, "4KiB": 2}, name="test")
    yield table
    table.check()


class Thing:
    """An object whose class counts how many were built."""

    built = 0

    def __init__(self) -> None:
        type(self).built += 1
        self.marks: list[object] = []


@pytest.fixture
def things() -> Iterator[numpool.ObjectPool[Thing]]:
    """A pool of at most three things, whose reset clears their marks. It is checked at the end."""
    Thing.built = 0
    pool = numpool.ObjectPool(Thing, lambda thing: thing.marks.clear(), size=3, name="things")
    yield pool
    pool.check()
    assert pool.stats().taken == 0


@pytest.fixture
def wait_until_waiting() -> Callable[[numpool.FixedPool, int], None]:
    """Returns when this number of requests has had to wait."""

    def wait(pool: numpool.FixedPool, waits: int) -> None:
        deadline = time.monotonic() + 20
        while pool.stats().waits < waits:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    return wait


@pytest.fixture
def slabs() -> Iterator[numpool.SlabPool]:
    """A slab pool. Its check must succeed at the test's end."""
    slabs = numpool.SlabPool(name="test")
    yield slabs
    slabs.check()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty folder on a disk, for pages in a file."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        numpool.Pages(file=folder)
    except (ValueError, OSError) as error:
        pytest.skip(f"pytest --basetemp must name a folder on a disk for this test: {error}")
    return folder


@pytest.fixture
def resident_bytes() -> Callable[[], int]:
    """Returns the resident memory of this process."""

    def measure() -> int:
        gc.collect()
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * 4096

    return measure
