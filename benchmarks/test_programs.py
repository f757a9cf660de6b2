"""The whole programs run, with the same result with and without the pool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS

import numpool

RUNNER = Path(__file__).with_name("whole_programs.py")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_comes_to_the_same_on_the_pool(name: str) -> None:
    program = PROGRAMS[name]
    if not program.installed():
        pytest.skip(f"{program.needs} is not installed")
    run = program.load()
    own = run(1)
    requests = numpool.default_pool().stats().total_blocks
    with numpool.use(numpool.default_pool()):
        pooled = run(1)
    assert numpool.default_pool().stats().total_blocks > requests
    assert pooled == pytest.approx(own, rel=1e-6)
    assert np.isfinite(own)


def test_the_runner_reports_every_contender_and_goes_on_from_kept_rounds(tmp_path: Path) -> None:
    kept = tmp_path / "runs.json"
    command = [sys.executable, str(RUNNER), "--programs", "small arrays", "--steps", "1"]
    for rounds in ("1", "0"):
        done = subprocess.run(
            [*command, "--keep", str(kept), "--rounds", rounds],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "1 round, so no spread is known. Other programs took" in done.stdout
        assert "NumPy " in done.stdout
        head = next(line for line in done.stdout.splitlines() if line.startswith("| speed"))
        assert "| numpool | numpool, tune_malloc | glibc, mallopt" in head
        assert "**geometric mean**" in done.stdout
