"""The timings as a picture.

matplotlib is an extra: nothing is said of its types, so that checks do without it, too.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from numpool import format_size
from numpool.cli.bench_report import NAMES, heading
from numpool.cli.timings import Table, Timings

COLOURS = {"default": "tab:red", "mallopt": "tab:orange", "numpool": "tab:blue", "limit": "black"}


def check(file: Path) -> None:
    """Raise ValueError where no such picture can be drawn."""
    try:
        backends = import_module("matplotlib.backend_bases")
    except ImportError:
        raise ValueError(
            "matplotlib is not installed; it comes with pip install 'numpool[plot]'"
        ) from None
    kinds = backends.FigureCanvasBase.get_supported_filetypes()
    if file.suffix[1:].lower() not in kinds:
        raise ValueError(f"{file.name} must end in one of .{', .'.join(sorted(kinds))}")


def draw(timings: Timings, file: Path) -> None:
    """A panel for each work."""
    columns = min(2, len(timings.tables))
    rows = -(-len(timings.tables) // columns)
    figure = import_module("matplotlib.figure").Figure(
        figsize=(6 * columns, 4 * rows), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, table in zip(panels, timings.tables, strict=False):
        draw_table(panel, table)
    for panel in list(panels)[len(timings.tables) :]:
        panel.set_visible(False)
    versions = timings.machine.versions
    figure.suptitle(
        f"{timings.machine.processor}, {versions.kernel}, NumPy {versions.numpy}, numpool "
        f"{versions.numpool}",
        fontsize=9,
    )
    figure.savefig(file, dpi=150)


def draw_table(panel: Any, table: Table) -> None:
    """How many times as fast as NumPy's own each is, with the middle half of all rounds shaded."""
    sizes = [row.size for row in table.rows]
    for name in (name for name in NAMES if name in table.rows[0].timings):
        pairs = [(row.timings["default"], row.timings[name]) for row in table.rows]
        panel.plot(
            sizes,
            [base.median / one.median for base, one in pairs],
            color=COLOURS[name],
            linestyle="--" if name == "limit" else "-",
            marker=".",
            label=NAMES[name],
        )
        panel.fill_between(
            sizes,
            [base.median / one.high for base, one in pairs],
            [base.median / one.low for base, one in pairs],
            color=COLOURS[name],
            alpha=0.15,
        )
    panel.set_xscale("log")
    panel.set_yscale("log", base=2)
    panel.yaxis.set_major_formatter("{x:g}x")
    panel.set(title=heading(table), ylabel="times as fast as NumPy's own")
    panel.set_xticks(sizes, [format_size(size) for size in sizes], rotation=45, fontsize=7)
    panel.minorticks_off()
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
