"""Forks, exits, and objects that end in any order."""

from __future__ import annotations

import gc
import multiprocessing
import random
from collections.abc import Callable
from typing import Any

import pytest

import numpool

ENDINGS = {
    "buffer in a global": "b = pool.acquire()",
    "array in a global": "a = pool.acquire().array()",
    "in a cycle": "c = [pool.acquire().array()]; c.append(c)",
    "closed with buffers out": "b = pool.acquire(); pool.close()",
    "view kept in a builtin module": "import builtins; builtins.view = memoryview(pool.acquire())",
    "acquired at exit": "import atexit; atexit.register(lambda: keep.append(pool.acquire()))",
    "dlpack capsule": "d = pool.acquire().__dlpack__()",
    "daemon thread that waits": (
        "import threading; b = pool.acquire_many(4);"
        "threading.Thread(target=lambda: pool.acquire(timeout=None), daemon=True).start()"
    ),
    "daemon threads that wait again and again": (
        "import threading, time; b = pool.acquire_many(4)\n"
        "def work():\n"
        "    while True:\n"
        "        try: pool.acquire(timeout=0.0001)\n"
        "        except numpool.PoolExhausted: pass\n"
        "for _ in range(4): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
    "daemon threads in a slow init": (
        "import threading, time\n"
        "slow = numpool.FixedPool(64, 100000, init=lambda view: time.sleep(0.001))\n"
        "def work():\n"
        "    while True: keep.append(slow.acquire())\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
    "daemon threads that wake a loop": (
        "import asyncio, threading, time\n"
        "async def use():\n"
        "    while True: (await pool.acquire_async()).release(); await asyncio.sleep(0)\n"
        "async def main(): await asyncio.gather(*(use() for _ in range(8)))\n"
        "def loop(): asyncio.run(main())\n"
        "for _ in range(2): threading.Thread(target=loop, daemon=True).start()\n"
        "time.sleep(0.1)"
    ),
    "daemon threads that trim, check and close": (
        "import threading, time\n"
        "def work():\n"
        "    while True: pool.trim(); pool.check(); numpool.FixedPool(64, 1).close()\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
    "daemon thread that works": (
        "import threading, time\n"
        "def work():\n"
        "    while True: pool.acquire().array()[:] = 1\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
    "pending coroutine": (
        "import asyncio; b = pool.acquire_many(4); loop = asyncio.new_event_loop()\n"
        "task = loop.create_task(pool.acquire_async())\n"
        "loop.run_until_complete(asyncio.sleep(0.01)); task._log_destroy_pending = False"
    ),
    "init that refers to its pool": (
        "p = numpool.FixedPool(64, 1, init=lambda v: keep.append(p)); keep.append(p.acquire())"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    for _ in range(3):
        ends_cleanly(f"import numpool; keep = []; pool = numpool.FixedPool(4096, 4)\n{ending}")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_forked_while_threads_allocate_can_use_the_pool(
    fork_amid: Callable[..., None],
) -> None:
    pool = numpool.FixedPool(256, 8)

    def work() -> None:
        with pool.acquire(timeout=1) as buffer:
            memoryview(buffer)[0] = 1

    def act() -> None:
        with pool.acquire(timeout=0) as buffer:
            memoryview(buffer)[0] = 2
        pool.check()

    fork_amid(work, act, children=100)
    pool.check()


def child_uses_a_pool(pool_size: int) -> int:
    pool = numpool.FixedPool(4096, pool_size)
    return len(pool.acquire_many(pool_size))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(method: str) -> None:
    numpool.FixedPool(64, 1).acquire()
    with multiprocessing.get_context(method).Pool(2) as workers:
        assert workers.map(child_uses_a_pool, [1, 2, 3]) == [1, 2, 3]


def test_a_pool_cannot_be_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(numpool.FixedPool(64, 1))


HOLDERS: list[Callable[[numpool.Buffer], Any]] = [
    lambda buffer: buffer,
    lambda buffer: buffer.array(),
    memoryview,
]


def test_random_use_never_shares_or_loses_a_block() -> None:
    """Buffers, views and arrays come and go in any order. Their contents show any sharing."""
    rng = random.Random(20260101)
    for round_number in range(20):
        options: dict[str, Any] = {"max_blocks": 24} if round_number % 2 else {}
        pool = numpool.FixedPool(rng.choice([8, 64, 1000, 5000]), 12, **options)
        live: list[tuple[int, Any]] = []
        for step in range(600):
            action = rng.random()
            if action < 0.5:
                buffer = pool.try_acquire()
                if buffer is None:
                    continue
                mark = step % 256
                buffer.array()[:] = mark
                holder = rng.choice(HOLDERS)(buffer)
                del buffer
                live.append((mark, holder))
            elif action < 0.97 and live:
                mark, holder = live.pop(rng.randrange(len(live)))
                assert set(bytes(holder)) == {mark}
                if isinstance(holder, numpool.Buffer) and rng.random() < 0.5:
                    holder.release()
                del holder
            else:
                pool.trim()
                pool.check()
            assert pool.stats().blocks == len(live)
        if rng.random() < 0.5:
            pool.close()
        assert all(set(bytes(holder)) == {mark} for mark, holder in live)
        live.clear()
        holder = None
        gc.collect()
        assert pool.stats().blocks == 0


def test_a_process_that_may_not_map_more_gets_a_memory_error(
    printed_by: Callable[..., str],
) -> None:
    # The limit is not exactly 1 GiB: with aligned pages the pool would fit exactly, and leave no
    # memory for Python's own objects.
    out = printed_by(
        "import resource, numpool\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 960 * 2**20, used + 960 * 2**20))\n"
        "try: numpool.FixedPool('1MiB', 4096)\n"
        "except numpool.PoolExhausted as error: print(error)\n"
        "pool = numpool.FixedPool('1MiB', 8, max_blocks=None, name='big')\n"
        "kept = []\n"
        "try:\n"
        "    while True: kept.append(pool.acquire())\n"
        "except numpool.PoolExhausted as error: print(error)\n"
        "pool.check(); kept.clear(); print(pool.trim() >= 0, len(pool.acquire_many(8)))\n"
    )
    refused, grown, after = out.splitlines()
    assert refused == "the system refused 4 GiB for 4096 blocks of 1 MiB"
    assert grown.startswith("FixedPool 'big': the system refused memory to grow beyond")
    assert after == "True 8"


def test_a_closed_pool_says_so_and_its_buffers_stay_good(pool: numpool.FixedPool) -> None:
    buffer = pool.acquire()
    pool.close()
    pool.close()
    for request in (pool.acquire, pool.try_acquire, lambda: pool.acquire_many(1)):
        with pytest.raises(numpool.PoolClosed, match="FixedPool 'test' is closed"):
            request()
    with pytest.raises(ValueError, match="closed"):
        pool.acquire(timeout=None)
    buffer.array()[:] = 7
    assert repr(pool) == "<FixedPool 'test': closed, 1 block of 4 KiB still in use>"
    assert pool.stats().mapped > 0
    buffer.release()
    assert pool.stats().mapped == 0
    assert repr(pool) == "<FixedPool 'test': closed>"
    assert pool.closed


def test_a_with_block_closes_the_pool() -> None:
    with numpool.FixedPool(8, 1) as pool:
        assert not pool.closed
    assert pool.closed


def test_a_pool_in_a_cycle_stays_open_while_a_buffer_leads_to_it() -> None:
    class Looped(numpool.FixedPool):
        me: object

    pool = Looped(64, 2)
    pool.me = pool
    buffer = pool.acquire()
    del pool
    gc.collect()
    again = buffer.pool
    assert again is not None
    assert not again.closed


def test_a_pool_object_that_is_being_destroyed_is_not_brought_back() -> None:
    class Pool(numpool.FixedPool):
        last: object

    class Last:
        def __del__(self) -> None:
            try:
                outcome.append(buffer.pool)
            except numpool.PoolClosed as error:
                outcome.append(str(error))

    outcome: list[object] = []
    pool = Pool(4096, 4)
    buffer = pool.acquire()
    pool.last = Last()
    del pool
    gc.collect()
    assert len(outcome) == 1
    if isinstance(outcome[0], str):
        assert "its Python object is being destroyed" in outcome[0]
    assert isinstance(buffer.pool, numpool.FixedPool)
