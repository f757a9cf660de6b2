"""What Python sees of checked pools: their live blocks, and the check at exit."""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import dataclass

from numpool import _core


@dataclass(frozen=True)
class LiveBlock:
    """A block in use, as ``Pool.live()`` lists it.

    size     the requested bytes
    age      seconds since it was acquired
    line     the line of Python that acquired it, as "file.py:3 in function"; None for native code
    address  the address of its first byte
    """

    size: int
    age: float
    line: str | None
    address: int


def check_at_exit() -> None:
    """Check all blocks when Python exits, and write the reports to standard error."""
    atexit.register(_write_reports, os.getpid())


def _write_reports(pid: int) -> None:
    if os.getpid() != pid:
        return
    for text in _core._reports_at_exit():
        print(f"numpool: at exit: {text}", file=sys.stderr)
