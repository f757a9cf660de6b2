"""How far a contender raises the peak of resident memory, each in a forked process of its own.

The contenders of a group share a process when they take their turns, so that they would share a
peak, too. Here a process in which nothing was set up yet, and which runs no second thread, forks
once for each: the child sets its contender up, has it take some turns, and reads off how much more
memory it had at its peak than before. Pages of files are left out, since which part of a library's
code is mapped says nothing about memory that a contender asked for.
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
"""What the kernel takes, in /proc/self/clear_refs, as an order to forget the peak so far."""


@dataclass(frozen=True)
class Peak:
    """Bytes by which the peak of resident memory rose, or why that is unknown."""

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
    """To the kernel, what is free: a contender that finds memory here takes none at its peak."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def rise(make: Callable[[], Contender]) -> int:
    """Bytes, of this process, from before the contender is set up to the end of its last turn."""
    # What the first one imports and keeps for good is not the contender's.
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
    # Each turn comes to the peak again: by the last one, all code that it takes has been mapped.
    return max(0, (after.peak - after.of_files) - (before.now - before.of_files))


def in_child(make: Callable[[], Contender]) -> Peak | None:
    """What came of it, or none for who is not installed."""
    try:
        return Peak(rise(make))
    except pytest.skip.Exception:
        return None
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is the answer
        return Peak(unknown=f"{type(failure).__name__}: {failure}")


def answer_of(make: Callable[[], Contender], patience: int) -> Peak | None:
    """Fork, have the child measure for so many seconds at most, and hear what it says."""
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
            # Or it would go on as the run, whatever happens here: of that there is one already.
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
    """By test; those that are not installed are missing."""
    answers = {entry.id: answer_of(entry.make, patience) for entry in entries}
    return {test: peak for test, peak in answers.items() if peak}
