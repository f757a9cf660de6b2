"""``numpool run --compare``: a program with NumPy's own allocator and on the pool, in turns.

Each run is a separate ``numpool run``, which writes its figures to a file.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpool import format_size

OWN = "NumPy's own"
CONTENDERS = {
    OWN: ("--pool", "none"),
    "the pool": (),
    "the pool, --tune-malloc": ("--tune-malloc",),
}
SAME = 0.03
"""A smaller relative difference counts as none."""


@dataclass(frozen=True)
class Spread:
    """Quartiles of all rounds."""

    median: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Half the middle half's width, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass(frozen=True)
class Contender:
    """The figures of one way to run the program."""

    name: str
    options: tuple[str, ...]
    seconds: Spread
    peak_resident: Spread
    page_faults: Spread


@dataclass(frozen=True)
class Comparison:
    """All ways to run the program; NumPy's own allocator is the first."""

    program: tuple[str, ...]
    rounds: int
    contenders: list[Contender]
    advice: str


class ProgramFailed(Exception):
    """The program did not reach its end, so there is nothing to compare."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def measure(
    program: Sequence[str], flags: Sequence[str], options: Sequence[str], *, rounds: int, tune: bool
) -> Comparison:
    """Run the program this many times each way, in turns, after one run as a warm-up."""
    ways = {name: way for name, way in CONTENDERS.items() if tune or "--tune-malloc" not in way}
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    names = list(ways)
    figures_of(program, flags, ways[OWN])
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            way = ways[name] if name == OWN else (*options, *ways[name])
            figures[name].append(figures_of(program, flags, way))
    contenders = [contender(name, ways[name], figures[name]) for name in names]
    return Comparison(tuple(program), rounds, contenders, advice(contenders))


def figures_of(
    program: Sequence[str], flags: Sequence[str], options: Sequence[str]
) -> dict[str, Any]:
    """The figures of one run, whose output is discarded. Raises ProgramFailed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("NUMPOOL_")
    }
    with tempfile.TemporaryDirectory(prefix="numpool-compare-") as folder:
        file = Path(folder) / "figures.json"
        ours = ["-m", "numpool", "run", "--quiet", "--json", str(file), *options, "--"]
        done = subprocess.run(
            [sys.executable, *flags, *ours, *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            check=False,
        )
        how = " ".join(options) or "the pool"
        if done.returncode != 0:
            raise ProgramFailed(
                done.returncode,
                f"the program ended with {done.returncode} ({how}):\n{done.stderr.rstrip()}",
            )
        if not file.exists():
            raise ProgramFailed(1, f"the program ended by os._exit(), without figures ({how})")
        figures: dict[str, Any] = json.loads(file.read_text())
        return figures


def contender(name: str, options: tuple[str, ...], runs: list[dict[str, Any]]) -> Contender:
    """The quartiles of all its runs."""
    return Contender(
        name,
        options,
        spread([run["seconds"] for run in runs]),
        spread([run["peak_resident"] for run in runs]),
        spread([run["page_faults"] for run in runs]),
    )


def spread(values: Sequence[float]) -> Spread:
    """The quartiles of at least three figures."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def advice(contenders: Sequence[Contender]) -> str:
    """One or two sentences on the options to use."""
    own, *others = contenders
    best = min(others, key=lambda one: one.seconds.median)
    # The fewest options that are about as fast.
    chosen = next(one for one in others if one.seconds.median <= best.seconds.median * (1 + SAME))
    faster = own.seconds.median / chosen.seconds.median
    memory = chosen.peak_resident.median / own.peak_resident.median
    command = " ".join(("numpool run", *chosen.options))
    if faster > 1 + SAME and chosen.seconds.high < own.seconds.low:
        return (
            f"Use {command}: it is {faster:.2f} times as fast as NumPy's own allocator, with "
            f"{memory:.2f} times its peak memory "
            f"({format_size(int(chosen.peak_resident.median))})."
        )
    if faster < 1 - SAME and chosen.seconds.low > own.seconds.high:
        return "Use NumPy's own allocator: the pool makes this program slower."
    return "No difference beyond chance: this program spends little time in NumPy's allocator."
