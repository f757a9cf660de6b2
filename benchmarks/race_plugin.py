"""The pytest plugin that has tests take turns, and hands what they took to pytest-benchmark.

The first benchmark of a run has all selected tests sit: each sitting is a process of its own, since
where a process happens to have its memory and code makes some contenders faster or slower for as
long as it lives. One more process, before them, measures how much memory each takes at its peak.
Then each test runs once, and pytest-benchmark reads the turns' seconds off as if it had timed them
there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import cast

import pytest
import race_process
from memory_peaks import Peak, peaks_of
from paired import Paired
from pytest_benchmark.fixture import BenchmarkFixture
from race_report import Row, report
from races import Entry, Sitting, by_group, replay
from surroundings import Bystanders

SITTINGS = 9
sessions = pytest.StashKey["Session"]()


class Session:
    """What all sittings of this run measured, and the rows that came of it."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.entries = [entry for entry in map(Entry.of, items) if entry]
        self.rows: list[Row] = []
        self.sittings: list[Sitting] = []
        bystanders, begin = Bystanders(), time.monotonic()
        contenders = f"{len(self.entries)} contender{'s' * (len(self.entries) != 1)}"
        say(config, f"peaks of memory: {contenders}")
        # OpenBLAS's threads would not be in a fork.
        peaks = race_process.measure("peaks", self.entries, config, OPENBLAS_NUM_THREADS="1")
        self.peaks = {test: Peak(**peak) for test, peak in peaks.items()}
        sittings = config.getoption("sittings", SITTINGS)
        for number in range(sittings):
            say(config, f"sitting {number + 1} of {sittings}: {contenders}")
            entries = self.from_another_group_on(number / sittings)
            self.sittings.append(Sitting(**race_process.measure("sitting", entries, config)))
        self.seconds, self.others = time.monotonic() - begin, bystanders.share()

    def from_another_group_on(self, start: float) -> list[Entry]:
        """Groups leave their marks on a process's memory."""
        groups = by_group(self.entries)
        first = int(start * len(groups))
        return list(chain.from_iterable(groups[first:] + groups[:first]))

    def seconds_of(self, entry: Entry) -> list[list[float]]:
        """Of a call, in each turn of each sitting; none for who is not installed."""
        for number, sitting in enumerate(self.sittings, 1):
            if failure := sitting.failures.get(entry.group):
                raise RuntimeError(f"{entry.group}: in sitting {number}: {failure}")
        return [sitting.seconds.get(entry.id, []) for sitting in self.sittings]

    def reference_of(self, entry: Entry) -> Entry:
        """The one that was named, or the first one where that is not there."""
        group = [one for one in self.entries if one.group == entry.group]
        there = [one for one in group if all(self.seconds_of(one))]
        return next((one for one in there if one.name == one.reference), there[0])

    def hand_over(self, entry: Entry, benchmark: BenchmarkFixture) -> None:
        """Have pytest-benchmark read off what was measured."""
        own, reference = self.seconds_of(entry), self.reference_of(entry)
        peak = self.peaks[entry.id]
        paired = Paired.of_turns(own, self.seconds_of(reference))
        seconds = list(chain.from_iterable(own))
        # What it has room for is one number, and this is true of all sittings.
        calls = min(sitting.calls[entry.id] for sitting in self.sittings)
        replay.hand_over([calls * one for one in seconds])
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            lambda: None, rounds=len(seconds), iterations=calls
        )
        benchmark.extra_info.update(
            contender=entry.name,
            reference=reference.name,
            **paired._asdict(),
            sittings=[statistics.median(turns) for turns in own],
            peak=peak.rise,
            **({"peak_unknown": peak.unknown} if peak.unknown else {}),
        )
        self.rows.append(Row(entry.group, entry.name, reference.name, seconds, paired, peak))


def say(config: pytest.Config, line: str) -> None:
    """How far it is: all sittings take minutes, and the first test waits for them."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter and capture:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: there must be at least one sitting")
    return int(text)


def some_seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be whole seconds, one at least")
    return int(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("races", "benchmarks that take turns")
    group.addoption(
        "--sittings",
        type=at_least_one,
        default=SITTINGS,
        metavar="N",
        help="How often all contenders are set up in a new process to take turns; fewer than 6 "
        "state a spread of less than 95 %%. Default: %(default)s",
    )
    group.addoption(
        "--patience",
        type=some_seconds,
        default=race_process.PATIENCE,
        metavar="SECONDS",
        help="What a group may take in a sitting, and a contender while its peak of memory is "
        "measured; what takes longer hangs, and is ended and named. Default: %(default)s",
    )
    # Where the processes that measure write what they did.
    for name in ("--sitting", "--peaks"):
        group.addoption(name, type=Path, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "race(group, reference): takes turns with its group")
    if config.getoption("sitting", None) or config.getoption("peaks", None):
        # For the collection; each group begins anew, and so does the end.
        race_process.limit(race_process.PATIENCE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In a process that measures, do so and run no test."""
    config = session.config
    patience = config.getoption("patience", race_process.PATIENCE)
    groups = by_group(entry for entry in map(Entry.of, session.items) if entry)
    measured: dict[str, object] = {}
    if file := config.getoption("sitting", None):
        sitting = Sitting()
        for group in groups:
            race_process.begin(group[0].group, file, patience)
            sitting.hold(group)
        measured = asdict(sitting)
    elif file := config.getoption("peaks", None):
        for group in groups:
            # Each child has as much time, and ends before this one does.
            race_process.begin(group[0].group, file, (len(group) + 1) * patience)
            measured |= {test: asdict(peak) for test, peak in peaks_of(group, patience).items()}
    else:
        return None
    race_process.limit(race_process.PATIENCE)
    file.write_text(json.dumps(measured))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that competes: its contender once, and what it did in its turns."""
    entry = Entry.of(pyfuncitem)
    if entry is None:
        return None
    benchmark = cast("BenchmarkFixture", pyfuncitem.funcargs["benchmark"])
    benchmark.group = entry.group
    contender = entry.make()
    try:
        # Ahead of its work here: of one that hangs, the processes that measure have a limit.
        measured = None if benchmark.disabled else session_of(pyfuncitem)
        with contender.within:
            if measured:
                contender.work()
            else:
                benchmark(contender.work)
    finally:
        contender.close()
    if measured:
        measured.hand_over(entry, benchmark)
    return True


def session_of(item: pytest.Function) -> Session:
    """Held by the first who asks, for all."""
    stash = item.config.stash
    if sessions not in stash:
        try:
            stash[sessions] = Session(item.config, item.session.items)
        except RuntimeError:
            # Or each test to come would begin with all sittings again.
            item.session.shouldstop = "a process that measures ended before its time"
            raise
    return stash[sessions]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    held = config.stash.get(sessions, None)
    if held and held.rows and not config.getoption("benchmark_quiet"):
        terminalreporter.section("benchmarks in turns")
        text = report(held.rows, len(held.sittings), held.seconds, held.others)
        terminalreporter.write(text)
