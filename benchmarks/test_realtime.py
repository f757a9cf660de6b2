"""The benchmark of real-time loops runs, and its picture shows what it measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from realtime import Steps
from realtime_plot import COLORS, figure_of, histogram
from realtime_worker import CONTENDERS

RUNNER = Path(__file__).with_name("realtime.py")


def test_each_step_is_in_one_bucket() -> None:
    assert histogram([1000, 1000, 10**6]) == {75: 2, 150: 1}


def test_a_row_has_the_faults_and_the_tail() -> None:
    steps = Steps([1000] * 9999 + [5000], [0] * 9998 + [2, 3])
    assert steps.row("x")[1:] == ["5", "2", "1", "1", "5", "5", "5.00"]


def test_each_panel_has_a_line_for_each_contender() -> None:
    pytest.importorskip("matplotlib")
    assert set(COLORS) == set(CONTENDERS)
    measured = {name: Steps([1000, 2000, 2000], [0, 0, 1]) for name in CONTENDERS}
    figure = figure_of({"alone": measured, "beside 2": measured}, "a machine")
    for panel, title in zip(figure.axes, ("alone", "beside 2"), strict=True):
        assert panel.get_title() == title
        names = [text.get_text() for text in panel.get_legend().get_texts()]
        assert names == [f"{name}: 1 page faults" for name in CONTENDERS]
    assert figure.axes[-1].get_xlabel() == "time of a step, µs"


def test_the_benchmark_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(RUNNER), "--steps", "20"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.count("| numpool.realtime | ") == 2
    refused = subprocess.run(
        [sys.executable, str(RUNNER), "--steps", "1"], capture_output=True, text=True, check=False
    )
    assert "--steps 1: must be at least 10" in refused.stderr
