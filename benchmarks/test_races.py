"""Tests that compete: the figures that a run of them measures, shows and saves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown import figure
from paired import Paired, median_ratio
from races import race
from turns import ROUNDS

HERE = Path(__file__).parent
CONFTEST = "from race_plugin import *"
COMPETING = """
import os
import pytest
from races import race
from turns import Contender

def note(what):
    with open("notes.txt", "a") as file:
        print(what, os.getpid(), file=file)

@race("counting to {count}", ["slow", "quick", "absent"], reference="quick")
@pytest.mark.parametrize("count", [10, 20])
def test_counting(contender, count):
    if contender == "absent":
        pytest.importorskip("package_that_nobody_has")
    note(f"{contender} {count}")
    count *= 50 if contender == "slow" else 1
    return Contender(lambda: sum(range(count)), close=lambda: note(f"end of {contender}"))

@race("the reference is absent", ["absent", "first", "second"], reference="absent")
def test_fallback(contender):
    if contender == "absent":
        pytest.skip("is not here")
    return Contender(lambda: sum(range(100)))

def test_that_does_not_compete():
    pass
"""
FAILING = """
from races import race
from turns import Contender

@race("one fails", ["good", "bad"], reference="good")
def test_one_fails(contender):
    return Contender(lambda: 1 / (contender != "bad"))

@race("nobody fails", ["good", "better"], reference="good")
def test_nobody_fails(contender):
    return Contender(lambda: None)
"""
CRASHING = """
import os
import sys
from races import race
from turns import Contender

@race("the process ends", ["abrupt", "too"], reference="abrupt")
def test_crash(contender):
    def end():
        if any("--sitting=" in word for word in sys.argv):
            print("last words", flush=True)
            os._exit(7)
    return Contender(end)
"""

HANGING = """
import sys
import time
from races import race
from turns import Contender

@race("nothing hangs", ["good"], reference="good")
def test_nothing_hangs(contender):
    return Contender(lambda: None)

@race("it hangs", ["bad"], reference="bad")
def test_hang(contender):
    def hang_here():
        if any("--sitting=" in word for word in sys.argv):
            time.sleep(100)
    return Contender(hang_here)
"""
CONDITIONAL = """
import pytest
from races import race
from turns import Contender

def note(what):
    with open("notes.txt", "a") as file:
        print(what, file=file)
    return Contender(lambda: None)

@race("nobody is skipped", ["runs"], reference="runs")
def test_nobody(contender):
    return note(contender)

@pytest.mark.skipif(True, reason="not today")
@race("skipped by a value", ["value"], reference="value")
def test_value(contender):
    return note(contender)

@pytest.mark.skipif("sys.version_info > (3,)", reason="not today")
@race("skipped by an expression", ["expression"], reference="expression")
def test_expression(contender):
    return note(contender)
