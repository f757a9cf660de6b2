"""Tests that compete: each makes its contender, and the contenders of one group take turns.

    @race("1000 x acquire and release, {size}", SOURCES, reference="bytearray(1)")
    @pytest.mark.parametrize("size", SIZES, ids=label)
    def test_acquire_and_release(contender: str, size: int) -> Contender:
        return Contender(...)

``race_plugin`` runs them in sittings. Each sitting is a process of its own, which sets up every
group and lets it take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

# Not public, but only pytest's own function evaluates ``skipif`` as pytest does.
from _pytest.skipping import evaluate_skip_marks
from turns import Contender, calls_for_a_turn, take_turns

import numpool

Make = TypeVar("Make", bound=Callable[..., Contender])


def label(size: int) -> str:
    return numpool.format_size(size).replace(" ", "")


class Replay:
    """A timer for pytest-benchmark that replays turns timed by ``time.perf_counter``."""

    __name__ = "perf_counter"

    def __init__(self) -> None:
        self.readings: Iterator[float] = iter(())

    def __call__(self) -> float:
        return next(self.readings)

    def hand_over(self, seconds: list[float]) -> None:
        """pytest-benchmark reads the timer at the begin and at the end of each turn."""
        self.readings = (reading for turn in seconds for reading in (0.0, turn))


replay = Replay()


def race(group: str, contenders: Iterable[str], *, reference: str) -> Callable[[Make], Make]:
    """Make a test of each contender; ``group`` may name other parameters in braces."""
    names = list(contenders)
    if reference not in names:
        raise ValueError(f"the reference {reference!r} is none of the contenders {names}")

    def decorate(make: Make) -> Make:
        for mark in (
            pytest.mark.parametrize("contender", names),
            pytest.mark.usefixtures("benchmark"),
            pytest.mark.benchmark(timer=replay),
            pytest.mark.race(group, reference),
        ):
            make = mark(make)
        return make

    return decorate


class Entry:
    """A test that competes in its group."""

    def __init__(self, item: pytest.Function, group: str, reference: str) -> None:
        self.item = item
        self.id = item.nodeid
        parameters = item.callspec.params
        self.name = str(parameters["contender"])
        self.group = group.format(
            **{key: label(it) if isinstance(it, int) else it for key, it in parameters.items()}
        )
        self.reference = reference

    @classmethod
    def of(cls, item: pytest.Item) -> Entry | None:
        """None for a test that does not compete, or is skipped."""
        mark = item.get_closest_marker("race")
        if mark is None or not isinstance(item, pytest.Function) or evaluate_skip_marks(item):
            return None
        return cls(item, *mark.args)

    def make(self) -> Contender:
        contender: Contender = self.item.obj(**self.item.callspec.params)
        return contender


def by_group(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The groups, in the order of their first entries."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.group, []).append(entry)
    return list(groups.values())


@dataclass
class Sitting:
    """The figures of one process, by test."""

    calls: dict[str, int] = field(default_factory=dict)
    """The number of calls in a turn."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """The time of one call, in each turn."""
    failures: dict[str, str] = field(default_factory=dict)
    """The reason, by group."""

    def hold(self, entries: list[Entry]) -> None:
        """Measure a group. One that fails is noted; a contender not installed is left out."""
        try:
            with ExitStack() as stack:
                contenders = {}
                for entry in entries:
                    with suppress(pytest.skip.Exception):
                        contenders[entry.id] = entry.make()
                        stack.callback(contenders[entry.id].close)
                calls = {test: calls_for_a_turn(one) for test, one in contenders.items()}
                self.seconds.update(take_turns(contenders, calls))
                self.calls.update(calls)
        except Exception as failure:  # noqa: BLE001 - the tests of the group report it
            self.failures[entries[0].group] = f"{type(failure).__name__}: {failure}"
