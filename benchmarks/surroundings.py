"""The machine and the versions of a benchmark: the first lines of each report."""

from __future__ import annotations

import os
import resource
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpool
from numpool.cli import machine

PEERS = ("scipy", "pandas", "pyarrow", "numpy_allocator")
BUSY = 0.1
"""From this share on, a report warns that other programs took processors' time."""


def facts() -> dict[str, str]:
    """The machine and the versions, by name."""
    here = machine.gather()
    versions = here.versions
    kernel = ".".join(versions.kernel.split(".")[:2])
    packages = [f"{name} {version(name)}" for name in PEERS if find_spec(name)]
    return {
        "processor": here.processor,
        "cores": str(here.cores),
        "memory": numpool.format_size(here.memory.total),
        "system": f"{kernel}, {versions.libc}, huge pages: {here.huge_pages.mode}",
        "Python": f"{versions.python} {versions.gil}",
        "packages": ", ".join([f"NumPy {versions.numpy}", *packages]),
        "numpool": f"{versions.numpool}, compiled by {versions.compiler}",
    }


def where() -> str:
    """The facts in two lines."""
    here = facts()
    return (
        f"{here['processor']}, {here['cores']} cores, {here['memory']}; {here['system']}\n"
        f"{here['Python']}, {here['packages']}; numpool {here['numpool']}"
    )


class Bystanders:
    """Measures the share of the processors' time that other programs took since its creation."""

    def __init__(self) -> None:
        self.begin = self.read()

    def read(self) -> tuple[float, float, float]:
        """Seconds of all processors: in all, used by all programs, used by our processes."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ticks = [int(field) for field in fields]
        hertz = os.sysconf("SC_CLK_TCK")
        idle = ticks[3] + ticks[4]
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        ours = sum(one.ru_utime + one.ru_stime for one in used)
        return sum(ticks) / hertz, (sum(ticks) - idle) / hertz, ours

    def share(self) -> float:
        passed, used, ours = (now - then for now, then in zip(self.read(), self.begin, strict=True))
        return max(0.0, (used - ours) / passed) if passed else 0.0


def busy(share: float) -> str:
    """A sentence on this share."""
    said = f"Other programs took {share:.0%} of the processors' time meanwhile"
    return f"{said}: a busy machine, distrust small differences." if share >= BUSY else f"{said}."
