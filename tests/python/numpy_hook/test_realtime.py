"""A real-time block: warm arrays, counted page faults and misses, and when garbage is collected."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import numpool


def realtime(sizes: Any, **options: Any) -> numpool.realtime:
    """Not locked: this machine may not allow it."""
    return numpool.realtime(sizes, locked="try", **options)


def fault(pages: int) -> None:
    """Touches so many new pages."""
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1


def fail_after_faults() -> None:
    fault(5)
    raise KeyError


def cycle(state: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (state * 0.5 + 1.0)[::-1].copy()


def test_a_rehearsed_loop_of_temporaries_has_no_fault_and_no_miss() -> None:
    with numpool.rehearse() as rehearsal:
        state = np.zeros(20_000)
        for _ in range(3):
            state = cycle(state)
    with realtime(rehearsal, warm_up=20) as rt:
        state = np.zeros(20_000)
        for _ in range(220):
            with rt.step():
                state = cycle(state)
    stats = rt.stats()
    assert (stats.steps, stats.misses, stats.unwatched_misses) == (200, 0, 0)
    assert stats.faults == 0, rt.report()
    assert 0 < stats.median <= stats.p9999 <= stats.longest
    assert sum(steps for _, steps in stats.times) == 200


def test_a_miss_is_counted_and_its_line_is_reported() -> None:
    with realtime({800: 1}) as rt:
        for _ in range(3):
            with rt.step():
                np.empty(100)
                a = np.empty(1000)
                del a
        np.empty(5000)
    stats = rt.stats()
    assert (stats.misses, stats.missed_bytes, stats.unwatched_misses) == (3, 24000, 1)
    [place] = [place for place in stats.places if place.nbytes]
    line = next(
        n
        for n, text in enumerate(Path(__file__).read_text().splitlines(), 1)
        if "a = np.empty(1000)" in text
    )
    assert (place.nbytes, place.count, place.first_step) == (8000, 3, 0)
    assert (
        place.line
        == f"{__file__}:{line} in {test_a_miss_is_counted_and_its_line_is_reported.__name__}"
    )
    assert f"  3 allocations of 8,000 bytes at {place.line}; first in step 0" in rt.report()


def test_without_steps_misses_count_in_the_whole_block() -> None:
    with realtime({800: 1}) as rt:
        np.empty(5000)
    assert rt.stats().misses == 1
    assert rt.stats().places[0].first_step is None


def test_the_warm_up_is_not_counted() -> None:
    with realtime({}, warm_up=2, on_miss="raise") as rt:
        for _ in range(2):
            with rt.step():
                fault(3)
                np.empty(100)
        with rt.step():
            pass
    stats = rt.stats()
    assert (stats.steps, stats.misses, stats.unwatched_misses) == (1, 0, 2)
    assert stats.block_faults >= 6


def test_page_faults_in_a_step_are_counted_with_the_line_of_the_step() -> None:
    with realtime({}) as rt:
        with rt.step():
            pass
        with rt.step():
            fault(7)
        fault(100)
    stats = rt.stats()
    assert stats.faulty_steps >= 1
    assert 7 <= stats.faults < 100
    assert stats.block_faults >= 107
    place = stats.places[-1]
    assert (place.nbytes, place.first_step) == (0, 1)
    assert place.line is not None
    assert place.line.startswith(__file__)


def test_a_step_with_page_faults_raises_where_that_was_chosen() -> None:
    with realtime({}, on_miss="raise", warm_up=1) as rt:
        with rt.step():
            pass
        with (
            pytest.raises(numpool.RealtimeError, match=r"realtime: \d+ page faults in step 0 at "),
            rt.step(),
        ):
            fault(5)
        with pytest.raises(KeyError), rt.step():
            fail_after_faults()
    assert rt.stats().steps == 2


def notes_of(error: BaseException) -> str:
    """What numpool adds to an error."""
    return str(error.__cause__) + "".join(getattr(error, "__notes__", ()))


def test_a_miss_raises_where_that_was_chosen_and_the_error_says_what_was_missing() -> None:
    with realtime({800: 1}, on_miss="raise") as rt:
        with rt.step():
            first = np.empty(100)
        with pytest.raises(MemoryError) as caught, rt.step():
            np.empty(90)
        del first
    said = notes_of(caught.value)
    assert "realtime: 720 bytes requested; the 1 block of 800 bytes is in use in step 1 at " in said
    assert said.endswith(". Rehearse a cycle that makes this array, or give more blocks")
    assert __file__ in said


def test_a_miss_outside_of_steps_is_named_when_it_leaves_the_block() -> None:
    rt = realtime({}, on_miss="raise")
    with pytest.raises(MemoryError) as caught, rt:
        np.empty(90)
    assert "720 bytes requested; there are no warm blocks at " in notes_of(caught.value)


def test_a_refused_array_leaves_the_block_as_it_was() -> None:
    with realtime({800: 2}, on_miss="raise") as rt:
        a = np.zeros(100)
        with pytest.raises(MemoryError):
            a.resize(1000, refcheck=False)
        b = a.copy()
    assert not b.any()
    assert rt.stats().misses == 1


def test_arrays_outlive_the_block_and_then_the_memory_goes_back() -> None:
    with realtime({8000: 2}) as rt:
        a = np.full(1000, 7.0)
    del rt
    b = a.copy()
    a[:] = 8
    a.resize(2000, refcheck=False)
    assert a[:1000].sum() == 8000
    assert b.sum() == 7000


def test_the_warm_memory_is_locked_and_goes_back_with_the_last_array() -> None:
    before = locked_bytes()
    try:
        with numpool.realtime({"1MiB": 2}) as rt:
            assert locked_bytes() - before >= 2 << 20
            assert rt.stats().locked
            a = np.empty(1 << 17)
    except numpool.PoolExhausted:
        pytest.skip("this process may not lock 2 MiB")
    assert locked_bytes() > before
    del a
    assert locked_bytes() == before


def locked_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmLck" in line) * 1024


REFUSED = """
import os, resource
import numpy as np
import numpool

