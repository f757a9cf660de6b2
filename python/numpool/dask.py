"""Dask: a pool in each worker, within the worker's memory limit. It needs the extra ``dask``.

>>> from numpool.dask import NumpoolPlugin
>>> client.register_plugin(NumpoolPlugin())  # doctest: +SKIP
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpool

try:
    from distributed import WorkerPlugin
except ModuleNotFoundError as _missing:
    if _missing.name != "distributed":
        raise
    raise ImportError(
        "numpool.dask needs the package distributed: pip install 'numpool[dask]'"
    ) from None

if TYPE_CHECKING:
    from distributed import Client, Worker

__all__ = ["NumpoolPlugin", "WorkerMemory", "memory"]

_METRIC = "numpool"


class _Process:
    """The pool of this process and the workers in it: a ``LocalCluster`` may have several."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: numpool.SlabPool | None = None
        self.workers: set[str] = set()


_process = _Process()


class NumpoolPlugin(WorkerPlugin):  # type: ignore[misc]
    """Makes a pool NumPy's allocator in each worker, also in workers that start later.

    A task whose arrays would exceed the limit gets a MemoryError that names the pool, so its worker
    is not killed. A thread gives memory that no array needs back to the system after ``decay``
    seconds, also while the worker idles. So it does not stay as Dask's unmanaged memory. The
    heartbeats of the workers tell what the pools hold: see ``memory``.

    limit  the most bytes in arrays, in each worker: "90%" is that part of the worker's memory
           limit, and "2GiB" or an int a size. Without a limit of the worker, "90%" sets none
    decay  seconds, as for SlabPool

    Workers in one process share a pool. Its limit is that of the first.
    """

    name = "numpool"

    def __init__(self, limit: str | int | None = "90%", *, decay: float = 1.0) -> None:
        if limit is not None:
            numpool.parse_size(limit)
        self.limit = limit
        self.decay = decay

    def _limit_for(self, worker: Worker) -> str | int | None:
        if not isinstance(self.limit, str) or not self.limit.strip().endswith("%"):
            return self.limit
        of_worker = worker.memory_manager.memory_limit
        share = float(self.limit.strip()[:-1]) / 100
        return int(of_worker * share) if of_worker else None

    def setup(self, worker: Worker) -> None:
        """Dask calls this in a worker that starts."""
        with _process.lock:
            if _process.pool is None:
                _process.pool = numpool.SlabPool(
                    limit=self._limit_for(worker),
                    decay=self.decay,
                    background=True,
                    name="dask worker",
                )
                numpool.install(_process.pool)
            _process.workers.add(worker.address)
        worker.metrics[_METRIC] = _figures

    def teardown(self, worker: Worker) -> None:
        """Dask calls this in a worker that ends, or when the plugin is removed."""
        worker.metrics.pop(_METRIC, None)
        with _process.lock:
            _process.workers.discard(worker.address)
            if _process.pool is not None and not _process.workers:
                numpool.uninstall()
                _process.pool = None


def _figures(_worker: Worker) -> dict[str, int | None]:
    pool = _process.pool
    if pool is None:
        return {}
    stats = pool.stats()
    return {"in_use": stats.in_use, "cached": stats.cached, "limit": stats.limit}


@dataclass(frozen=True)
class WorkerMemory:
    """Where the memory of a worker is, in bytes, at its last heartbeat.

    process  what its process holds
    managed  results that Dask keeps, as Dask estimates them
    arrays   live arrays in the pool: results, and what tasks are using
    cached   what the pool keeps for later
    limit    the bound of ``arrays``; None if there is none
    """

    process: int
    managed: int
    arrays: int
    cached: int
    limit: int | None

    def __str__(self) -> str:
        size = numpool.format_size
        limit = "" if self.limit is None else f" of {size(self.limit)}"
        return (
            f"{size(self.process)} in the process, {size(self.arrays)}{limit} in arrays, "
            f"{size(self.cached)} cached, {size(self.managed)} managed by Dask"
        )


def memory(client: Client) -> dict[str, WorkerMemory]:
    """The memory of each worker that has the plugin, by the worker's address."""
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    found = {}
    for address, worker in workers.items():
        metrics = worker["metrics"]
        figures = metrics.get(_METRIC)
        if figures:
            found[address] = WorkerMemory(
                process=metrics["memory"],
                managed=metrics["managed_bytes"],
                arrays=figures["in_use"],
                cached=figures["cached"],
                limit=figures["limit"],
            )
    return found
