"""``numpool run --compare`` measures, and shows made-up figures."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from numpool.cli import compare, run
from numpool.cli.compare import CONTENDERS, Comparison, Contender, Spread, advice, spread
from numpool.cli.compare_report import report
from numpool.cli.console import render

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, str], str]

MIB = 1 << 20


def about(median: float, share: float = 0.02) -> Spread:
    return Spread(median, median * (1 - share), median * (1 + share))


def took(name: str, seconds: float, share: float = 0.02) -> Contender:
    return Contender(
        name, CONTENDERS[name], about(seconds, share), about(300 * MIB), about(54_321, 0.1)
    )


OWN, POOL, TUNED = (
    took(name, seconds) for name, seconds in zip(CONTENDERS, (2.0, 1.25, 1.0), strict=True)
)


def test_all_ways_are_shown_side_by_side() -> None:
    comparison = Comparison(("simulation.py", "--fast"), 5, [OWN, POOL, TUNED], "Use it.")
    assert [line.rstrip() for line in render(report(comparison)).splitlines()] == [
        "simulation.py --fast: medians of 5 rounds, in turns",
        "allocator                      time  peak memory  page faults  faster",
        "NumPy's own              2.00 s ±2%  300 MiB ±2%  54,321 ±10%",
        "the pool                 1.25 s ±2%  300 MiB ±2%  54,321 ±10%   1.60x",
        "the pool, --tune-malloc  1.00 s ±2%  300 MiB ±2%  54,321 ±10%   2.00x",
        "",
        "Use it.",
    ]


def test_the_options_to_use_are_named() -> None:
    assert advice([OWN, POOL, TUNED]) == (
        "Use numpool run --tune-malloc: it is 2.00 times as fast as NumPy's own allocator, with "
        "1.00 times its peak memory (300 MiB)."
    )
    # The fewest options that make the same difference.
    same = replace(TUNED, seconds=about(1.24))
    assert advice([OWN, POOL, same]).startswith("Use numpool run: it is 1.60 times as fast")


def test_a_difference_that_may_be_chance_gives_no_advice() -> None:
    wild = [replace(one, seconds=about(one.seconds.median, 0.9)) for one in (OWN, POOL, TUNED)]
    assert advice(wild).startswith("No difference beyond chance")
    assert "(1.60x)" in render(report(Comparison(("x.py",), 5, wild, "")))
    slower = [took(name, seconds) for name, seconds in zip(CONTENDERS, (1, 2, 2), strict=True)]
    assert advice(slower) == "Use NumPy's own allocator: the pool makes this program slower."
    assert advice([OWN, replace(OWN, name="the pool")]).startswith("No difference beyond chance")


def test_a_spread_is_of_the_middle_half() -> None:
    assert spread([1, 2, 3, 4, 100]) == Spread(3, 2, 4)
    assert spread([0, 0, 0]).share == 0


PROGRAM = """
import os, sys
import numpy as np
with open("runs", "a") as runs:
    import numpool
    print(numpool.current() is not None, sys.argv[1:], sys.stdin.read() == "", file=runs)
for _ in range(10):
    np.ones(10**6)
print("output")
"""


def test_a_program_runs_each_way_in_turns(numpool_run: Run, write: Write, tmp_path: Path) -> None:
    program = write("program.py", PROGRAM)
    arguments = ["--compare", "--rounds", "3", "--json", "figures.json", program, "--limit", "x"]
    done = numpool_run(*arguments, environment={"NUMPOOL_TUNE_MALLOC": "off"})
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("program.py --limit x: medians of 3 rounds, in turns\n")
    assert "output" not in done.stdout
    runs = (tmp_path / "runs").read_text().splitlines()
    given = "['--limit', 'x'] True"
    ways = [False, True, True] if run.malloc_can_be_tuned() else [False, True]
    turns = [ways[turn % len(ways) :] + ways[: turn % len(ways)] for turn in range(3)]
    assert runs == [f"{way} {given}" for way in (False, *itertools.chain(*turns))]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["rounds"] == 3
    own, pool = figures["contenders"][:2]
    assert (own["name"], pool["name"]) == ("NumPy's own", "the pool")
    assert own["page_faults"]["median"] > pool["page_faults"]["median"]
    assert own["seconds"]["low"] > 0
    assert own["peak_resident"]["median"] > 8 * MIB
    assert figures["advice"] in " ".join(done.stdout.split())


FAILING = {
    "import sys; print('why', file=sys.stderr); sys.exit(3)": (
        3,
        "ended with 3 (--pool none):\nwhy",
    ),
    "import os; os._exit(0)": (1, "ended by os._exit(), without figures (--pool none)"),
}


@pytest.mark.parametrize("code", FAILING)
def test_a_program_that_fails_is_not_compared(numpool_run: Run, code: str) -> None:
    done = numpool_run("--compare", "-c", code)
    expected, text = FAILING[code]
    assert (done.stdout, done.returncode) == ("", expected)
    assert done.stderr == f"numpool run --compare: the program {text}\n"


WRONG = {
    ("--rounds", "2"): "argument --rounds: 2 rounds are too few: give a number from 3 on",
    ("--rounds", "some"): "'some' is no number of rounds: give a number from 3 on",
    ("--tune-malloc",): "--compare itself runs with --pool none and --tune-malloc: leave them out",
    ("--pool", "none"): "--compare itself runs with --pool none and --tune-malloc: leave them out",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_is_wrong_is_named(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["--compare", *arguments, "-c", ""])
    assert WRONG[arguments] in capsys.readouterr().err


def test_options_of_the_pool_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, ...]] = []

    def figures_of(_program: object, _flags: object, options: tuple[str, ...]) -> dict[str, float]:
        seen.append(tuple(options))
        return {"seconds": 1.0, "peak_resident": 1 << 20, "page_faults": 1}

    monkeypatch.setattr(compare, "figures_of", figures_of)
    monkeypatch.setattr(run, "malloc_can_be_tuned", lambda: False)
    with pytest.raises(SystemExit, match="0"):
        run.main(["--compare", "--rounds", "3", "--limit", "1GiB", "--wipe", "-c", ""])
    pool = (f"--limit={1 << 30}", "--huge-pages=auto", "--decay=1.0", "--wipe")
    own = ("--pool", "none")
    assert seen == [own, own, pool, pool, own, own, pool]
    assert "--tune-malloc" not in capsys.readouterr().out


def test_numpys_own_allocator_has_figures_too(numpool_run: Run) -> None:
    code = "import numpy, numpool; numpy.ones(10); print(numpool.current())"
    done = numpool_run("--pool", "none", "-c", code)
    assert done.stdout == "None\n"
    assert "NumPy allocated as without numpool (--pool none)." in done.stderr
    assert "peak resident" in done.stderr


@pytest.mark.parametrize("option", ["--limit=10MiB", "--background", "--wipe"])
def test_an_option_of_the_pool_is_refused_without_a_pool(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["--pool", "none", option, "-c", "pass"])
    said = " ".join(capsys.readouterr().err.split())
    name = option.partition("=")[0]
    assert f"{name} has no effect with --pool none" in said
