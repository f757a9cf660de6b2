"""Learning from samples."""

from __future__ import annotations

import numpy as np


def minibatches(steps: int) -> float:
    """A small network learns from samples gathered at random."""
    random = np.random.default_rng(15)
    samples = random.standard_normal((40_000, 256), dtype="f4")
    labels = samples[:, :1] * samples[:, 1:2] > 0
    first = random.standard_normal((256, 64), dtype="f4") / 16
    last = random.standard_normal((64, 1), dtype="f4") / 8
    for _ in range(steps):
        places = random.integers(0, len(samples), 4096)
        batch, target = samples[places], labels[places]
        hidden = np.maximum(batch @ first, 0)
        error = 1 / (1 + np.exp(-(hidden @ last))) - target
        last = last - 0.01 * hidden.T @ error / 4096
        first = first - 0.01 * batch.T @ ((error @ last.T) * (hidden > 0)) / 4096
    return float(np.round(np.abs(first).mean(), 3))


def k_means(steps: int) -> float:
    """Sixteen centres among 100 000 points."""
    random = np.random.default_rng(16)
    points = random.standard_normal((100_000, 4))
    centres = points[:16]
    for _ in range(steps):
        distances = ((points[:, None] - centres) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        centres = np.stack([points[nearest == one].mean(axis=0) for one in range(16)])
    return float(np.abs(centres).mean())


def histograms(steps: int) -> float:
    """Distributions of a million samples, in one and two dimensions."""
    random = np.random.default_rng(17)
    x, y = random.standard_normal((2, 1_000_000))
    total = 0.0
    for step in range(steps):
        turned = x * np.cos(step) + y * np.sin(step)
        counts, _ = np.histogram(turned, bins=200, range=(-5, 5))
        cells, _, _ = np.histogram2d(turned, y, bins=64, range=[(-5, 5), (-5, 5)])
        total += float(counts.max() + cells.max() + np.median(turned))
    return total


def least_squares(steps: int) -> float:
    """LAPACK takes the time; its workspaces do not pass through NumPy's allocator."""
    random = np.random.default_rng(18)
    a, b = random.standard_normal((600, 200)), random.standard_normal(600)
    total = 0.0
    for step in range(steps):
        solution = np.linalg.lstsq(a + step, b, rcond=None)[0]
        values = np.linalg.svd(a[:200] + step, compute_uv=False)
        total += float(np.abs(solution).mean() + values.mean())
    return float(np.round(total, 3))
