"""Simulations."""

from __future__ import annotations

import numpy as np


def heat(steps: int) -> float:
    """A plate of 1500 x 1500: the textbook's stencil, with its temporaries."""
    u = np.zeros((1500, 1500))
    u[0] = 100
    for _ in range(steps):
        inner = u[1:-1, 1:-1]
        sides = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        u[1:-1, 1:-1] = inner + 0.2 * (sides - 4 * inner)
    return float(u.mean())


def waves(steps: int) -> float:
    """A block of 128 x 128 x 128, by rolling it; a new state each time."""
    now = np.random.default_rng(13).random((128, 128, 128))
    before = now.copy()
    for _ in range(steps):
        bend = sum(np.roll(now, shift, axis) for axis in range(3) for shift in (-1, 1)) - 6 * now
        now, before = 2 * now - before + 0.1 * bend, now
    return float(np.abs(now).mean())


def bodies(steps: int) -> float:
    """Forces between 800 bodies, from their distances all at once."""
    place = np.random.default_rng(14).standard_normal((800, 3))
    speed = np.zeros_like(place)
    for _ in range(steps):
        between = place[None] - place[:, None]
        squared = (between**2).sum(axis=2) + 0.01
        force = (between / squared[..., None] ** 1.5).sum(axis=1)
        speed = speed + 1e-5 * force
        place = place + 0.01 * speed
    return float(np.linalg.norm(place))


def time_steps(steps: int) -> float:
    """All temporaries of a step, of 32 MiB each, are freed at its end."""
    u = np.ones(4 << 20)
    for _ in range(steps):
        v = u * 0.5
        w = v + u
        x = w - v * w
        u = x / x.max()
        del v, w, x
    return float(u.mean())
