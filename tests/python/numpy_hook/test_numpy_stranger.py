"""Another package that changes NumPy's allocator, before or after numpool."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class Stranger:
    """Another package that replaces NumPy's default handler, and calls the one before."""

    def __init__(self) -> None:
        functions = {
            "malloc": ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
            "calloc": ctypes.CFUNCTYPE(
                ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t
            ),
            "realloc": ctypes.CFUNCTYPE(
                ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
            ),
            "free": ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
        }

        class Handler(ctypes.Structure):
            _fields_ = [
                ("name", ctypes.c_char * 127),
                ("version", ctypes.c_uint8),
                ("ctx", ctypes.c_void_p),
                *functions.items(),
            ]

        self.requests = 0
        core = "numpy._core" if np.__version__ >= "2" else "numpy.core"
        api: Any = importlib.import_module(f"{core}._multiarray_umath")._ARRAY_API
        pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
        pointer_of.restype = ctypes.c_void_p
        pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
        table = ctypes.cast(pointer_of(api, None), ctypes.POINTER(ctypes.c_void_p))
        self.capsule = ctypes.cast(table[306], ctypes.POINTER(ctypes.py_object))[0]
        self.before = Handler.from_address(pointer_of(self.capsule, b"mem_handler"))
        before = self.before

        def malloc(_: int, size: int) -> int | None:
            self.requests += 1
            pointer: int | None = before.malloc(before.ctx, size)
            return pointer

        self.handler = Handler(
            b"stranger",
            1,
            None,
            functions["malloc"](malloc),
            functions["calloc"](lambda _, n, size: before.calloc(before.ctx, n, size)),
            functions["realloc"](lambda _, block, size: before.realloc(before.ctx, block, size)),
            functions["free"](lambda _, block, size: before.free(before.ctx, block, size)),
        )
        self.point_to(self.handler)

    def point_to(self, handler: ctypes.Structure) -> None:
        set_pointer = ctypes.pythonapi.PyCapsule_SetPointer
        set_pointer.argtypes = [ctypes.py_object, ctypes.c_void_p]
        set_pointer(self.capsule, ctypes.addressof(handler))

    def leave(self) -> None:
        self.point_to(self.before)


@pytest.fixture
def with_stranger(printed_by: Callable[[str], str]) -> Callable[[str], str]:
    """The output of code in a process with a Stranger, which would stay in this process."""
    return lambda code: printed_by(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import numpy as np, numpool\n"
        "from test_numpy_stranger import Stranger\n"
        "pool = numpool.FixedPool(4096, 40, name='first')\n"
        "second = numpool.FixedPool(4096, 40, name='second')\n"
        + code
        # The stranger's functions are Python functions, and end before the last arrays do.
        + "import os; sys.stdout.flush(); os._exit(0)"
    )


def test_a_stranger_that_came_before_serves_again_after_uninstall(
    with_stranger: Callable[[str], str],
) -> None:
    code = """
stranger = Stranger()
a = np.ones(10)
numpool.install(pool)
served = stranger.requests
b = np.ones(10)
assert numpool.pool_of(b) is pool
assert stranger.requests == served
numpool.uninstall()
c = np.ones(10)
assert numpool.pool_of(c) is None
assert stranger.requests > served
del a, b, c
assert pool.stats().blocks == 0
print("good")
"""
    assert with_stranger(code) == "good\n"


def test_a_stranger_that_came_after_is_who_was_there_before(
    with_stranger: Callable[[str], str],
) -> None:
    code = """
numpool.install(pool)
a = np.ones(10)
stranger = Stranger()
b = np.ones(10)
assert stranger.requests >= 1
assert numpool.pool_of(b) is pool
served = stranger.requests
numpool.install(second)
c = np.ones(10)
assert numpool.pool_of(c) is second
assert stranger.requests == served
numpool.uninstall()
d = np.ones(10)
assert numpool.pool_of(d) is None
assert stranger.requests > served
numpool.install(pool)
e = np.ones(10)
assert numpool.pool_of(e) is pool
stranger.leave()
del a, b, c, d, e
assert pool.stats().blocks == second.stats().blocks == 0
print("good")
"""
    assert with_stranger(code) == "good\n"
