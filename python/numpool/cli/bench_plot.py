"""The timings as a picture.

matplotlib is an extra, so its types are Any: the type checker must pass without it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from numpool import format_size
from numpool.cli.bench_report import NAMES, heading
from numpool.cli.timings import Table, Timings

STYLES: dict[str, dict[str, Any]] = {
    "default": {"color": "#555555", "marker": "o"},
    "mallopt": {"color": "#E69F00", "marker": "s"},
    "numpool": {"color": "#0072B2", "marker": "D", "linewidth": 2.2},
    "limit": {"color": "#000000", "marker": "^", "linestyle": "--"},
}
"""The colours of Okabe and Ito, which colour-blind readers can tell apart, and a shape for each."""


def check(file: Path) -> None:
    """Raise ValueError if no such picture can be drawn."""
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
    """Draw the timings into a file. Its ending gives the format."""
    save(figure_of(timings), file)


def save(figure: Any, file: Path) -> None:
    """Write the figure. Text in an SVG stays text, which takes a tenth of the size of outlines."""
    with import_module("matplotlib").rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, dpi=120)


def figure_of(timings: Timings) -> Any:
    """A panel for each operation, and one legend below all panels."""
    columns = min(2, len(timings.tables))
    rows = -(-len(timings.tables) // columns)
    figure = import_module("matplotlib.figure").Figure(
        figsize=(5.5 * columns, 4 * rows + 0.9), layout="constrained"
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, table in zip(panels, timings.tables, strict=False):
        draw_table(panel, table)
    for panel in panels[len(timings.tables) :]:
        panel.set_visible(False)
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(
        handles=[lines[name] for name in NAMES.values() if name in lines],
        loc="outside lower center",
        ncols=len(NAMES),
        frameon=False,
    )
    machine, versions = timings.machine, timings.machine.versions
    figure.suptitle(
        "Speed of NumPy on each allocator: medians, and the middle half of all rounds shaded\n"
        f"{machine.processor}, {machine.cores} cores; {versions.kernel}; NumPy {versions.numpy}, "
        f"numpool {versions.numpool}",
        fontsize=10,
    )
    return figure


def draw_table(panel: Any, table: Table) -> None:
    """Each contender's speed relative to NumPy's own, with the middle half of rounds shaded."""
    places = range(len(table.rows))
    for name in (name for name in NAMES if name in table.rows[0].timings):
        pairs = [(row.timings["default"], row.timings[name]) for row in table.rows]
        style = STYLES[name]
        panel.plot(
            places,
            [base.median / one.median for base, one in pairs],
            label=NAMES[name],
            markersize=5,
            **style,
        )
        panel.fill_between(
            places,
            [base.median / one.high for base, one in pairs],
            [base.median / one.low for base, one in pairs],
            color=style["color"],
            alpha=0.15,
            linewidth=0,
        )
    panel.set_yscale("log", base=2)
    panel.yaxis.set_major_formatter("{x:g}x")
    # The axis does not fit all data, so it may cut shades off. Otherwise a few percent of noise
    # would look like a difference, and one slow round would hide the others.
    medians = [value for line in panel.get_lines() for value in line.get_ydata()]
    panel.set_ylim(min(0.5, *medians) / 1.2, max(2, *medians) * 1.2)
    panel.set(
        title=heading(table),
        xlabel="size of each array",
        ylabel="times NumPy's own speed",
    )
    # Equal distances between sizes give their names equal room.
    panel.set_xticks(places, [format_size(row.size) for row in table.rows], rotation=45, ha="right")
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)
