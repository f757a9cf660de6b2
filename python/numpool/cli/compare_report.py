"""A comparison as a table."""

from __future__ import annotations

import shlex

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from numpool import format_size
from numpool.cli.compare import SAME, Comparison, Contender, Spread
from numpool.cli.run_report import count, seconds


def report(comparison: Comparison) -> RenderableType:
    """A row for each way to run the program, and the options to use."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="", pad_edge=False)
    table.add_column("allocator", style="cyan", no_wrap=True)
    for name in ("time", "peak memory", "page faults", "faster"):
        table.add_column(name, justify="right", no_wrap=True)
    own = comparison.contenders[0]
    for one in comparison.contenders:
        table.add_row(
            one.name,
            with_spread(seconds(one.seconds.median), one.seconds),
            with_spread(format_size(int(one.peak_resident.median)), one.peak_resident),
            with_spread(count(int(one.page_faults.median)), one.page_faults),
            Text("" if one is own else faster(own, one)),
        )
    program = shlex.join(comparison.program).splitlines()[0]
    title = Text(f"{program}: medians of {comparison.rounds} rounds, in turns", style="bold")
    title.truncate(80, overflow="ellipsis")
    return Group(title, table, Text(), Text(comparison.advice))


def with_spread(text: str, spread: Spread) -> str:
    """A median with its spread: half the width of the middle half of all rounds."""
    return f"{text} ±{100 * spread.share:.0f}%"


def faster(own: Contender, one: Contender) -> str:
    """The speed relative to NumPy's own allocator, in brackets if it may be chance."""
    times = own.seconds.median / one.seconds.median
    apart = one.seconds.high < own.seconds.low or one.seconds.low > own.seconds.high
    text = f"{times:.2f}x"
    return text if apart and abs(times - 1) > SAME else f"({text})"
