"""Each claim of the literature can be measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import claims
import pytest

RUNNER = Path(__file__).with_name("literature.py")
LITTLE = {"socket_server": 0.02, "control_loop": 0.02, "frame_loop": 0.01, "small_records": 20_000}


@pytest.mark.parametrize("name", claims.CLAIMS)
def test_a_report_has_the_claim_the_measurement_and_why_they_differ(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(RUNNER), name, "--rounds", "1", "--amount", str(LITTLE[name])],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    claim = claims.load(name)
    assert "NumPy " in done.stdout.splitlines()[1]
    assert f"Claimed: {claim.claimed}." in done.stdout
    assert "Measured, 1 round. Other programs took" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) >= 2 + len(claim.contenders)
    assert f"Why: {claim.why}" in done.stdout


def test_an_unknown_claim_is_refused_and_the_known_ones_are_named() -> None:
    done = subprocess.run(
        [sys.executable, str(RUNNER), "magic"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "magic: there are socket_server, control_loop, frame_loop, small_records" in done.stderr
