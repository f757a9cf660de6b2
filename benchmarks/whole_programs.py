"""Whole programs on each allocator: time and peak memory.

    python benchmarks/whole_programs.py                 # three rounds of all: about ten minutes
    python benchmarks/whole_programs.py --rounds 1 --programs "k-means" "bursts"
    python benchmarks/whole_programs.py --keep runs.json --rounds 1     # adds a round to the file
    python benchmarks/whole_programs.py --keep runs.json --rounds 0 --plot programs.svg

Contenders take turns, each run in a new process. Speed is default NumPy's time divided by the
contender's time in the same round, so above 1 is faster. Memory is the contender's peak of resident
memory divided by default's, so below 1 is less. Both are medians over the rounds; the spread of
speed is half the width of the middle half. Only the program itself is timed, without the start of
Python and the imports. All contenders must have the same result.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from contenders import Contenders, Ratio
from markdown import mean, table
from programs import PROGRAMS
from programs_plot import Standing, draw
from surroundings import busy, where

from numpool.cli import bench_plot

MORE_MEMORY = 1.02
"""The memory, to default's, above which a program counts as a loss."""


def grid(all_of: Contenders, works: Sequence[str]) -> str:
    """The speed and memory of each contender, and the geometric means."""
    names = all_of.names[1:]
    rows = []
    for work in works:
        seconds = all_of.seconds("default", work)
        cells = [f"{all_of.gain(name, work)} · {all_of.memory(name, work):.2f}" for name in names]
        rows.append([work, f"{seconds.median:.2f} s", *cells])
    speed = [mean(all_of.gain(name, work).median for work in works) for name in names]
    memory = [mean(all_of.memory(name, work) for work in works) for name in names]
    means = [f"**{one} · {other}**" for one, other in zip(speed, memory, strict=True)]
    rows.append(["**geometric mean**", "", *means])
    return table(["speed · peak RSS, to default's", "default's time", *names], rows)


def clearly_less(one: Ratio, other: Ratio) -> bool:
    """Whether the spreads do not overlap, and the medians differ by more than 0.01."""
    return (
        one.median + one.spread < other.median - other.spread and one.median < other.median - 0.01
    )


def losses(all_of: Contenders, works: Sequence[str]) -> Iterator[str]:
    """The programs where another contender is clearly ahead of the pool."""
    for work in works:
        ours = all_of.gain("numpool", work)
        ahead = [
            f"{name} {gain.median:.2f}"
            for name in all_of.names
            if not name.startswith("numpool")
            and clearly_less(ours, gain := all_of.gain(name, work))
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
            raise SystemExit(f"{work}: the contenders have different results: {results}")


def counted(all_of: Contenders, works: Sequence[str]) -> str:
    """The number of rounds, and the load of the machine."""
    rounds = {len(all_of.rounds[work]) for work in works}
    count = " to ".join(str(one) for one in sorted({min(rounds), max(rounds)}))
    count += " round, so no spread is known" if rounds == {1} else " rounds"
    return f"{count}. {busy(all_of.share_of_others())}"


def plot(all_of: Contenders, works: Sequence[str], place: str, file: Path) -> None:
    """The table's figures as a picture."""
    standings = {
        name: Standing(
            [all_of.gain(name, work).median for work in works],
            [all_of.memory(name, work) for work in works],
        )
        for name in all_of.names[1:]
    }
    draw(works, standings, f"{place}\n{counted(all_of, works)}", file)


def report(all_of: Contenders, works: Sequence[str], place: str) -> str:
    check_results(all_of, works)
    lost = list(losses(all_of, works))
    return "\n".join(
        [
            place,
            counted(all_of, works),
            "",
            grid(all_of, works),
            "Where the pool loses:" if lost else "The pool loses nowhere by more than the spread.",
            *lost,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="0 reports the kept rounds")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, metavar="PROGRAM")
    parser.add_argument("--steps", type=int, help="of each program; default: about a second's")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the rounds to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture, by its ending")
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
        print(report(contenders, measured, place))
        if options.plot:
            plot(contenders, measured, place, options.plot)


if __name__ == "__main__":
    main()
