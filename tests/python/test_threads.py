"""Pools with many threads, forks and process ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

import numpool


def test_a_strict_pool_hands_out_all_its_blocks_whichever_threads_used_them() -> None:
    pool = numpool.FixedPool(64, 100)
    used = threading.Barrier(4)
    done = threading.Event()

    def work() -> None:
        for buffer in pool.acquire_many(10):
            buffer.release()
        used.wait()
        done.wait()  # This thread lives on, and keeps what it has at hand.

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    used.wait()
    buffers = [pool.acquire() for _ in range(100)]
    with pytest.raises(numpool.PoolExhausted, match="all 100 blocks of 64 bytes are in use"):
        pool.acquire()
    done.set()
    for thread in threads:
        thread.join()
    assert pool.stats().blocks == len(buffers)


BUSY = """
import os, sys, threading, time
import numpy as np
import numpool

sys.setswitchinterval(0.0002)
fixed = numpool.FixedPool(4096, 64)
slabs = numpool.SlabPool()
numpool.install(slabs)
done = False

def work(seed):
    while not done:
        with fixed.acquire(timeout=None) as buffer:
            memoryview(buffer)[0] = seed
        np.sqrt(np.ones(1000 * seed))
        slabs.acquire(seed * 5000).release()
        if seed == 3:
            slabs.trim(), fixed.trim(), fixed.stats()

threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in (1, 2, 3)]
for thread in threads:
    thread.start()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_forked_amid_busy_threads_use_every_pool_and_exit(
    printed_by: Callable[..., str],
) -> None:
    code = """
import signal

children = []
for i in range(200):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        with fixed.acquire() as buffer:
            memoryview(buffer)[:4] = b"here"
        assert np.arange(5000).sum() == 12497500
        slabs.acquire(100_000).release()
        if i % 50 == 0:
            fixed.check(), slabs.check(), fixed.trim(), slabs.trim()
        os._exit(0)
    children.append(child)
    if len(children) > 8:
        assert os.waitpid(children.pop(0), 0)[1] == 0, i
for child in children:
    assert os.waitpid(child, 0)[1] == 0
done = True
for thread in threads:
    thread.join()
fixed.check()
slabs.check()
print(fixed.stats().blocks)
"""
    assert printed_by(BUSY + code) == "0\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_use_pools_and_send_buffers_back(
    method: str, printed_by: Callable[..., str]
) -> None:
    code = f"""
import concurrent.futures, multiprocessing
import numpy as np
import numpool

pool = numpool.FixedPool(4096, 4)

def work(i):
    numpool.install()
    buffer = pool.acquire()
    memoryview(buffer)[0] = i
    return buffer, np.full(1000, i)

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    kept = pool.acquire()
    with context.Pool(2) as workers:
        assert [b.array("u1")[0] + a[-1] for b, a in workers.map(work, range(8))] == [
            2 * i for i in range(8)
        ]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
        assert [a.sum() for _, a in workers.map(work, range(4))] == [0, 1000, 2000, 3000]
    del kept
    pool.check()
    print(pool.stats().blocks)
"""
    assert printed_by(code) == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_processes_end_with_threads_that_wait_and_blocks_in_cycles(
    printed_by: Callable[..., str],
) -> None:
    # Without a GIL, an interpreter with busy threads always takes a second to end.
    # Fork before there are threads, so that each child ends as an interpreter does.
    code = """
import atexit, os, sys, sysconfig, threading, time
import numpy as np
import numpool

numpool.install()
for run in range(10 if sysconfig.get_config_var("Py_GIL_DISABLED") else 20):
    child = os.fork()
    if child == 0:
        break
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"run {run} ended with status {status}")
else:
    print("good")
    sys.exit()

pool = numpool.FixedPool(4096, 16)

def work():
    while True:
        np.sqrt(np.ones(100_000))
        with pool.acquire(timeout=None) as buffer:
            np.frombuffer(buffer, "u1").sum()

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
kept = [np.ones(n) for n in (1, 1000, 10**6)]
cycle = [np.ones(1000), pool.acquire(), pool]
cycle.append(cycle)
atexit.register(lambda: kept.append((np.ones(1000), pool.acquire(), pool.stats())))
time.sleep(0.001 * (run % 7))
"""
    assert printed_by(code) == "good\n"
