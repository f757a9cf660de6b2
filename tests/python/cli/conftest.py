"""Programs run by Python, and by ``numpool run``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Done: TypeAlias = "subprocess.CompletedProcess[str]"
Run: TypeAlias = Callable[..., Done]


def execute(*command: str, **kwargs: Any) -> Done:
    """Run the command to its end, with `environment` added to this process's environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("NUMPOOL_")
    }
    environment |= kwargs.pop("environment", {})
    kwargs.setdefault("stdin", subprocess.DEVNULL if "input" not in kwargs else None)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
        **{name: value for name, value in kwargs.items() if value is not None},
    )


def without_addresses(text: str) -> str:
    """The text, with the same address in place of all addresses."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)


@pytest.fixture
def numpool_run(tmp_path: Path) -> Run:
    """``numpool run`` with these arguments."""

    def run(*arguments: str, **kwargs: Any) -> Done:
        kwargs.setdefault("cwd", tmp_path)
        return execute(sys.executable, "-m", "numpool", "run", *arguments, **kwargs)

    return run


@pytest.fixture
def same(tmp_path: Path, numpool_run: Run) -> Run:
    """Runs Python and ``numpool run`` with the same arguments; both must have the same result."""

    def run_both(*arguments: str, **kwargs: Any) -> Done:
        kwargs.setdefault("cwd", tmp_path)
        expected = execute(sys.executable, *arguments, **kwargs)
        done = numpool_run("--quiet", *arguments, **kwargs)
        assert without_addresses(done.stdout) == without_addresses(expected.stdout)
        assert without_addresses(done.stderr) == without_addresses(expected.stderr)
        assert done.returncode == expected.returncode
        return done

    return run_both


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a file, and returns its name relative to the working folder."""

    def write_file(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return write_file
