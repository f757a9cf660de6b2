"""The report of a run of races, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markdown import figure, table
from memory_peaks import Peak
from paired import Paired, confidence
from surroundings import busy

import numpool
from numpool.cli.bench_report import time
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
    """A table for each group. The meaning of the columns comes last, where a terminal shows it."""
    parts = [
        table(
            [group, "time", "ratio", "lies between", "peak"],
            [[row.name, time(summed_up(row.seconds)), *ratio(row), memory(row.peak)] for row in of],
        )
        for group, of in groupby(rows, lambda row: row.group)
    ]
    parts.append(explained(rows, sittings, seconds, others))
    parts += [
        f"The peak of {row.name} in {row.group!r} is unknown: {row.peak.unknown}"
        for row in rows
        if row.peak.unknown
    ]
    return "\n".join(parts) + "\n"


def explained(rows: Sequence[Row], sittings: int, seconds: float, others: float) -> str:
    times = "1 sitting" if sittings == 1 else f"{sittings} sittings"
    lines = [
        f"{times} in {seconds:.0f} s. {busy(others)}",
        "A ratio is to the reference's time in the same round.",
        "It is the median of a sitting's rounds, and then of the sittings.",
    ]
    widths = [row.paired.width for row in rows if row.name != row.reference]
    if sittings == 1:
        lines.append("One sitting says nothing about its spread.")
    elif widths:
        lines.append(
            f"It lies between those two with {confidence(sittings):.0%}. Half of these spreads "
            f"are within ±{statistics.median(widths):.1%}."
        )
    lines.append(
        "The peak is by how much the peak of resident memory rises, from setting a contender up to "
        "the end of its turns, in a process of its own."
    )
    return "\n".join(lines)


def memory(peak: Peak) -> str:
    return "unknown" if peak.rise is None else numpool.format_size(peak.rise)


def ratio(row: Row) -> tuple[str, str]:
    if row.name == row.reference:
        return "reference", ""
    low, high = figure(row.paired.low), figure(row.paired.high)
    return figure(row.paired.ratio), "" if low == high else f"{low} to {high}"
