"""A loop of a thousand steps a second with NumPy's temporaries: the time of the slowest steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from markdown import table

from claims import Claim, change, quantile

if TYPE_CHECKING:
    from contenders import Contenders

LIMIT = "out=, no temporaries"
PERIOD = 0.001
Array = np.ndarray[Any, Any]


def with_temporaries(scan: Array, grid: Array, gains: Array) -> float:
    """Smooth a scan, update a map of 256 KiB, and compute a command."""
    smooth = (scan[:-2] + scan[1:-1] + scan[2:]) / 3
    near = np.where(smooth < 0.2, 1.0, 0.0)
    fresh = grid * 0.98 + 0.02 * (grid > 0.5)
    slope = np.abs(np.diff(fresh, axis=0))
    grid[:] = fresh
    return float(near.sum() + slope.max() + (gains @ scan[:64]).sum())


class WithoutTemporaries:
    """The same work into arrays that exist already."""

    def __init__(self, scan: Array, grid: Array) -> None:
        self.smooth, self.near = np.empty(len(scan) - 2), np.empty(len(scan) - 2)
        self.is_near = np.empty(len(scan) - 2, bool)
        self.fresh, self.occupied = np.empty_like(grid), np.empty(grid.shape, bool)
        self.share, self.slope = np.empty_like(grid), np.empty_like(grid[1:])
        self.command = np.empty(64)

    def __call__(self, scan: Array, grid: Array, gains: Array) -> float:
        np.add(scan[:-2], scan[1:-1], out=self.smooth)
        np.add(self.smooth, scan[2:], out=self.smooth)
        np.divide(self.smooth, 3, out=self.smooth)
        np.less(self.smooth, 0.2, out=self.is_near)
        self.near[:] = self.is_near
        np.multiply(grid, 0.98, out=self.fresh)
        np.greater(grid, 0.5, out=self.occupied)
        np.multiply(self.occupied, 0.02, out=self.share)
        np.add(self.fresh, self.share, out=self.fresh)
        np.subtract(self.fresh[1:], self.fresh[:-1], out=self.slope)
        np.abs(self.slope, out=self.slope)
        grid[:] = self.fresh
        np.matmul(gains, scan[:64], out=self.command)
        return float(self.near.sum() + self.slope.max() + self.command.sum())


def run(contender: str, seconds: float) -> list[float]:
    """p50, p99, p99.99 and the worst of the steps' seconds, and how many steps there were."""
    random = np.random.default_rng(20)
    scan, gains = random.random(4096), random.random((64, 64))
    grid = random.random((256, 256), dtype="f4")
    step = WithoutTemporaries(scan, grid) if contender == LIMIT else with_temporaries
    took = []
    following = time.perf_counter()
    end = following + seconds
    while following < end:
        following = max(following + PERIOD, time.perf_counter())
        time.sleep(max(0.0, following - time.perf_counter()))
        start = time.perf_counter()
        step(scan, grid, gains)
        took.append(time.perf_counter() - start)
    took.sort()
    return [*(quantile(took, share) for share in (0.5, 0.99, 0.9999, 1)), len(took)]


def measured(all_of: Contenders) -> str:
    rows = []
    for name in all_of.names:
        figures = [all_of.seconds(name, "control_loop", i) for i in range(5)]
        cells = [f"{1e6 * one.median:.0f} ±{1e6 * one.spread:.0f}" for one in figures[:4]]
        rows.append([name, *cells, f"{figures[4].median:,.0f}"])
    head = ["µs a step", "p50", "p99", "p99.99", "worst", "steps"]
    lines = []
    for place, name in ((0, "p50"), (2, "p99.99")):
        own, pool, limit = (
            all_of.seconds(one, "control_loop", place).median
            for one in ("default", "numpool", LIMIT)
        )
        lines.append(
            f"{name}: {change(pool, own)} with the pool, {change(limit, own)} where nothing is "
            "allocated."
        )
    return table(head, rows) + "\n".join(lines)


CLAIM = Claim(
    title="A control loop of 1 kHz with NumPy temporaries",
    claimed="control loops: from tens of milliseconds to a few",
    contenders=("default", "numpool", "glibc, mallopt", LIMIT),
    amount=10.0,
    run=run,
    measured=measured,
    why="""\
No allocator takes tens of milliseconds: the claim is about systems that page, compact or collect in
between. Default NumPy pays for glibc's trimming here. When a step's temporaries at the top of the
heap are freed, their pages go back to the kernel, and the next step faults them in again: some 400
page faults a step, and none on the pool. That slows the median step; mallopt prevents it as a pool
does. In the slowest steps the scheduler or the hypervisor took the processor away. The loop that
allocates nothing has them, too, so the worst step says more about the machine.""",
)
