"""Huge pages: the system's settings, and whether it really gives them."""

from __future__ import annotations

import ctypes
import mmap
import re
from dataclasses import dataclass
from pathlib import Path

TRANSPARENT = Path("/sys/kernel/mm/transparent_hugepage")
RESERVED = Path("/sys/kernel/mm/hugepages")
TRIED = 8 << 20


@dataclass(frozen=True)
class ReservedPages:
    """Reserved huge pages of one size. A program must request them explicitly."""

    size: int
    total: int
    free: int


@dataclass(frozen=True)
class HugePages:
    """The system's settings, and the result of a trial."""

    mode: str
    """Which memory gets transparent huge pages: always, madvise or never."""
    defrag: str
    """How hard the kernel tries to make them."""
    size: int
    """Bytes of one; 0 if there are none."""
    given: bool | None
    """Whether the system gave some in a trial; None if they are off."""
    reserved: list[ReservedPages]


def look_at_huge_pages() -> HugePages:
    """Read the settings, and try to get huge pages."""
    mode = chosen(TRANSPARENT / "enabled")
    size = TRANSPARENT / "hpage_pmd_size"
    return HugePages(
        mode=mode,
        defrag=chosen(TRANSPARENT / "defrag"),
        size=int(size.read_text()) if size.exists() else 0,
        given=None if mode == "never" else try_for_huge_pages(),
        reserved=reserved_pages(),
    )


def offered() -> bool:
    """Whether this system gives huge pages to programs that request them."""
    return chosen(TRANSPARENT / "enabled") != "never"


def chosen(file: Path) -> str:
    """The word in brackets; "never" if there is no such file."""
    found = re.search(r"\[([\w+]+)\]", file.read_text()) if file.exists() else None
    return found[1] if found else "never"


def reserved_pages() -> list[ReservedPages]:
    """The reserved huge pages, small pages first."""
    found = []
    for folder in RESERVED.glob("hugepages-*kB"):
        size = int(re.sub(r"\D", "", folder.name)) * 1024
        total, free = (
            int((folder / name).read_text()) for name in ("nr_hugepages", "free_hugepages")
        )
        found.append(ReservedPages(size, total, free))
    return sorted(found, key=lambda pages: pages.size)


def try_for_huge_pages() -> bool:
    """Request huge pages, touch the memory, and look which pages it has."""
    with mmap.mmap(-1, TRIED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            return False
        for place in range(0, TRIED, mmap.PAGESIZE):
            memory[place] = 1
        byte = ctypes.c_char.from_buffer(memory)
        address = ctypes.addressof(byte)
        del byte
        return huge_bytes_at(address, Path("/proc/self/smaps").read_text()) > 0


def huge_bytes_at(address: int, smaps: str) -> int:
    """The bytes of the mapping at this address that are huge pages."""
    inside = False
    for line in smaps.splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) * 1024
    return 0
