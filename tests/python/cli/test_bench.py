"""``numpool bench`` measures, and shows made-up timings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from numpool.cli import bench, bench_plot, bench_worker, timings
from numpool.cli.bench_report import gain, loses, report, time
from numpool.cli.console import render
from numpool.cli.machine import gather
from numpool.cli.timings import Plan, Row, Table, Timing, Timings

TINY = Plan(("a + b", "np.empty"), 1024, 0)


def took(seconds: float, spread: float = 0.02) -> Timing:
    return Timing(seconds, seconds * (1 - spread), seconds * (1 + spread), 9)


ROWS = [
    Row(
        64,
        {
            "default": took(400e-9),
            "mallopt": took(400e-9),
            "numpool": took(500e-9),
            "limit": took(300e-9),
        },
    ),
    Row(
        64 << 20,
        {
            "default": took(16e-3),
            "mallopt": took(12e-3),
            "numpool": took(8e-3, 0.1),
            "limit": took(7.5e-3),
        },
    ),
]
TIMINGS = Timings(
    gather(),
    31.4,
    [
        Table("a + b", "a + b", ROWS),
        Table(
            "copies",
            "a.copy()",
            [replace(row, timings={**row.timings, "numpool": took(1.5)}) for row in ROWS],
        ),
    ],
)


def test_all_rows_share_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []

    def take_turns(_workers: Any, _work: str, _size: int, deadline: float) -> dict[str, Timing]:
        shares.append(deadline - perf_counter())
        return {"default": took(1), "numpool": took(1)}

    monkeypatch.setattr(timings, "take_turns", take_turns)
    timings.measure(Plan(("a + b", "np.empty"), 1024, 12))
    # Only the start of the processes took time, so each row leaves its share to the next rows.
    assert shares == pytest.approx([3, 4, 6, 12], rel=0.5)
    assert shares == sorted(shares)


def test_timings_are_shown_in_80_columns() -> None:
    lines = [line.rstrip() for line in render(report(TIMINGS)).splitlines()]
    first = lines.index("a + b")
    assert lines[first + 1 : first + 7] == [
        "   bytes        NumPy  glibc, mallopt       numpool  np.add(out=)  faster",
        "64 bytes   400 ns ±2%      400 ns ±2%    500 ns ±2%    300 ns ±2%   0.80x",
        "  64 MiB  16.0 ms ±2%     12.0 ms ±2%  8.00 ms ±10%   7.50 ms ±2%   2.00x",
        "Geometric mean: 1.26 times as fast as NumPy's own allocator, and 1.10 times as",
        "fast as glibc with mallopt.",
        "The pool is slower than NumPy's own allocator at 64 bytes.",
    ]
    assert "copies: a.copy()" in lines
    assert "The pool is slower than NumPy's own allocator at 64 bytes, 64 MiB." in lines
    assert lines[-1] == "measured in 31 s"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("timing", "text"),
    [
        (took(1.234), "1.23 s ±2%"),
        (took(0.0123), "12.3 ms ±2%"),
        (took(123e-6), "123 µs ±2%"),
        (took(0.5e-9), "0.500 ns ±2%"),
        (Timing(1.0, 0.5, 2.5, 3), "1.00 s ±100%"),
    ],
)
def test_a_time_has_three_digits_and_its_spread(timing: Timing, text: str) -> None:
    assert time(timing) == text


def test_colour_marks_a_difference() -> None:
    assert [str(gain(times).style) for times in (1.1, 1.02, 0.98, 0.9)] == ["green", "", "", "red"]


def test_a_loss_within_the_spread_does_not_count() -> None:
    slower = Row(64, {"default": took(1.0, 0.2), "numpool": took(1.1, 0.2)})
    assert not loses(slower)
    assert loses(Row(64, {"default": took(1.0), "numpool": took(1.1)}))
    assert not loses(Row(64, {"default": took(1.0, 0), "numpool": took(1.01, 0)}))


def test_a_row_that_varies_is_noise_and_is_left_out_of_the_average() -> None:
    wild = replace(ROWS[0], timings={**ROWS[0].timings, "numpool": took(900e-9, 2.52)})
    lines = render(report(replace(TIMINGS, tables=[Table("a + b", "a + b", [wild, ROWS[1]])])))
    assert "900 ns ±252%    300 ns ±2%   noise" in lines
    assert "Left out of the average, because times vary by more than 30 %: 64 bytes." in lines
    assert "mean: 2.00 times as fast as NumPy's own allocator" in " ".join(lines.split())
    assert "slower" not in lines
    nothing = render(report(replace(TIMINGS, tables=[Table("a + b", "a + b", [wild])])))
    assert "Geometric mean" not in nothing


def test_every_contender_is_measured_on_every_size() -> None:
    figures = timings.measure(TINY)
    assert [table.work for table in figures.tables] == ["a + b", "np.empty"]
    added, empty = figures.tables
    assert [row.size for row in added.rows] == [64, 1024]
    assert set(added.rows[0].timings) == {"default", "mallopt", "numpool", "limit"}
    assert set(empty.rows[0].timings) == {"default", "mallopt", "numpool"}
    for table in figures.tables:
        for row in table.rows:
            for timing in row.timings.values():
                assert 0 < timing.low <= timing.median <= timing.high < 0.1
                assert timing.rounds == timings.FEWEST
    assert max(map(len, render(report(figures)).splitlines())) <= 80


@pytest.mark.parametrize("work", bench_worker.WORKS)
def test_every_operation_can_be_measured(work: str) -> None:
    loop = bench_worker.loop_of(work, 1 << 20)
    assert bench_worker.seconds_of(loop, 3) > 0


def test_a_burst_is_many_small_arrays_or_four_large_ones() -> None:
    assert [bench_worker.burst_of(size) for size in (64, 1 << 20, 1 << 30)] == [1000, 32, 4]


def test_only_sizes_that_fit_in_memory_are_measured() -> None:
    assert timings.fitting(timings.FULL, 1 << 60)[-1] <= timings.SIZES[-1]
    assert timings.fitting(timings.FULL, 16 * timings.MIB)[-1] == timings.MIB
    assert timings.fitting(TINY, 1 << 30) == [64, 1024]


def test_the_pool_serves_in_the_pools_process_only() -> None:
    code = """
