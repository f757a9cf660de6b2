"""The figures of a run, and advice from them."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpool
from numpool import _core
from numpool.cli.misplaced import misplaced

MOST_SAMPLED = 3
"""How many lines the summary names."""
BESIDE_ARRAYS = 128 << 20
"""The memory that Python with the usual libraries may need besides NumPy's arrays."""


@dataclass(frozen=True)
class SizeFigures:
    """Blocks of one size class."""

    block_size: int
    """Bytes; 0 for blocks too large for a class."""
    total_blocks: int
    total_bytes: int
    reused: int


@dataclass(frozen=True)
class LeakFigures:
    """Blocks that one line acquired, and that were in use at the end."""

    line: str
    blocks: int
    size: int
    """The requested bytes."""


@dataclass(frozen=True)
class SpillFigures:
    """What the limit refused and a file took, in bytes unless stated otherwise."""

    folder: str
    limit: int | None
    blocks: int
    """How many blocks the file took in all."""
    total_bytes: int
    """The bytes of these blocks, as NumPy asked for them."""
    live: int
    """What live blocks took of it at the end."""
    peak: int
    """The most that live blocks took of it at once."""
    refused: int
    """The number of requests that it refused, too."""
    read: int | None
    """What the whole process read from disks; None where the system does not tell."""
    written: int | None
    """What the whole process wrote to disks, less what it freed before it was written."""


@dataclass(frozen=True)
class LineFigures:
    """What one line of the program requested, as the samples show it."""

    file: str
    line: int
    function: str
    size: int
    """Bytes."""
    share: float
    """Of the same figure of all lines, from 0 to 1."""


@dataclass(frozen=True)
class SampledFigures:
    """What the samples of a run show."""

    sample: int
    """The mean distance of two samples, in bytes."""
    samples: int
    holders: list[LineFigures]
    """The lines whose arrays held the most memory at the peak, the most first."""
    temporaries: list[LineFigures]
    """The lines whose arrays most often ended within their own statement; the share is of all
    bytes that NumPy asked for."""


@dataclass(frozen=True)
class RunSummary:
    """The figures of one run, in bytes unless stated otherwise."""

    program: list[str]
    """The program and its arguments, as given to Python."""
    seconds: float
    """From before Python's start to after the program's end."""
    pool: str
    """The kind of pool, or none."""
    installed: bool
    """Whether the program imported NumPy, so that the pool was installed."""
    total_bytes: int
    """The bytes that NumPy asked for."""
    total_blocks: int
    """The number of blocks that NumPy asked for."""
    reused: int
    """The number of these blocks that reused memory."""
    failures: int
    """The number of requests that were refused."""
    limit: int | None
    live: int
    """The memory in use at the end, as the pool rounds it."""
    peak_live: int
    """The most memory in use at once, as the pool rounds it."""
    peak_held: int
    """The most memory that the pool held at once, used or not."""
    rounded: int
    """The difference between the sizes of all small blocks and the requested bytes."""
    cached: int
    """The unused memory that the pool held at the end."""
    peak_resident: int
    """The most memory that the whole process had at once."""
    page_faults: int
    major_page_faults: int
    """The number of these that waited for a disk."""
    tune_malloc: bool
    forked: int
    """How many times the program forked. The figures do not include its children."""
    children_peak_resident: int
    """The largest peak of a process that the program started or forked, and waited for."""
    own_pool: str
    """The pool that NumPy allocates from at the end, if it is not the pool of this run."""
    sizes: list[SizeFigures]
    misplaced: list[str] = field(default_factory=list)
    """Options of numpool that come after the program, and that the program does not mention."""
    checks: bool = False
    """Whether blocks were checked, which takes time and memory."""
    checked_for: list[str] = field(default_factory=list)
    """The options or variables that ask for this."""
    shared: int | None = None
    """The arrays that all processes sent as copies in shared memory; None without --share."""
    shared_bytes: int = 0
    """The bytes of these arrays, which were not pickled."""
    leaks: list[LeakFigures] | None = None
    """The blocks in use at the end, the most bytes first; None without --leaks."""
    spill: SpillFigures | None = None
    """What went to a file; None without --spill."""
    sampled: SampledFigures | None = None
    """None without --sample."""


