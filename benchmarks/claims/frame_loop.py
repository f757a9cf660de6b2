"""A loop that grades frames one after the other: the number of frames in a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from markdown import table

from claims import Claim, change

if TYPE_CHECKING:
    from contenders import Contenders

SHAPES = {"1080p": (1080, 1920, 3), "4K": (2160, 3840, 3)}
LIMIT = "out=, no temporaries"
Array = np.ndarray[Any, Any]


def with_temporaries(frame: Array, before: Array) -> Array:
    """Reduce noise with the frame before, and add contrast."""
    mixed = frame // 4 * 3 + before // 4
    graded = mixed - mixed // 8
    result: Array = graded + 16
    np.copyto(result, graded, where=graded > 200)
    return result


class WithoutTemporaries:
    """The same work into arrays that exist already; two results alternate."""

    def __init__(self, frame: Array) -> None:
        self.mixed, self.share = np.empty_like(frame), np.empty_like(frame)
        self.bright = np.empty(frame.shape, bool)
        self.results = [np.empty_like(frame), np.empty_like(frame)]

    def __call__(self, frame: Array, before: Array) -> Array:
        self.results.reverse()
        result = self.results[0]
        np.floor_divide(frame, 4, out=self.mixed)
        np.multiply(self.mixed, 3, out=self.mixed)
        np.floor_divide(before, 4, out=self.share)
        np.add(self.mixed, self.share, out=self.mixed)
        np.floor_divide(self.mixed, 8, out=self.share)
        np.subtract(self.mixed, self.share, out=self.mixed)
        np.greater(self.mixed, 200, out=self.bright)
        np.add(self.mixed, 16, out=result)
        np.copyto(result, self.mixed, where=self.bright)
        return result


def run(contender: str, seconds: float) -> list[float]:
    """Frames a second, for each shape."""
    rates: list[float] = []
    for shape in SHAPES.values():
        camera = np.random.default_rng(21).integers(0, 200, shape, dtype="u1")
        step = WithoutTemporaries(camera) if contender == LIMIT else with_temporaries
        result = step(camera, camera)
        frames = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            result = step(camera, result)
            frames += 1
        rates.append(frames / elapsed)
    return rates


def measured(all_of: Contenders) -> str:
    rates = {
        name: [all_of.seconds(name, "frame_loop", place) for place in range(len(SHAPES))]
        for name in all_of.names
    }
    rows = [
        [name, *(f"{one.median:.1f} ±{one.spread:.1f}" for one in rates[name])] for name in rates
    ]
    lines = []
    for place, shape in enumerate(SHAPES):
        own, pool, limit = (rates[name][place].median for name in ("default", "numpool", LIMIT))
        lines.append(
            f"{shape}: {change(pool, own)} with the pool, {change(limit, own)} where nothing is "
            "allocated."
        )
    return table(["frames a second", *SHAPES], rows) + "\n".join(lines)


CLAIM = Claim(
    title="A frame loop at 1080p and 4K",
    claimed="frame loops: from about 40 to over 60 frames a second",
    contenders=("default", "numpool", "glibc, mallopt", LIMIT),
    amount=2.0,
    run=run,
    measured=measured,
    why="""\
A pool saves the page faults on temporaries of 6 MiB (1080p) and 24 MiB (4K). glibc gives such a
block back to the kernel if it lies at the top of the heap, or maps it anew each time; it keeps one
that lies elsewhere. The rest of a frame's time is arithmetic on bytes, which no allocator changes.
"out=" is the limit. It also stays in the caches, because it needs fewer arrays at a time than an
expression.""",
)
