"""What this machine offers to pools."""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy._core import multiarray

import numpool
from numpool import _core
from numpool.cli.huge_pages import HugePages, look_at_huge_pages

OVERCOMMIT = {0: "heuristic", 1: "always", 2: "never"}
ALLOCATORS = ("mimalloc", "jemalloc", "tcmalloc", "hoard", "rpmalloc", "snmalloc", "libasan")


@dataclass(frozen=True)
class Versions:
    """The versions of numpool and the software that it runs on."""

    numpool: str
    compiler: str
    """The compiler that built the extension."""
    python: str
    gil: str
    numpy: str
    libc: str
    kernel: str


@dataclass(frozen=True)
class Memory:
    """Memory in bytes; None for no limit."""

    total: int
    available: int
    usable: int
    """The memory that this process may use. "50%" means half of it."""
    address_limit: int | None
    data_limit: int | None
    locked_limit: int | None
    overcommit: str


@dataclass(frozen=True)
class Machine:
    """The machine and the process."""

    versions: Versions
    processor: str
    cores: int
    """The cores that this process may run on."""
    page_size: int
    huge_pages: HugePages
    memory: Memory
    numpy_allocator: str
    """NumPy's allocator in this process."""
    pool: str | None
    """The pool that is installed in this process."""
    preloaded: list[str]
    """Allocators that replace malloc."""
    hints: list[str]


def gather() -> Machine:
    """Gather all facts."""
    versions = look_at_versions()
    memory = look_at_memory()
    huge_pages = look_at_huge_pages()
    pool = numpool.current()
    preloaded = preloaded_allocators(Path("/proc/self/maps").read_text())
    return Machine(
        versions=versions,
        processor=processor(Path("/proc/cpuinfo").read_text()),
        cores=len(os.sched_getaffinity(0)),
        page_size=os.sysconf("SC_PAGESIZE"),
        huge_pages=huge_pages,
        memory=memory,
        numpy_allocator=multiarray.get_handler_name() or "unknown",
        pool=None if pool is None else repr(pool),
        preloaded=preloaded,
        hints=hints(versions, memory, huge_pages, preloaded),
    )


def look_at_versions() -> Versions:
    """The versions of numpool and the software that it runs on."""
    return Versions(
        numpool=numpool.__version__,
        compiler=_core._compiler,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gil=gil(),
        numpy=np.__version__,
        libc=os.confstr("CS_GNU_LIBC_VERSION") or " ".join(platform.libc_ver()),
        kernel=f"{platform.system()} {platform.release()}",
    )


def gil() -> str:
    """Whether there is a global interpreter lock."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "with the GIL"
    on = getattr(sys, "_is_gil_enabled", lambda: True)()
    return "free-threaded, but the GIL is on" if on else "free-threaded"


def processor(cpuinfo: str) -> str:
    """The processor's name."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def look_at_memory() -> Memory:
    """How much memory there is, and its limits."""
    fields = dict(
        re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    )
    mode = int(Path("/proc/sys/vm/overcommit_memory").read_text())
    return Memory(
        total=int(fields["MemTotal"]) * 1024,
        available=int(fields["MemAvailable"]) * 1024,
        usable=numpool.memory_limit(),
        address_limit=limit(resource.RLIMIT_AS),
        data_limit=limit(resource.RLIMIT_DATA),
        locked_limit=limit(resource.RLIMIT_MEMLOCK),
        overcommit=OVERCOMMIT.get(mode, str(mode)),
    )


def limit(which: int) -> int | None:
    """One of the process's resource limits."""
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft


def preloaded_allocators(maps: str) -> list[str]:
    """The mapped files that are other allocators than glibc's."""
    files = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if line.count("/")}
    return sorted(file for file in files if any(name in Path(file).name for name in ALLOCATORS))


def hints(
    versions: Versions, memory: Memory, huge_pages: HugePages, preloaded: list[str]
) -> list[str]:
    """What could be better on this machine, and how."""
    found = []
    if huge_pages.mode == "never":
        found.append(
            "Huge pages are off, so large arrays cause many small page faults. To switch them on, "
            "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        )
    elif huge_pages.given is False:
        found.append(
            "The kernel offers huge pages, but gave none in a trial. Memory is probably "
            "fragmented. A restart or echo 1 > /proc/sys/vm/compact_memory may help."
        )
    release = re.search(r"(\d+)\.(\d+)", versions.kernel)
    if release and (int(release[1]), int(release[2])) < (5, 7):
        found.append(
            f"{versions.kernel} can't move pages between addresses, so pools hold more pages. "
            "Linux 5.7 and newer can."
        )
    if preloaded:
        found.append(
            f"malloc comes from {', '.join(Path(file).name for file in preloaded)}: --tune-malloc "
            "needs glibc's malloc."
        )
    if memory.address_limit is not None:
        found.append(
            "RLIMIT_AS bounds addresses, and pools reserve many more addresses than memory. To "
            "bound memory itself, use a cgroup's memory.max."
        )
    if versions.gil.endswith("is on"):
        found.append("An imported extension has switched the GIL on. python -X gil=0 keeps it off.")
    return found
