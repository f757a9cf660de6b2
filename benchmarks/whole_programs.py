"""Whole programs on each allocator: time and peak memory.

    python benchmarks/whole_programs.py                 # three rounds of all: about ten minutes
    python benchmarks/whole_programs.py --rounds 1 --programs "k-means" "bursts"
    python benchmarks/whole_programs.py --keep runs.json --rounds 1     # a round more each time
    python benchmarks/whole_programs.py --keep runs.json --rounds 0 --plot programs.svg

Contenders take turns, each run in a fresh process. Speed is how many times faster than default
NumPy in the same round (above 1 is faster), memory the peak of resident memory to default's (below
1 is less): medians over the rounds, with half the width of the middle half as the spread of speed.
Only the program itself is timed, not the start of Python nor imports. All contenders must come to
the same result. On a machine that others use as well, --processor-time counts the processors' time
of each run instead, the kernel's for it included: waiting for others is not in it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from contenders import Contenders, Ratio, Run
from markdown import mean, table
from programs import PROGRAMS
from programs_plot import Standing, draw
from surroundings import busy, where

from numpool.cli import bench_plot

MORE_MEMORY = 1.02
"""Times default's: what the pool may take."""


class Clock:
    """The figures of whole programs, by the clock on the wall or by the processors' time."""

    def __init__(self, all_of: Contenders, processor: bool) -> None:
        self.all_of, self.processor = all_of, processor
        self.kind = "processor time" if processor else "time"

    def of(self, run: Run) -> float:
        return run.processor if self.processor else run.seconds[0]

    def seconds(self, name: str, work: str) -> Ratio:
        return Ratio.of(self.of(one[name]) for one in self.all_of.rounds[work])

    def gain(self, name: str, work: str) -> Ratio:
        """How many times faster than default it is."""
        return Ratio.of(
            self.of(one["default"]) / self.of(one[name]) for one in self.all_of.rounds[work]
        )


def grid(all_of: Contenders, clock: Clock, works: Sequence[str]) -> str:
    """Speed and memory of each, and the geometric means."""
    names = all_of.names[1:]
    rows = []
    for work in works:
        seconds = clock.seconds("default", work)
        cells = [f"{clock.gain(name, work)} · {all_of.memory(name, work):.2f}" for name in names]
        rows.append([work, f"{seconds.median:.2f} s", *cells])
    speed = [mean(clock.gain(name, work).median for work in works) for name in names]
    memory = [mean(all_of.memory(name, work) for work in works) for name in names]
    means = [f"**{one} · {other}**" for one, other in zip(speed, memory, strict=True)]
    rows.append(["**geometric mean**", "", *means])
    return table(["speed · peak RSS, to default's", f"default's {clock.kind}", *names], rows)


def clearly_less(one: Ratio, other: Ratio) -> bool:
    """By more than both spread, and no less than a hundredth."""
    return (
        one.median + one.spread < other.median - other.spread and one.median < other.median - 0.01
    )


def losses(all_of: Contenders, clock: Clock, works: Sequence[str]) -> Iterator[str]:
    """The programs where somebody is clearly ahead of the pool."""
    for work in works:
        ours = clock.gain("numpool", work)
        ahead = [
            f"{name} {gain.median:.2f}"
            for name in all_of.names
            if not name.startswith("numpool") and clearly_less(ours, gain := clock.gain(name, work))
        ]
        if ahead:
            yield f"- {work}: the pool {ours.median:.2f}, {', '.join(ahead)}"
        if (memory := round(all_of.memory("numpool", work), 2)) > MORE_MEMORY:
            yield f"- {work}: {memory:.2f} times default's memory"


def check_results(all_of: Contenders, works: Sequence[str]) -> None:
    for work in works:
        results = {name: run.result for one in all_of.rounds[work] for name, run in one.items()}
        first = results["default"]
        if not all(math.isclose(one, first, rel_tol=1e-6) for one in results.values()):
            raise SystemExit(f"{work}: contenders come to different results: {results}")


def counted(all_of: Contenders, works: Sequence[str]) -> str:
    """How many rounds there were, and how busy the machine was."""
    rounds = {len(all_of.rounds[work]) for work in works}
    count = " to ".join(str(one) for one in sorted({min(rounds), max(rounds)}))
    count += " round, so no spread is known" if rounds == {1} else " rounds"
    return f"{count}. {busy(all_of.share_of_others())}"


def plot(all_of: Contenders, clock: Clock, works: Sequence[str], place: str, file: Path) -> None:
    """The table's figures as a picture."""
    standings = {
        name: Standing(
            [clock.gain(name, work).median for work in works],
            [all_of.memory(name, work) for work in works],
        )
        for name in all_of.names[1:]
    }
    draw(works, standings, f"{place}\n{counted(all_of, works)}", file)


def report(all_of: Contenders, clock: Clock, works: Sequence[str], place: str) -> str:
    check_results(all_of, works)
    lost = list(losses(all_of, clock, works))
    return "\n".join(
        [
            place,
            counted(all_of, works),
            "",
            grid(all_of, clock, works),
            "Where the pool loses:" if lost else "The pool loses nowhere by more than the spread.",
            *lost,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="0 reports what was kept")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, metavar="PROGRAM")
    parser.add_argument("--steps", type=int, help="instead of what takes each about a second")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add to the rounds in FILE")
    parser.add_argument("--processor-time", action="store_true", help="instead of time that passed")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture, too, by ending")
    options = parser.parse_args()
    if options.plot:
        try:
            bench_plot.check(options.plot)
        except ValueError as error:
            parser.error(f"--plot: {error}")

    works = []
    for work in options.programs or PROGRAMS:
        if PROGRAMS[work].installed():
            works.append(work)
        else:
            print(f"{work}: {PROGRAMS[work].needs} is not installed", file=sys.stderr)
    place = where()
    contenders = Contenders()
    if options.keep and options.keep.exists():
        contenders.load(options.keep, place)
    for turn in range(options.rounds):
        for work in works:
            print(f"{turn + 1} of {options.rounds}: {work}", file=sys.stderr, flush=True)
            contenders.round(work, steps=options.steps or PROGRAMS[work].steps)
            if options.keep:
                contenders.save(options.keep, place)
    if measured := [work for work in works if work in contenders.rounds]:
        clock = Clock(contenders, options.processor_time)
        print(report(contenders, clock, measured, place))
        if options.plot:
            plot(contenders, clock, measured, place, options.plot)


if __name__ == "__main__":
    main()
