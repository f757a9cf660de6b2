"""A program that needs several times the memory of its container, in four ways.

    python benchmarks/larger_than_memory.py --memory 1GiB --folder /scratch

Each run is a process in a control group of its own with this limit. The program makes arrays that
together need `--times` as much, writes each of them, reads and changes all of them in a second
pass, and prints a sum that is right only if no byte was lost. This needs the right to make control
groups, which root has on many systems.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from markdown import table
from memory_cgroup import NoGroups, Outcome, run
from surroundings import Bystanders, busy, where

import numpool

PIECES = 8
"""The number of arrays that would fill the memory."""

PROGRAM = """
import sys
import numpy as np

piece, count = int(sys.argv[1]) // 8, int(sys.argv[2])
arrays = []
for number in range(count):
    array = np.arange(piece)
    array += number
    arrays.append(array)
for array in arrays:
    array *= 2
print(sum(int(array.sum()) for array in arrays))
"""


def right_sum(piece: int, count: int) -> int:
    """What the program prints if it ends."""
    items = piece // 8
    one = items * (items - 1) // 2
    return 2 * (count * one + items * count * (count - 1) // 2)


def ways(folder: Path) -> dict[str, list[str]]:
    """How to run a program, each with what stands before its name."""
    ours = [sys.executable, "-m", "numpool", "run"]
    return {
        "default NumPy": [sys.executable],
        "numpool run": [*ours, "--quiet"],
        "numpool run --limit 50%": [*ours, "--quiet", "--limit", "50%"],
        "numpool run --limit 50% --spill FOLDER": [
            *ours, "--quiet", "--limit", "50%", "--spill", str(folder),
        ],
    }  # fmt: skip


def said(outcome: Outcome, right: int) -> str:
    """How a run ended."""
    if outcome.killed:
        return "killed"
    if outcome.code == 0:
        return "done" if outcome.printed == f"{right}\n" else "wrong result"
    if "MemoryError" in outcome.errors:
        return "MemoryError"
    return f"failed: {outcome.errors.strip()[-200:]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory", type=numpool.parse_size, default="1GiB")
    parser.add_argument("--times", type=float, default=4, help="how much more is needed (4)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    piece = options.memory // PIECES // 8 * 8
    count = round(options.times * PIECES)
    right = right_sum(piece, count)
    bystanders = Bystanders()
    rows = []
    with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
        program.write(PROGRAM)
        program.flush()
        for name, before in ways(options.folder).items():
            command = [*before, program.name, str(piece), str(count)]
            try:
                outcome = run(command, options.memory)
            except NoGroups as error:
                print(error, file=sys.stderr)
                return 3
            peak = numpool.format_size(outcome.peak)
            rows.append([name, said(outcome, right), f"{outcome.seconds:.1f}", peak])
    size = numpool.format_size
    print(where(), end="\n\n")
    print(f"{count} arrays of {size(piece)} in a container of {size(options.memory)}", end="\n\n")
    print(table(["run by", "ended", "seconds", "peak of the container"], rows))
    print(busy(bystanders.share()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
