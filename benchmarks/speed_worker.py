"""Measures one contender of ``numpy_speed.py`` in a process of its own.

Reads {"allocator", "work", "sizes"} as JSON from standard input, and writes the seconds an
operation takes at each size, and the process's peak of resident memory.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Operation = Callable[[], object]
Array = np.ndarray[Any, Any]

MIB = 2**20


def touched(array: Array, part: int) -> None:
    array[: array.size // part] = 1


def grown(count: int) -> Array:
    array = np.ones(max(count // 8, 1))
    for step in range(2, 9):
        array.resize(max(count * step // 8, 1), refcheck=False)
        array[-1] = 1
    return array


def burst(count: int) -> list[Array]:
    """Many arrays live, then all freed."""
    arrays = [np.empty(count) for _ in range(max(4, min(1000, 32 * MIB // count)))]
    for array in arrays:
        array[:: 512] = 1
    return arrays


# What is done to arrays of `count` floats; `a`, `b` and `out` are there before.
OPERATIONS: dict[str, Callable[[int, Array, Array, Array], Operation]] = {
    "np.empty": lambda count, a, b, out: lambda: np.empty(count),
    "np.zeros": lambda count, a, b, out: lambda: np.zeros(count),
    "np.zeros, 10 % touched": lambda count, a, b, out: lambda: touched(np.zeros(count), 10),
    "np.zeros, all touched": lambda count, a, b, out: lambda: touched(np.zeros(count), 1),
    "np.ones": lambda count, a, b, out: lambda: np.ones(count),
    "a + b": lambda count, a, b, out: lambda: a + b,
    "np.add(a, b, out)": lambda count, a, b, out: lambda: np.add(a, b, out),
    "a * 2 + b - 1": lambda count, a, b, out: lambda: a * 2 + b - 1,
    "a.copy()": lambda count, a, b, out: lambda: a.copy(),
    "np.concatenate": lambda count, a, b, out: lambda: np.concatenate((a, b)),
    "a.astype('f4')": lambda count, a, b, out: lambda: a.astype("f4"),
    "np.sort": lambda count, a, b, out: lambda: np.sort(a),
    "resize in steps": lambda count, a, b, out: lambda: grown(count),
    "burst, then all freed": lambda count, a, b, out: lambda: burst(count),
}


def seconds_of(operation: Operation, budget: float) -> float:
    """The quickest of some repetitions, each long enough for the clock."""
    operation()
    start = time.perf_counter()
    operation()
    once = max(time.perf_counter() - start, 1e-8)
    loops = max(1, min(100_000, int(budget / 5 / once)))
    best = float("inf")
    spent = 0.0
    repetitions = 0
    while repetitions < 2 or (spent < budget and repetitions < 50):
        start = time.perf_counter()
        for _ in range(loops):
            operation()
        took = time.perf_counter() - start
        best = min(best, took / loops)
        spent += took
        repetitions += 1
    return best


def drifting_sizes() -> None:
    """Phases of arrays whose sizes move from 1 to 64 MiB, 250 MB of them live."""
    random = np.random.default_rng(1)
    for phase in range(12):
        size = (1 << (phase % 7)) * MIB // 8
        live: list[Array] = []
        for _ in range(2 * max(4, 250 * MIB // 8 // size)):
            live.append(np.full(int(size * random.uniform(0.7, 1.3)), 1.0))
            while sum(array.nbytes for array in live) > 250 * MIB:
                live.pop(int(random.integers(len(live))))


def image_pipeline() -> None:
    """Frames of 4 MiB and their temporaries."""
    frame = np.random.default_rng(2).random((1024, 1024), dtype="f4")
    for _ in range(40):
        blurred = sum(np.roll(frame, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
        edges = np.hypot(np.gradient(blurred, axis=0), np.gradient(blurred, axis=1))
        frame = np.where(edges > edges.mean(), blurred, frame)


def small_arrays() -> None:
    """A hundred thousand small arrays, of which ten thousand are live."""
    random = np.random.default_rng(3)
    live: list[Array] = [np.ones(4)] * 10_000
    for place, size in zip(
        random.integers(10_000, size=200_000).tolist(),
        random.integers(2, 512, size=200_000).tolist(),
        strict=True,
    ):
        live[place] = np.ones(size) + 1


def time_steps() -> None:
    """All temporaries of a step are freed at its end."""
    u = np.ones(4 * MIB)
    for _ in range(30):
        v = u * 0.5
        w = v + u
        x = w - v * w
        u = x / x.max()
        del v, w, x


PROGRAMS = {
    "drifting sizes": drifting_sizes,
    "image pipeline": image_pipeline,
    "small arrays": small_arrays,
    "time steps": time_steps,
}


def prepare(allocator: str) -> None:
    """What the contender needs besides its environment."""
    if allocator == "numpool":
        import numpool

        numpool.install()
    elif allocator == "glibc, mallopt":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 64 << 20)


def measure(work: str, sizes: list[int]) -> list[float]:
    """The seconds for each size; those of a program are one figure."""
    if work in PROGRAMS:
        start = time.perf_counter()
        PROGRAMS[work]()
        return [time.perf_counter() - start]
    seconds = []
    for size in sizes:
        count = max(size // 8, 1)
        random = np.random.default_rng(0)
        a = random.random(count) if work == "np.sort" else np.ones(count)
        operation = OPERATIONS[work](count, a, np.ones(count), np.ones(count))
        seconds.append(seconds_of(operation, 0.02))
    return seconds


def main() -> None:
    order = json.load(sys.stdin)
    prepare(order["allocator"])
    seconds = measure(order["work"], order["sizes"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"seconds": seconds, "peak": peak}, sys.stdout)


if __name__ == "__main__":
    main()
