"""A program that needs four times its container's memory: killed by default, and done with a file.

The container is a control group with a limit, which root can make on many systems.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "larger_than_memory.py"


def test_a_program_that_needs_four_times_its_memory_ends_with_the_right_result(disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--memory", "192MiB", "--folder", str(disk)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    rows = [line.strip("|").split("|") for line in done.stdout.splitlines() if "numpool run" in line
            or "default" in line]  # fmt: skip
    ended = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
    assert ended == {
        "default NumPy": "killed",
        "numpool run": "killed",
        "numpool run --limit 50%": "MemoryError",
        "numpool run --limit 50% --spill FOLDER": "done",
    }
