"""The picture of whole programs shows the figures of the table."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from programs_plot import MARKS, Standing, figure_of

pytest.importorskip("matplotlib")

RUNNER = Path(__file__).with_name("whole_programs.py")
PROGRAMS = ["k-means", "bursts"]
STANDINGS = {name: Standing([1 + place / 10, 3.0], [1.0, 0.9]) for place, name in enumerate(MARKS)}


def test_each_contender_has_a_mark_for_each_program_and_for_their_mean() -> None:
    speed, memory = figure_of(PROGRAMS, STANDINGS, "a machine").axes
    assert [label.get_text() for label in speed.get_yticklabels()] == [*PROGRAMS, "geometric mean"]
    for panel, ours in ((speed, [1.0, 3.0]), (memory, [1.0, 0.9])):
        marks = {one.get_label(): one.get_offsets().tolist() for one in panel.collections}
        assert set(marks) == set(MARKS)
        mean = statistics.geometric_mean(ours)
        assert marks["numpool"] == [[ours[0], 0], [ours[1], 1], [pytest.approx(mean), 2]]


def test_axes_are_labelled_and_the_machine_is_named() -> None:
    figure = figure_of(PROGRAMS, STANDINGS, "a machine")
    speed, memory = figure.axes
    assert speed.get_xlabel() == "times as fast as default NumPy"
    assert memory.get_xlabel() == "peak RSS, to default NumPy's"
    assert figure.get_suptitle().splitlines()[-1] == "a machine"


def test_the_legend_covers_no_panel() -> None:
    figure = figure_of(PROGRAMS, STANDINGS, "a machine")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    for panel in figure.axes:
        assert not panel.get_tightbbox().overlaps(legend.get_window_extent())


def test_contenders_differ_in_colour_and_in_shape() -> None:
    colours, shapes = zip(*MARKS.values(), strict=True)
    assert len(set(colours)) == len(set(shapes)) == len(MARKS)


def test_the_runner_draws_what_it_measured_and_refuses_before_that(tmp_path: Path) -> None:
    picture = tmp_path / "programs.svg"
    command = [sys.executable, str(RUNNER), "--programs", "small arrays", "--steps", "1"]
    command += ["--rounds", "1", "--plot"]
    subprocess.run([*command, str(picture)], check=True, capture_output=True, timeout=120)
    text = picture.read_text()
    assert ">small arrays</text>" in text
    assert "1 round, so no spread is known." in text
    done = subprocess.run(
        [*command, str(tmp_path / "programs.xyz")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--plot: programs.xyz must end in one of ." in done.stderr
    assert "1 of 1" not in done.stderr
