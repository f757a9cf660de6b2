"""The C++ tests, one item for each of their files. They also run without Python."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests/cpp").rglob("*_test.cpp"))
BUILD = ROOT / "build/pytest"
MINUTES = 60


def run(*command: str | Path) -> None:
    """Run a tool, preferably of this environment. If it fails, show its output."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=10 * MINUTES,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}", pytrace=False)


@pytest.fixture(scope="session")
def program() -> Path:
    """A program with all C++ tests. Its pools check themselves after each operation."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("cmake", "--preset", "debug", "-B", BUILD, "-D", "NUMPOOL_WERROR=OFF")
        run("cmake", "--build", BUILD, "--target", "numpool_tests")
    return BUILD / "tests/cpp/numpool_tests"


def test_there_are_core_tests() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_core(program: Path, file: Path) -> None:
    run(program, file.stem)
