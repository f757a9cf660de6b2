"""What a run of races states, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from markdown import figure
from memory_peaks import Peak
from paired import Paired, confidence
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text
from surroundings import busy

import numpool
from numpool.cli.bench_report import time
from numpool.cli.console import render
from numpool.cli.timings import summed_up


@dataclass(frozen=True)
class Row:
    """One contender."""

    group: str
    name: str
    reference: str
    seconds: list[float]
    """Of one call, in each turn."""
    paired: Paired
    peak: Peak


def report(rows: Sequence[Row], sittings: int, seconds: float, others: float) -> str:
    """By group; what the columns mean comes last, where a terminal's reader is."""
    parts: list[RenderableType] = []
    for group, of_group in groupby(rows, lambda row: row.group):
        parts += [Text(group), table(of_group)]
    times = "1 sitting" if sittings == 1 else f"{sittings} sittings"
    explained = (
        f"{times} in {seconds:.0f} s. {busy(others)} A ratio is to the reference's time in the "
        "same round: the median of a sitting's rounds, and of all sittings. "
    )
    widths = [row.paired.width for row in rows if row.name != row.reference]
    if sittings == 1:
        explained += "One sitting says nothing about its spread."
    elif widths:
        explained += (
            f"It lies between those two with {confidence(sittings):.0%}. Half of these spreads "
            f"are within ±{statistics.median(widths):.1%}."
        )
    explained += (
        " The bytes are those by which the peak of resident memory rises, from setting a contender "
        "up to the end of its turns, in a process of its own."
    )
    parts.append(Text("\n" + explained))
    parts += [
        Text(f"The peak of {row.name} in {row.group!r} is unknown: {row.peak.unknown}")
        for row in rows
        if row.peak.unknown
    ]
    return render(Group(*parts))


def table(rows: Iterable[Row]) -> Table:
    """One group."""
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    for width, side in (
        (33, "left"),
        (13, "right"),
        (8, "right"),
        (9, "right"),
        (13, "left"),
    ):
        grid.add_column(width=width, justify=cast("JustifyMethod", side), no_wrap=True)
    for row in rows:
        grid.add_row(f"  {row.name}", time(summed_up(row.seconds)), memory(row.peak), *ratio(row))
    return grid


def memory(peak: Peak) -> str:
    return "unknown" if peak.rise is None else numpool.format_size(peak.rise)


def ratio(row: Row) -> tuple[str, str]:
    if row.name == row.reference:
        return "reference", ""
    low, high = figure(row.paired.low), figure(row.paired.high)
    return figure(row.paired.ratio), "" if low == high else f"{low}-{high}"
