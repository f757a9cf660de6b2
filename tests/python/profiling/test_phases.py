"""Named parts of a profile."""

from __future__ import annotations

import asyncio

import numpy as np

import numpool

SIZE = 8 << 20


def test_a_phase_has_what_was_used_meanwhile() -> None:
    with numpool.profile() as p:
        with numpool.phase("load"):
            kept = np.ones(1 << 20)
            np.ones(1 << 20).sum()
        with numpool.phase("work"):
            np.abs(kept).sum()
    load, work = p.phases
    assert (load.name, load.before, load.after, load.peak) == ("load", 0, SIZE, 2 * SIZE)
    assert (load.total, load.count) == (2 * SIZE, 2)
    assert (work.name, work.before, work.after, work.peak) == ("work", SIZE, SIZE, 2 * SIZE)
    assert (work.total, work.count) == (SIZE, 1)
    assert 0 <= load.start < load.start + load.seconds <= work.start
    assert work.start + work.seconds <= p.seconds


def test_the_peak_of_an_inner_phase_is_one_of_the_outer_phase_too() -> None:
    with numpool.profile() as p, numpool.phase("outer"):
        with numpool.phase("inner"):
            np.ones(1 << 20).sum()
        with numpool.phase("later"):
            pass
    assert [(one.name, one.peak) for one in p.phases] == [
        ("outer", SIZE),
        ("inner", SIZE),
        ("later", 0),
    ]


def test_a_phase_decorates_functions_and_coroutines() -> None:
    @numpool.phase("function")
    def function() -> int:
        return 3

    @numpool.phase("coroutine")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 4

    with numpool.profile() as p:
        assert function() == 3
        assert asyncio.run(coroutine()) == 4
    assert [one.name for one in p.phases] == ["function", "coroutine"]


def test_without_a_profile_a_phase_does_nothing() -> None:
    outer = numpool.phase("outer")
    with outer, numpool.profile() as p:
        pass
    assert p.phases == []
    with numpool.profile() as p, numpool.phase("open"):
        assert p.phases == []
    assert [one.name for one in p.phases] == ["open"]
    assert repr(outer) == "numpool.phase('outer')"


def test_a_phase_that_is_open_when_the_profile_ends_is_left_out() -> None:
    late = numpool.phase("late")
    with numpool.profile() as p:
        late.__enter__()
    late.__exit__(None, None, None)
    assert p.phases == []
