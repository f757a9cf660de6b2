"""What checked pools tell."""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import dataclass

from numpool import _core


@dataclass(frozen=True)
class LiveBlock:
    """A block that is in use, as ``Pool.live()`` lists it.

    size     bytes, as they were asked for
    age      seconds since it was acquired
    line     the line of Python that acquired it, as "file.py:3 in function"; None for native code
    address  the address of its first byte
    """

    size: int
    age: float
    line: str | None
    address: int


def watch_the_exit() -> None:
    """Have all blocks looked at before Python ends, and what was found written to stderr."""
    atexit.register(_say_last_words, os.getpid())


def _say_last_words(pid: int) -> None:
    if os.getpid() != pid:
        return
    for text in _core._last_words():
        print(f"numpool: at exit: {text}", file=sys.stderr)
