"""What a reserve costs in Python, beside the pool that it sits on."""

from __future__ import annotations

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


@race("1000 x acquire and release of 4KiB", WAYS, reference="FixedPool")
def test_acquire_and_release(contender: str) -> Contender:
    fixed = numpool.FixedPool(4096, 16)
    slabs = numpool.SlabPool()
    names = {
        "fixed": fixed,
        "slabs": slabs,
        "reserve": numpool.ReservePool(numpool.FixedPool(4096, 16), 4096, 4),
        "short": numpool.ReservePool(numpool.FixedPool(4096, 4), 4096, 4),
        "on_slabs": numpool.ReservePool(slabs, 4096, 4),
    }
    return Contender(thousand_times(WAYS[contender], **names))
