"""Whole programs as users write them, for ``whole_programs.py``.

Each is a function that does its work a number of times and returns a figure of its result, which
must be the same on each allocator. A module is imported only in a process that runs one of its
programs, so that pandas takes no memory in the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec


@dataclass(frozen=True)
class Program:
    """The place of a program, and how many times it does its work: for about a second."""

    place: str
    steps: int
    needs: str = "numpy"

    def installed(self) -> bool:
        """Whether the package that the program needs is installed."""
        return find_spec(self.needs) is not None

    def load(self) -> Callable[[int], float]:
        """The function itself."""
        module, _, name = self.place.partition(".")
        function: Callable[[int], float] = getattr(import_module(f"programs.{module}"), name)
        return function


PROGRAMS = {
    "video: tone curve, 1080p": Program("frames.tone_curve", 20),
    "video: background, 720p": Program("frames.background", 90),
    "photos of all sizes": Program("frames.gallery", 9),
    "rolls and gradients": Program("frames.edges", 35),
    "image filters (SciPy)": Program("images.filters", 14, "scipy"),
    "segmentation (SciPy)": Program("images.segmentation", 20, "scipy"),
    "fftconvolve (SciPy)": Program("signals.convolution", 10, "scipy"),
    "spectrograms (SciPy)": Program("signals.spectrograms", 10, "scipy"),
    "DataFrame arithmetic (pandas)": Program("tables.arithmetic", 25, "pandas"),
    "rolling windows (pandas)": Program("tables.rolling", 18, "pandas"),
    "group and merge (pandas)": Program("tables.group_and_merge", 10, "pandas"),
    "option pricing (SciPy)": Program("finance.options", 8, "scipy"),
    "Monte Carlo paths": Program("finance.paths", 30),
    "heat equation, 2D stencil": Program("physics.heat", 40),
    "waves, 3D stencil": Program("physics.waves", 20),
    "n-body by broadcasting": Program("physics.bodies", 24),
    "time steps, all freed": Program("physics.time_steps", 20),
    "minibatch gathers": Program("learning.minibatches", 100),
    "k-means": Program("learning.k_means", 12),
    "histograms": Program("learning.histograms", 8),
    "linear algebra": Program("learning.least_squares", 50),
    "bursts": Program("traffic.bursts", 9),
    "drifting sizes": Program("traffic.drifting_sizes", 7),
    "small arrays": Program("traffic.small_arrays", 4),
}
