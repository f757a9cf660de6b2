"""A rehearsal records the sizes of a thread's arrays, and how many live at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

import numpool


def test_a_rehearsal_records_the_most_arrays_of_a_size_that_live_at_once() -> None:
    with numpool.rehearse() as rehearsal:
        for _ in range(3):
            a, b = np.empty(1000), np.empty(1000)
            del a
            c = np.empty(50)
            del b, c
    assert rehearsal.sizes == {400: 1, 8000: 2}
    assert rehearsal.report() == (
        "3 blocks of 2 sizes, 16 KiB\n"
        "  1 of 400 bytes, requested 3 times\n"
        "  2 of 8,000 bytes, requested 6 times"
    )
    assert repr(rehearsal) == "<numpool.rehearse: 3 blocks of 2 sizes>"


def test_an_array_that_one_cycle_leaves_to_the_next_lives_beside_its_successor() -> None:
    with numpool.rehearse() as rehearsal:
        state = np.zeros(1000)
        for _ in range(2):
            state = state[::-1].copy()
    assert rehearsal.sizes == {8000: 2}
    assert "requested 3 times, 1 alive at the end" in rehearsal.report()


def test_arrays_come_from_the_allocator_before_and_stay_valid(slabs: numpool.SlabPool) -> None:
    with numpool.use(slabs), numpool.rehearse() as rehearsal:
        a = np.zeros(1000)
        assert slabs.stats().blocks == 1
    del rehearsal
    a.resize(5000, refcheck=False)
    assert not a.any()
    del a
    assert slabs.stats().blocks == 0


def test_an_array_that_grows_counts_beside_its_old_block() -> None:
    with numpool.rehearse() as rehearsal:
        a = np.empty(100)
        a.resize(1000, refcheck=False)
    assert rehearsal.sizes == {800: 1, 8000: 1}


def test_other_threads_are_not_recorded() -> None:
    with numpool.rehearse() as rehearsal:
        thread = threading.Thread(target=lambda: np.empty(1000))
        thread.start()
        thread.join()
    assert rehearsal.sizes == {}


def test_a_thread_with_a_copy_of_the_context_is_not_recorded() -> None:
    async def act() -> None:
        await asyncio.to_thread(np.ones, 1000)

    async def main() -> dict[int, int]:
        with numpool.rehearse() as rehearsal:
            await act()
        return rehearsal.sizes

    assert asyncio.run(main()) == {}


def test_arrays_after_the_block_are_not_recorded() -> None:
    with numpool.rehearse() as rehearsal:
        pass
    np.empty(1000)
    assert rehearsal.sizes == {}
    assert rehearsal.report() == "0 blocks of 0 sizes, 0 bytes"


def test_rehearsals_nest_and_both_record() -> None:
    with numpool.rehearse() as outer:
        with numpool.rehearse() as inner:
            np.empty(100)
        np.empty(200)
    assert inner.sizes == {800: 1}
    assert outer.sizes == {800: 1, 1600: 1}


def test_an_exception_ends_a_rehearsal() -> None:
    rehearsal = numpool.rehearse()
    with pytest.raises(ValueError, match="negative dimensions"), rehearsal:
        np.empty(100) + np.empty(-1)
    assert rehearsal.sizes == {800: 1}
    assert numpool.current() is None


def test_a_rehearsal_that_runs_cannot_begin_again_but_one_that_ended_can() -> None:
    rehearsal = numpool.rehearse()
    with rehearsal:
        np.empty(100)
        with pytest.raises(RuntimeError, match=r"runs already: end its block first"), rehearsal:
            pass
    with rehearsal:
        np.empty(3)
    assert rehearsal.sizes == {24: 1}
    with pytest.raises(RuntimeError, match="does not run: its block has ended"):
        rehearsal.__exit__(None, None, None)


@pytest.mark.parametrize("dtype", ["O", "M8[s]", "c16", "S3", "f2,i8"])
def test_arrays_of_any_type_are_recorded(dtype: Any) -> None:
    with numpool.rehearse() as rehearsal:
        np.zeros(100, dtype)
    assert rehearsal.sizes == {100 * np.dtype(dtype).itemsize: 1}
