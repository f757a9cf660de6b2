"""Fixtures of the hostile tests."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import settings

# The long form of the state machine, with --hypothesis-profile=long.
settings.register_profile("long", max_examples=5000, stateful_step_count=200, deadline=None)

PRELUDE = """
import gc, sys
import numpool

def makers():
    backing = numpool.SlabPool()
    return {
        numpool.FixedPool: (64, 4),
        numpool.SlabPool: (),
        numpool.Arena: (),
        numpool.BuddyPool: (1 << 20,),
        numpool.HandlePool: ({64: 4},),
        numpool.ReservePool: (backing, 64, 2),
        numpool.Budget: (1 << 20,),
    }

def error_of(function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
"""


@pytest.fixture
def attack() -> Callable[[str], list[str]]:
    """Runs hostile code to its end in its own process, and returns the lines that it prints."""

    def run(code: str) -> list[str]:
        program = f"{PRELUDE}\n{textwrap.dedent(code)}\ngc.collect()\nprint('end')"
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        lines = done.stdout.splitlines()
        assert (done.returncode, done.stderr, lines[-1:]) == (0, "", ["end"])
        return lines[:-1]

    return run
