"""An arena's arrays, and NumPy's temporaries in an arena."""

from __future__ import annotations

import numpy as np
import pytest

import numpool


def test_temporaries_under_use_end_in_one_step(arena: numpool.Arena) -> None:
    x = np.arange(10_000.0)
    for _ in range(3):
        with numpool.use(arena):
            result = float(((x * 2 + 1) ** 2 - x).sum())
        arena.reset()
    stats = arena.stats()
    assert stats.requests >= 6
    assert stats.blocks == 0
    assert np.isclose(result, float(((x * 2 + 1) ** 2 - x).sum()))


def test_a_kept_result_of_use_prevents_the_end(arena: numpool.Arena) -> None:
    with numpool.use(arena):
        kept = np.ones(10) + 1
    with pytest.raises(BufferError, match=r"1 block is still .*: 80 bytes at 0x[0-9a-f]+;"):
        arena.close()
    copy = kept.copy()
    assert numpool.pool_of(copy) is None
    del kept
    arena.close()
    assert copy.sum() == 20


def test_arrays_grow_shrink_and_keep_their_contents(arena: numpool.Arena) -> None:
    array = arena.array(np.arange(100))
    other = arena.zeros(10)
    for size in (50, 1000, 100_000, 10**6, 100):
        kept = min(size, array.size)
        before = array[:kept].copy()
        array.resize(size, refcheck=False)
        assert (array[:kept] == before).all()
        assert arena.owns(array)
        arena.check()
    assert not other.any()


def test_zeros_are_zero_where_blocks_were_dirty(arena: numpool.Arena) -> None:
    for size in (8, 1000, 100_000):
        arena.full(size, 0xFF, "u1")
        assert not arena.zeros(size, "u1").any()
