"""Two saved runs are compared by their stated spreads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("agreement.py")
Row = tuple[str, str, float, float, float]
BEFORE: list[Row] = [
    ("a + b", "limit", 1.0, 1.0, 1.0),
    ("a + b", "numpool", 1.02, 1.0, 1.04),
    ("a + b", "default", 2.0, 1.9, 2.1),
]


def save(file: Path, rows: list[Row], reference: str = "limit", sittings: int = 9) -> Path:
    benchmarks = [
        {
            "group": group,
            "extra_info": {
                "contender": name,
                "reference": reference,
                "ratio": ratio,
                "low": low,
                "high": high,
                "sittings": [1.0] * sittings,
            },
        }
        for group, name, ratio, low, high in rows
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"benchmarks": benchmarks}))
    return file


def agreement(
    before: Path | str, after: Path | str, folder: Path
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(before), str(after)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_runs_that_agree_say_so_and_how_wide_their_spreads_are(tmp_path: Path) -> None:
    after = [BEFORE[0], ("a + b", "numpool", 1.05, 1.03, 1.07), BEFORE[2]]
    done = agreement(save(tmp_path / "1", BEFORE), save(tmp_path / "2", after), tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "a + b, to limit"
    assert " ".join(lines[1].split()) == "numpool 1.02 (1.00 to 1.04) 1.05 (1.03 to 1.07)"
    assert " ".join(lines[2].split()) == "default 2.00 (1.90 to 2.10) 2.00 (1.90 to 2.10)"
    said = " ".join(lines[3:]).strip()
    assert said.startswith("2 of 2 ratios agree within their stated spreads; half of these are")
    assert said.endswith("within ±3.5%, the widest ±5.0%.")
    assert max(map(len, lines)) <= 100


def test_a_ratio_outside_both_spreads_is_named_and_the_status_is_one(tmp_path: Path) -> None:
    after = [BEFORE[0], BEFORE[1], ("a + b", "default", 2.3, 2.11, 2.4)]
    done = agreement(save(tmp_path / "1", BEFORE), save(tmp_path / "2", after), tmp_path)
    assert done.returncode == 1
    apart = [line.split()[0] for line in done.stdout.splitlines() if "do not agree" in line]
    assert apart == ["default"]
    assert "1 of 2 ratios agree" in done.stdout


def test_what_only_one_run_has_is_counted_and_not_compared(tmp_path: Path) -> None:
    more: list[Row] = [*BEFORE, ("a + b", "jemalloc", 1.5, 1.4, 1.6)]
    done = agreement(save(tmp_path / "1", BEFORE), save(tmp_path / "2", more), tmp_path)
    assert done.returncode == 0
    assert "2 of 2 ratios agree" in done.stdout
    assert "1 in only one of the runs" in " ".join(done.stdout.split())


def test_runs_are_found_by_the_name_or_number_they_were_saved_under(tmp_path: Path) -> None:
    for name in ("0001_before", "0002_after"):
        save(tmp_path / ".benchmarks" / "Linux" / f"{name}.json", BEFORE)
    for names in (("before", "after"), ("0001", "0002"), ("0001_before", "after")):
        assert "2 of 2 ratios agree" in agreement(*names, tmp_path).stdout


def test_a_run_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    save(tmp_path / ".benchmarks" / "Linux" / "0001_before.json", BEFORE)
    done = agreement("before", "after", tmp_path)
    assert done.returncode == 2
    assert (
        "after: there is no such file, and no run of that name in .benchmarks/ (saved: "
        "0001_before); save one with: pytest benchmarks --benchmark-only --benchmark-save=after"
    ) in done.stderr
    assert "(saved: none)" in agreement("x", "y", tmp_path / ".benchmarks").stderr


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("# Notes", "is no run of pytest-benchmark: JSONDecodeError"),
        ("{}", "is no run of pytest-benchmark: KeyError('benchmarks')"),
        ("[]", "is no run of pytest-benchmark: TypeError"),
        ('{"benchmarks": [{"extra_info": {"ratio": 1}}]}', "of pytest-benchmark: KeyError('low')"),
        (
            '{"benchmarks": [{"extra_info": {}}]}',
            "states no ratio: none of its 1 benchmarks took turns",
        ),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "notes.md"
    file.write_text(text)
    done = agreement(save(tmp_path / "1", BEFORE), file, tmp_path)
    assert done.returncode == 2
    assert f"{file}" in done.stderr
    assert wrong in done.stderr


def test_a_run_of_one_sitting_is_refused(tmp_path: Path) -> None:
    done = agreement(
        save(tmp_path / "1", BEFORE), save(tmp_path / "2", BEFORE, sittings=1), tmp_path
    )
    assert done.returncode == 2
    assert "2 is of one sitting, which says nothing about its spread: run it with" in done.stderr


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\xff\xfe")
    done = agreement(file, file, tmp_path)
    assert done.returncode == 2
    assert "picture.png is no run of pytest-benchmark: UnicodeDecodeError" in done.stderr


@pytest.mark.parametrize("otherwise", ["group", "reference"])
def test_runs_with_nothing_in_common_name_their_groups(tmp_path: Path, otherwise: str) -> None:
    if otherwise == "group":
        other = save(tmp_path / "2", [("c - d", *row[1:]) for row in BEFORE])
    else:
        other = save(tmp_path / "2", BEFORE[:2], reference="numpool")
    done = agreement(save(tmp_path / "1", BEFORE), other, tmp_path)
    assert done.returncode == 2
    last = "c - d, to limit" if otherwise == "group" else "a + b, to numpool"
    assert (
        f"the runs have no ratio in common: one has a + b, to limit; the other {last}"
    ) in done.stderr
