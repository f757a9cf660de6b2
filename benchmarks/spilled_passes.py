"""Sequential passes over a spilled array, beside dd on the same part of the same file.

    python benchmarks/spilled_passes.py --size 1GiB --folder /scratch

A pool on a file makes one array. In each round NumPy reads the whole array (its sum), and dd reads
the same bytes of the file; NumPy writes the whole array (fill), and dd writes them. Nothing of the
file is in memory before a pass, and a write ends when all is on the disk. A ratio is of the rates
in the same round.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from markdown import table
from surroundings import Bystanders, busy, where

import numpool

MIB = 1 << 20
DONT_NEED = 4
"""MADV_DONTNEED: on pages of a file it only removes them from this process."""


class Spilled:
    """An array in a file, and the file's place in the system."""

    def __init__(self, folder: Path, size: int) -> None:
        pool = numpool.SlabPool(source=numpool.Pages(file=folder, force=True))
        room: np.ndarray = pool.empty(size // 8 + MIB // 4)
        begin = self.whole(room.ctypes.data)
        items = (begin - room.ctypes.data) // 8
        self.array = room[items : items + size // 8]
        self.path, self.offset = self.file_at(begin)
        self.file = os.open(self.path, os.O_RDWR)

    def whole(self, address: int) -> int:
        """The next address that is a whole number of MiB in the file, for dd."""
        _, offset = self.file_at(address)
        return address + -offset % MIB

    def file_at(self, address: int) -> tuple[str, int]:
        """The file that is mapped at an address, and the address's offset in it."""
        for line in Path("/proc/self/maps").read_text().splitlines():
            start, _, end = line.split(maxsplit=1)[0].partition("-")
            if int(start, 16) <= address < int(end, 16):
                offset = int(line.split()[2], 16) + address - int(start, 16)
                inode = int(line.split()[4])
                for link in Path("/proc/self/fd").iterdir():
                    if link.exists() and link.stat().st_ino == inode:
                        return str(link), offset
        raise LookupError(f"no file is mapped at {address:#x}")

    def forget(self) -> None:
        """Write all to the disk, and let none of it be in memory."""
        os.fdatasync(self.file)
        page = os.sysconf("SC_PAGESIZE")
        start = self.array.ctypes.data // page * page
        size = ctypes.c_size_t(self.array.ctypes.data + self.array.nbytes - start)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), size, DONT_NEED)
        os.posix_fadvise(self.file, 0, 0, os.POSIX_FADV_DONTNEED)

    def dd(self, *arguments: str) -> None:
        """Run dd in pieces of 1 MiB over the array's part of the file."""
        count = f"count={self.array.nbytes // MIB}"
        command = ["dd", "bs=1M", count, "status=none", *arguments]
        subprocess.run(command, check=True, pass_fds=[self.file])


def passes(spilled: Spilled) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """The passes of NumPy and of dd."""
    here = f"/proc/self/fd/{spilled.file}"
    at = spilled.offset // MIB

    def fill() -> None:
        spilled.array.fill(time.monotonic())
        os.fdatasync(spilled.file)

    return {
        "read": (
            lambda: spilled.array.sum(),
            lambda: spilled.dd(f"if={here}", "of=/dev/null", f"skip={at}"),
        ),
        "write": (
            fill,
            lambda: spilled.dd(
                "if=/dev/zero", f"of={here}", f"seek={at}", "conv=notrunc,fdatasync"
            ),
        ),
    }


def rate(act: Callable[[], object], spilled: Spilled) -> float:
    """Bytes in a second."""
    spilled.forget()
    start = time.perf_counter()
    act()
    return spilled.array.nbytes / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=numpool.parse_size, default="1GiB")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    bystanders = Bystanders()
    spilled = Spilled(options.folder, options.size // MIB * MIB)
    spilled.array.fill(1.0)
    rows = []
    for name, (by_numpy, by_dd) in passes(spilled).items():
        pairs = []
        for round_ in range(options.rounds):
            order = (by_numpy, by_dd) if round_ % 2 == 0 else (by_dd, by_numpy)
            rates = {act: rate(act, spilled) for act in order}
            pairs.append((rates[by_numpy], rates[by_dd]))
        ratios = sorted(ours / theirs for ours, theirs in pairs)
        ours, theirs = (statistics.median(one) / MIB for one in zip(*pairs, strict=True))
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        middle = f"{statistics.median(ratios):.2f}"
        rows.append([name, f"{ours:.0f}", f"{theirs:.0f}", middle, spread])
    print(where(), end="\n\n")
    print(f"An array of {numpool.format_size(spilled.array.nbytes)}, MiB in a second", end="\n\n")
    print(table(["pass", "spilled array", "dd", "ratio", "least to largest"], rows))
    print(busy(bystanders.share()))


if __name__ == "__main__":
    main()
