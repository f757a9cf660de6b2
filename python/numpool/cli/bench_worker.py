"""One contender of ``numpool bench``, in a process of its own.

A line of JSON on standard input is an order: {"work": …, "size": bytes} prepares, and answers the
seconds that one operation took; {"loops": n} does so many, and answers the seconds of one.
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
"""The last one allocates nothing, and is there for `a + b` only."""

BURST = 32 << 20
"""Bytes of the arrays of one burst, or four arrays where they are larger."""

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
    """A bare loop around the work's statement, on arrays of so many bytes."""
    count = max(size // 8, 1)
    names: dict[str, Any] = {"np": np, "count": count, "burst": range(burst_of(size))}
    # No other arrays than it needs: they would take memory, and the processor's caches.
    for name in re.findall(r"\b[abc]\b", WORKS[work]):
        names[name] = np.ones(count)
    exec(f"def loop(loops):\n    for _ in range(loops):\n        {WORKS[work]}", names)
    loop: Callable[[int], None] = names["loop"]
    return loop


def burst_of(size: int) -> int:
    """How many arrays of this size live at once in a burst."""
    return max(4, min(1000, BURST // size))


def seconds_of(loop: Callable[[int], None], loops: int) -> float:
    """What one operation takes."""
    start = time.perf_counter()
    loop(loops)
    return (time.perf_counter() - start) / loops


def main() -> None:
    """Do as ordered until nobody orders any more."""
    # Ctrl-C is for whoever orders: the end of standard input is ours.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare(sys.argv[1])
    loop: Callable[[int], None] | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "work" in order:
            # What the one before left goes first: both together may be more than fits.
            loop = None
            loop = loop_of(order["work"], order["size"])
            loop(1)
        assert loop is not None
        print(seconds_of(loop, order.get("loops", 1)), flush=True)


if __name__ == "__main__":
    main()
