"""``numpool run --checks`` and ``--leaks``."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Child = Callable[..., "subprocess.CompletedProcess[str]"]

RUN = ("-m", "numpool", "run")


def test_a_bug_of_an_array_is_found(child: Child) -> None:
    done = child(
        """
a = np.ones(10, "u1")
write(a.ctypes.data + 10)
del a
sum(range(10))
print("not reached")
""",
        "--checks",
        command=RUN,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "numpool.CorruptionError: SlabPool 'run': a write past a block: byte 10" in done.stderr
    assert "--checks takes time and memory: leave it out to see the usual" in done.stderr


@pytest.mark.parametrize("checks", ["--checks=abort", "--checks"])
def test_the_programs_own_pools_are_checked_too(child: Child, checks: str) -> None:
    done = child(
        """
pool = numpool.FixedPool(10, 1, name="own")
block = pool.acquire()
write(block.address - 1)
block.release()
""",
        "--quiet",
        checks,
        command=RUN,
    )
    assert done.returncode == (-6 if "abort" in checks else 1)
    assert "FixedPool 'own': a write before a block: byte -1" in done.stderr


def test_the_lines_that_hold_memory_at_the_end_are_named(child: Child, tmp_path: Path) -> None:
    code = """
def load():
    return np.ones(1000, "u1")
kept = [load() for _ in range(3)]
pool = numpool.FixedPool(10, 2)
block = pool.acquire()
gone = load()
del gone
"""
    file = tmp_path / "figures.json"
    done = child(code, "--leaks", "--quiet", f"--json={file}", command=RUN)
    assert (done.returncode, done.stdout) == (0, "")
    rows = [line.split() for line in done.stderr.splitlines()]
    assert rows[0] == [
        "in",
        "use",
        "at",
        "the",
        "end,",
        "by",
        "the",
        "line",
        "that",
        "acquired",
        "it",
    ]
    assert [row[:-3] for row in rows[2:]] == [["2.93", "KiB", "3"], ["10", "bytes", "1"]]
    assert [row[-1] for row in rows[2:]] == ["load", "<module>"]
    leaks = json.loads(file.read_text())["leaks"]
    assert [(one["blocks"], one["size"]) for one in leaks] == [(3, 3000), (1, 10)]
    assert re.search(r"program.py:3 in load$", leaks[0]["line"])


def test_nothing_at_the_end_is_said_too(child: Child) -> None:
    done = child("np.ones(10)", "--leaks", "--quiet", command=RUN)
    assert done.stderr == "No block was in use at the end.\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["--checks=loud"],
            "argument --checks: 'loud' is not one of raise, abort, guard, guard:N, off",
        ),
        (
            ["--checks=guard:0"],
            "argument --checks: 'guard:0' is not one of raise, abort, guard, guard:N, off",
        ),
        (["--compare", "--checks"], "--compare measures time, and --checks and --leaks cost time"),
        (["--compare", "--leaks"], "--compare measures time, and --checks and --leaks cost time"),
        (
            ["--pool=none", "--checks"],
            "--checks has no effect with --pool none, which keeps NumPy's own",
        ),
        (
            ["--pool=none", "--leaks"],
            "--leaks has no effect with --pool none, which keeps NumPy's own",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(child: Child, options: list[str], text: str) -> None:
    done = child("", *options, command=RUN)
    assert done.returncode == 2
    assert text in done.stderr


@pytest.mark.parametrize(
    ("options", "variables", "text"),
    [
        (["--leaks"], {}, "--leaks takes time and memory: leave it out to see the usual"),
        (["--leaks", "--checks"], {}, "--checks and --leaks take time and memory: leave them out"),
        ([], {"NUMPOOL_CHECKS": "1"}, "NUMPOOL_CHECKS takes time and memory: leave it out"),
    ],
)
def test_the_summary_names_what_made_the_run_slow(
    child: Child, options: list[str], variables: dict[str, str], text: str
) -> None:
    assert text in " ".join(child("", *options, command=RUN, **variables).stderr.split())


def test_the_environment_may_ask_for_checks_and_the_command_line_may_not(child: Child) -> None:
    code = "print(numpool.current().live())"
    done = child(code, "--quiet", command=RUN, NUMPOOL_CHECKS="1")
    assert (done.stdout, done.stderr) == ("[]\n", "")
    done = child(code, "--quiet", "--checks=off", command=RUN, NUMPOOL_CHECKS="1")
    assert "keeps no list of its blocks" in done.stderr


def test_a_read_past_an_array_ends_the_program_at_the_line_where_it_is(child: Child) -> None:
    done = child(
        """
def make():
    return np.ones(10)
def total(a):
    return np.lib.stride_tricks.as_strided(a, (11,)).sum()
total(make())
print("not reached")
""",
        "--checks=guard:1",
        "--quiet",
        "-X",
        "faulthandler",
        command=RUN,
    )
    assert (done.returncode, done.stdout) == (-11, "")
    text, trace = done.stderr.split("Fatal Python error: Segmentation fault")
    assert re.match(
        r"numpool: SlabPool 'run': (a read|an access) past a block: byte 80 "
        r"\(a block of 80 bytes at 0x\w+\)\n  acquired \S*program.py:3 in make\n",
        text,
    )
    assert re.search(r'program.py", line 5 in total', trace)
