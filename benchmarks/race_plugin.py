"""The pytest plugin that makes tests take turns, and gives their times to pytest-benchmark.

The first benchmark of a run starts all sittings of the selected tests. Each sitting is a process of
its own, because the places of its memory and code make some contenders faster or slower for as long
as a process lives. One more process, before them, measures the peak of memory of each contender.
Then each test runs once, and pytest-benchmark reads the times of the turns from a replayed timer.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import cast

import pytest
import race_process
import record
from memory_peaks import Peak, peaks_of
from paired import Paired
from pytest_benchmark.fixture import BenchmarkFixture
from race_report import Row, report
from races import Entry, Sitting, by_group, replay
from surroundings import Bystanders

SITTINGS = 9
sessions = pytest.StashKey["Session"]()


class Session:
    """The figures of all sittings of this run, and the rows of its report."""

    def __init__(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.entries = [entry for entry in map(Entry.of, items) if entry]
        self.rows: list[Row] = []
        self.sittings: list[Sitting] = []
        bystanders, begin = Bystanders(), time.monotonic()
        contenders = f"{len(self.entries)} contender{'s' * (len(self.entries) != 1)}"
        say(config, f"peaks of memory: {contenders}")
        # A fork does not have the threads of OpenBLAS.
        peaks = race_process.measure("peaks", self.entries, config, OPENBLAS_NUM_THREADS="1")
        self.peaks = {test: Peak(**peak) for test, peak in peaks.items()}
        sittings = config.getoption("sittings", SITTINGS)
        for number in range(sittings):
            say(config, f"sitting {number + 1} of {sittings}: {contenders}")
            entries = self.from_another_group_on(number / sittings)
            self.sittings.append(Sitting(**race_process.measure("sitting", entries, config)))
        self.seconds, self.others = time.monotonic() - begin, bystanders.share()

    def from_another_group_on(self, start: float) -> list[Entry]:
        """Each sitting has another order, because each group changes a process's memory."""
        groups = by_group(self.entries)
        first = int(start * len(groups))
        return list(chain.from_iterable(groups[first:] + groups[:first]))

    def seconds_of(self, entry: Entry) -> list[list[float]]:
        """The seconds of a call in each turn of each sitting; none if it is not installed."""
        for number, sitting in enumerate(self.sittings, 1):
            if failure := sitting.failures.get(entry.group):
                raise RuntimeError(f"{entry.group}: in sitting {number}: {failure}")
        return [sitting.seconds.get(entry.id, []) for sitting in self.sittings]

    def reference_of(self, entry: Entry) -> Entry:
        """The reference of the group, or the first contender if the reference is missing."""
        group = [one for one in self.entries if one.group == entry.group]
        there = [one for one in group if all(self.seconds_of(one))]
        return next((one for one in there if one.name == one.reference), there[0])

    def hand_over(self, entry: Entry, benchmark: BenchmarkFixture) -> None:
        """Give pytest-benchmark the times of a contender."""
        own, reference = self.seconds_of(entry), self.reference_of(entry)
        peak = self.peaks[entry.id]
        paired = Paired.of_turns(own, self.seconds_of(reference))
        seconds = list(chain.from_iterable(own))
        # pytest-benchmark has one number for all sittings.
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
    """Show the progress: all sittings take minutes, and the first test waits for them."""
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
        help="How many times all contenders are set up in a new process to take turns; with fewer "
        "than 6, spreads are of less than 95 %%. Default: %(default)s",
    )
    group.addoption(
        "--patience",
        type=some_seconds,
        default=race_process.PATIENCE,
        metavar="SECONDS",
        help="The time limit of a group in a sitting, and of a contender while its peak of memory "
        "is measured; what takes longer is ended and named. Default: %(default)s",
    )
    group.addoption(
        "--record", metavar="NAME", help="Write benchmarks/results/NAME.md and NAME.json, too"
    )
    # The files that the processes that measure write.
    for name in ("--sitting", "--peaks"):
        group.addoption(name, type=Path, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "race(group, reference): takes turns with its group")
    if config.getoption("sitting", None) or config.getoption("peaks", None):
        # A limit for the collection; each group sets its own, and so does the end.
        race_process.limit(race_process.PATIENCE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In a process that measures: measure, and run no test."""
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
            # Each child has this much time, and ends before this process does.
            race_process.begin(group[0].group, file, (len(group) + 1) * patience)
            measured |= {test: asdict(peak) for test, peak in peaks_of(group, patience).items()}
    else:
        return None
    race_process.limit(race_process.PATIENCE)
    file.write_text(json.dumps(measured))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that competes: its contender once, then the replay of its turns."""
    entry = Entry.of(pyfuncitem)
    if entry is None:
        return None
    benchmark = cast("BenchmarkFixture", pyfuncitem.funcargs["benchmark"])
    benchmark.group = entry.group
    contender = entry.make()
    try:
        # This comes before its work here, because the processes that measure have a time limit.
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
    """The sittings of all tests, started by the first one."""
    stash = item.config.stash
    if sessions not in stash:
        try:
            stash[sessions] = Session(item.config, item.session.items)
        except RuntimeError:
            # Otherwise each later test would start all sittings again.
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
        if name := config.getoption("record"):
            command = shlex.join(["pytest", *config.invocation_params.args])
            record.write(name, record.written_by(command), record.here(held.others), text)
