"""Each system call of each public operation fails in its turn: an error, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_no_system_call_that_fails_crashes_or_loses_anything(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("this machine has no C++ compiler")
    library = tmp_path / "failing_calls.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, HERE / "failing_calls.cpp"], check=True
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", HERE / "system_calls.py"],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)
    assert int(done.stderr.split()[0]) > 300
