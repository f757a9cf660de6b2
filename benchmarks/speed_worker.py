"""Measures one contender in a process of its own.

Reads an order as JSON from standard input: {"allocator", "work", "sizes"} for an operation,
{"allocator", "work", "steps"} for a whole program, or {"allocator", "work", "claim"} for a claim of
the literature. Writes, as JSON, the seconds of the operation at each size, the seconds of the
program, or the figures of the claim; the process's peak of resident memory; the program's result.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import claims
import numpy as np
import programs

Loop = Callable[[int], None]
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
        array[::512] = 1
    return arrays


# Each works on arrays of `count` floats; `a`, `b` and `out` exist before the timing.
OPERATIONS = {
    "np.empty": "np.empty(count)",
    "np.zeros": "np.zeros(count)",
    "np.zeros, 10 % touched": "touched(np.zeros(count), 10)",
    "np.zeros, all touched": "touched(np.zeros(count), 1)",
    "np.ones": "np.ones(count)",
    "a + b": "a + b",
    "np.add(a, b, out)": "np.add(a, b, out)",
    "a * 2 + b - 1": "a * 2 + b - 1",
    "a.copy()": "a.copy()",
    "np.concatenate": "np.concatenate((a, b))",
    "a.astype('f4')": "a.astype('f4')",
    "np.sort": "np.sort(a)",
    "resize in steps": "grown(count)",
    "burst, then all freed": "burst(count)",
}


def loop_of(statement: str, count: int, kind: str) -> Loop:
    """A bare loop, so that only the statement is timed."""
    random = np.random.default_rng(0)
    arrays = {
        "a": random.random(count) if kind == "np.sort" else np.ones(count),
        "b": np.ones(count),
        "out": np.ones(count),
    }
    namespace: dict[str, Any] = {**globals(), **arrays, "count": count}
    exec(f"def loop(loops):\n    for _ in range(loops):\n        {statement}", namespace)
    loop: Loop = namespace["loop"]
    return loop


def seconds_of(loop: Loop, budget: float) -> float:
    """The shortest of some repetitions, each long enough for the clock."""
    loop(1)
    start = time.perf_counter()
    loop(1)
    once = max(time.perf_counter() - start, 1e-8)
    loops = max(1, min(100_000, int(budget / 5 / once)))
    best = float("inf")
    spent = 0.0
    repetitions = 0
    while repetitions < 2 or (spent < budget and repetitions < 50):
        start = time.perf_counter()
        loop(loops)
        took = time.perf_counter() - start
        best = min(best, took / loops)
        spent += took
        repetitions += 1
    return best


def prepare(allocator: str) -> None:
    """Set the contender's allocator, if its environment has not set it."""
    if allocator.startswith("numpool"):
        import numpool

        numpool.install(tune_malloc=allocator.endswith("tune_malloc"))
    elif allocator == "glibc, mallopt":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 64 << 20)


def measure(work: str, sizes: list[int]) -> list[float]:
    """The seconds of an operation, for each size."""
    return [seconds_of(loop_of(OPERATIONS[work], max(size // 8, 1), work), 0.02) for size in sizes]


def run_program(work: str, steps: int) -> dict[str, object]:
    """The seconds of a whole program, and its result."""
    program = programs.PROGRAMS[work].load()
    start = time.perf_counter()
    result = program(steps)
    return {"seconds": [time.perf_counter() - start], "result": result}


def peak_resident() -> int:
    """This program's peak. That of getrusage would include the process that executed it."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


def main() -> None:
    order = json.load(sys.stdin)
    prepare(order["allocator"])
    answer: dict[str, object] = {}
    if "claim" in order:
        run = claims.load(order["work"]).run
        answer["seconds"] = run(order["allocator"], order["claim"])
    elif "steps" in order:
        answer |= run_program(order["work"], order["steps"])
    else:
        answer["seconds"] = measure(order["work"], order["sizes"])
    answer["peak"] = peak_resident()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