def gather(
    settings: dict[str, Any], pool: numpool.SlabPool | None, ended: float, forks: int
) -> RunSummary:
    """The figures of the program that has ended in this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stats = None if pool is None else pool.stats()
    every = () if stats is None else stats.classes
    spans = None if stats is None else stats.spans
    shared, shared_bytes = copies() if settings["share"] else (None, 0)
    return RunSummary(
        program=settings["program"],
        seconds=ended - settings["clock"],
        pool=settings["pool"],
        installed=stats is not None,
        total_bytes=0 if stats is None else stats.total_bytes,
        total_blocks=0 if stats is None else stats.total_blocks,
        reused=0 if stats is None else stats.reused,
        failures=0 if stats is None else stats.failures,
        limit=settings["limit"],
        live=0 if stats is None else stats.in_use,
        peak_live=0 if stats is None else stats.peak,
        peak_held=0 if stats is None else stats.peak_committed,
        rounded=sum(one.total_blocks * one.block_size - one.total_bytes for one in every),
        cached=0 if stats is None else stats.cached,
        peak_resident=peak_resident(),
        page_faults=usage.ru_minflt
        + usage.ru_majflt
        - settings["faults"]
        - settings["major_faults"],
        major_page_faults=usage.ru_majflt - settings["major_faults"],
        tune_malloc=settings["tune_malloc"],
        forked=forks,
        children_peak_resident=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        own_pool=own_pool(pool),
        sizes=[
            SizeFigures(one.block_size, one.total_blocks, one.total_bytes, one.reused)
            for one in (*every, *([spans] if spans else []))
            if one.total_blocks
        ],
        misplaced=misplaced(settings["suspects"]),
        checks=bool(settings["checks"]),
        checked_for=settings["checked_for"],
        shared=shared,
        shared_bytes=shared_bytes,
        leaks=leaks() if settings["leaks"] else None,
        spill=spilled(settings),
        sampled=sampled() if _core._profile_runs() else None,
    )


def sampled() -> SampledFigures:
    """What the profile of this run shows."""
    from numpool.profiling import _profile, _stacks

    snapshot = _stacks.take()
    lines = _profile.lines(snapshot)

    def largest(key: str, whole: int) -> list[LineFigures]:
        found = sorted(lines, key=lambda one: -getattr(one, key))[:MOST_SAMPLED]
        return [
            LineFigures(one.file, one.line, one.function, size, min(1.0, size / whole))
            for one in found
            if (size := getattr(one, key))
        ]

    return SampledFigures(
        snapshot.sample,
        snapshot.samples,
        largest("peak", snapshot.peak),
        largest("temporaries", snapshot.total),
    )


def spilled(settings: dict[str, Any]) -> SpillFigures | None:
    """What went to the file of --spill; None without it, or if NumPy was not imported."""
    pool = numpool.spill_pool()
    if settings["spill"] is None or pool is None:
        return None
    stats = pool.stats()
    read, written = disk_traffic()
    return SpillFigures(
        folder=settings["spill"],
        limit=stats.limit,
        blocks=stats.total_blocks,
        total_bytes=stats.total_bytes,
        live=stats.in_use,
        peak=stats.peak,
        refused=stats.failures,
        read=read,
        written=written,
    )


def disk_traffic() -> tuple[int, int] | tuple[None, None]:
    """What this process has read from disks, and written to them, so far."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None, None
    of = {name: int(number) for name, number in (line.split(": ") for line in lines)}
    return of["read_bytes"], max(0, of["write_bytes"] - of["cancelled_write_bytes"])


def copies() -> tuple[int, int]:
    """The arrays that were sent as copies, and their bytes."""
    sending = sys.modules.get("numpool._copies")
    return (0, 0) if sending is None else sending.figures()


def leaks() -> list[LeakFigures]:
    """The live blocks of all checked pools, by the line that acquired them."""
    lines: dict[str, list[int]] = {}
    for _, blocks in _core._all_live():
        for block in blocks:
            lines.setdefault(block.line or "native code", []).append(block.size)
    figures = [LeakFigures(line, len(sizes), sum(sizes)) for line, sizes in lines.items()]
    return sorted(figures, key=lambda one: (-one.size, one.line))


def peak_resident() -> int:
    """The program's peak. That of getrusage would include the process before its exec."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def own_pool(pool: numpool.SlabPool | None) -> str:
    """The pool that the program installed instead of this run's pool; empty if none."""
    if pool is None:
        return ""
    now = numpool.current()
    return "" if now is None or now is pool else repr(now)


def as_json(summary: RunSummary) -> str:
    """The figures as JSON, with the advice if there is one."""
    figures = asdict(summary) | {"advice": advice(summary), "numpool": numpool.__version__}
    return json.dumps(figures, indent=2) + "\n"


def write(summary: RunSummary, file: str) -> None:
    """Write the figures as JSON."""
    Path(file).write_text(as_json(summary))


def advice(summary: RunSummary) -> str | None:
    """Advice, and a note on processes that the figures leave out; None if there is neither."""
    return " ".join(sentences(summary)) or None


