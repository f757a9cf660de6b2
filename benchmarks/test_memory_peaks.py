"""A contender's peak of memory, without that of the other contenders."""

from __future__ import annotations

import importlib
import mmap
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import memory_peaks
import numpy as np
import pytest
from memory_peaks import Peak, answer_of
from turns import Contender

import numpool

# Unlike the process that measures, the process of these tests has OpenBLAS's threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

MIB = 1 << 20
LITTLE = MIB // 2


def peak_of(make: Callable[[], Contender]) -> int:
    peak = answer_of(make, 30)
    assert peak
    assert peak.rise is not None, peak.unknown
    return peak.rise


def working(work: Callable[[], object]) -> Callable[[], Contender]:
    return lambda: Contender(work)


def test_a_contender_that_writes_32_mebibytes_takes_them() -> None:
    assert peak_of(working(lambda: bytearray(32 * MIB))) == pytest.approx(32 * MIB, abs=LITTLE)


def test_a_contender_that_writes_nothing_takes_almost_nothing() -> None:
    assert peak_of(working(lambda: None)) < LITTLE
    assert peak_of(working(lambda: np.empty(32 * MIB, np.uint8))) < LITTLE


def test_memory_of_the_set_up_counts() -> None:
    def make() -> Contender:
        kept = bytearray(16 * MIB)
        return Contender(lambda: kept[:MIB])

    assert peak_of(make) == pytest.approx(17 * MIB, abs=LITTLE)


def test_the_peak_counts_and_not_the_end() -> None:
    def up_and_down() -> None:
        for mebibytes in (1, 24, 2):
            bytearray(mebibytes * MIB)

    # malloc may keep the other two. That depends on the past of this process.
    assert peak_of(working(up_and_down)) == pytest.approx(24 * MIB, abs=4 * MIB)


def test_shared_memory_counts() -> None:
    ones = bytes(8 * MIB)

    def share() -> None:
        with mmap.mmap(-1, 8 * MIB) as shared:
            shared.write(ones)

    assert peak_of(working(share)) == pytest.approx(8 * MIB, abs=LITTLE)


def test_pages_of_a_file_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "library"
    file.write_bytes(b"1" * 16 * MIB)

    def make() -> Contender:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        return Contender(lambda: mapped.find(b"2"))

    assert peak_of(make) < LITTLE


def test_imports_and_memory_that_the_first_set_up_left_do_not_count() -> None:
    kept: list[bytearray] = []

    def make() -> Contender:
        if not kept:
            kept.append(bytearray(16 * MIB))
        return Contender(lambda: None)

    assert peak_of(make) < LITTLE
    assert not kept


def test_memory_that_was_free_before_is_no_reason_to_take_none() -> None:
    many = [bytearray(64 << 10) for _ in range(256)]
    del many[:-1]
    work = working(lambda: [bytearray(64 << 10) for _ in range(128)])
    assert peak_of(work) == pytest.approx(8 * MIB, abs=LITTLE)


def test_an_allocator_counts_with_what_it_keeps() -> None:
    def make() -> Contender:
        return Contender(lambda: np.ones(MIB), numpool.use(numpool.SlabPool()))

    assert peak_of(make) == pytest.approx(8 * MIB, abs=LITTLE)


def test_one_peak_is_not_in_the_next() -> None:
    small, large = (working(partial(bytearray, size * MIB)) for size in (4, 32))
    assert [round(peak_of(one) / MIB) for one in (small, large, small)] == [4, 32, 4]


def test_a_contender_that_is_not_installed_has_no_peak() -> None:
    def make() -> Contender:
        pytest.importorskip("package_that_nobody_has")
        raise AssertionError

    assert answer_of(make, 30) is None


def interrupt() -> None:
    # A shell makes its background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: importlib.import_module("nobody_has_it"), "ModuleNotFoundError: No module named"),
        (lambda: os._exit(3), "its process ended with 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "its process ended with -9"),
        (interrupt, "its process ended with 1"),
    ],
)
def test_a_contender_that_fails_has_an_unknown_peak_and_not_zero(
    work: Callable[[], object], why: str
) -> None:
    peak = answer_of(working(work), 30)
    assert peak
    assert peak.rise is None
    assert peak.unknown.startswith(why)


def test_a_contender_that_hangs_is_ended() -> None:
    begin = time.monotonic()
    peak = answer_of(working(lambda: time.sleep(100)), 1)
    assert peak == Peak(unknown="it took longer than 1 s")
    assert time.monotonic() - begin < 30


def test_without_the_kernels_figures_the_peak_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory_peaks, "STATUS", tmp_path / "status")
    peak = answer_of(working(lambda: None), 30)
    assert peak
    assert peak.rise is None
    assert "No such file or directory" in peak.unknown