numpool.realtime  # Imports what nobody may read.
if os.getuid() == 0:
    os.setuid(65534)  # Nobody may lock what he likes.
resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
try:
    with numpool.realtime({"1MiB": 16, 800: 4}):
        pass
except numpool.PoolExhausted as error:
    print(error)
for locked in ("try", False):
    with numpool.realtime({"8KiB": 1}, locked=locked) as rt:
        np.empty(100)
    print(rt.stats().locked, rt.stats().misses, "not locked" in rt.report())
"""


def test_a_lock_beyond_the_limit_is_an_error_unless_it_was_only_tried(printed_by: Any) -> None:
    refused = (
        "realtime: the system refused 16 MiB for 20 blocks of 2 sizes; this process may lock no "
        "more than 4 KiB (RLIMIT_MEMLOCK): raise that. To go on without the lock, give "
        "locked='try' or False"
    )
    assert printed_by(REFUSED).splitlines() == [
        refused,
        "False 0 True",
        "False 0 True",
    ]


def test_sizes_may_be_texts_and_add_up() -> None:
    with realtime({"1KiB": 1, 1024: 2, 0: 0}) as rt:
        arrays = [np.empty(128) for _ in range(3)]
    assert rt.stats().sizes == ((1024, 3, 3),)
    del arrays


def test_a_rehearsal_that_never_ran_is_refused() -> None:
    with pytest.raises(ValueError, match="this rehearsal recorded nothing: run two cycles"):
        numpool.realtime(numpool.rehearse())


@pytest.mark.parametrize("locked", [True, "try", False])
def test_the_report_says_what_was_proved(locked: bool | Literal["try"]) -> None:
    try:
        with numpool.realtime({800: 2}, locked=locked) as rt, rt.step():
            pass
    except numpool.PoolExhausted:
        pytest.skip("this process may not lock a page")
    first, *_ = rt.report().splitlines()
    assert first.startswith("1 step: ")
    assert first.endswith(" 0 allocations outside the warm set")
    assert "warm set: 2 blocks of 1 size, " in rt.report()
    assert "a step: median " in rt.report()


def test_a_block_that_has_not_run_has_empty_figures() -> None:
    assert realtime({}).stats().steps == 0
    assert realtime({}).report().startswith("0 steps: 0 page faults, 0 allocations outside")