def sentences(summary: RunSummary) -> Iterator[str]:
    """Each piece of advice, in one or two sentences."""
    if summary.misplaced:
        yield misplaced_options(summary)
    if summary.shared == 0:
        yield (
            "No array was sent by sharing: the program passes no array of 64 KiB or more to other "
            "processes through multiprocessing or joblib."
        )
    others = other_processes(summary)
    if summary.checks:
        one = len(summary.checked_for) == 1
        yield (
            f"{' and '.join(summary.checked_for)} {'takes' if one else 'take'} time and memory: "
            f"leave {'it' if one else 'them'} out to see the usual figures."
        )
    if summary.pool == "none":
        yield "NumPy allocated as without numpool (--pool none)."
        if others:
            yield others
        return
    if not summary.installed:
        yield (
            f"This process did not import NumPy. {others}"
            if others
            else "The program did not import NumPy, so it did not use the pool."
        )
        return
    if summary.spill is None:
        yield from refusals(summary)
    else:
        yield from spill_sentences(summary, summary.spill)
    asked_nothing = summary.total_bytes == 0 and summary.failures == 0
    if asked_nothing and not others and not summary.own_pool:
        yield (
            "NumPy did not use this pool: the program makes no arrays, or makes them in pools of "
            "its own."
        )
    if summary.own_pool:
        yield (
            f"At the end NumPy allocated from {summary.own_pool}, which the program installed: "
            "these figures do not include that pool."
        )
    if others:
        yield others
    if summary.spill is not None and summary.spill.blocks:
        # The pages of the file that are in memory are resident, too, and make page faults.
        return
    size = numpool.format_size
    if summary.limit is not None and summary.peak_resident > summary.limit + BESIDE_ARRAYS:
        yield (
            f"The process held {size(summary.peak_resident)} at its peak: --limit bounds NumPy's "
            "arrays, but not the memory of Python and its libraries."
        )
    brought_in = summary.page_faults * os.sysconf("SC_PAGESIZE")
    if brought_in > max(4 * summary.peak_resident, 256 << 20) and not summary.tune_malloc:
        yield (
            f"Page faults brought in {size(brought_in)}, {brought_in / summary.peak_resident:.0f} "
            "times the program's peak: try --tune-malloc, for memory outside NumPy's arrays."
        )


def misplaced_options(summary: RunSummary) -> str:
    """A sentence on options that the program got instead of numpool."""
    names = " and ".join(summary.misplaced)
    return (
        f"{names} went to the program, which does not mention "
        f"{'it' if len(summary.misplaced) == 1 else 'them'}: numpool's options stand before the "
        "program."
    )


def limit_refused(summary: RunSummary) -> str:
    """A sentence on the limit that raised MemoryError."""
    return (
        f"The limit of {numpool.format_size(summary.limit or 0)} refused {summary.failures:,} "
        f"request{'s' * (summary.failures != 1)}: raise --limit, or expect MemoryError."
    )


def spill_sentences(summary: RunSummary, spill: SpillFigures) -> Iterator[str]:
    """What went to the file, and what it refused, too."""
    size = numpool.format_size
    limit = size(summary.limit or 0)
    if not spill.blocks and not summary.failures:
        yield f"Nothing went to the file in {spill.folder}: the limit of {limit} refused nothing."
    if spill.blocks:
        yield (
            f"The limit of {limit} sent {spill.blocks:,} large block{'s' * (spill.blocks != 1)} "
            f"({size(spill.total_bytes)}) to the file in {spill.folder}."
        )
    yield from refusals(summary)


def refusals(summary: RunSummary) -> Iterator[str]:
    """A sentence on each bound that raised MemoryError."""
    spill = summary.spill
    if spill is None:
        if summary.failures and summary.limit is not None:
            yield limit_refused(summary)
        return
    size = numpool.format_size
    small = max(0, summary.failures - spill.blocks - spill.refused)
    if small:
        yield (
            f"The limit refused {small:,} request{'s' * (small != 1)} of 64 KiB or less, which do "
            "not go to the file: raise --limit, or expect MemoryError."
        )
    if spill.refused:
        bound = "The disk" if spill.limit is None else f"--spill-limit {size(spill.limit)}"
        yield (
            f"{bound} refused {spill.refused:,} request{'s' * (spill.refused != 1)}: make room, or "
            "expect MemoryError."
        )


def other_processes(summary: RunSummary) -> str:
    """A sentence on processes that the figures leave out; empty if there were none."""
    size = numpool.format_size
    peak = summary.children_peak_resident
    if summary.forked:
        forks = f"{summary.forked:,} process{'es' * (summary.forked != 1)}"
        held = f", of which one held {size(peak)}" if peak else ""
        return f"The program forked {forks}{held}: these figures do not include its children."
    if peak:
        return (
            f"The program started other processes, of which one held {size(peak)}: these figures "
            "do not include them."
        )
    return ""
