"""Contenders that take turns in one process: whatever the machine does falls on all alike."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat

TURN = 0.004
"""Seconds that a turn takes at least: a work that is shorter is done more than once in it."""
ROUNDS = 15
SECONDS = 1.0
"""What takes longer stops at fewer rounds than those."""
FEWEST = 3

Work = Callable[[], object]


def nothing() -> None:
    """Nothing is left to close."""


@dataclass(frozen=True)
class Contender:
    """What is timed, what holds during its turns and no others, and what ends it."""

    work: Work
    within: AbstractContextManager[object] = field(default_factory=nullcontext)
    close: Callable[[], object] = nothing


def seconds_of(contender: Contender, calls: int) -> float:
    """One turn. Its first call is not timed: it meets the caches that the one before left."""
    work = contender.work
    with contender.within:
        work()
        begin = time.perf_counter()
        for _ in repeat(None, calls):
            work()
        return time.perf_counter() - begin


def calls_for_a_turn(contender: Contender) -> int:
    """As many as take a turn's time twice: once may be an interruption."""
    calls = 1
    while True:
        took = min(seconds_of(contender, calls), seconds_of(contender, calls))
        if took >= TURN:
            return calls
        # Ten times as many at most: the first turns of all are no measure of later ones.
        calls = min(10 * calls, math.ceil(calls * 1.2 * TURN / took)) if took else 10 * calls


def order(names: list[str], turn: int) -> list[str]:
    """From another one on each time, and in both directions: nobody always follows the same one."""
    first = turn // 2 % len(names)
    names = names[first:] + names[:first]
    return names[::-1] if turn % 2 else names


def take_turns(
    contenders: Mapping[str, Contender], calls: Mapping[str, int]
) -> dict[str, list[float]]:
    """The seconds of a call in each turn of so many, round by round."""
    names = list(contenders)
    took: dict[str, list[float]] = {name: [] for name in names}
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        for turn in range(ROUNDS):
            if turn >= FEWEST and time.perf_counter() - begin > SECONDS:
                break
            for name in order(names, turn):
                took[name].append(seconds_of(contenders[name], calls[name]) / calls[name])
    finally:
        if collects:
            gc.enable()
    return took
