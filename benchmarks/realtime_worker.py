"""One contender of ``realtime.py``, in a process of its own.

    realtime_worker.py CONTENDER STEPS

For each line of standard input, a number of steps, it runs a loop of a thousand steps a second, and
answers with a line. At the end of the input, it writes as JSON: the nanoseconds of each step, its
page faults, whether the scheduler gives it real-time priority, and the report of
``numpool.realtime``. The same code measures all contenders.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from claims.control_loop import PERIOD, WithoutTemporaries, with_temporaries
from speed_worker import prepare

LIMIT = "out=, no temporaries"
REALTIME = "numpool.realtime"
CONTENDERS = ("default", "glibc, mallopt", REALTIME, LIMIT)
WARM_UP = 1000
COLLECT_EVERY = 100


def is_real_time() -> bool:
    """Whether this process may run before all ordinary ones."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError:
        return False
    return True


class Loop:
    """The loop, with its state, and what it measured."""

    def __init__(self, contender: str, steps: int) -> None:
        random = np.random.default_rng(20)
        self.scan, self.gains = random.random(4096), random.random((64, 64))
        self.grid = random.random((256, 256), dtype="f4")
        self.work: Any = (
            WithoutTemporaries(self.scan, self.grid) if contender == LIMIT else with_temporaries
        )
        self.took = array("Q", bytes(8 * steps))
        self.faults = array("Q", bytes(8 * steps))
        self.done = 0

    def cycle(self) -> None:
        self.work(self.scan, self.grid, self.gains)

    def run(self, steps: int, rt: Any) -> None:
        """Run so many steps, and measure them. ``rt`` marks its own in between, if there is one."""
        took, faults = self.took, self.faults
        period = round(PERIOD * 1e9)
        clock, usage, thread = time.perf_counter_ns, resource.getrusage, resource.RUSAGE_THREAD
        following = clock()
        for number in range(self.done, self.done + steps):
            following = max(following + period, clock())
            time.sleep(max(0, following - clock()) / 1e9)
            before = usage(thread)
            start = clock()
            if rt is None:
                self.cycle()
            else:
                with rt.step():
                    self.cycle()
            took[number] = clock() - start
            after = usage(thread)
            faults[number] = after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt
            if rt is not None and number % COLLECT_EVERY == 0:
                rt.collect(0)
        self.done += steps


@contextmanager
def warm(loop: Loop) -> Iterator[Any]:
    """The block of numpool.realtime, after a rehearsal."""
    import numpool

    with numpool.rehearse() as rehearsal:
        for _ in range(3):
            loop.cycle()
    with numpool.realtime(rehearsal, locked="try", warm_up=WARM_UP) as rt:
        yield rt


def main() -> None:
    contender, steps = sys.argv[1], int(sys.argv[2])
    prepare(contender if contender == "glibc, mallopt" else "default")
    loop = Loop(contender, max(steps, WARM_UP))
    real_time = is_real_time()
    with warm(loop) if contender == REALTIME else nullcontext() as rt:
        loop.run(WARM_UP, rt)
        loop.done = 0
        for line in sys.stdin:
            loop.run(int(line), rt)
            print("done", flush=True)
        said = "" if rt is None else rt.report()
    print(json.dumps([loop.took.tolist()[:steps], loop.faults.tolist()[:steps], real_time, said]))


if __name__ == "__main__":
    main()
