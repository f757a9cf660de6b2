"""A loop of a thousand steps a second on warm memory: its page faults, and its slowest steps.

    python benchmarks/realtime.py                         # 100,000 steps of each: 14 minutes
    python benchmarks/realtime.py --steps 10000 --plot benchmarks/plots/realtime.svg

The step smooths a scan and updates a map with NumPy's temporaries; see claims/control_loop.py. The
contenders take turns of a tenth of their steps: first alone, then beside processes that keep every
processor busy. All of them ask for real-time scheduling (SCHED_FIFO).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads
from pathlib import Path

from claims import quantile
from markdown import table
from realtime_worker import CONTENDERS, LIMIT, REALTIME
from surroundings import Bystanders, busy, where

from numpool.cli import bench_plot

TURNS = 10
WORKER = Path(__file__).with_name("realtime_worker.py")
LOAD = "x = bytearray(1 << 22)\nwhile True:\n    y = bytes(x)\n"


@dataclass
class Steps:
    """What was measured of a contender."""

    nanoseconds: list[int]
    faults: list[int]
    real_time: bool = True
    said: str = ""

    def at(self, share: float) -> float:
        """The microseconds that this share of the steps did not exceed."""
        return quantile(sorted(self.nanoseconds), share) / 1e3

    def row(self, name: str) -> list[str]:
        ordered = sorted(self.nanoseconds)
        median, tail = quantile(ordered, 0.5), quantile(ordered, 0.9999)
        return [
            name,
            f"{sum(self.faults):,}",
            f"{sum(fault > 0 for fault in self.faults):,}",
            *(f"{quantile(ordered, share) / 1e3:,.0f}" for share in (0.5, 0.99, 0.9999, 1)),
            f"{tail / median:.2f}",
        ]


HEAD = ["page faults", "steps with some", "p50 µs", "p99", "p99.99", "worst", "p99.99 to p50"]


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Processes of ordinary priority that compute and copy."""
    busy_ones = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in busy_ones:
            one.kill()
            one.wait()


def start(name: str, steps: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WORKER, name, str(steps)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # The threads of BLAS would wait for each other.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


def take_turns(steps: int) -> dict[str, Steps]:
    """Each contender's steps, in turns."""
    workers = {name: start(name, steps) for name in CONTENDERS}
    try:
        for turn in range(TURNS):
            for name in CONTENDERS[turn % 4 :] + CONTENDERS[: turn % 4]:
                inward, outward = workers[name].stdin, workers[name].stdout
                assert inward is not None
                assert outward is not None
                print(steps // TURNS, file=inward, flush=True)
                assert outward.readline() == "done\n"
            print(f"turn {turn + 1} of {TURNS}", file=sys.stderr, flush=True)
        return {name: Steps(*loads(one.communicate()[0])) for name, one in workers.items()}
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


def report(title: str, measured: dict[str, Steps]) -> str:
    rows = [steps.row(name) for name, steps in measured.items()]
    return f"{title}\n\n" + table(["contender", *HEAD], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100_000, help="of each contender; 100000")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture, by its ending")
    options = parser.parse_args()
    if options.steps < TURNS:
        parser.error(f"--steps {options.steps}: must be at least {TURNS}")
    options.steps -= options.steps % TURNS
    if options.plot:
        try:
            bench_plot.check(options.plot)
        except ValueError as error:
            parser.error(f"--plot: {error}")
    bystanders = Bystanders()
    processors = len(os.sched_getaffinity(0))
    alone = take_turns(options.steps)
    with load(processors):
        beside = take_turns(options.steps)
    loaded = f"Beside {processors} busy processes"
    real_time = all(one.real_time for one in (*alone.values(), *beside.values()))
    scheduling = "with SCHED_FIFO" if real_time else "without SCHED_FIFO, which was refused"
    said = f"{options.steps:,} steps of each contender, a thousand a second, {scheduling}"
    print(where())
    print(f"{said}. The load counts among the other programs. {busy(bystanders.share())}\n")
    print(report("Alone", alone))
    print(report(loaded, beside))
    for title, measured in (("alone", alone), (loaded.lower(), beside)):
        ours, limit = measured[REALTIME], measured[LIMIT]
        print(
            f"{title}: {REALTIME} had {sum(ours.faults):,} page faults in "
            f"{len(ours.faults):,} steps; p99.99 is {ours.at(0.9999) / ours.at(0.5):.2f} times "
            f"its median, {limit.at(0.9999) / limit.at(0.5):.2f} times where nothing is allocated."
        )
        print(f"\n```text\n{ours.said}\n```\n")
    if options.plot:
        from realtime_plot import draw

        draw({"alone": alone, loaded.lower(): beside}, said, options.plot)


if __name__ == "__main__":
    main()
