"""The report of a run of races."""

from __future__ import annotations

from memory_peaks import Peak
from paired import Paired
from race_report import Row, report


def test_the_report_has_a_table_and_explains_itself() -> None:
    ratio, one = Paired(1.5, 1.4, 2), Paired(1, 1, 1)
    slow = Row("a + b", "default NumPy", "limit", [2e-6, 3e-6, 4e-6], ratio, Peak(90 << 20))
    limit = Row("a + b", "limit", "limit", [1e-6, 2e-6, 3e-6], one, Peak(84 << 10))
    lines = report([slow, limit], 9, 61.2, 0.02).splitlines()
    assert lines[:4] == [
        "| a + b | time | ratio | lies between | peak |",
        "| --- | --- | --- | --- | --- |",
        "| default NumPy | 3.00 µs ±17% | 1.50 | 1.40 to 2.00 | 90 MiB |",
        "| limit | 2.00 µs ±25% | reference |  | 84 KiB |",
    ]
    said = " ".join(" ".join(lines[4:]).split())
    assert said.startswith("9 sittings in 61 s. Other programs took 2% of the processors' time")
    assert "It lies between those two with 96%." in said
    assert "Half of these spreads are within ±20.0%." in said
    assert said.endswith("to the end of its turns, in a process of its own.")


def test_one_sitting_says_nothing_about_its_spread() -> None:
    reference = Row("g", "a", "a", [1e-6] * 3, Paired(1, 1, 1), Peak(0))
    other = Row("g", "b", "a", [2e-6] * 3, Paired(2, 2, 2), Peak(0))
    text = report([reference, other], 1, 1.0, 0.0)
    assert "| b | 2.00 µs ±0% | 2.00 |  | 0 bytes |\n\n1 sitting in 1 s." in text
    assert "One sitting says nothing about its spread." in text


def test_a_peak_that_is_unknown_says_so_and_why() -> None:
    row = Row("a group", "a", "a", [1e-6] * 3, Paired(1, 1, 1), Peak(unknown="it took too long"))
    text = report([row], 1, 1.0, 0.0)
    assert text.splitlines()[2] == "| a | 1.00 µs ±0% | reference |  | unknown |"
    assert text.endswith("The peak of a in 'a group' is unknown: it took too long\n")
