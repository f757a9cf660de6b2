"""The timings as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from numpool import format_size
from numpool.cli.timings import Row, Table, Timing, Timings

NAMES = {
    "default": "NumPy",
    "mallopt": "glibc, mallopt",
    "numpool": "numpool",
    "limit": "np.add(out=)",
}
SAME = 0.03
"""A smaller relative difference counts as none."""
NOISE = 0.3
"""A row is noise if a spread is above this share of the median."""


def report(timings: Timings) -> RenderableType:
    """The machine, a table for each operation, and a summary."""
    machine, versions = timings.machine, timings.machine.versions
    where = (
        f"{machine.processor}, {machine.cores} cores, {format_size(machine.memory.total)}; "
        f"{versions.kernel}, {versions.libc}; {versions.python} {versions.gil}, "
        f"NumPy {versions.numpy}, numpool {versions.numpool}"
    )
    parts: list[RenderableType] = [Text(where, style="dim")]
    for table in timings.tables:
        parts += [Text(), Text(heading(table), style="bold"), grid(table)]
        parts += [Text(sentence) for sentence in sentences(table)]
    parts += [Text(), Text(f"measured in {timings.seconds:.0f} s", style="dim")]
    return Group(*parts)


def heading(table: Table) -> str:
    """The name of the operation, with its statement."""
    if table.work == table.statement:
        return table.statement
    return f"{table.work}: {table.statement}"


def grid(table: Table) -> Grid:
    """A row for each size, a column for each contender, and the pool's gains."""
    names = [name for name in NAMES if name in table.rows[0].timings]
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="", pad_edge=False)
    grid.add_column("bytes", style="cyan", justify="right", no_wrap=True)
    for name in names:
        grid.add_column(NAMES[name], justify="right", no_wrap=True)
    grid.add_column("faster", justify="right", no_wrap=True)
    for row in table.rows:
        times = [time(row.timings[name]) for name in names]
        faster = Text("noise", style="dim") if noisy(row) else gain(row.faster())
        grid.add_row(format_size(row.size), *times, faster)
    return grid


def time(timing: Timing) -> str:
    """A median with its spread."""
    for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if timing.median >= unit or name == "ns":
            break
    number = timing.median / unit
    digits = max(0, 2 - math.floor(math.log10(number))) if number < 100 else 0
    return f"{number:.{digits}f} {name} ±{100 * timing.spread:.0f}%"


def gain(times: float) -> Text:
    """A gain, coloured if it counts as a difference."""
    style = "green" if times > 1 + SAME else "red" if times < 1 - SAME else ""
    return Text(f"{times:.2f}x", style=style)


def sentences(table: Table) -> Iterator[str]:
    """The summary of the tables."""
    rows = [row for row in table.rows if not noisy(row)]
    noise = [format_size(row.size) for row in table.rows if noisy(row)]
    if noise:
        yield (
            f"Left out of the average, because times vary by more than {100 * NOISE:.0f} %: "
            f"{', '.join(noise)}. The machine was busy, or is small: measure again."
        )
    if not rows:
        return
    over = {
        name: math.exp(sum(math.log(row.faster(name)) for row in rows) / len(rows))
        for name in ("default", "mallopt")
    }
    yield (
        f"Geometric mean: {over['default']:.2f} times as fast as NumPy's own allocator, and "
        f"{over['mallopt']:.2f} times as fast as glibc with mallopt."
    )
    slower = [format_size(row.size) for row in rows if loses(row)]
    if slower:
        yield f"The pool is slower than NumPy's own allocator at {', '.join(slower)}."


def noisy(row: Row) -> bool:
    """Whether the times of a contender vary so much that their ratio means nothing."""
    return any(timing.spread > NOISE for timing in row.timings.values())


def loses(row: Row) -> bool:
    """Whether the pool is slower, and the middle halves do not overlap."""
    own, pool = row.timings["default"], row.timings["numpool"]
    return row.faster() < 1 - SAME and pool.low > own.high
