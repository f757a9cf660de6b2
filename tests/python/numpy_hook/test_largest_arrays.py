"""A MemoryError of a limit names the largest arrays that are alive."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool
from numpool import _holders

MIB = 1 << 20
kept_by_the_module: list[Any] = []


def mib(count: float) -> Any:
    return np.empty(int(count * MIB), np.uint8)


def text_in(error: BaseException) -> str:
    """What numpool added to an error."""
    notes = [*getattr(error, "__notes__", [])]
    if isinstance(error.__cause__, numpool.PoolExhausted):
        notes.append(str(error.__cause__))
    return "\n".join(notes)


def arrays_in(error: BaseException) -> list[str]:
    """The lines of the arrays."""
    return [line.strip() for line in text_in(error).splitlines() if line.startswith("  ")]


def error_of(function: Callable[[], object], block: Any) -> MemoryError:
    with pytest.raises(MemoryError) as caught, block:
        function()
    return caught.value


def bounded() -> Any:
    return numpool.use(numpool.SlabPool(limit="8MiB", name="bounded"))


class Named(np.ndarray[Any, Any]):
    """A subclass whose properties must not run."""

    @property
    def base(self) -> Any:
        raise AssertionError

    nbytes = dtype = shape = base


def test_each_line_has_size_dtype_shape_and_the_variable() -> None:
    def fill() -> None:
        image = np.empty((1024, 512), "f4")
        parts = {"left": [np.empty((1000, 1000), "i2")]}
        mib(10)
        del image, parts

    error = error_of(fill, bounded())
    assert re.search(
        r"the largest arrays alive, of [34](\.\d+)? MiB in use( and [^ ]+ \w+ cached)? now:\n",
        text_in(error),
    )
    assert arrays_in(error) == [
        "2 MiB: float32 (1024, 512), 'image' in fill()",
        "1.91 MiB: int16 (1000, 1000), 'parts' in fill()",
    ]


def test_five_are_shown_the_largest_first_and_views_count_once() -> None:
    def fill() -> None:
        arrays = [mib(0.1 * count) for count in range(1, 8)]
        views = [arrays[6][10:], arrays[6].reshape(-1, 1)]
        del arrays[6]
        mib(10)
        del arrays, views

    lines = arrays_in(error_of(fill, bounded()))
    assert [line.partition(" ")[0] for line in lines] == ["717", "614", "512", "410", "307"]


def test_only_arrays_of_the_pool_that_refused_are_shown() -> None:
    def fill() -> None:
        others = [np.empty(10 * MIB, "u1"), numpool.default_pool().empty(10 * MIB, "u1")]  # type: ignore[attr-defined]
        with bounded_use:
            mine = mib(1)
            mib(10)
        del others, mine

    bounded_use = bounded()
    with pytest.raises(MemoryError) as caught:
        fill()
    assert arrays_in(caught.value) == ["1 MiB: uint8 (1048576,), 'mine' in fill()"]


def test_arrays_of_modules_objects_and_closures_are_found() -> None:
    class Cache:
        def __init__(self) -> None:
            self.first = mib(1)

    def fill() -> None:
        kept_by_the_module.append(mib(2))
        cache = Cache()
        dict_alone = {"key": {"inner": (mib(0.5),)}}
        mib(10)
        del cache, dict_alone

    try:
        lines = arrays_in(error_of(fill, bounded()))
    finally:
        kept_by_the_module.clear()
    assert lines == [
        f"2 MiB: uint8 (2097152,), 'kept_by_the_module' in module {__name__}",
        "1 MiB: uint8 (1048576,)",
        "512 KiB: uint8 (524288,), 'dict_alone' in fill()",
    ]


def test_a_budget_knows_ages_and_shows_the_arrays_of_inner_budgets() -> None:
    def fill() -> None:
        old = mib(2)
        time.sleep(0.15)
        with numpool.budget("8MiB", name="inner"):
            new = mib(1)
        small = np.empty(1000)
        mib(2)
        del old, new, small

    error = error_of(fill, numpool.budget("4MiB", name="outer"))
    assert (
        "Budget 'outer': 2097152 bytes (2 MiB) requested, 3.01 MiB of a limit of 4 MiB in use; "
        "release arrays or raise the limit" in text_in(error)
    )
    first, second, third = arrays_in(error)
    assert re.fullmatch(r"2 MiB: uint8 \(2097152,\), 0\.[1-9] s old, 'old' in fill\(\)", first), (
        first
    )
    assert re.fullmatch(r"1 MiB: uint8 \(1048576,\), 0\.\d s old, 'new' in fill\(\)", second)
    assert third == "7.81 KiB: float64 (1000,), 'small' in fill()"


def test_where_an_outer_budget_refuses_its_arrays_are_shown() -> None:
    def fill() -> None:
        outside = mib(3)
        with numpool.budget("4MiB", name="inner"):
            mib(2)
        del outside

    error = error_of(fill, numpool.budget("4MiB", name="outer"))
    assert "Budget 'outer'" in text_in(error)
    assert [line.partition(",")[0] for line in arrays_in(error)] == ["3 MiB: uint8 (3145728"]


def test_nothing_is_said_where_no_array_is_found() -> None:
    assert "the largest" not in text_in(error_of(lambda: mib(10), bounded()))


def test_the_search_runs_no_code_of_the_program_and_has_an_end() -> None:
    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise AssertionError

    def fill() -> None:
        proxy = Proxy()
        named = mib(1).view(Named)
        many = [[object()] for _ in range(200_000)]
        mib(10)
        del proxy, named, many

    began = time.monotonic()
    error = error_of(fill, bounded())
    assert arrays_in(error) == ["1 MiB: uint8 (1048576,), 'named' in fill()"]
    assert time.monotonic() - began < 20 * _holders.SECONDS


def test_a_failing_search_leaves_the_error_and_its_first_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(_holders, "describe", fail)
    array = None

    def fill() -> None:
        nonlocal array
        array = mib(1)
        mib(10)

    error = error_of(fill, bounded())
    assert "SlabPool 'bounded': 10485760 bytes (10 MiB) requested" in text_in(error)
    assert arrays_in(error) == []


def test_the_note_keeps_no_array_alive() -> None:
    pool = numpool.SlabPool(limit="8MiB", name="bounded")

    def fill() -> None:
        mine = mib(1)
        mib(10)
        del mine

    error = error_of(fill, numpool.use(pool))
    assert arrays_in(error)
    del error
    gc.collect()
    assert pool.used_bytes == 0


PROGRAM = """
import numpy
def load():
    image = numpy.ones((1000, 1000))
    return image, image * 2, image * 3
load()
"""


def test_a_program_that_ends_under_a_limit_shows_them_on_stderr() -> None:
    command = [sys.executable, "-m", "numpool", "run", "--quiet", "--limit", "16MiB", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SlabPool 'run': 8000000 bytes (7.63 MiB) requested, 15" in done.stderr
    assert "\n  7.63 MiB: float64 (1000, 1000), 'image' in load()\n" in done.stderr
