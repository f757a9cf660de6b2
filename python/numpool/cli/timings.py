"""The figures of ``numpool bench``. The contenders take turns, each in its own process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import numpool
from numpool.cli.bench_worker import CONTENDERS, LIMIT, WORKS
from numpool.cli.machine import Machine, gather

if TYPE_CHECKING:
    from typing_extensions import Self

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = [64, KIB, 16 * KIB, 128 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, GIB, 4 * GIB]

ARRAYS = 16
"""The number of arrays of one size that live at once in all contenders together."""
SAMPLE = 0.02
"""The seconds of a contender's round. A round has at least one operation."""
FEWEST, MOST = 3, 50
"""The bounds on the number of rounds."""


@dataclass(frozen=True)
class Plan:
    """The operations to measure, and the time for them."""

    works: tuple[str, ...]
    largest: int
    seconds: float
    """Seconds for all rows, in equal shares. The fewest rounds may take longer."""


QUICK = Plan(("a + b", "burst, then all freed"), 64 * MIB, 30.0)
FULL = Plan(tuple(work for work in WORKS if work != LIMIT), SIZES[-1], 360.0)


@dataclass(frozen=True)
class Timing:
    """The seconds of one operation: quartiles of all rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half the middle half's width, as a share of the median."""
        return (self.high - self.low) / 2 / self.median


@dataclass(frozen=True)
class Row:
    """One size: the bytes of each array, and each contender's timing."""

    size: int
    timings: dict[str, Timing]

    def faster(self, over: str = "default") -> float:
        """How many times faster the pool is than another contender."""
        return self.timings[over].median / self.timings["numpool"].median


@dataclass(frozen=True)
class Table:
    """One operation, with its statement in Python."""

    work: str
    statement: str
    rows: list[Row]


@dataclass(frozen=True)
class Timings:
    """All figures, and the machine."""

    machine: Machine
    seconds: float
    tables: list[Table]


class WorkerEnded(Exception):
    """A process that measures has ended. The message has its exit status."""


class Worker:
    """A contender's process, for a ``with`` block."""

    def __init__(self, contender: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "numpool.cli.bench_worker", contender],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, **order: object) -> float:
        """Send an order, and return the answer. Raises WorkerEnded if there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # A process that has ended breaks the pipe, and readline() then returns nothing.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise WorkerEnded(f"a process that measures ended with {self.process.wait()}")
        return float(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(BrokenPipeError):
            self.process.communicate()
        self.process.wait()


def measure(plan: Plan) -> Timings:
    """Measure all rows of a plan, with a progress bar on a terminal."""
    start = time.perf_counter()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    machine = gather()
    sizes = fitting(plan, machine.memory.available)
    tables = []
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        ExitStack() as stack,
    ):
        workers = {name: stack.enter_context(Worker(name)) for name in CONTENDERS}
        rows_left = len(plan.works) * len(sizes)
        task = bar.add_task("", total=rows_left)
        for work in plan.works:
            rows = []
            for size in sizes:
                bar.update(task, description=f"{work}, {numpool.format_size(size)}")
                now = time.perf_counter()
                deadline = now + (start + plan.seconds - now) / rows_left
                rows.append(Row(size, take_turns(workers, work, size, deadline)))
                rows_left -= 1
                bar.advance(task)
            tables.append(Table(work, WORKS[work], rows))
    return Timings(machine, time.perf_counter() - start, tables)


def fitting(plan: Plan, available: int) -> list[int]:
    """The sizes whose arrays fit in memory in all contenders at once."""
    room = min(available, numpool.memory_limit()) // ARRAYS
    return [size for size in SIZES if size <= min(plan.largest, room)]


def take_turns(
    workers: dict[str, Worker], work: str, size: int, deadline: float
) -> dict[str, Timing]:
    """One size of one operation: rounds of all contenders in turns, until the deadline."""
    names = [name for name in workers if name != "limit" or work == "a + b"]
    loops = {}
    for name in names:
        once = workers[name].order(work=LIMIT if name == "limit" else work, size=size)
        some = workers[name].order(loops=loops_for(once / 10))
        loops[name] = loops_for(some)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    turn = 0
    while turn < FEWEST or (turn < MOST and time.perf_counter() < deadline):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            rounds[name].append(workers[name].order(loops=loops[name]))
        turn += 1
    return {name: summed_up(took) for name, took in rounds.items()}


def loops_for(seconds: float) -> int:
    """The number of operations in a round, from the seconds of one."""
    return max(1, min(1_000_000, int(SAMPLE / seconds)))


def summed_up(rounds: list[float]) -> Timing:
    """The quartiles of at least three rounds."""
    low, median, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return Timing(median, low, high, len(rounds))
