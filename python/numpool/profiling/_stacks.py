"""What the core has sampled, as plain figures with files, lines and functions."""

from __future__ import annotations

import dis
import functools
from dataclasses import dataclass
from types import CodeType
from typing import Any

from numpool import _core

_AFTER_THE_STATEMENT = ("STORE_", "DELETE_", "RETURN_")
"""Instructions that end an array which a variable held, perhaps since an earlier statement."""


@dataclass(frozen=True)
class Frame:
    """A place in the program."""

    file: str
    line: int
    function: str
    first_line: int
    """The line where the function begins."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


NATIVE = Frame("native", 0, "native", 0)
"""Stands for code that no Python code has called."""


@dataclass(frozen=True)
class Stack:
    """What is known of one stack, in bytes and blocks. All figures are estimates."""

    frames: tuple[Frame, ...]
    """From the innermost to the outermost."""
    shown: Frame
    """The innermost frame that belongs neither to NumPy nor to numpool."""
    live: int
    live_count: int
    peak: int
    total: int
    count: int
    ended: float
    seconds: float
    """The lifetimes of the blocks that ended, added up."""
    temporaries: int
    """The bytes of the blocks that ended within the statement that made them."""
    temporary_count: int


@dataclass(frozen=True)
class LiveSample:
    """A sampled block that is alive."""

    address: int
    size: int
    age: float
    shown: Frame


@dataclass(frozen=True)
class Snapshot:
    """All that a profile knows at one moment."""

    sample: int
    """The mean distance of two samples, in bytes."""
    seconds: float
    live: int
    peak: int
    total: int
    count: int
    samples: int
    lost: int
    """The number of samples for which there was no memory."""
    stacks: tuple[Stack, ...]
    live_samples: tuple[LiveSample, ...]


def take() -> Snapshot:
    """What the profile knows now."""
    figures, by_number, live = _core._profile_snapshot()
    stacks = {number: _stack(one) for number, one in by_number.items()}
    return Snapshot(
        sample=figures["mean"],
        seconds=figures["seconds"],
        live=figures["live"],
        peak=figures["peak"],
        total=figures["total"],
        count=figures["count"],
        samples=figures["samples"],
        lost=figures["lost"],
        stacks=tuple(stacks.values()),
        live_samples=tuple(
            LiveSample(address, size, age, stacks[number].shown)
            for address, size, age, number in live
        ),
    )


def _stack(figures: dict[str, Any]) -> Stack:
    places: tuple[tuple[CodeType, int], ...] = figures["frames"]
    frames = tuple(_frame(code, instruction) for code, instruction in places) or (NATIVE,)
    temporaries = count = 0
    if places:
        code, made_at = places[figures["shown"]]
        for ended_at, size, blocks in figures["endings"]:
            if _is_in_statement(code, made_at, ended_at):
                temporaries += size
                count += blocks
    return Stack(
        frames=frames,
        shown=frames[figures["shown"]],
        live=figures["live"],
        live_count=figures["live_count"],
        peak=figures["peak"],
        total=figures["total"],
        count=figures["count"],
        ended=figures["ended"],
        seconds=figures["seconds"],
        temporaries=temporaries,
        temporary_count=count,
    )


def _frame(code: CodeType, instruction: int) -> Frame:
    name = getattr(code, "co_qualname", code.co_name)  # From Python 3.11 on.
    return Frame(code.co_filename, _line(code, instruction), name, code.co_firstlineno)


@functools.lru_cache(maxsize=4096)
def _line(code: CodeType, instruction: int) -> int:
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def _is_in_statement(code: CodeType, made_at: int, ended_at: int) -> bool:
    """Whether an array that this code made ended before its statement did."""
    return _line(code, made_at) == _line(code, ended_at) and not _operation(
        code, ended_at
    ).startswith(_AFTER_THE_STATEMENT)


@functools.lru_cache(maxsize=4096)
def _operation(code: CodeType, instruction: int) -> str:
    """The name of the instruction. The place may also be in the cache behind it."""
    name = ""
    for one in dis.get_instructions(code):
        if one.offset > instruction:
            break
        name = one.opname
    return name
