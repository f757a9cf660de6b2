"""The traps of NumPy's allocator hook that need threads or a process of their own."""

from __future__ import annotations

import queue
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool
from numpool import _core

ROOT = Path(__file__).parents[3]


NUMPYS_CORE = "numpy._core" if np.__version__ >= "2" else "numpy.core"


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def test_trap_09_threads_that_already_run_are_covered() -> None:
    go = threading.Event()
    answers: queue.SimpleQueue[numpool.Pool | None] = queue.SimpleQueue()

    def work() -> None:
        go.wait(10)
        answers.put(numpool.pool_of(np.ones(100)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    numpool.install()
    go.set()
    for thread in threads:
        thread.join()
    assert [answers.get_nowait() for _ in threads] == [numpool.default_pool()] * 4


def test_trap_11_after_uninstall_the_pools_arrays_go_back_to_it(
    printed_by: Callable[..., str],
) -> None:
    code = """
import numpy as np, numpool
numpool.install()
arrays = [np.full(n, n) for n in (1, 10, 1000, 100_000, 5_000_000)]
numpool.uninstall()
pool = numpool.default_pool()
live = pool.stats().blocks
arrays[2].resize(2000, refcheck=False)
assert [int(a[0]) for a in arrays] == [1, 10, 1000, 100_000, 5_000_000]
assert live >= 5 and all(numpool.pool_of(a) is pool for a in arrays)
del arrays
assert pool.stats().blocks == live - 5
pool.check()
print("good")
"""
    assert printed_by(code) == "good\n"


def test_trap_16_a_thousand_forks_with_threads_allocating_none_hangs(
    printed_by: Callable[..., str],
) -> None:
    code = """
import os, signal, threading, time
import numpy as np, numpool
pool = numpool.FixedPool(4096, 100)
numpool.install()
stop = threading.Event()
text = "1 " * 2000
def work():
    sizes = [1, 100, 5000, 300_000]
    while not stop.is_set():
        kept = [np.ones(size) for size in sizes]
        np.fromstring(text, sep=" ")
        with numpool.use(pool): kept += [np.ones(10), np.ones(1000)]
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
hung = 0
for i in range(1000):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        kept = [np.ones(size) for size in (1, 100, 5000, 300_000)]
        kept[i % 4].resize(1000, refcheck=False)
        with numpool.use(pool): np.ones(10)
        del kept
        os._exit(0)
    hung += os.waitpid(child, 0)[1] != 0
stop.set()
for thread in threads: thread.join()
pool.check(); numpool.default_pool().check()
print(hung)
"""
    assert printed_by(code, seconds=300) == "0\n"


def test_trap_17_fifty_exits_with_a_daemon_thread_in_a_ufunc(
    printed_by: Callable[..., str],
) -> None:
    code = """
import threading, time
import numpy as np, numpool
numpool.install()
def work():
    while True: np.sqrt(np.ones(1_000_000))
threading.Thread(target=work, daemon=True).start()
np.ones(10); time.sleep(0.01)
print("end")
"""
    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(lambda _: printed_by(code), range(50))) == ["end\n"] * 50


@pytest.mark.skipif(not FREE_THREADED, reason="this CPython has a GIL")
def test_trap_19_threads_share_no_counted_capsule() -> None:
    default: Any = numpool.use(numpool.default_pool())._handler
    assert sys._is_immortal(default)  # type: ignore[attr-defined]

    def work(_: int) -> int:
        return sum(np.empty(8).size for _ in range(20_000))

    numpool.install()
    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(work, range(4))) == [160_000] * 4
    numpool.default_pool().check()


def test_trap_20_the_extension_asks_for_no_more_than_numpy_1_22() -> None:
    # An extension built with headers of NumPy 2 runs on 1.26. This suite shows it with NumPy 1.26.
    assert _core._numpy_feature_version == 0xF


def test_trap_21_numpys_own_tests_pass_on_the_pool() -> None:
    modules = ["numpy.fft", f"{NUMPYS_CORE}.tests.test_mem_policy"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/numpy_suites.py"), "--modules", *modules],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    requests = {row[1].strip(): int(row[6]) for row in rows[2:]}
    assert requests["default"] == 0
    assert min(requests["install"], requests["use"]) > 10_000
