"""Hard cases for allocators: bursts, sizes that drift, and very many small arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MIB = 2**20


def bursts(steps: int) -> float:
    """Six hundred requests of 4 KiB to 1 MiB live at once, and then none."""
    random = np.random.default_rng(19)
    total = 0.0
    for _ in range(steps):
        sizes = (4096 * 256 ** random.random(600) / 8).astype(int).tolist()
        live = [np.full(size, 1.0) for size in sizes]
        answers = [one * 2 for one in live]
        total += sum(float(answer[-1]) for answer in answers)
        del live, answers
    return total


def drifting_sizes(steps: int) -> float:
    """Phases of arrays whose sizes drift from 1 to 64 MiB, 250 MB of them live."""
    random = np.random.default_rng(1)
    total = 0.0
    for phase in range(steps):
        size = (1 << (phase % 7)) * MIB // 8
        live: list[Array] = []
        for _ in range(2 * max(4, 250 * MIB // 8 // size)):
            live.append(np.full(int(size * random.uniform(0.7, 1.3)), 1.0))
            while sum(array.nbytes for array in live) > 250 * MIB:
                live.pop(int(random.integers(len(live))))
        total += sum(array.size for array in live)
    return total


def small_arrays(steps: int) -> float:
    """Fifty thousand small arrays a step, of which ten thousand are live."""
    random = np.random.default_rng(3)
    live: list[Array] = [np.ones(4)] * 10_000
    for _ in range(steps):
        for place, size in zip(
            random.integers(10_000, size=50_000).tolist(),
            random.integers(2, 512, size=50_000).tolist(),
            strict=True,
        ):
            live[place] = np.ones(size) + 1
    return float(sum(array.size for array in live))
