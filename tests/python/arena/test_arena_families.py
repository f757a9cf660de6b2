"""Arenas with children and clean-ups."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import numpool


def test_children_end_first_then_clean_ups_in_reverse_then_the_memory() -> None:
    events: list[str] = []
    parent = numpool.Arena(name="parent")
    parent.defer(events.append, "parent's first")
    older = numpool.Arena(parent=parent, name="older")
    younger = numpool.Arena(parent=parent, name="younger")
    grandchild = numpool.Arena(parent=older, name="grandchild")
    for child in (older, younger, grandchild):
        child.defer(events.append, child.name)
    older.defer(events.append, "older's last")
    parent.defer(
        lambda *, memory: events.append(f"{memory.nbytes} bytes"), memory=parent.acquire(9)
    )
    parent.close()
    assert events == [
        "younger",
        "grandchild",
        "older's last",
        "older",
        "9 bytes",
        "parent's first",
    ]
    assert all(arena.closed for arena in (parent, older, younger, grandchild))
    parent.close()
    assert len(events) == 6
    assert older.parent is parent
    assert parent.parent is None


def test_reset_ends_children_and_runs_clean_ups_too() -> None:
    events: list[str] = []
    parent = numpool.Arena()
    child = numpool.Arena(parent=parent)
    child.defer(events.append, "child")
    parent.defer(events.append, "parent")
    parent.reset()
    assert events == ["child", "parent"]
    assert child.closed
    assert not parent.closed
    parent.reset()
    assert events == ["child", "parent"]


def test_a_childs_live_array_forbids_its_parents_end() -> None:
    events: list[str] = []
    parent = numpool.Arena(name="parent")
    child = numpool.Arena(parent=parent)
    child.defer(events.append, "child")
    array = child.empty(10)
    own = parent.empty(5)
    with pytest.raises(BufferError, match=r"^Arena 'parent': 2 blocks are .* before close\(\)$"):
        parent.close()
    del own
    with pytest.raises(BufferError, match=r"1 block is still .*: \(10,\) float64 of 80 bytes;"):
        parent.reset()
    assert events == []
    assert not child.closed
    del array
    parent.close()
    assert events == ["child"]


def test_a_dropped_child_is_no_obstacle_but_its_arrays_are() -> None:
    parent = numpool.Arena()
    numpool.Arena(parent=parent)
    array = numpool.Arena(parent=parent).empty(10)
    gc.collect()
    with pytest.raises(BufferError):
        parent.close()
    array[:] = 1
    del array
    parent.close()


def test_a_closed_parent_takes_no_child() -> None:
    parent = numpool.Arena(name="parent")
    parent.close()
    with pytest.raises(numpool.PoolClosed, match="Arena 'parent' is closed"):
        numpool.Arena(parent=parent)


def test_a_child_keeps_its_parent() -> None:
    events: list[str] = []
    parent = numpool.Arena()
    parent.defer(events.append, "parent")
    child = numpool.Arena(parent=parent)
    del parent
    gc.collect()
    assert events == []
    del child
    gc.collect()
    assert events == ["parent"]


def test_a_clean_up_may_defer_another_and_make_a_child() -> None:
    events: list[str] = []
    arena = numpool.Arena()

    def first() -> None:
        events.append("first")
        arena.defer(second)

    def second() -> None:
        events.append("second")
        numpool.Arena(parent=arena).defer(events.append, "child")

    arena.defer(events.append, "oldest")
    arena.defer(first)
    arena.close()
    assert events == ["first", "second", "child", "oldest"]


def test_all_clean_ups_run_and_the_last_error_passes() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(lambda: dict[str, int]()["first"])
    arena.defer(events.append, "between")
    arena.defer(int, "second")
    arena.acquire(100)
    with pytest.raises(KeyError, match="first") as caught:
        arena.close()
    assert isinstance(caught.value.__context__, ValueError)
    assert events == ["between"]
    assert arena.closed
    assert arena.stats().blocks == 0


def test_a_clean_up_that_takes_a_block_into_use_is_found() -> None:
    kept: list[Any] = []
    arena = numpool.Arena()
    arena.defer(lambda: kept.append(arena.empty(3)))
    with pytest.raises(BufferError, match="24 bytes"):
        arena.close()
    assert not arena.closed
    kept[0][:] = 1
    kept.clear()
    arena.close()


def test_a_dropped_arena_runs_its_clean_ups() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(events.append, "dropped")
    array = arena.empty(10)
    del arena
    assert events == ["dropped"]
    array[:] = 1


def test_an_arena_in_a_cycle_runs_its_clean_ups_and_goes() -> None:
    events: list[str] = []

    def leave_a_cycle() -> None:
        arena = numpool.Arena(name="cycle")
        arena.defer(lambda: events.append(arena.name))
        buffer = arena.acquire(10)
        arena.defer(lambda: events.append(str(buffer.nbytes)))

    leave_a_cycle()
    gc.collect()
    assert events == ["10", "cycle"]


def test_a_failing_clean_up_of_a_dropped_arena_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reports.append(report.exc_type))
    arena = numpool.Arena()
    arena.defer(int, "x")
    del arena
    assert reports == [ValueError]


def test_a_clean_up_may_reset_or_close_its_arena() -> None:
    for verb in ("reset", "close"):
        arena = numpool.Arena()
        arena.defer(getattr(arena, verb))
        arena.acquire(10)
        arena.close()
        assert arena.closed
