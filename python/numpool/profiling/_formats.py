"""A profile as bytes, in the format that a file's name asks for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import numpool
from numpool.profiling._stacks import Frame, Snapshot

if TYPE_CHECKING:
    from numpool.profiling._phases import ProfilePhase
    from numpool.profiling._profile import ProfileLine


def encode(
    name: str,
    snapshot: Snapshot,
    lines: Sequence[ProfileLine],
    phases: Sequence[ProfilePhase],
) -> bytes:
    """The profile as the content of a file with this name."""
    kinds: dict[str, Callable[[], bytes]] = {
        ".speedscope.json": lambda: _speedscope(snapshot),
        ".json": lambda: _json(snapshot, lines, phases),
        ".csv": lambda: _csv(lines),
        ".collapsed": lambda: _collapsed(snapshot),
        ".txt": lambda: _collapsed(snapshot),
        ".pb.gz": lambda: _pprof(snapshot),
    }
    for ending, make in kinds.items():
        if name.endswith(ending):
            return make()
    raise ValueError(
        f"{name!r} does not say the format: let the name end in .json, .csv, .collapsed, .txt, "
        ".pb.gz or .speedscope.json"
    )


def _json(
    snapshot: Snapshot, lines: Sequence[ProfileLine], phases: Sequence[ProfilePhase]
) -> bytes:
    numbers = _numbers(snapshot)
    figures = {
        "numpool": numpool.__version__,
        "sample": snapshot.sample,
        "seconds": snapshot.seconds,
        "live": snapshot.live,
        "peak": snapshot.peak,
        "total": snapshot.total,
        "count": snapshot.count,
        "samples": snapshot.samples,
        "lost": snapshot.lost,
        "lines": [asdict(one) for one in lines],
        "phases": [asdict(one) for one in phases],
        "frames": [asdict(one) for one in numbers],
        "stacks": [
            {
                "frames": [numbers[frame] for frame in one.frames],
                "live": one.live,
                "peak": one.peak,
                "total": one.total,
                "count": one.count,
                "temporaries": one.temporaries,
            }
            for one in snapshot.stacks
        ],
    }
    return (json.dumps(figures, indent=2) + "\n").encode()


def _csv(lines: Sequence[ProfileLine]) -> bytes:
    from numpool.profiling._profile import ProfileLine

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(ProfileLine)]
    writer.writerow(names)
    writer.writerows([getattr(one, name) for name in names] for one in lines)
    return text.getvalue().encode()


def _collapsed(snapshot: Snapshot) -> bytes:
    """Rows of frames from the outermost to the innermost, and the bytes at the peak."""
    rows: dict[str, int] = {}
    for one in snapshot.stacks:
        if one.peak:
            stack = ";".join(_label(frame) for frame in reversed(one.frames))
            rows[stack] = rows.get(stack, 0) + one.peak
    return "".join(f"{stack} {size}\n" for stack, size in rows.items()).encode()


def _label(frame: Frame) -> str:
    """The frame as a word of a row, in which a semicolon or the end of a line would end it."""
    text = f"{frame.function} ({frame.file}:{frame.line})" if frame.line else frame.function
    return text.replace(";", ":").replace("\n", " ")


def _speedscope(snapshot: Snapshot) -> bytes:
    numbers = _numbers(snapshot)
    profiles = []
    for name, key in (("in use at the peak", "peak"), ("requested in all", "total")):
        stacks = [one for one in snapshot.stacks if getattr(one, key)]
        weights = [getattr(one, key) for one in stacks]
        samples = [[numbers[frame] for frame in reversed(one.frames)] for one in stacks]
        profiles.append(
            {
                "type": "sampled",
                "name": name,
                "unit": "bytes",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        )
    file = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": f"numpool {numpool.__version__}",
        "shared": {
            "frames": [
                {"name": one.function, "file": one.file, "line": one.line} for one in numbers
            ]
        },
        "profiles": profiles,
    }
    return json.dumps(file).encode()


def _pprof(snapshot: Snapshot) -> bytes:
    from numpool.profiling import _pprof

    return _pprof.encode(snapshot)


def _numbers(snapshot: Snapshot) -> dict[Frame, int]:
    """A number for each frame, from 0 on."""
    numbers: dict[Frame, int] = {}
    for one in snapshot.stacks:
        for frame in one.frames:
            numbers.setdefault(frame, len(numbers))
    return numbers
