"""The pytest plugin that has tests take turns, and hands what they took to pytest-benchmark.

The first benchmark of a run has all selected tests sit: each sitting is a process of its own, since
where a process happens to have its memory and code makes some contenders faster or slower for as
long as it lives. Then each test runs once, and pytest-benchmark reads the turns' seconds off as if
it had timed them there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
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
        with TemporaryDirectory() as folder:
            file = Path(folder, "sitting.json")
            sittings = config.getoption("sittings", SITTINGS)
            contenders = f"{len(self.entries)} contender{'s' * (len(self.entries) != 1)}"
            for number in range(sittings):
                say(config, f"sitting {number + 1} of {sittings}: {contenders}")
                self.sittings.append(self.sit(config, file, number / sittings))
        self.seconds, self.others = time.monotonic() - begin, bystanders.share()

    def sit(self, config: pytest.Config, file: Path, start: float) -> Sitting:
        """In a new process, with groups from another one on: they leave their marks on memory."""
        groups = by_group(self.entries)
        first = int(start * len(groups))
        entries = chain.from_iterable(groups[first:] + groups[:first])
        file.unlink(missing_ok=True)
        own = [f"--sitting={file}", "--quiet", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *own, *(entry.id for entry in entries)],
            cwd=config.rootpath,
            env={**os.environ, "PYTEST_ADDOPTS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"a sitting ended with {done.returncode}:\n{done.stdout}")
        return Sitting(**json.loads(file.read_text()))

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
        )
        self.rows.append(Row(entry.group, entry.name, reference.name, seconds, paired))


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
    # Where a sitting's process writes what it measured.
    group.addoption("--sitting", type=Path, help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "race(group, reference): takes turns with its group")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In a sitting's process, sit and run no test."""
    file = session.config.getoption("sitting", None)
    if file is None:
        return None
    sitting = Sitting()
    for group in by_group(entry for entry in map(Entry.of, session.items) if entry):
        sitting.hold(group)
    file.write_text(json.dumps(asdict(sitting)))
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
        with contender.within:
            if benchmark.disabled:
                benchmark(contender.work)
            else:
                contender.work()
    finally:
        contender.close()
    if not benchmark.disabled:
        stash = pyfuncitem.config.stash
        if sessions not in stash:
            try:
                stash[sessions] = Session(pyfuncitem.config, pyfuncitem.session.items)
            except RuntimeError:
                # Or each test to come would begin with all sittings again.
                pyfuncitem.session.shouldstop = "a sitting ended before its time"
                raise
        stash[sessions].hand_over(entry, benchmark)
    return True


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    held = config.stash.get(sessions, None)
    if held and held.rows and not config.getoption("benchmark_quiet"):
        terminalreporter.section("benchmarks in turns")
        text = report(held.rows, len(held.sittings), held.seconds, held.others)
        terminalreporter.write(text)
