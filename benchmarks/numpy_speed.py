"""What NumPy gains on the pool, beside what other allocators give it.

    python benchmarks/numpy_speed.py                    # everything; the better part of an hour
    python benchmarks/numpy_speed.py --most 64MiB --works "a + b" "np.zeros"

Contenders take turns, each in processes of its own, and every figure is a ratio to default NumPy's
of the same round: the median of all rounds is printed. Above 1 is faster; for memory, below 1 is
less. Other allocators are preloaded where the system has them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import speed_worker

import numpool

WORKER = Path(__file__).with_name("speed_worker.py")
SIZES = [8 << shift for shift in (0, 3, 6, 9, 12, 13, 15, 17, 19, 21, 22, 23, 25, 27)]
# Its time is the sorting.
MOST = {"np.sort": 16 << 20}
LARGE = 32 << 20
LIBRARIES = ["mimalloc", "jemalloc", "tcmalloc"]


def preloadable() -> dict[str, Path]:
    """The allocators that this system has a library of."""
    found = {}
    for name in LIBRARIES:
        for library in sorted(Path("/usr").glob(f"lib*/**/lib{name}.so.*"))[:1]:
            found[name] = library
    return found


class Contenders:
    """Runs them, and keeps what they took: by contender, work and round."""

    def __init__(self) -> None:
        self.libraries = preloadable()
        self.names = ["default", "numpool", "glibc, mallopt", *self.libraries]
        self.seconds: dict[tuple[str, str], list[list[float]]] = {}
        self.peaks: dict[tuple[str, str], list[int]] = {}

    def run(self, name: str, work: str, sizes: list[int]) -> None:
        environment = dict(os.environ)
        if name in self.libraries:
            environment["LD_PRELOAD"] = str(self.libraries[name])
        order = {"allocator": name, "work": work, "sizes": sizes}
        done = subprocess.run(
            [sys.executable, WORKER],
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            check=True,
        )
        answer = json.loads(done.stdout)
        self.seconds.setdefault((name, work), []).append(answer["seconds"])
        self.peaks.setdefault((name, work), []).append(answer["peak"])

    def rounds(self, work: str, sizes: list[int], count: int) -> None:
        """All contenders after each other, again and again, from another one on each time."""
        for turn in range(count):
            start = turn % len(self.names)
            for name in self.names[start:] + self.names[:start]:
                self.run(name, work, sizes)

    def gain(self, name: str, work: str, place: int, over: str = "default") -> float:
        """How many times faster than another it is."""
        pairs = zip(self.seconds[over, work], self.seconds[name, work], strict=True)
        return statistics.median(theirs[place] / ours[place] for theirs, ours in pairs)

    def memory(self, name: str, work: str) -> float:
        pairs = zip(self.peaks["default", work], self.peaks[name, work], strict=True)
        return statistics.median(ours / theirs for theirs, ours in pairs)


def mean(values: Iterable[float]) -> str:
    logarithms = [math.log(value) for value in values]
    return f"{math.exp(statistics.mean(logarithms)):.2f}" if logarithms else ""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def by_size(all_of: Contenders, works: dict[str, list[int]], sizes: list[int]) -> str:
    """numpool against default NumPy, one row an operation."""
    rows = []
    for work, measured in works.items():
        gains = [f"{all_of.gain('numpool', work, i):.2f}" for i in range(len(measured))]
        rows.append([work, *gains, *[""] * (len(sizes) - len(gains))])
    head = [numpool.format_size(size) for size in sizes]
    return table(["numpool, times default's speed", *head], rows)


def by_contender(all_of: Contenders, works: dict[str, list[int]], large: bool) -> str:
    """The geometric means over sizes."""
    rows = []
    for work, sizes in works.items():
        places = [i for i, size in enumerate(sizes) if (size >= LARGE) == large]
        if places:
            rows.append(
                [
                    work,
                    *(
                        mean(all_of.gain(name, work, i) for i in places)
                        for name in all_of.names[1:]
                    ),
                ]
            )
    where = "from 32 MiB" if large else "below 32 MiB"
    return table([f"times default's speed, {where}", *all_of.names[1:]], rows)


def programs(all_of: Contenders) -> str:
    """Time, then memory."""
    rows = [
        [
            name,
            *(
                f"{all_of.gain(one, name, 0):.2f} / {all_of.memory(one, name):.2f}"
                for one in all_of.names[1:]
            ),
        ]
        for name in speed_worker.PROGRAMS
    ]
    return table(["program: times default's speed / peak RSS to default's", *all_of.names[1:]], rows)


def outputs(all_of: Contenders, sizes: list[int]) -> str:
    """How near ``a + b`` comes to adding into an array that is already there."""
    works = ("np.add(a, b, out)", "a + b")
    row = []
    for i in range(len(sizes)):
        pairs = zip(*(all_of.seconds["numpool", work] for work in works), strict=True)
        row.append(f"{statistics.median(plain[i] / into[i] for into, plain in pairs):.2f}")
    head = [numpool.format_size(size) for size in sizes]
    return table(["numpool", *head], [["time of a + b to np.add(a, b, out)", *row]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", default="1GiB", metavar="SIZE", help="the largest arrays; 1GiB")
    parser.add_argument("--works", nargs="+", choices=speed_worker.OPERATIONS, metavar="WORK")
    parser.add_argument("--no-programs", action="store_true")
    options = parser.parse_args()

    sizes = [size for size in SIZES if size <= numpool.parse_size(options.most)]
    works = {
        work: [size for size in sizes if size <= MOST.get(work, size)]
        for work in options.works or speed_worker.OPERATIONS
    }
    contenders = Contenders()
    for work, measured in works.items():
        print(work, file=sys.stderr, flush=True)
        contenders.rounds(work, measured, options.rounds)
    print(by_size(contenders, works, sizes))
    if {"a + b", "np.add(a, b, out)"} <= works.keys():
        print(outputs(contenders, sizes))
    print(by_contender(contenders, works, large=False))
    print(by_contender(contenders, works, large=True))
    if not options.no_programs:
        for name in speed_worker.PROGRAMS:
            print(name, file=sys.stderr, flush=True)
            contenders.rounds(name, [], options.rounds)
        print(programs(contenders))


if __name__ == "__main__":
    main()
