"""A separate process, which collects some tests of the run and measures them.

It is started with ``--NAME=FILE`` and writes its figures to FILE as JSON. A second file names the
group that it measures, so that the run can report where a process ended early.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from races import Entry

PATIENCE = 60


def measure(name: str, entries: Iterable[Entry], config: pytest.Config, **environment: str) -> Any:
    """Start a process, and read its figures. Raises RuntimeError if it ended early."""
    patience = config.getoption("patience", PATIENCE)
    with TemporaryDirectory() as folder:
        file = Path(folder, "measured.json")
        own = [f"--{name}={file}", f"--patience={patience}", "--quiet", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *own, *(entry.id for entry in entries)],
            cwd=config.rootpath,
            env={**os.environ, "PYTEST_ADDOPTS": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            ended = (
                f"took longer than {patience} s"
                if done.returncode == -signal.SIGALRM
                else f"ended with {done.returncode}"
            )
            kept = place(file)
            where = f"in {kept.read_text()!r}" if kept.exists() else "before its first group"
            raise RuntimeError(f"the process of --{name} {ended}, {where}:\n{done.stdout}")
        return json.loads(file.read_text())


def place(file: Path) -> Path:
    return file.with_suffix(".place")


def begin(group: str, file: Path, patience: int) -> None:
    """Note the group that this process measures, and limit its time from now on."""
    place(file).write_text(group)
    limit(patience)


def limit(seconds: int) -> None:
    """End this process after this many seconds, with its stacks on standard error.

    A later call replaces the limit. There is no second thread: it would make code take locks that a
    process with one thread does not take.
    """
    faulthandler.register(signal.SIGALRM, file=2, chain=True)
    signal.alarm(seconds)
