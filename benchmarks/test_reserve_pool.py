"""What a reserve costs in Python, beside the pool that it sits on."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from test_fixed_pool import thousand_times

import numpool

WAYS = {
    "FixedPool": "fixed.acquire()",
    "ReservePool on a FixedPool": "reserve.acquire()",
    "ReservePool, backing pool empty": "short.acquire()",
    "SlabPool": "slabs.acquire(4096)",
    "ReservePool on a SlabPool": "on_slabs.acquire()",
}


@pytest.mark.parametrize("way", WAYS)
def test_acquire_and_release(benchmark: BenchmarkFixture, way: str) -> None:
    benchmark.group = "1000 x acquire and release of 4KiB"
    fixed = numpool.FixedPool(4096, 16)
    slabs = numpool.SlabPool()
    names = {
        "fixed": fixed,
        "slabs": slabs,
        "reserve": numpool.ReservePool(numpool.FixedPool(4096, 16), 4096, 4),
        "short": numpool.ReservePool(numpool.FixedPool(4096, 4), 4096, 4),
        "on_slabs": numpool.ReservePool(slabs, 4096, 4),
    }
    benchmark(thousand_times(WAYS[way], **names))
