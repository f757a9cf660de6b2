"""Programs with a memory bug, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Done: TypeAlias = "subprocess.CompletedProcess[str]"
Child: TypeAlias = Callable[..., Done]

# What a C extension would do, by ctypes: bytes written anywhere, and NumPy's allocator called.
BUGS = """
import ctypes, gc, sys
import numpy as np
import numpool

def write(address, value=0x41):
    ctypes.c_ubyte.from_address(address).value = value

def read(address):
    return ctypes.c_ubyte.from_address(address).value

class Functions(ctypes.Structure):
    _fields_ = [("context", ctypes.c_void_p), ("malloc", ctypes.c_void_p),
                ("calloc", ctypes.c_void_p), ("realloc", ctypes.c_void_p),
                ("free", ctypes.c_void_p)]

class Handler(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8),
                ("functions", Functions)]

def functions_of(pool):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = numpool.use(pool, fallback=None)._handler
    keep.append(capsule)
    return Handler.from_address(pointer(capsule, b"mem_handler")).functions

keep = []

def acquire(pool, size):
    f = functions_of(pool)
    call = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(f.malloc)
    return call(f.context, size)

def free(pool, address, size=0):
    f = functions_of(pool)
    call = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(f.free)
    call(f.context, address, size)
"""


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """Runs a program that may do what `BUGS` has."""

    def run(code: str, *options: str, command: tuple[str, ...] = (), **environment: str) -> Done:
        (tmp_path / "bugs.py").write_text(BUGS)
        (tmp_path / "program.py").write_text("from bugs import *\n" + code.removeprefix("\n"))
        usual = {**os.environ}
        usual.pop("NUMPOOL_CHECKS", None)
        return subprocess.run(
            [sys.executable, *command, *options, "program.py"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            env=usual | environment,
        )

    return run
