"""The cost of an array in a budget, beside the same pool without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from races import label, race
from test_fixed_pool import thousand_times
from turns import Contender

import numpool

SIZES = [64, 4096, 65536, 2**20]


def budget_in(pool: numpool.Pool, *, depth: int, soft: bool = False) -> numpool.Budget:
    """Budgets in budgets; each has a limit that is far away."""
    budget = pool
    for _ in range(depth):
        budget = numpool.Budget(
            "8GiB", soft="4GiB" if soft else None, on_soft=list if soft else None, source=budget
        )
    assert isinstance(budget, numpool.Budget)
    return budget


# What NumPy allocates from.
WAYS: dict[str, Callable[[], numpool.Pool]] = {
    "use(SlabPool)": numpool.SlabPool,
    "use(Budget)": lambda: budget_in(numpool.SlabPool(), depth=1),
    "use(Budget), with on_soft": lambda: budget_in(numpool.SlabPool(), depth=1, soft=True),
    "use(Budget in a Budget)": lambda: budget_in(numpool.SlabPool(), depth=2),
}


class Empty:
    """A function that makes an array."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.empty = np.empty


@race("1000 x np.empty({size})", WAYS, reference="use(SlabPool)")
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_an_array(contender: str, size: int) -> Contender:
    run = thousand_times("empty(size)", Empty(size))
    return Contender(numpool.use(WAYS[contender]())(run))
