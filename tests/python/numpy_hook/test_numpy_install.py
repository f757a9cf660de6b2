"""NumPy allocates from a pool in the whole process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numpool


def owner() -> numpool.Pool | None:
    """The pool that owns the data of a new array."""
    return numpool.pool_of(np.ones(10))


def test_the_default_pool_is_installed_unless_another_is_named(pool: numpool.FixedPool) -> None:
    assert numpool.current() is None
    assert numpool.install() is numpool.default_pool()
    assert numpool.current() is numpool.default_pool()
    assert owner() is numpool.default_pool()
    numpool.uninstall()
    assert numpool.current() is None
    assert owner() is None


def test_a_thread_that_already_runs_is_included() -> None:
    jobs: queue.SimpleQueue[bool] = queue.SimpleQueue()
    owners: queue.SimpleQueue[numpool.Pool | None] = queue.SimpleQueue()

    def work() -> None:
        while jobs.get():
            owners.put(owner())

    thread = threading.Thread(target=work)
    thread.start()
    jobs.put(True)
    assert owners.get(timeout=10) is None
    numpool.install()
    jobs.put(True)
    assert owners.get(timeout=10) is numpool.default_pool()
    numpool.uninstall()
    jobs.put(True)
    assert owners.get(timeout=10) is None
    jobs.put(False)
    thread.join()


def test_executors_and_tasks_are_included() -> None:
    async def main() -> list[numpool.Pool | None]:
        task = asyncio.create_task(asyncio.to_thread(owner))
        in_executor = asyncio.get_running_loop().run_in_executor(None, owner)
        return [owner(), await task, await in_executor]

    with ThreadPoolExecutor(2) as executor:
        executor.submit(owner).result()
        numpool.install()
        assert list(executor.map(lambda _: owner(), range(4))) == [numpool.default_pool()] * 4
    assert asyncio.run(main()) == [numpool.default_pool()] * 3


def test_arrays_from_before_and_after_are_freed_by_their_allocators() -> None:
    before = [np.ones(size) for size in (1, 100, 10_000, 1_000_000)]
    numpool.install()
    during = [np.ones(size) for size in (1, 100, 10_000, 1_000_000)]
    live = numpool.default_pool().stats().blocks
    del before[:2]
    before[0].resize(2_000_000, refcheck=False)
    assert before[0][:10_000].sum() == 10_000
    numpool.uninstall()
    del before[:]
    during[0].resize(50_000, refcheck=False)
    assert during[0].sum() == 1
    assert numpool.default_pool().stats().blocks == live
    del during[:]
    assert numpool.default_pool().stats().blocks == live - 4
    numpool.default_pool().check()


def test_installing_twice_changes_nothing() -> None:
    numpool.install()
    numpool.install()
    assert owner() is numpool.default_pool()
    numpool.uninstall()
    assert owner() is None
    numpool.uninstall()
    assert owner() is None


def test_the_last_installed_pool_serves(pool: numpool.FixedPool, other: numpool.FixedPool) -> None:
    numpool.install(pool)
    first = np.arange(512)
    numpool.install(other)
    second = np.arange(512)
    numpool.install(pool)
    third = np.arange(512)
    assert numpool.current() is pool
    assert [numpool.pool_of(array) for array in (first, second, third)] == [pool, other, pool]
    numpool.install()
    first.resize(5000, refcheck=False)
    assert numpool.pool_of(first) is numpool.default_pool()
    assert first.sum() == 130816
    del first, second, third
    assert pool.stats().blocks == other.stats().blocks == 0


def test_the_default_pool_serves_what_an_installed_pool_cannot(
    pool: numpool.FixedPool,
) -> None:
    numpool.install(pool)
    assert owner() is pool
    assert numpool.pool_of(np.ones(1000)) is numpool.default_pool()


def test_without_a_fallback_numpy_raises_memory_error(pool: numpool.FixedPool) -> None:
    numpool.install(pool, fallback=None)
    error: Any = None
    try:
        np.empty(4097, np.uint8)
    except MemoryError as raised:
        error = raised
    numpool.uninstall()
    assert error is not None


def test_an_installed_pool_lives_on_without_its_object() -> None:
    pool = numpool.FixedPool(4096, 4, name="forgotten")
    numpool.install(pool)
    del pool
    array = np.arange(100)
    found = numpool.pool_of(array)
    assert found is not None
    assert found.name == "forgotten"
    assert numpool.current() is found


def test_a_thousand_changes_while_threads_allocate() -> None:
    stop = threading.Event()
    wrong: list[object] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        kept = []
        while not stop.is_set():
            size = int(random.integers(1, 5000))
            array = np.full(size, seed)
            array.resize(size * 2, refcheck=False)
            kept.append((array, size))
            if len(kept) > 20:
                checked, length = kept.pop(int(random.integers(20)))
                if checked.sum() != seed * length:
                    wrong.append(checked)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 4)]
    pools = [numpool.FixedPool(16384, 64), numpool.FixedPool(64, 1000), None]
    for thread in threads:
        thread.start()
    for i in range(1000):
        numpool.install(pools[i % 3])
        if i % 5 == 0:
            numpool.uninstall()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    for pool in [*pools, numpool.default_pool()]:
        if pool is not None:
            pool.check()


ENDINGS = {
    "arrays in globals": "a = [np.ones(n) for n in (1, 1000, 10**6)]",
    "a cycle": "c = [np.ones(1000)]; c.append(c)",
    "uninstalled": "a = np.ones(10**5); numpool.uninstall()",
    "made at exit": "import atexit; atexit.register(lambda: keep.append(np.ones(1000)))",
    "an open block": "numpool.use(numpool.FixedPool(4096, 4)).__enter__(); a = np.ones(10)",
    "an unfinished generator": (
        "def work():\n    with numpool.use(numpool.FixedPool(4096, 4)): yield np.ones(10)\n"
        "g = work(); keep.append(next(g))"
    ),
    "daemon threads that allocate": (
        "import threading, time\n"
        "def work():\n"
        "    while True: np.sqrt(np.ones(10**5)); np.ones(3)\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
    "daemon threads that use": (
        "import threading, time\n"
        "pool = numpool.FixedPool(4096, 4)\n"
        "def work():\n"
        "    while True:\n"
        "        with numpool.use(pool): np.ones(3); numpool.current()\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    for _ in range(3):
        ends_cleanly(f"import numpy as np, numpool; keep = []; numpool.install()\n{ending}")


def test_importing_numpool_does_not_import_numpy(printed_by: Callable[..., str]) -> None:
    assert printed_by("import numpool, sys; print('numpy' in sys.modules)") == "False\n"


def test_only_pools_can_be_installed() -> None:
    with pytest.raises(TypeError, match=r"NumPy can allocate from a SlabPool.* not from str"):
        numpool.install("pool")  # type: ignore[arg-type]


def test_a_closed_pool_cannot_be_installed() -> None:
    pool = numpool.FixedPool(64, 1, name="shut")
    pool.close()
    with pytest.raises(numpool.PoolClosed, match="FixedPool 'shut' is closed"):
        numpool.install(pool)
    assert numpool.current() is None
