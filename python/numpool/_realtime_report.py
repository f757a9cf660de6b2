"""The figures of a real-time loop, and their report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpool import _core


@dataclass(frozen=True)
class RealtimeMiss:
    """Allocations outside the warm set, or page faults, at one place of the program.

    line        the line of Python, as "file.py:3 in function"; None if there was none. For page
                faults it is the line of the step's ``with``
    nbytes      the bytes that NumPy asked for; 0 for page faults
    count       how many allocations, or page faults
    first_step  the number of the step with the first of them, from 0 on; None outside of steps
    """

    line: str | None
    nbytes: int
    count: int
    first_step: int | None

    def __str__(self) -> str:
        what = _faults(self.count)
        if self.nbytes:
            allocations = _counted(self.count, "allocation", "allocations")
            what = f"{allocations} of {self.nbytes:,} bytes"
        line = f" at {self.line}" if self.line else ""
        return (
            what
            + line
            + ("" if self.first_step is None else f"; first in step {self.first_step:,}")
        )


@dataclass(frozen=True)
class RealtimeStats:
    """The figures of a ``realtime`` block. Steps of the warm-up are not counted.

    steps             steps that have ended
    faulty_steps      of these, the steps with page faults
    minor_faults      page faults in steps that needed no disk
    major_faults      page faults in steps that waited for a disk
    block_faults      page faults of the thread in the whole block: also between steps, and in the
                      warm-up
    misses            allocations outside the warm set: in steps, or in the whole block if it has
                      no steps
    missed_bytes      bytes of these allocations
    unwatched_misses  other allocations outside the warm set: between steps, and in the warm-up
    nbytes            bytes of the warm set, with its records
    locked            whether the warm set is locked in memory
    collections       calls of ``collect``
    median            the median time of a step, in seconds; 0 without steps
    p9999             the time that 99.99 % of the steps did not exceed, in seconds
    longest           the longest time of a step, in seconds
    times             pairs of a time in seconds and a number of steps that took as long, to within
                      3 %; from the shortest time to the longest
    places            where the misses and the faults were: at most 64 places
    sizes             for each size of the warm set, the bytes of a block, the number of blocks, and
                      the most that were in use at once
    """

    steps: int
    faulty_steps: int
    minor_faults: int
    major_faults: int
    block_faults: int
    misses: int
    missed_bytes: int
    unwatched_misses: int
    nbytes: int
    locked: bool
    collections: int
    median: float
    p9999: float
    longest: float
    times: tuple[tuple[float, int], ...]
    places: tuple[RealtimeMiss, ...]
    sizes: tuple[tuple[int, int, int], ...]

    @property
    def faults(self) -> int:
        """All page faults in steps."""
        return self.minor_faults + self.major_faults


def stats_from(figures: dict[str, Any], *, locked: bool, collections: int) -> RealtimeStats:
    """The figures of the extension, in seconds and with quantiles."""
    given = dict(figures)
    times = tuple((nanoseconds / 1e9, steps) for nanoseconds, steps in given.pop("times"))
    return RealtimeStats(
        locked=locked,
        collections=collections,
        median=_quantile(times, 0.5),
        p9999=_quantile(times, 0.9999),
        longest=given.pop("longest") / 1e9,
        times=times,
        places=tuple(RealtimeMiss(*place) for place in given.pop("places")),
        sizes=tuple((size, blocks, most) for size, blocks, _, most, *_ in given.pop("sizes")),
        **given,
    )


def _quantile(times: tuple[tuple[float, int], ...], share: float) -> float:
    """The time that this share of the steps did not exceed."""
    left = share * sum(steps for _, steps in times)
    for time, steps in times:
        left -= steps
        if left <= 0:
            return time
    return 0.0


def _faults(count: int) -> str:
    return f"{count:,} page fault{'' if count == 1 else 's'}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-2 else f"{seconds * 1e3:,.1f} ms"


def report(stats: RealtimeStats) -> str:
    """The figures as text."""
    return "\n".join(_lines(stats))


def _lines(stats: RealtimeStats) -> Iterator[str]:
    steps = _counted(stats.steps, "step", "steps")
    faulty = f" in {stats.faulty_steps:,} of them" if stats.faults else ""
    misses = _counted(stats.misses, "allocation", "allocations")
    yield f"{steps}: {_faults(stats.faults)}{faulty}, {misses} outside the warm set"
    for place in stats.places:
        yield f"  {place}"
    blocks = sum(count for _, count, _ in stats.sizes)
    held = "locked in memory" if stats.locked else "not locked"
    yield (
        f"warm set: {_counted(blocks, 'block', 'blocks')} of "
        f"{_counted(len(stats.sizes), 'size', 'sizes')}, {_core.format_size(stats.nbytes)}, {held}"
    )
    if stats.steps:
        yield (
            f"a step: median {_time(stats.median)}, 99.99 % within {_time(stats.p9999)}, "
            f"longest {_time(stats.longest)}"
        )
    unwatched = _counted(stats.unwatched_misses, "allocation", "allocations")
    between = stats.block_faults - stats.faults
    yield f"outside of these steps: {_faults(between)}, {unwatched} outside the warm set"


def rehearsal_report(sizes: list[tuple[int, int, int, int]], unrecorded: int) -> str:
    """What a rehearsal recorded, as text."""
    blocks = sum(most for _, most, _, _ in sizes)
    total = _core.format_size(sum(size * most for size, most, _, _ in sizes))
    lines = [
        f"{_counted(blocks, 'block', 'blocks')} of {_counted(len(sizes), 'size', 'sizes')}, {total}"
    ]
    for size, most, live, requests in sizes:
        kept = f", {live:,} alive at the end" if live else ""
        times = _counted(requests, "time", "times")
        lines.append(f"  {most:,} of {size:,} bytes, requested {times}{kept}")
    if unrecorded:
        lines.append(f"  {unrecorded:,} requests not recorded: no memory for the record")
    return "\n".join(lines)
