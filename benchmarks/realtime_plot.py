"""The times of a real-time loop's steps as a picture: a histogram for each contender.

matplotlib is an extra, so its types are Any: the type checker must pass without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime_worker import LIMIT, REALTIME

from numpool.cli.bench_plot import save

if TYPE_CHECKING:
    from realtime import Steps

COLORS = {
    "default": "#555555",
    "glibc, mallopt": "#E69F00",
    REALTIME: "#0072B2",
    LIMIT: "#009E73",
}
BUCKETS_A_DECADE = 25


def draw(panels: Mapping[str, Mapping[str, Steps]], said: str, file: Path) -> None:
    """Draw the histograms into a file. Its ending gives the format."""
    save(figure_of(panels, said), file)


def histogram(nanoseconds: Sequence[int]) -> dict[int, int]:
    """The number of steps in each bucket of a logarithmic scale."""
    counts: dict[int, int] = {}
    for one in nanoseconds:
        bucket = math.floor(BUCKETS_A_DECADE * math.log10(max(one, 1)))
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def figure_of(panels: Mapping[str, Mapping[str, Steps]], said: str) -> Any:
    """A panel for each condition, one above the other."""
    figure = import_module("matplotlib.figure").Figure(
        figsize=(9, 2.9 * len(panels) + 0.9), layout="constrained"
    )
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (title, measured) in zip(rows, panels.items(), strict=True):
        for name, steps in measured.items():
            counts = histogram(steps.nanoseconds)
            buckets = range(min(counts) - 1, max(counts) + 2)
            panel.stairs(
                [counts.get(bucket, 0) for bucket in buckets],
                [10 ** (edge / BUCKETS_A_DECADE - 3) for edge in (*buckets, buckets[-1] + 1)],
                color=COLORS[name],
                linewidth=2.2 if name == REALTIME else 1.3,
                label=f"{name}: {sum(steps.faults):,} page faults",
                # A bucket without steps has no logarithm.
                baseline=0.5,
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_ylim(0.7)
        panel.set(title=title, ylabel="steps")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=8.5, loc="upper right")
    rows[-1].set_xlabel("time of a step, µs")
    figure.suptitle(said, fontsize=10)
    return figure
