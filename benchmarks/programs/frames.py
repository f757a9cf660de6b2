"""Pictures and video, with NumPy alone."""

from __future__ import annotations

import numpy as np


def tone_curve(steps: int) -> float:
    """Each frame of 1920 x 1080 becomes floats, is graded, and becomes bytes again."""
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (1080, 1920, 3), dtype="u1")
    light = 0.0
    for step in range(steps):
        picture = frame.astype("f4") / 255
        graded = np.clip(picture * 1.2 - 0.02 * step, 0, 1)
        graded = graded * graded * (3 - 2 * graded)
        developed = (graded * 255).astype("u1")
        light += float(developed[::8, ::8].mean())
    return light


def background(steps: int) -> float:
    """Find what moves in front of a background that is learnt from the frames."""
    random = np.random.default_rng(1)
    scene = random.integers(0, 200, (720, 1280), dtype="u1")
    learnt = scene.astype("f4")
    moved = 0
    for step in range(steps):
        frame = scene.copy()
        frame[100:300, 20 * step % 1000 : 20 * step % 1000 + 200] = 255
        difference = np.abs(frame.astype("f4") - learnt)
        mask = difference > 25
        moved += int(mask.sum())
        learnt = np.where(mask, learnt, 0.9 * learnt + 0.1 * frame)
    return float(moved)


def gallery(steps: int) -> float:
    """Pictures of very different sizes: what examples/gallery.py does."""
    random = np.random.default_rng(2)
    negatives = random.integers(0, 4096, 12_000_000, dtype="u2")
    light = 0.0
    for _ in range(4 * steps):
        size = int(random.uniform(0.02, 1) * negatives.size)
        picture = (negatives[:size].astype("f4") - 64) / 4032
        picture = np.minimum(1.2 * picture, 1)
        developed = (255 * picture * (2 - picture)).astype("u1")
        light += float(developed[::1000].mean())
    return light


def edges(steps: int) -> float:
    """Frames of 4 MiB, blurred by rolling them, and their edges."""
    frame = np.random.default_rng(3).random((1024, 1024), dtype="f4")
    for _ in range(steps):
        blurred = sum(np.roll(frame, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
        slope = np.hypot(np.gradient(blurred, axis=0), np.gradient(blurred, axis=1))
        frame = np.where(slope > slope.mean(), blurred, frame)
    return float(frame.mean())
