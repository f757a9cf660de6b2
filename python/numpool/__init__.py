"""Memory pools for Python and NumPy.

NumPy's arrays from a pool, in the whole process (or, without a change to the program, by
``numpool run program.py``):

>>> import numpy as np
>>> import numpool
>>> slabs = numpool.install()
>>> a = np.ones((1000, 1000))
>>> numpool.owner(a) is slabs
True
>>> numpool.uninstall()

A bounded number of buffers, for a camera, a server, a queue:

>>> pool = numpool.FixedPool("64KiB", blocks=4, name="frames")
>>> with pool.acquire() as buffer:
...     frame = buffer.array("u1", (256, 256))
...     frame[:] = 128
...     print(pool)
<FixedPool 'frames': 1 of 4 blocks of 64 KiB in use>

Arrays within a limit:

>>> bounded = numpool.SlabPool(limit="1MiB", name="small")
>>> bounded.empty(10**6)
Traceback (most recent call last):
numpool.PoolExhausted: SlabPool 'small': 8000000 bytes (7.63 MiB) requested, 0 bytes of a limit of
1 MiB in use; that is more than the limit: raise the limit ...

Which pool:

FixedPool     a bounded number of equal blocks; callers can wait for one
SlabPool      blocks and arrays of any size, with or without a limit
Arena         blocks that end together: of a request, a frame, a parse
BuddyPool     a bounded region, cut into powers of two that merge again
HandlePool    blocks with integers as handles; the pool detects stale ones
ReservePool   blocks of another pool, with some kept for when it refuses
Budget        blocks of another pool, counted and with a limit of their own
SharedPool    arrays that other processes get as the same memory
ObjectPool    Python objects that are built once
ArrayPool     arrays of one shape that are built once

``use`` makes NumPy allocate from a pool in a block of code, and ``install`` in the whole process.
``profile`` shows which lines hold the memory of arrays, and ``live`` lists the largest arrays.
``owner`` returns the pool of an array. Each pool has ``stats()``, and ``summary()`` to print.

Snapshots of tracemalloc and ``get_traced_memory()`` include the memory of pools. Arrays that NumPy
allocates from a pool are in NumPy's domain, ``numpy.lib.tracemalloc_domain``. Buffers, and arrays
on them, are in ``numpool.tracemalloc_domain``. tracemalloc does not see the buffers of an Arena.
"""

import typing as _typing

try:
    from numpool._core import (
        Arena,
        ArenaMark,
        BuddyPool,
        Budget,
        Buffer,
        CorruptionError,
        FixedPool,
        HandlePool,
        Pages,
        Pool,
        PoolClosed,
        PoolError,
        PoolExhausted,
        ReservePool,
        SharedPool,
        SlabPool,
        StaleHandle,
        __version__,
        current,
        default_pool,
        format_size,
        memory_limit,
        owner,
        parse_size,
        pool_of,
        tracemalloc_domain,
    )
except ModuleNotFoundError as _missing:
    if _missing.name != "numpool._core":
        raise
    from numpool._system import why_it_is_missing as _why_it_is_missing

    raise ImportError(_why_it_is_missing()) from None
from numpool._numpy import install, spill_pool, uninstall, use

if _typing.TYPE_CHECKING:
    from numpool._arrays import ArrayPool
    from numpool._budget import budget
    from numpool._checks import LiveBlock
    from numpool._development import get_cmake_dir, get_include
    from numpool._objects import Loan, ObjectPool, ObjectStats
    from numpool._realtime import RealtimeError, realtime, rehearse
    from numpool._realtime_report import RealtimeMiss, RealtimeStats
    from numpool._shared import PoolListener, ProcessShare
    from numpool._stats import ClassStats, PoolStats
    from numpool.profiling import LiveArray, ProfileLine, ProfilePhase, live, phase, profile

__all__ = [
    "Arena",
    "ArenaMark",
    "ArrayPool",
    "BuddyPool",
    "Budget",
    "Buffer",
    "ClassStats",
    "CorruptionError",
    "FixedPool",
    "HandlePool",
    "LiveArray",
    "LiveBlock",
    "Loan",
    "ObjectPool",
    "ObjectStats",
    "Pages",
    "Pool",
    "PoolClosed",
    "PoolError",
    "PoolExhausted",
    "PoolListener",
    "PoolStats",
    "ProcessShare",
    "ProfileLine",
    "ProfilePhase",
    "RealtimeError",
    "RealtimeMiss",
    "RealtimeStats",
    "ReservePool",
    "SharedPool",
    "SlabPool",
    "StaleHandle",
    "__version__",
    "budget",
    "current",
    "default_pool",
    "format_size",
    "get_cmake_dir",
    "get_include",
    "install",
    "live",
    "memory_limit",
    "owner",
    "parse_size",
    "phase",
    "pool_of",
    "profile",
    "realtime",
    "rehearse",
    "spill_pool",
    "tracemalloc_domain",
    "uninstall",
    "use",
]

# A program that only installs a pool does not need these names, so they are imported at their first
# use. With their own imports they take a hundredth of a small program's memory.
_LATE = {
    "ArrayPool": "_arrays",
    "_C_API": "_core",
    "ClassStats": "_stats",
    "LiveArray": "profiling",
    "LiveBlock": "_checks",
    "Loan": "_objects",
    "ObjectPool": "_objects",
    "ObjectStats": "_objects",
    "PoolListener": "_shared",
    "PoolStats": "_stats",
    "ProcessShare": "_shared",
    "ProfileLine": "profiling",
    "ProfilePhase": "profiling",
    "RealtimeError": "_realtime",
    "RealtimeMiss": "_realtime_report",
    "RealtimeStats": "_realtime_report",
    "budget": "_budget",
    "get_cmake_dir": "_development",
    "get_include": "_development",
    "live": "profiling",
    "phase": "profiling",
    "profile": "profiling",
    "realtime": "_realtime",
    "rehearse": "_realtime",
}


if not _typing.TYPE_CHECKING:  # A type checker would accept any name otherwise.

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
