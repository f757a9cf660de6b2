"""A process that has used all of its keys for thread-local data."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ctypes, threading
import numpy as np
import numpool

libc = ctypes.CDLL(None)
key = ctypes.c_uint()
keys = 0
while libc.pthread_key_create(ctypes.byref(key), None) == 0:
    keys += 1
assert keys > 0
libc.pthread_getspecific.restype = ctypes.c_void_p

slabs = numpool.SlabPool()
fixed = numpool.FixedPool(64, 10)

def work():
    # Some other library's, or Python's own.
    first_key = libc.pthread_getspecific(0)
    for pool, size in ((slabs, (100,)), (fixed, ())):
        for _ in range(100):
            with pool.acquire(*size) as buffer:
                buffer.array("u1")[:] = 1
    with numpool.use(slabs):
        assert np.ones(1000).sum() == 1000
    assert libc.pthread_getspecific(0) == first_key

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
work()
for thread in threads:
    thread.join()
for pool in (slabs, fixed):
    pool.check()
    assert pool.stats().blocks == 0
print("served without keys")
"""


def test_a_process_without_thread_keys_uses_pools_behind_their_locks() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )
    assert (run.stdout.strip(), run.stderr) == ("served without keys", "")
