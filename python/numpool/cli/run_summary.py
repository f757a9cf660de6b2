"""What came of a run: figures, and what they advise."""

from __future__ import annotations

import json
import os
import re
import resource
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpool


@dataclass(frozen=True)
class SizeFigures:
    """Blocks of one size class."""

    block_size: int
    """Bytes; 0 for blocks too large for a class."""
    requests: int
    asked: int
    hits: int


@dataclass(frozen=True)
class RunSummary:
    """The figures of one run. Bytes, where nothing else is said."""

    program: list[str]
    """As given to Python."""
    seconds: float
    """From before Python's start to after the program's end."""
    installed: bool
    """Whether the program imported NumPy, so that the pool was installed."""
    asked: int
    """What NumPy asked for, in all."""
    requests: int
    """In how many blocks."""
    hits: int
    """How many of those could be met with memory at hand."""
    failures: int
    """Requests that were refused."""
    limit: int | None
    peak_live: int
    """The most that was in use at once, as the pool rounds it."""
    peak_held: int
    """The most that the pool held at once, unused memory included."""
    rounded: int
    """What small blocks took beyond what was asked for, in all."""
    cached: int
    """What the pool held unused at the end."""
    peak_resident: int
    """The most that the whole process had in memory."""
    page_faults: int
    major_page_faults: int
    """Of those, with a disk to wait for."""
    tune_malloc: bool
    sizes: list[SizeFigures]


def gather(settings: dict[str, Any], pool: numpool.SlabPool | None, ended: float) -> RunSummary:
    """The figures of the program that is at its end in this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stats = None if pool is None else pool.stats()
    every = () if stats is None else stats.classes
    spans = None if stats is None else stats.spans
    return RunSummary(
        program=settings["program"],
        seconds=ended - settings["clock"],
        installed=stats is not None,
        asked=0 if stats is None else stats.asked,
        requests=0 if stats is None else stats.requests,
        hits=0 if stats is None else stats.hits,
        failures=0 if stats is None else stats.failures,
        limit=settings["limit"],
        peak_live=0 if stats is None else stats.peak,
        peak_held=0 if stats is None else stats.peak_committed,
        rounded=sum(one.requests * one.block_size - one.asked for one in every),
        cached=0 if stats is None else stats.cached,
        peak_resident=peak_resident(),
        page_faults=usage.ru_minflt
        + usage.ru_majflt
        - settings["faults"]
        - settings["major_faults"],
        major_page_faults=usage.ru_majflt - settings["major_faults"],
        tune_malloc=settings["tune_malloc"],
        sizes=[
            SizeFigures(one.block_size, one.requests, one.asked, one.hits)
            for one in (*every, *([spans] if spans else []))
            if one.requests
        ],
    )


def peak_resident() -> int:
    """Of this program: getrusage's would include what this process was before its exec."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def write(summary: RunSummary, file: str) -> None:
    """The figures as JSON, with the advice if there is one."""
    figures = asdict(summary) | {"advice": advice(summary), "numpool": numpool.__version__}
    Path(file).write_text(json.dumps(figures, indent=2) + "\n")


def advice(summary: RunSummary) -> str | None:
    """One sentence on what to do, where the figures suggest it."""
    size = numpool.format_size
    if not summary.installed:
        return "The program did not import NumPy, so there was nothing to do for the pool."
    if summary.failures and summary.limit is not None:
        return (
            f"The limit of {size(summary.limit)} refused {summary.failures:,} "
            f"request{'s' * (summary.failures != 1)}: raise --limit, or expect MemoryError."
        )
    if summary.asked == 0:
        return "NumPy asked for nothing: the program makes no arrays, or elsewhere than in NumPy."
    brought_in = summary.page_faults * os.sysconf("SC_PAGESIZE")
    if brought_in > max(4 * summary.peak_resident, 256 << 20) and not summary.tune_malloc:
        return (
            f"Page faults brought in {size(brought_in)}, {brought_in / summary.peak_resident:.0f} "
            "times what the program ever held: try --tune-malloc, for memory beside NumPy's arrays."
        )
    return None
