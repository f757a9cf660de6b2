"""NumPy's operations on the pool and on other allocators.

    python benchmarks/numpy_speed.py                    # everything: most of an hour
    python benchmarks/numpy_speed.py --most 64MiB --works "a + b" "np.zeros"
    python benchmarks/numpy_speed.py --least 128MiB --contenders "glibc, mallopt"

Contenders take turns, each in processes of its own. Every figure is a ratio to default NumPy in the
same round, as the median of all rounds. Above 1 is faster; in the last table, above 1 is more
memory.
"""

from __future__ import annotations

import argparse
import sys

import speed_worker
from contenders import OURS, Contenders, Ratio
from markdown import mean, table
from surroundings import busy, where

import numpool

SIZES = [8 << shift for shift in (0, 3, 6, 9, 12, 13, 15, 17, 19, 21, 22, 23, 25, 27)]
# Sorting larger arrays takes long, and allocates little.
MOST = {"np.sort": 16 << 20}
LARGE = 32 << 20


def by_size(all_of: Contenders, works: dict[str, list[int]], sizes: list[int]) -> str:
    """numpool and default NumPy: a row for each operation."""
    rows = []
    for work, measured in works.items():
        gains = [f"{all_of.gain('numpool', work, i).median:.2f}" for i in range(len(measured))]
        rows.append([work, *gains, *[""] * (len(sizes) - len(gains))])
    head = [numpool.format_size(size) for size in sizes]
    return table(["numpool, times default's speed", *head], rows)


def by_contender(all_of: Contenders, works: dict[str, list[int]], large: bool) -> str:
    """Each contender's geometric means over sizes."""
    rows = []
    for work, sizes in works.items():
        places = [i for i, size in enumerate(sizes) if (size >= LARGE) == large]
        if places:
            rows.append(
                [
                    work,
                    *(
                        mean(all_of.gain(name, work, i).median for i in places)
                        for name in all_of.names[1:]
                    ),
                ]
            )
    where = "from 32 MiB" if large else "below 32 MiB"
    return table([f"times default's speed, {where}", *all_of.names[1:]], rows)


def peaks(all_of: Contenders, works: dict[str, list[int]]) -> str:
    """Peaks of the process that ran all sizes of an operation."""
    names = all_of.names[1:]
    memory = {work: [all_of.memory(name, work) for name in names] for work in works}
    rows = [[work, *(f"{peak:.2f}" for peak in row)] for work, row in memory.items()]
    means = [mean(column) for column in zip(*memory.values(), strict=True)]
    return table(["peak RSS, to default's", *names], [*rows, ["mean", *means]])


def outputs(all_of: Contenders, sizes: list[int]) -> str:
    """The time of ``a + b`` relative to adding into an array that exists already."""
    works = ("np.add(a, b, out)", "a + b")
    row = []
    for i in range(len(sizes)):
        pairs = zip(*(all_of.rounds[work] for work in works), strict=True)
        ratio = Ratio.of(
            plain["numpool"].seconds[i] / into["numpool"].seconds[i] for into, plain in pairs
        )
        row.append(f"{ratio.median:.2f}")
    head = [numpool.format_size(size) for size in sizes]
    return table(["numpool", *head], [["time of a + b to np.add(a, b, out)", *row]])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", default="1GiB", metavar="SIZE", help="the largest arrays; 1GiB")
    parser.add_argument("--least", default="8", metavar="SIZE", help="the smallest arrays; 8 bytes")
    parser.add_argument(
        "--contenders", nargs="+", metavar="NAME", help="only these, besides default and numpool"
    )
    parser.add_argument("--works", nargs="+", choices=speed_worker.OPERATIONS, metavar="WORK")
    options = parser.parse_args()

    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: must be at least 1")
    least, most = numpool.parse_size(options.least), numpool.parse_size(options.most)
    sizes = [size for size in SIZES if least <= size <= most]
    if not sizes:
        parser.error(f"no size of {', '.join(map(numpool.format_size, SIZES))} lies in that range")
    works = {
        work: [size for size in sizes if size <= MOST.get(work, size)]
        for work in options.works or speed_worker.OPERATIONS
    }
    works = {work: measured for work, measured in works.items() if measured}
    contenders = Contenders()
    if options.contenders is not None:
        if strange := set(options.contenders) - set(contenders.names):
            parser.error(f"not {', '.join(strange)}: here are {', '.join(contenders.names)}")
        always = OURS[:2]
        others = [name for name in options.contenders if name not in always]
        contenders = Contenders([*always, *others])
    for work, measured in works.items():
        print(work, file=sys.stderr, flush=True)
        for _ in range(options.rounds):
            contenders.round(work, sizes=measured)
    print(where())
    print(f"{options.rounds} rounds. {busy(contenders.share_of_others())}\n")
    print(by_size(contenders, works, sizes))
    if {"a + b", "np.add(a, b, out)"} <= works.keys():
        print(outputs(contenders, sizes))
    for large in (False, True):
        if any((size >= LARGE) == large for size in sizes):
            print(by_contender(contenders, works, large=large))
    print(peaks(contenders, works))


if __name__ == "__main__":
    main()
