"""Marks in an arena, and rewinding to them."""

from __future__ import annotations

import pytest

import numpool


def test_rewinding_ends_what_began_since_the_mark() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(events.append, "before")
    before = arena.acquire(10)
    older = numpool.Arena(parent=arena)
    kept = arena.array(range(5))
    mark = arena.mark()
    for round_ in range(3):
        arena.defer(events.append, f"since {round_}")
        since = arena.acquire(10)
        child = numpool.Arena(parent=arena)
        arena.rewind(mark)
        assert since.released
        assert child.closed
    assert events == ["since 0", "since 1", "since 2"]
    assert not before.released
    assert not older.closed
    assert kept.tolist() == [0, 1, 2, 3, 4]
    arena.check()
    del kept
    arena.close()
    assert events[-1] == "before"


def test_only_arrays_from_after_the_mark_prevent_a_rewind(arena: numpool.Arena) -> None:
    before = arena.zeros(10)
    mark = arena.mark()
    since = arena.zeros(20)
    with pytest.raises(BufferError, match=r"1 block .*: \(20,\) float64 of .* before rewind\(\)"):
        arena.rewind(mark)
    del since
    arena.rewind(mark)
    assert before.sum() == 0


def test_marks_nest_and_say_when_they_are_stale(arena: numpool.Arena) -> None:
    arena.acquire(1)
    kept = [arena.acquire(10)]
    outer = arena.mark()
    kept.append(arena.acquire(10))
    inner = arena.mark()
    kept.append(arena.acquire(10))
    arena.rewind(inner)
    assert [buffer.released for buffer in kept] == [False, False, True]
    arena.rewind(outer)
    assert [buffer.released for buffer in kept] == [False, True, True]
    stale = r"Arena 'test': this mark is of a state that the arena has left"
    with pytest.raises(ValueError, match=stale):
        arena.rewind(inner)
    arena.reset()
    with pytest.raises(ValueError, match=stale):
        arena.rewind(outer)
    with pytest.raises(ValueError, match="this mark is another arena's"):
        arena.rewind(numpool.Arena().mark())
    with pytest.raises(TypeError):
        arena.rewind(3)  # type: ignore[arg-type]
