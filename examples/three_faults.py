"""A program that needs more memory than it should, for three reasons.

``numpool run --sample 256KiB examples/three_faults.py`` names the three lines.
"""

import numpy as np

cache: dict[int, np.ndarray] = {}


def smooth(step: int) -> np.ndarray:
    """A cache that only grows: every step has a key of its own."""
    if step not in cache:
        cache[step] = np.full(200_000, float(step))  # 1: never leaves the cache
    return cache[step]


def brightness(frame: np.ndarray) -> float:
    """Makes an array only to add it up."""
    return float(np.sum(frame * 0.5 + 1.0))  # 2: a temporary in a loop


def header() -> np.ndarray:
    """Returns ten numbers, and keeps two million alive."""
    table = np.zeros(2_000_000)  # 3: the view below keeps all of it alive
    table[:] = 1.0
    return table[:10]


headers = [header() for _ in range(2)]
total = sum(brightness(smooth(step)) for step in range(60))
print(f"{total:.0f}, {len(headers)} headers")
