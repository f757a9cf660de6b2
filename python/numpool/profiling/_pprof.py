"""A profile in pprof's format: protocol buffers, compressed by gzip.

The fields' numbers are those of https://github.com/google/pprof/blob/main/proto/profile.proto.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable

from numpool.profiling._stacks import Frame, Snapshot

_VALUES = (
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
    ("peak_space", "bytes"),
)
"""The values of each sample. The first four are those of Go's heap profiles."""


class _Strings:
    """The table of strings. Other messages have a string's number."""

    def __init__(self) -> None:
        self.numbers = {"": 0}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def encode(snapshot: Snapshot) -> bytes:
    """The whole file."""
    strings = _Strings()
    parts = [_message(1, _value_type(strings, *one)) for one in _VALUES]
    locations: dict[Frame, int] = {}
    functions: dict[tuple[str, str, int], int] = {}
    for one in snapshot.stacks:
        for frame in one.frames:
            locations.setdefault(frame, len(locations) + 1)
        numbers = _packed(1, (locations[frame] for frame in one.frames))
        values = (one.count, one.total, one.live_count, one.live, one.peak)
        parts.append(_message(2, numbers + _packed(2, values)))
    for frame, number in locations.items():
        key = frame.file, frame.function, frame.first_line
        function = functions.setdefault(key, len(functions) + 1)
        line = _number(1, function) + _number(2, frame.line)
        parts.append(_message(4, _number(1, number) + _message(4, line)))
    for (file, name, first_line), number in functions.items():
        parts.append(
            _message(
                5,
                _number(1, number)
                + _number(2, strings(name))
                + _number(3, strings(name))
                + _number(4, strings(file))
                + _number(5, first_line),
            )
        )
    parts.append(_number(9, time.time_ns() - int(snapshot.seconds * 1e9)))
    parts.append(_number(10, int(snapshot.seconds * 1e9)))
    parts.append(_message(11, _value_type(strings, "space", "bytes")))
    parts.append(_number(12, snapshot.sample))
    parts.append(_number(14, strings("peak_space")))
    parts += [_message(6, text.encode(errors="replace")) for text in strings.numbers]
    return gzip.compress(b"".join(parts))


def _value_type(strings: _Strings, kind: str, unit: str) -> bytes:
    return _number(1, strings(kind)) + _number(2, strings(unit))


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _packed(field: int, numbers: Iterable[int]) -> bytes:
    return _message(field, b"".join(_varint(one) for one in numbers))