"""


def run_tests(folder: Path, program: str, *options: str) -> str:
    Path(folder, "conftest.py").write_text(CONFTEST)
    Path(folder, "test_it.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


class Ran:
    """Two sittings of ``COMPETING``."""

    def __init__(self, folder: Path) -> None:
        file = folder / "run.json"
        options = ["-ra", "--benchmark-only", "--sittings=2", f"--benchmark-json={file}"]
        self.text = run_tests(folder, COMPETING, *options, f"--record={folder}/kept")
        self.kept = (folder / "kept.md").read_text()
        self.saved = json.loads(file.read_text())["benchmarks"]
        self.notes = (folder / "notes.txt").read_text().splitlines()

    def row(self, name: str) -> Any:
        return next(one for one in self.saved if one["name"].endswith(f"[{name}]"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("races"))


def test_a_contender_that_is_not_installed_is_skipped_and_the_others_run(ran: Ran) -> None:
    assert "6 passed, 4 skipped" in ran.text
    assert "could not import 'package_that_nobody_has'" in ran.text
    assert {one["group"] for one in ran.saved} == {
        "counting to 10bytes",
        "counting to 20bytes",
        "the reference is absent",
    }
    assert len(ran.saved) == 6


def test_each_sitting_is_a_process_that_sets_up_all_contenders(ran: Ran) -> None:
    processes = [line.split()[-1] for line in ran.notes]
    # There are also the processes for the peaks, which have one contender each.
    shared = {process for process in processes if processes.count(process) > 4}
    assert len(shared) == 3
    for process in shared:
        assert sorted(line.rpartition(" ")[0] for line in ran.notes if line.endswith(process)) == [
            "end of quick",
            "end of quick",
            "end of slow",
            "end of slow",
            "quick 10",
            "quick 20",
            "slow 10",
            "slow 20",
        ]


def test_each_peak_is_of_a_process_with_one_contender(ran: Ran) -> None:
    processes = [line.split()[-1] for line in ran.notes]
    alone = [line.split()[:-1] for line in ran.notes if processes.count(line.split()[-1]) == 3]
    # It is set up and closed once before it is measured, so that its imports do not count.
    one = [["quick", "10"], ["end", "of", "quick"], ["quick", "10"]]
    assert alone[3:6] == one
    assert len(alone) == 3 * 4


def test_peaks_are_saved_beside_the_times(ran: Ran) -> None:
    peaks = [one["extra_info"]["peak"] for one in ran.saved]
    assert len(peaks) == 6
    assert all(0 <= peak < 1 << 20 for peak in peaks)


def test_pytest_benchmark_is_handed_what_was_measured(ran: Ran) -> None:
    for one in ran.saved:
        stats = one["stats"]
        assert stats["rounds"] == len(stats["data"]) == 2 * ROUNDS
        assert stats["iterations"] > 10
        assert one["options"]["timer"] == "perf_counter"
        assert 0 < stats["min"] < stats["median"] < 0.001
    assert "test_counting[10-slow]" in ran.text
    assert "Outliers" in ran.text


def test_ratios_are_taken_round_by_round_and_sitting_by_sitting(ran: Ran) -> None:
    slow, quick = (ran.row(f"20-{name}")["stats"]["data"] for name in ("slow", "quick"))
    by_hand = Paired.of(
        [
            median_ratio(slow[:ROUNDS], quick[:ROUNDS]),
            median_ratio(slow[ROUNDS:], quick[ROUNDS:]),
        ]
    )
    info = ran.row("20-slow")["extra_info"]
    assert (info["ratio"], info["low"], info["high"]) == pytest.approx(by_hand)
    assert info["ratio"] > 3
    assert info["reference"] == "quick"
    assert len(info["sittings"]) == 2
    own = ran.row("20-quick")["extra_info"]
    assert (own["ratio"], own["low"], own["high"]) == (1, 1, 1)


def test_where_the_reference_is_absent_the_first_one_takes_its_place(ran: Ran) -> None:
    assert {ran.row(name)["extra_info"]["reference"] for name in ("first", "second")} == {"first"}


def test_a_run_says_how_far_it_is_and_ends_with_a_table(ran: Ran) -> None:
    said = (
        "peaks of memory: 9 contenders\nsitting 1 of 2: 9 contenders\nsitting 2 of 2: 9 contenders"
    )
    assert f"\n{said}\n" in ran.text
    lines = ran.text.partition("benchmarks in turns")[2].splitlines()
    place = lines.index("| counting to 10bytes | time | ratio | lies between | peak |")
    slow, quick = ([cell.strip() for cell in line.split("|")] for line in lines[place + 2 :][:2])
    info = ran.row("10-slow")["extra_info"]
    ratio, low, high = (figure(info[name]) for name in ("ratio", "low", "high"))
    # If all sittings have the same figure in the table, no ratio is between them.
    assert (slow[1], *slow[3:5]) == ("slow", ratio, "" if low == high else f"{low} to {high}")
    assert (quick[1], *quick[3:5]) == ("quick", "reference", "")
    assert any(line.startswith("2 sittings in ") for line in lines)


def test_a_run_keeps_the_table_that_it_shows(ran: Ran) -> None:
    origin, _, kept = ran.kept.partition("| counting to 10bytes |")
    assert origin.startswith(
        "# kept\n\nWritten by `pytest -p no:cacheprovider -ra --benchmark-only"
    )
    assert kept.strip() in ran.text


def test_only_what_is_selected_takes_turns(tmp_path: Path) -> None:
    text = run_tests(tmp_path, COMPETING, "--benchmark-only", "--sittings=1", "-k", "10-quick")
    assert "sitting 1 of 1: 1 contender\n" in text
    assert "1 passed" in text
    assert "slow" not in (tmp_path / "notes.txt").read_text()


def test_disabled_each_contender_works_once_in_this_process(tmp_path: Path) -> None:
    text = run_tests(tmp_path, COMPETING, "--benchmark-disable")
    assert "7 passed, 3 skipped" in text
    assert "sitting" not in text
    notes = (tmp_path / "notes.txt").read_text().splitlines()
    assert len(notes) == 8
    assert len({line.split()[-1] for line in notes}) == 1


def test_skipped_benchmarks_take_no_turns(tmp_path: Path) -> None:
    assert "1 passed, 9 skipped" in run_tests(tmp_path, COMPETING, "--benchmark-skip")
    assert not (tmp_path / "notes.txt").exists()


def test_a_contender_that_fails_fails_its_group_and_no_other(tmp_path: Path) -> None:
    text = run_tests(tmp_path, FAILING, "--benchmark-only", "--sittings=1")
    assert "2 failed, 2 passed" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "RuntimeError: one fails: in sitting 1: ZeroDivisionError: division by zero" in text
    assert "\n| nobody fails | time |" in text.partition("benchmarks in turns")[2]


def test_a_process_that_ends_abruptly_is_reported_with_its_last_words(tmp_path: Path) -> None:
    text = run_tests(tmp_path, CRASHING, "--benchmark-only", "--sittings=1")
    assert "RuntimeError: the process of --sitting ended with 7, in 'the process ends':" in text
    assert "last words" in text
    assert text.count("sitting 1 of 1") == 1


def test_a_sitting_that_hangs_is_ended_and_says_in_which_group_and_where(tmp_path: Path) -> None:
    text = run_tests(tmp_path, HANGING, "--benchmark-only", "--sittings=1", "--patience=3")
    assert "RuntimeError: the process of --sitting took longer than 3 s, in 'it hangs':" in text
    assert "in hang_here" in text
    assert text.count("sitting 1 of 1") == 1


def test_a_contender_that_hangs_while_its_peak_is_measured_has_none(tmp_path: Path) -> None:
    program = HANGING.replace("--sitting=", "--peaks=")
    text = run_tests(tmp_path, program, "--benchmark-only", "--sittings=1", "--patience=3")
    assert "2 passed" in text
    assert "The peak of bad in 'it hangs' is unknown: it took longer than 3 s" in text
    assert text.count("is unknown") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "0.5", "some"])
def test_patience_is_whole_seconds(tmp_path: Path, seconds: str) -> None:
    text = run_tests(tmp_path, COMPETING, f"--patience={seconds}")
    assert f"argument --patience: '{seconds}': must be whole seconds, one at least" in text


def test_a_contender_skipped_by_a_condition_is_set_up_in_no_process(tmp_path: Path) -> None:
    text = run_tests(tmp_path, CONDITIONAL, "--benchmark-only", "--sittings=1")
    assert "1 passed, 2 skipped" in text
    assert "sitting 1 of 1: 1 contender\n" in text
    assert set((tmp_path / "notes.txt").read_text().split()) == {"runs"}


@pytest.mark.parametrize("number", ["0", "-1", "some"])
def test_there_must_be_a_sitting(tmp_path: Path, number: str) -> None:
    text = run_tests(tmp_path, COMPETING, f"--sittings={number}")
    assert f"argument --sittings: '{number}': there must be at least one sitting" in text


def test_each_sitting_begins_with_another_group(ran: Ran) -> None:
    notes: dict[str, list[str]] = {}
    for line in ran.notes:
        what, _, process = line.rpartition(" ")
        notes.setdefault(process, []).append(what)
    # The first process is that of the run itself.
    begun_with = [lines[0] for lines in notes.values() if len(lines) == 8]
    assert begun_with == ["slow 10", "slow 10", "slow 20"]


def test_a_reference_must_compete() -> None:
    with pytest.raises(ValueError, match="reference 'c' is none of the contenders \\['a', 'b'\\]"):
        race("group", ["a", "b"], reference="c")
