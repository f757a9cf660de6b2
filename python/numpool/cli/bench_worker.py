"""One contender of ``numpool bench``, in a process of its own.

A line of JSON on standard input is an order. {"work": …, "size": bytes} prepares an operation and
runs it once. {"loops": n} runs it n times. The answer is the seconds of one operation.
"""

from __future__ import annotations

import gc
import json
import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numpool
from numpool import _core

CONTENDERS = ("default", "mallopt", "numpool", "limit")
"""The last one allocates nothing, and only `a + b` has it."""

BURST = 32 << 20
"""Bytes of all arrays of a burst. A burst has at least four arrays."""

LIMIT = "np.add(a, b, out=c)"
WORKS = {
    "a + b": "a + b",
    LIMIT: "np.add(a, b, out=c)",
    "burst, then all freed": "[a * 2 for i in burst]",
    "chain": "a * 2 + b - 1",
    "a.copy()": "a.copy()",
    "np.empty": "np.empty(count)",
    "np.zeros": "np.zeros(count)",
    "np.zeros, written": "np.zeros(count).fill(1)",
}


def prepare(contender: str) -> None:
    """Make this process the contender."""
    if contender == "numpool":
        numpool.install()
    elif contender == "mallopt":
        _core._keep_heap()
    gc.disable()


def loop_of(work: str, size: int) -> Callable[[int], None]:
    """A bare loop around the statement, on arrays of this size in bytes."""
    count = max(size // 8, 1)
    names: dict[str, Any] = {"np": np, "count": count, "burst": range(burst_of(size))}
    # Make only the arrays that it needs: others would take memory and caches.
    for name in re.findall(r"\b[abc]\b", WORKS[work]):
        names[name] = np.ones(count)
    exec(f"def loop(loops):\n    for _ in range(loops):\n        {WORKS[work]}", names)
    loop: Callable[[int], None] = names["loop"]
    return loop


def burst_of(size: int) -> int:
    """How many arrays of this size live at once in a burst."""
    return max(4, min(1000, BURST // size))


def seconds_of(loop: Callable[[int], None], loops: int) -> float:
    """The seconds of one operation."""
    start = time.perf_counter()
    loop(loops)
    return (time.perf_counter() - start) / loops


def main() -> None:
    """Follow orders until standard input ends."""
    # The parent handles Ctrl-C; this process ends with its standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(sys.argv[1])
    loop: Callable[[int], None] | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "work" in order:
            # Free the arrays of the last operation first, because both may not fit in memory.
            loop = None
            loop = loop_of(order["work"], order["size"])
            loop(1)
        assert loop is not None
        print(seconds_of(loop, order.get("loops", 1)), flush=True)


if __name__ == "__main__":
    main()
