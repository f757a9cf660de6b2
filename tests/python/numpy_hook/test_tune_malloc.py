"""`install(tune_malloc=True)`: the C library keeps memory that does not pass NumPy's hook."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="the C library is not glibc"
)


@glibc
def test_tune_malloc_keeps_memory_outside_numpys_hook_until_uninstall(
    printed_by: Callable[..., str],
) -> None:
    script = """
import ctypes, numpool
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p; libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident():
    with open("/proc/self/statm") as file: return int(file.read().split()[1]) * 4096
def left(size=64 << 20):
    before = resident()
    block = libc.malloc(size); ctypes.memset(block, 1, size); libc.free(block)
    return (resident() - before) / size
numpool.install(); print(left() > 0.9, end=" ")
numpool.install(tune_malloc=True); print(left() > 0.9, end=" ")
numpool.uninstall(); print(left() > 0.1, end=" ")
numpool.install(tune_malloc=True); left(); numpool.install(); print(left() > 0.1)
"""
    assert printed_by(script) == "False True False False\n"


PRELOADED = [
    path
    for path in Path("/usr/lib").glob("*-linux-gnu/lib*malloc.so.2")
    if path.name.startswith(("libjemalloc", "libmimalloc"))
]


@glibc
@pytest.mark.skipif(not PRELOADED, reason="neither jemalloc nor mimalloc is installed")
def test_tune_malloc_refuses_a_malloc_that_is_not_glibcs() -> None:
    code = (
        "import numpool\ntry: numpool.install(tune_malloc=True)\nfinally: print(numpool.current())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LD_PRELOAD": str(PRELOADED[0])},
    )
    assert (done.returncode, done.stdout) == (1, "None\n")
    assert (
        "ValueError: tune_malloc=True needs glibc's malloc; here malloc comes from" in done.stderr
    )
    assert PRELOADED[0].name in done.stderr
