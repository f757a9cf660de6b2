"""Measures by how much a contender raises the peak of resident memory, in a forked process.

The contenders of a group share a process when they take turns, so they would share a peak, too.
Here a process that has set up nothing and has one thread forks for each contender. The child sets
its contender up, lets it take some turns, and reads by how much its peak of memory rose. Pages of
files do not count: they are mostly code, which no contender requested.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from race_process import limit
from races import Entry
from turns import FEWEST, Contender, calls_for_a_turn, seconds_of

STATUS = Path("/proc/self/status")
FORGET_PEAK = "5"
"""Written to /proc/self/clear_refs, it makes the kernel forget the peak so far."""


@dataclass(frozen=True)
class Peak:
    """The bytes by which the peak of resident memory rose, or why they are unknown."""

    rise: int | None = None
    unknown: str = ""


class Resident(NamedTuple):
    """A process's resident memory, in bytes."""

    peak: int
    now: int
    of_files: int

    @classmethod
    def read(cls) -> Resident:
        lines = (line.split() for line in STATUS.read_text().splitlines())
        of = {words[0]: int(words[1]) << 10 for words in lines if words[-1] == "kB"}
        return cls(of["VmHWM:"], of["VmRSS:"], of["RssFile:"])


def give_back() -> None:
    """Give free memory to the kernel, so that a contender does not use it unnoticed."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def rise(make: Callable[[], Contender]) -> int:
    """The increase in bytes, from before the contender is set up to its last turn."""
    # Its imports and other permanent memory do not count.
    make().close()
    give_back()
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    before = Resident.read()
    contender = make()
    gc.disable()
    calls = calls_for_a_turn(contender)
    for _ in range(FEWEST):
        seconds_of(contender, calls)
    after = Resident.read()
    # Each turn reaches the peak again; by the last one, all its code is mapped.
    return max(0, (after.peak - after.of_files) - (before.now - before.of_files))


def in_child(make: Callable[[], Contender]) -> Peak | None:
    """The peak, or None for a contender that is not installed."""
    try:
        return Peak(rise(make))
    except pytest.skip.Exception:
        return None
    except Exception as failure:  # noqa: BLE001 - it becomes the answer
        return Peak(unknown=f"{type(failure).__name__}: {failure}")


def answer_of(make: Callable[[], Contender], patience: int) -> Peak | None:
    """Fork a child that measures for at most this many seconds, and read its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            limit(patience)
            peak = in_child(make)
            os.write(writer, json.dumps(peak and vars(peak)).encode())
            ended = 0
        finally:
            # The child must never go on as a second run of pytest.
            os._exit(ended)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended == -signal.SIGALRM:
        return Peak(unknown=f"it took longer than {patience} s")
    if ended or not said:
        return Peak(unknown=f"its process ended with {ended}")
    return None if said == "null" else Peak(**json.loads(said))


def peaks_of(entries: Iterable[Entry], patience: int) -> dict[str, Peak]:
    """Peaks by test; contenders that are not installed are left out."""
    answers = {entry.id: answer_of(entry.make, patience) for entry in entries}
    return {test: peak for test, peak in answers.items() if peak}
