"""Contenders that take turns in one process, so that a disturbance slows all of them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat

TURN = 0.004
"""The least seconds of a turn: shorter work is repeated within it."""
ROUNDS = 15
SECONDS = 1.0
"""A group that takes longer stops before all rounds."""
FEWEST = 3

Work = Callable[[], object]


def nothing() -> None:
    """The default for a contender that needs no end."""


@dataclass(frozen=True)
class Contender:
    """The timed work, a context for its turns only, and a function that ends it."""

    work: Work
    within: AbstractContextManager[object] = field(default_factory=nullcontext)
    close: Callable[[], object] = nothing


def seconds_of(contender: Contender, calls: int) -> float:
    """One turn. Its first call is not timed: the caches hold another contender's data."""
    work = contender.work
    with contender.within:
        work()
        begin = time.perf_counter()
        for _ in repeat(None, calls):
            work()
        return time.perf_counter() - begin


def calls_for_a_turn(contender: Contender) -> int:
    """The calls that fill a turn in both of two measurements: one may be disturbed."""
    calls = 1
    while True:
        took = min(seconds_of(contender, calls), seconds_of(contender, calls))
        if took >= TURN:
            return calls
        # At most ten times as many: the very first turns are slower than later ones.
        calls = min(10 * calls, math.ceil(calls * 1.2 * TURN / took)) if took else 10 * calls


def order(names: list[str], turn: int) -> list[str]:
    """The order of a round. Its start and direction change, so that no pair always follows."""
    first = turn // 2 % len(names)
    names = names[first:] + names[:first]
    return names[::-1] if turn % 2 else names


def take_turns(
    contenders: Mapping[str, Contender], calls: Mapping[str, int]
) -> dict[str, list[float]]:
    """The seconds of a call in each turn, by contender."""
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