import numpool, sys
from numpool.cli import bench_worker
for contender in ("default", "limit", "mallopt", "numpool"):
    bench_worker.prepare(contender)
    print(contender, numpool.current() is numpool.default_pool())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "default False\nlimit False\nmallopt False\nnumpool True\n"


def test_a_process_that_ends_while_measuring_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with timings.Worker("default") as worker:
        worker.process.send_signal(signal.SIGKILL)
        with pytest.raises(timings.WorkerEnded, match="a process that measures ended with -9"):
            worker.order(work="a + b", size=64)

    def measure(plan: Plan) -> Timings:
        raise timings.WorkerEnded("gone")

    monkeypatch.setattr(timings, "measure", measure)
    assert bench.main([]) == 1
    assert capsys.readouterr().err == "numpool bench: gone\n"


def test_the_command_shows_writes_and_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    plans = []

    def measure(plan: Plan) -> Timings:
        plans.append(plan)
        return TIMINGS

    monkeypatch.setattr(timings, "measure", measure)
    picture, file = tmp_path / "bench.png", tmp_path / "bench.json"
    assert bench.main(["--plot", str(picture)]) == 0
    assert "glibc, mallopt" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert bench.main(["--full", "--json", str(file)]) == 0
    assert plans == [timings.QUICK, timings.FULL]
    written = json.loads(file.read_text())
    assert written["tables"][0]["rows"][0]["timings"]["numpool"]["median"] == 500e-9
    assert written["machine"]["versions"]["numpy"] == TIMINGS.machine.versions.numpy
    for option in ("--plot", str(picture)), ("--json", str(file)):
        with pytest.raises(SystemExit):
            bench.main(option)
        assert "is already there" in capsys.readouterr().err
    assert len(plans) == 2


def test_a_picture_of_an_unknown_kind_is_refused_before_measuring(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit):
        bench.main(["--plot", str(tmp_path / "bench.xyz")])
    assert "--plot: bench.xyz must end in one of ." in capsys.readouterr().err


def test_a_picture_without_matplotlib_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    with pytest.raises(SystemExit):
        bench.main(["--plot", str(tmp_path / "bench.png")])
    assert capsys.readouterr().err == (
        "numpool bench: --plot: matplotlib is not installed; it comes with "
        "pip install 'numpool[plot]'\n"
    )
    with pytest.raises(ValueError, match="matplotlib is not installed"):
        bench_plot.check(tmp_path / "x.png")
