"""Families of arenas that are far deeper than the C stack."""

from __future__ import annotations

import numpy as np
import pytest

import numpool

LEVELS = 200_000


def family() -> tuple[numpool.Arena, numpool.Arena]:
    """The oldest and the youngest of as many arenas, each the parent of the next."""
    oldest = youngest = numpool.Arena(name="oldest")
    for _ in range(LEVELS):
        youngest = numpool.Arena(parent=youngest)
    return oldest, youngest


def test_a_deep_family_closes_with_its_oldest_arena() -> None:
    oldest, youngest = family()
    ended: list[str] = []
    oldest.defer(ended.append, "oldest")
    youngest.defer(ended.append, "youngest")
    array = youngest.empty(100, np.uint8)
    with pytest.raises(BufferError, match="1 block is still in use"):
        oldest.close()
    del array
    oldest.close()
    assert ended == ["youngest", "oldest"]
    assert youngest.closed


def test_a_deep_family_goes_with_its_youngest_arena() -> None:
    oldest, youngest = family()
    ended: list[str] = []
    oldest.defer(ended.append, "oldest")
    del oldest
    assert ended == []
    del youngest
    assert ended == ["oldest"]
