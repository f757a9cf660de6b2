"""The plugin for Dask, on a real cluster of two processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool

distributed = pytest.importorskip("distributed")
from numpool import dask as numpool_dask  # noqa: E402 - it needs distributed

pytestmark = pytest.mark.filterwarnings("ignore")
LIMIT = 512 << 20


def of_the_pool(count: int) -> tuple[str, int | None]:
    pool = numpool.owner(np.ones(count))
    assert pool is not None
    return pool.name, pool.stats().limit


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of two workers, each in a process of its own, with the plugin."""
    with (
        distributed.LocalCluster(
            n_workers=2, memory_limit=LIMIT, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(numpool_dask.NumpoolPlugin(decay=0.1))
        yield client


def wait_for(client: Any, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the heartbeats tell, once they tell that."""
    deadline = time.monotonic() + 60
    while not condition(told := numpool_dask.memory(client)):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    return told


def test_arrays_of_tasks_come_from_a_pool_with_the_workers_limit(client: Any) -> None:
    results = client.gather(client.map(of_the_pool, range(1000, 1004)))
    assert results == [("dask worker", LIMIT * 9 // 10)] * 4


def test_a_task_beyond_the_limit_fails_and_its_worker_lives(client: Any) -> None:
    workers = set(client.scheduler_info()["workers"])
    with pytest.raises(MemoryError, match="Unable to allocate"):
        client.submit(of_the_pool, LIMIT // 8).result()
    assert set(client.scheduler_info()["workers"]) == workers


def test_memory_is_shown_and_given_back(client: Any) -> None:
    result = client.submit(np.ones, 25_000_000, pure=False)
    distributed.wait(result)
    told = wait_for(
        client,
        lambda told: any(min(one.arrays, one.process) >= 200e6 for one in told.values()),
    )
    assert len(told) == 2
    [holder] = [one for one in told.values() if one.arrays >= 200e6]
    assert holder.process >= holder.arrays
    assert holder.limit == LIMIT * 9 // 10
    assert "of 461 MiB in arrays" in str(holder)
    del result
    told = wait_for(client, lambda told: all(one.process < 200e6 for one in told.values()))
    assert all(one.arrays + one.cached < 20e6 for one in told.values())


def test_a_worker_that_starts_later_has_the_pool_too(client: Any) -> None:
    client.cluster.scale(3)
    client.wait_for_workers(3, timeout=100)
    assert len(wait_for(client, lambda told: len(told) == 3)) == 3


def test_workers_in_one_process_share_a_pool_until_the_last_ends() -> None:
    before = numpool.current()
    with (
        distributed.LocalCluster(n_workers=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(numpool_dask.NumpoolPlugin("100MiB"))
        pools = set(client.gather(client.map(of_the_pool, range(1000, 1008))))
        assert pools == {("dask worker", 100 << 20)}
        assert len(wait_for(client, lambda told: len(told) == 2)) == 2
        client.unregister_worker_plugin("numpool")
        assert numpool.current() is before
        assert numpool_dask.memory(client) == {} or wait_for(client, lambda told: not told) == {}


@pytest.mark.parametrize(
    ("limit", "text"),
    [("4K", "did you mean"), ("200%", "more than all"), (-1, "negative")],
)
def test_a_limit_that_no_worker_can_have_is_refused_here(limit: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        numpool_dask.NumpoolPlugin(limit)


WITHOUT = """
import sys
sys.modules["distributed"] = None
try:
    import numpool.dask
except ImportError as error:
    print(error)
"""


def test_an_import_without_distributed_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout == "numpool.dask needs the package distributed: pip install 'numpool[dask]'\n"
    )
