"""Dask: a pool in each worker, which holds the worker's memory limit."""

import time

import numpy as np
from distributed import Client, LocalCluster

import numpool
import numpool.dask


def total(count: int) -> tuple[float, str]:
    """A task: the sum of an array, and the name of its pool."""
    array = np.ones(count)
    pool = numpool.owner(array)
    assert pool is not None
    return float(array.sum()), pool.name


def main() -> None:
    """Start two workers; each may have 80 % of 1 GiB in arrays."""
    with (
        LocalCluster(
            n_workers=2, memory_limit="1GiB", threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(numpool.dask.NumpoolPlugin("80%"))
        print(client.submit(total, 1_000_000).result())
        try:
            client.submit(total, 200_000_000).result()
        except MemoryError as error:
            print(error)
        time.sleep(2)  # Memory that is not used any more goes back to the system.
        for worker in numpool.dask.memory(client).values():
            print(worker)


if __name__ == "__main__":
    main()
