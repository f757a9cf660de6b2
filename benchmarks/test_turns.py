"""Contenders take turns, round by round."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import turns
from turns import Contender, calls_for_a_turn, order, take_turns

import numpool


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ROUNDS", 6)


def test_each_contender_has_one_turn_a_round_and_is_first_equally_often() -> None:
    names = ["a", "b", "c"]
    rounds = [order(names, turn) for turn in range(6)]
    assert rounds == [list(one) for one in ("abc", "cba", "bca", "acb", "cab", "bac")]
    assert Counter(one[0] for one in rounds) == {"a": 2, "b": 2, "c": 2}


def test_turns_are_taken_round_by_round() -> None:
    calls: list[str] = []
    contenders = {name: Contender(partial(calls.append, name)) for name in "ab"}
    took = take_turns(contenders, {"a": 2, "b": 1})
    # There is one more call than the timed ones: the first one warms caches.
    assert "".join(calls) == "aaabb" + "bbaaa" + "bbaaa" + "aaabb" + "aaabb" + "bbaaa"
    assert {name: len(seconds) for name, seconds in took.items()} == {"a": 6, "b": 6}
    assert all(second > 0 for seconds in took.values() for second in seconds)


def test_an_allocator_is_in_force_in_its_own_turns_only() -> None:
    owners: dict[str, list[numpool.Pool | None]] = {"pooled": [], "default": []}
    pool = numpool.SlabPool()

    def look(name: str) -> None:
        owners[name].append(numpool.pool_of(np.empty(1000)))

    take_turns(
        {
            "pooled": Contender(lambda: look("pooled"), numpool.use(pool)),
            "default": Contender(lambda: look("default")),
        },
        {"pooled": 1, "default": 1},
    )
    assert owners == {"pooled": [pool] * 12, "default": [None] * 12}


def test_entering_and_leaving_is_not_timed() -> None:
    entered = 0

    @contextmanager
    def slow() -> Iterator[None]:
        nonlocal entered
        entered += 1
        np.ones(1 << 20).sum()
        yield

    class Again:
        def __enter__(self) -> None:
            self.block = slow()
            self.block.__enter__()

        def __exit__(self, *_: object) -> None:
            self.block.__exit__(None, None, None)

    took = take_turns({"a": Contender(lambda: None, Again())}, {"a": 1})
    assert entered == 6
    assert min(took["a"]) < 0.0005


def test_a_turn_has_as_many_calls_as_take_some_time() -> None:
    assert calls_for_a_turn(Contender(lambda: None)) > 1000
    assert calls_for_a_turn(Contender(lambda: time.sleep(2 * turns.TURN))) == 1


def test_a_turn_that_was_interrupted_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = iter([True])

    def took(_: Contender, calls: int) -> float:
        return 1.0 if next(interrupted, False) else calls * 1e-6

    monkeypatch.setattr(turns, "seconds_of", took)
    assert calls_for_a_turn(Contender(lambda: None)) >= turns.TURN / 1e-6


def test_what_takes_long_has_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SECONDS", 0.0)
    assert len(take_turns({"a": Contender(lambda: None)}, {"a": 1})["a"]) == turns.FEWEST


def test_garbage_is_collected_between_groups_and_never_in_a_turn() -> None:
    seen = set()
    take_turns({"a": Contender(lambda: seen.add(gc.isenabled()))}, {"a": 1})
    assert seen == {False}
    assert gc.isenabled()
