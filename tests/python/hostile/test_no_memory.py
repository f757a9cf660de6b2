"""If Python gets no memory in any step of a public operation, it raises MemoryError.

No block is lost.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("no_memory.py")


def test_no_step_without_memory_crashes_or_loses_anything() -> None:
    pytest.importorskip("_testcapi", reason="this CPython comes without its own tests' module")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
