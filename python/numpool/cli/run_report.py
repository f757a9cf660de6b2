"""The summary of a run as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from numpool import format_size
from numpool.cli import console
from numpool.cli.run_summary import (
    LeakFigures,
    LineFigures,
    RunSummary,
    SampledFigures,
    SizeFigures,
    sentences,
)

BAR = 20
MOST_LINES = 20
"""The number of lines that the table of leaks shows."""
BOUNDS = [64, 512, 4 << 10, 32 << 10, 64 << 10]
"""The upper bounds of the chart's rows. Larger blocks have one more row."""


def render(summary: RunSummary, *, terminal: bool) -> str:
    """The summary, coloured on a terminal with colours unless NO_COLOR is set."""
    return console.render(report(summary), terminal=terminal)


def report(summary: RunSummary) -> RenderableType:
    """All parts of the summary, from top to bottom."""
    parts: list[RenderableType] = [Rule(title(summary), style="cyan"), figures(summary)]
    if summary.total_blocks:
        parts += [Text(), chart(summary.sizes)]
    if summary.leaks is not None:
        parts += [Text(), leaks(summary.leaks)]
    if summary.sampled is not None:
        parts += sampled(summary.sampled)
    for sentence in sentences(summary):
        parts += [Text(), Text(sentence, style="yellow")]
    return Group(*parts)


def render_leaks(figures: list[LeakFigures], *, terminal: bool) -> str:
    """What was in use at the end, without the rest of the summary."""
    return console.render(leaks(figures), terminal=terminal)


def leaks(figures: list[LeakFigures]) -> RenderableType:
    """What was in use at the end, line by line."""
    if not figures:
        return Text("No block was in use at the end.")
    title = Text("in use at the end, by the line that acquired it", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("bytes", justify="right")
    table.add_column("blocks", justify="right")
    table.add_column("line", overflow="fold")
    for one in figures[:MOST_LINES]:
        here = one.line.removeprefix(f"{Path.cwd()}/")
        table.add_row(format_size(one.size), count(one.blocks), here)
    if len(figures) > MOST_LINES:
        rest = figures[MOST_LINES:]
        size, blocks = sum(one.size for one in rest), sum(one.blocks for one in rest)
        table.add_row(format_size(size), count(blocks), f"{len(rest)} other lines")
    return Group(title, table)


def sampled(figures: SampledFigures) -> Iterator[RenderableType]:
    """The lines that held the most at the peak, and those that made the most temporaries."""
    yield Text()
    if not figures.holders:
        yield Text(f"No array was sampled: there is a sample each {format_size(figures.sample)}.")
        return
    yield by_line("at the peak, by the line that made the arrays", figures.holders)
    if figures.temporaries:
        yield Text()
        title = "arrays that ended within their own statement (out= saves them)"
        yield by_line(title, figures.temporaries)


def by_line(title: str, figures: list[LineFigures]) -> RenderableType:
    """A row for each line of the program."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for one in figures:
        file = one.file.removeprefix(f"{Path.cwd()}/")
        place = f"{file}:{one.line} in {one.function}" if one.line else "native code"
        table.add_row(format_size(one.size), f"{100 * one.share:.1f} %", place)
    return Group(Text(title, style="bold"), table)


def title(summary: RunSummary) -> Text:
    """The program, shortened to fit."""
    text = Text(f"numpool run {shlex.join(summary.program)}".splitlines()[0], style="bold")
    text.truncate(console.NARROW - 6, overflow="ellipsis")
    return text


def figures(summary: RunSummary) -> Table:
    """The single figures, in two columns of pairs."""
    table = Table.grid(padding=(0, 2))
    for style, width in (("cyan", None), ("", 37), ("cyan", None), ("", None)):
        table.add_column(style=style, min_width=width, no_wrap=True)
    for left, right in zip_longest(work(summary), memory(summary), fillvalue=("", "")):
        table.add_row(*left, *right)
    return table


def work(summary: RunSummary) -> Iterator[tuple[str, str]]:
    """The figures of time and requests, each with its name."""
    yield "run time", seconds(summary.seconds)
    if summary.installed:
        blocks = "1 block" if summary.total_blocks == 1 else f"{count(summary.total_blocks)} blocks"
        yield "NumPy asked for", f"{format_size(summary.total_bytes)} in {blocks}"
        yield "reused", f"{share(summary.reused, summary.total_blocks)} of the blocks"
    faults = count(summary.page_faults)
    if summary.major_page_faults:
        faults += f" ({count(summary.major_page_faults)} from disk)"
    yield "page faults", faults
    if summary.limit is not None:
        yield "limit", format_size(summary.limit)
    if summary.spill is not None and summary.spill.read is not None:
        yield "disk reads", format_size(summary.spill.read)
    if summary.shared is not None:
        arrays = "1 array" if summary.shared == 1 else f"{count(summary.shared)} arrays"
        yield "sent by sharing", f"{format_size(summary.shared_bytes)} in {arrays}"


def memory(summary: RunSummary) -> Iterator[tuple[str, str]]:
    """The figures of the memory, each with its name."""
    if summary.installed:
        yield "peak live", format_size(summary.peak_live)
        yield "live at end", format_size(summary.live)
        yield "peak held", format_size(summary.peak_held)
    yield "peak resident", format_size(summary.peak_resident)
    if summary.installed:
        yield "rounding", format_size(summary.rounded)
        yield "cached at end", format_size(summary.cached)
    if summary.spill is not None:
        yield "peak in file", format_size(summary.spill.peak)
        if summary.spill.written is not None:
            yield "disk writes", format_size(summary.spill.written)


def chart(sizes: list[SizeFigures]) -> Table:
    """A row for each range of sizes that was used, with a bar for its share of the blocks."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="", pad_edge=False)
    table.add_column("block size", style="cyan", no_wrap=True)
    table.add_column(width=BAR)
    for name in ("blocks", "asked for", "reused"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = in_rows(sizes)
    most = max(one.total_blocks for one in rows.values())
    for name, row in rows.items():
        bar = ProgressBar(total=most, completed=row.total_blocks, width=BAR, complete_style="cyan")
        reused = share(row.reused, row.total_blocks)
        table.add_row(name, bar, count(row.total_blocks), format_size(row.total_bytes), reused)
    return table


def in_rows(sizes: list[SizeFigures]) -> dict[str, SizeFigures]:
    """The figures of the size classes, added up for each row of the chart, small sizes first."""
    rows: dict[str, SizeFigures] = {}
    for bound in [*BOUNDS, 0]:
        below = max([one for one in BOUNDS if one < bound or bound == 0], default=0)
        inside = [
            one
            for one in sizes
            if (one.block_size == 0 if bound == 0 else below < one.block_size <= bound)
        ]
        if not inside:
            continue
        name = f"above {format_size(below)}" if bound == 0 else f"up to {format_size(bound)}"
        rows[name] = SizeFigures(
            bound,
            sum(one.total_blocks for one in inside),
            sum(one.total_bytes for one in inside),
            sum(one.reused for one in inside),
        )
    return rows


def count(number: int) -> str:
    """A count, shortened if it is large."""
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if number >= 10 * unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """A share in per cent. It is 100 % only if the part is the whole."""
    if part == whole:
        return "100 %" if whole else "none"
    return f"{min(99.9, 100 * part / whole):.1f} %"


def seconds(number: float) -> str:
    """A duration."""
    if number < 60:
        return f"{number:.2f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"
