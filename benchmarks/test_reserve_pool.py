"""The cost of a reserve in Python, beside its backing pool."""

from __future__ import annotations

from functools import cached_property

from races import race
from test_fixed_pool import thousand_times
from turns import Contender

import numpool

WAYS = {
    "FixedPool": "fixed.acquire()",
    "ReservePool on a FixedPool": "reserve.acquire()",
    "ReservePool, backing pool empty": "short.acquire()",
    "SlabPool": "slabs.acquire(4096)",
    "ReservePool on a SlabPool": "on_slabs.acquire()",
}


class Pools:
    """Pools, each made at its first use."""

    @cached_property
    def fixed(self) -> numpool.FixedPool:
        return numpool.FixedPool(4096, 16)

    @cached_property
    def slabs(self) -> numpool.SlabPool:
        return numpool.SlabPool()

    @cached_property
    def reserve(self) -> numpool.ReservePool:
        return numpool.ReservePool(self.fixed, 4096, 4)

    @cached_property
    def short(self) -> numpool.ReservePool:
        return numpool.ReservePool(numpool.FixedPool(4096, 4), 4096, 4)

    @cached_property
    def on_slabs(self) -> numpool.ReservePool:
        return numpool.ReservePool(self.slabs, 4096, 4)


@race("1000 x acquire and release of 4KiB", WAYS, reference="FixedPool")
def test_acquire_and_release(contender: str) -> Contender:
    return Contender(thousand_times(WAYS[contender], Pools()))
