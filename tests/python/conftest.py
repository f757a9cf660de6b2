"""What several test files use."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import numpool
from numpool import _core


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts: a shell has the jobs that it starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def allocator_put_back() -> Iterator[None]:
    """NumPy's allocator is its own again after each test, which must see to that itself."""
    yield
    numpool.uninstall()
    left = numpool.current()
    _core._set_default_handler()
    assert left is None, f"the test left NumPy allocating from {left!r}"


@pytest.fixture
def ends_cleanly() -> Callable[[str], None]:
    """Runs a program in a process of its own, which must come to its end and say nothing else."""

    def run(code: str) -> None:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", f"{code}\nprint('end')"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")

    return run


@pytest.fixture
def pool() -> Iterator[numpool.FixedPool]:
    """A strict pool of four 4 KiB blocks; it must be whole at the test's end."""
    pool = numpool.FixedPool(4096, 4, name="test")
    yield pool
    pool.check()


@pytest.fixture
def arena() -> Iterator[numpool.Arena]:
    """An arena; it must be whole at the test's end."""
    arena = numpool.Arena(name="test")
    yield arena
    arena.check()


@pytest.fixture
def resident_bytes() -> Callable[[], int]:
    """Tells how much memory of this process is resident."""

    def measure() -> int:
        gc.collect()
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * 4096

    return measure
