"""A benchmark's report is kept in results/, as Markdown and as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import record
from markdown import table, tables

PYTHON = [sys.executable, "-c"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["record.py", *arguments])
    return record.main()


def test_a_report_is_kept_with_its_command_and_the_machine(
    results: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = "print('## Pairs\\n\\n| ns | pool |\\n| --- | --- |\\n| 64 B | 2.3 |')"
    assert run(monkeypatch, "pairs", *PYTHON, program) == 0
    page = (results / "pairs.md").read_text()
    assert page.startswith("# pairs\n\nWritten by `python benchmarks/record.py pairs ")
    assert "Do not edit it: run the command again." in page
    assert page.endswith("## Pairs\n\n| ns | pool |\n| --- | --- |\n| 64 B | 2.3 |\n")
    kept = json.loads((results / "pairs.json").read_text())
    assert kept["tables"] == [{"title": "Pairs", "head": ["ns", "pool"], "rows": [["64 B", "2.3"]]}]
    assert "NumPy " in kept["machine"]["packages"]
    assert kept["machine"]["other programs"].endswith("% of the processors' time")
    for fact in kept["machine"].items():
        assert f"| {' | '.join(fact)} |" in page
    assert capfd.readouterr().out.startswith("## Pairs\n")


def test_a_report_without_a_table_is_kept_as_it_was_printed(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "plain", *PYTHON, "print('pair    2.31')") == 0
    assert (results / "plain.md").read_text().endswith("\n```text\npair    2.31\n```\n")
    kept = json.loads((results / "plain.json").read_text())
    assert (kept["tables"], kept["report"]) == ([], "pair    2.31")


def test_a_command_that_fails_leaves_the_files_as_they_are(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "pairs", *PYTHON, "print('| half |'); raise SystemExit(3)") == 3
    assert not results.exists()


def test_a_name_without_a_command_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "pairs")
    assert "record.py: error: which command? For example:" in capsys.readouterr().err
    assert not results.exists()


def test_tables_are_read_as_they_were_written() -> None:
    rows = [["64 B", "", "2.3"], ["4 KiB", "9.1", ""]]
    text = "A title\n\n" + table(["ns", "a", "b"], rows) + "\nand text\n"
    assert tables(text) == [{"title": "A title", "head": ["ns", "a", "b"], "rows": rows}]


@pytest.mark.parametrize("page", sorted(record.RESULTS.glob("*.md")), ids=lambda page: page.stem)
def test_each_page_of_results_has_its_figures_in_json(page: Path) -> None:
    kept = json.loads(page.with_suffix(".json").read_text())
    assert kept["said"] in page.read_text()
    assert kept["report"] in page.read_text()
