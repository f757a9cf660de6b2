"""Ratios are taken round by round, and their spread holds the true median as stated."""

from __future__ import annotations

import random
import statistics

import pytest
from paired import Paired, confidence, median_ratio, outside


def test_a_machine_that_slows_down_for_some_rounds_leaves_ratios_as_they_are() -> None:
    machine = [1.0, 3.0, 2.0, 1.0, 5.0]
    reference = [2.0 * slow for slow in machine]
    own = [3.0 * slow for slow in machine]
    assert median_ratio(own, reference) == 1.5
    assert Paired.of_turns([own] * 3, [reference] * 3) == (1.5, 1.5, 1.5)


def test_a_reference_to_itself_is_one() -> None:
    seconds = [[random.random() + 1 for _ in range(5)] for _ in range(9)]
    assert Paired.of_turns(seconds, seconds) == (1.0, 1.0, 1.0)


def test_nine_sittings_leave_out_one_at_each_end() -> None:
    assert Paired.of([9, 1, 8, 2, 7, 3, 6, 4, 5]) == (5, 2, 8)
    assert confidence(9) == pytest.approx(1 - 20 / 512)


@pytest.mark.parametrize(("sittings", "out"), [(1, 0), (6, 0), (8, 0), (9, 1), (12, 2), (15, 3)])
def test_as_many_sittings_are_left_out_as_95_per_cent_allow(sittings: int, out: int) -> None:
    assert outside(sittings) == out


@pytest.mark.parametrize(("sittings", "sure"), [(1, 0.0), (2, 0.5), (5, 0.9375), (6, 0.96875)])
def test_fewer_sittings_are_good_for_less(sittings: int, sure: float) -> None:
    assert confidence(sittings) == sure


def test_the_spread_holds_the_true_median_as_often_as_it_says() -> None:
    draw = random.Random(1)
    held = 0
    for _ in range(4000):
        _, low, high = Paired.of([draw.lognormvariate(0, 0.1) for _ in range(9)])
        held += low <= 1 <= high
    assert held / 4000 == pytest.approx(confidence(9), abs=0.01)


def test_two_runs_of_the_same_agree_and_of_something_else_do_not() -> None:
    draw = random.Random(2)

    def run(median: float) -> Paired:
        return Paired.of([median * draw.lognormvariate(0, 0.02) for _ in range(9)])

    same = [run(1.0).agrees(run(1.0)) for _ in range(1000)]
    other = [run(1.0).agrees(run(1.1)) for _ in range(1000)]
    assert statistics.mean(same) > 0.99
    assert statistics.mean(other) < 0.01


@pytest.mark.parametrize(
    ("other", "agree"),
    [((1.2, 1.1, 1.3), True), ((1.05, 1.0, 1.1), True), ((1.3, 1.11, 1.4), False)],
)
def test_agreeing_is_to_have_something_in_common(
    other: tuple[float, float, float], agree: bool
) -> None:
    one = Paired(1.0, 0.9, 1.1)
    assert one.agrees(Paired(*other)) is agree
    assert Paired(*other).agrees(one) is agree


def test_it_is_written_with_three_digits() -> None:
    assert str(Paired(1.0, 0.95432, 1.2)) == "1.00 (0.954 to 1.20)"
    assert str(Paired(1234.5, 99.95, 2000.0)) == "1234 (100 to 2000)"
    assert Paired(2.0, 1.9, 2.2).width == pytest.approx(0.075)
