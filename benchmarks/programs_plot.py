"""The figures of whole programs as a picture: a line for each program, a mark for each contender.

matplotlib is an extra, so its types are Any: the type checker must pass without it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from numpool.cli.bench_plot import save

MARKS = {
    "numpool": ("#0072B2", "D"),
    "numpool, tune_malloc": ("#56B4E9", "d"),
    "glibc, mallopt": ("#E69F00", "s"),
    "mimalloc": ("#009E73", "^"),
    "jemalloc": ("#CC79A7", "v"),
    "tcmalloc": ("#D55E00", "X"),
}
"""Okabe and Ito's colours, for colour-blind readers, too; shapes need no colour."""


@dataclass(frozen=True)
class Standing:
    """A contender's speed and peak memory in each program, relative to default NumPy."""

    speed: list[float]
    memory: list[float]


def draw(programs: Sequence[str], standings: Mapping[str, Standing], said: str, file: Path) -> None:
    """Draw the figures into a file. Its ending gives the format."""
    save(figure_of(programs, standings, said), file)


def figure_of(programs: Sequence[str], standings: Mapping[str, Standing], said: str) -> Any:
    """Speed beside memory, from the first program down to the geometric means."""
    figure = import_module("matplotlib.figure").Figure(
        figsize=(11, 2.4 + 0.29 * len(programs)), layout="constrained"
    )
    speed, memory = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = [*programs, "geometric mean"]
    for name, standing in standings.items():
        color, marker = MARKS[name]
        ours = name == "numpool"
        for panel, values in ((speed, standing.speed), (memory, standing.memory)):
            panel.scatter(
                [*values, statistics.geometric_mean(values)],
                range(len(rows)),
                color=color,
                marker=marker,
                s=52 if ours else 34,
                # numpool's mark is on top and has a rim, so that readers find it at once.
                zorder=4 if ours else 3,
                edgecolors="black" if ours else "none",
                linewidths=0.8,
                label=name,
            )
    ticker = import_module("matplotlib.ticker")
    for panel, ticks in (
        (speed, (0.25, 0.5, 0.7, 1, 1.4, 2, 3, 4, 6)),
        (memory, (0.5, 0.7, 0.85, 1, 1.2, 1.4, 1.7, 2)),
    ):
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_locator(ticker.FixedLocator(ticks))
        panel.xaxis.set_major_formatter("{x:g}x")
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        panel.axvline(1, color="black", linewidth=1, linestyle="--", zorder=1)
        panel.axhline(len(programs) - 0.5, color="black", linewidth=0.8)
        panel.grid(alpha=0.3)
        panel.tick_params(labelsize=8.5)
    speed.set_yticks(range(len(rows)), rows)
    speed.set_ylim(len(rows) - 0.5, -0.5)
    speed.set(
        title="speed: right is better",
        xlabel="times as fast as default NumPy",
        ylabel="whole program",
    )
    memory.set(title="memory: left is better", xlabel="peak RSS, to default NumPy's")
    handles, names = speed.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    figure.suptitle(
        f"Whole programs on each allocator; the dashed line is default NumPy\n{said}", fontsize=10
    )
    return figure
