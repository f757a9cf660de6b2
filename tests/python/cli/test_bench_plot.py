"""The picture that ``numpool bench`` draws of made-up timings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from numpool.cli import bench_plot
from numpool.cli.machine import gather
from numpool.cli.timings import Row, Table, Timing, Timings

pytest.importorskip("matplotlib")


def took(seconds: float, low: float = 0.9, high: float = 1.1) -> Timing:
    return Timing(seconds, seconds * low, seconds * high, 9)


def row(size: int, numpool: float, **others: Timing) -> Row:
    same = {name: took(1.0) for name in ("default", "mallopt", "limit")}
    return Row(size, {**same, "numpool": took(numpool), **others})


def timings_of(*rows: Row, works: int = 1) -> Timings:
    return Timings(gather(), 1.0, [Table("a + b", "a + b", list(rows)) for _ in range(works)])


def drawn(timings: Timings) -> Any:
    figure = bench_plot.figure_of(timings)
    figure.draw_without_rendering()
    return figure


ROWS = row(64, 1.25), row(1 << 20, 0.25)


def test_axes_have_names_and_units() -> None:
    (panel,) = drawn(timings_of(*ROWS)).axes
    assert panel.get_title() == "a + b"
    assert panel.get_xlabel() == "size of each array"
    assert panel.get_ylabel() == "times NumPy's own speed"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["64 bytes", "1 MiB"]
    assert "2x" in [label.get_text() for label in panel.get_yticklabels()]


def test_a_mark_is_the_speed_relative_to_numpys_own() -> None:
    (panel,) = drawn(timings_of(*ROWS)).axes
    speeds = {line.get_label(): list(line.get_ydata()) for line in panel.get_lines()}
    assert speeds == {
        "NumPy": [1, 1],
        "glibc, mallopt": [1, 1],
        "numpool": [0.8, 4],
        "np.add(out=)": [1, 1],
    }


@pytest.mark.parametrize("works", [1, 2, 3])
def test_one_legend_names_all_and_covers_no_panel(works: int) -> None:
    figure = drawn(timings_of(*ROWS, works=works))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["NumPy", "glibc, mallopt", "numpool", "np.add(out=)"]
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert len(panels) == works
    for panel in panels:
        assert panel.get_legend() is None
        assert not panel.get_tightbbox().overlaps(legend.get_window_extent())


def test_contenders_differ_in_colour_and_in_shape() -> None:
    for kind in ("color", "marker"):
        assert len({style[kind] for style in bench_plot.STYLES.values()}) == 4


def test_one_slow_round_does_not_hide_differences() -> None:
    (panel,) = drawn(timings_of(row(64, 1.1, default=took(1.0, high=1000)))).axes
    low, high = panel.get_ylim()
    assert low > 0.4
    assert high < 2.5


def test_noise_is_not_drawn_as_high_as_a_panel() -> None:
    (panel,) = drawn(timings_of(row(64, 1.01))).axes
    low, high = panel.get_ylim()
    assert low < 0.5
    assert high > 2


def test_text_in_an_svg_stays_text(tmp_path: Path) -> None:
    file = tmp_path / "bench.svg"
    bench_plot.draw(timings_of(*ROWS), file)
    assert ">numpool</text>" in file.read_text()
    assert file.stat().st_size < 60 << 10
