"""Whether two saved runs of the benchmarks agree within their stated spreads.

    pytest benchmarks --benchmark-only --benchmark-save=before
    pytest benchmarks --benchmark-only --benchmark-save=after
    python benchmarks/agreement.py before after

A run is a file, or the name or number under which pytest-benchmark saved it in .benchmarks/. Two
ratios agree if their stated spreads overlap. The exit status is 0 if all agree, 1 if some do not,
and 2 if nothing can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paired import Paired
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from numpool.cli.console import render

STORED = Path(".benchmarks")


class NotComparable(Exception):
    """Says what is wrong with the runs, and what to do."""


@dataclass(frozen=True)
class Stated:
    """A row of a run."""

    group: str
    contender: str
    reference: str
    paired: Paired

    @classmethod
    def of(cls, benchmark: dict[str, Any]) -> Stated:
        info = benchmark["extra_info"]
        paired = Paired(info["ratio"], info["low"], info["high"])
        return cls(benchmark["group"], info["contender"], info["reference"], paired)

    @property
    def place(self) -> tuple[str, str, str]:
        return self.group, self.contender, self.reference


Run = dict[tuple[str, str, str], Stated]


def find(name: str) -> Path:
    """The file, or the newest run with this name or number."""
    if Path(name).is_file():
        return Path(name)
    saved = sorted(STORED.glob("*/*.json"))
    numbered = {file: file.stem.partition("_")[::2] for file in saved}
    if found := [file for file, names in numbered.items() if name in (*names, file.stem)]:
        return max(found, key=lambda file: file.stat().st_mtime)
    there = ", ".join(file.stem for file in saved) or "none"
    raise NotComparable(
        f"{name}: there is no such file, and no run of that name in {STORED}/ (saved: {there}); "
        f"save one with: pytest benchmarks --benchmark-only --benchmark-save={Path(name).stem}"
    )


def load(name: str) -> Run:
    """The rows of a run, without the references."""
    file = find(name)
    try:
        benchmarks = json.loads(file.read_text())["benchmarks"]
        raced = [one for one in benchmarks if "ratio" in one["extra_info"]]
        rows = [Stated.of(one) for one in raced]
        sittings = min((len(one["extra_info"]["sittings"]) for one in raced), default=0)
    except (ValueError, KeyError, TypeError) as wrong:
        raise NotComparable(f"{file} is no run of pytest-benchmark: {wrong!r}") from wrong
    if not rows:
        raise NotComparable(
            f"{file} states no ratio: none of its {len(benchmarks)} benchmarks took turns"
        )
    if sittings == 1:
        raise NotComparable(
            f"{file} is of one sitting, which says nothing about its spread: run it with more"
        )
    return {row.place: row for row in rows if row.contender != row.reference}


def compare(before: Run, after: Run) -> tuple[list[tuple[Stated, Stated]], int]:
    """The rows that both runs have, and the number of rows that only one has."""
    common = [(row, after[place]) for place, row in before.items() if place in after]
    if not common:
        one, other = (
            "; ".join(dict.fromkeys(map(heading, run.values()))) or "none"
            for run in (before, after)
        )
        raise NotComparable(f"the runs have no ratio in common: one has {one}; the other {other}")
    return common, len(before.keys() ^ after.keys())


def heading(row: Stated) -> str:
    return f"{row.group}, to {row.reference}"


def report(pairs: list[tuple[Stated, Stated]], alone: int) -> RenderableType:
    """A line for each contender, and a summary."""
    parts: list[RenderableType] = []
    groups: dict[str, Table] = {}
    for before, after in pairs:
        if (group := heading(before)) not in groups:
            grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
            for width in (33, 25, 25, 12):
                grid.add_column(width=width, no_wrap=True)
            groups[group] = grid
            parts += [Text(group), grid]
        said = "" if before.paired.agrees(after.paired) else "do not agree"
        groups[group].add_row(f"  {before.contender}", str(before.paired), str(after.paired), said)
    widths = [row.paired.width for pair in pairs for row in pair]
    agree = sum(one.paired.agrees(other.paired) for one, other in pairs)
    summary = (
        f"\n{agree} of {len(pairs)} ratios agree within their stated spreads; half of these are "
        f"within ±{statistics.median(widths):.1%}, the widest ±{max(widths):.1%}."
    )
    if alone:
        summary += f" {alone} in only one of the runs."
    return Group(*parts, Text(summary))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="a run: its file, name or number")
    parser.add_argument("after", help="a later one")
    options = parser.parse_args()
    try:
        pairs, alone = compare(load(options.before), load(options.after))
    except NotComparable as wrong:
        parser.error(str(wrong))
    print(render(report(pairs, alone), width=100), end="")
    return 0 if all(one.paired.agrees(other.paired) for one, other in pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
