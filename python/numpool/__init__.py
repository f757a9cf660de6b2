"""Memory pools for Python and NumPy: pooled buffers in constant time.

``tracemalloc_domain`` is the domain in which tracemalloc records the blocks in use.
"""

import typing as _typing

try:
    from numpool._core import (
        Arena,
        ArenaMark,
        BuddyPool,
        Buffer,
        FixedPool,
        HandlePool,
        Pages,
        Pool,
        PoolClosed,
        PoolError,
        PoolExhausted,
        ReservePool,
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
from numpool._numpy import install, uninstall, use

if _typing.TYPE_CHECKING:
    from numpool._arrays import ArrayPool
    from numpool._objects import Loan, ObjectPool, ObjectStats
    from numpool._stats import ClassStats, PoolStats

__all__ = [
    "Arena",
    "ArenaMark",
    "ArrayPool",
    "BuddyPool",
    "Buffer",
    "ClassStats",
    "FixedPool",
    "HandlePool",
    "Loan",
    "ObjectPool",
    "ObjectStats",
    "Pages",
    "Pool",
    "PoolClosed",
    "PoolError",
    "PoolExhausted",
    "PoolStats",
    "ReservePool",
    "SlabPool",
    "StaleHandle",
    "__version__",
    "current",
    "default_pool",
    "format_size",
    "install",
    "memory_limit",
    "owner",
    "parse_size",
    "pool_of",
    "tracemalloc_domain",
    "uninstall",
    "use",
]

# What a program that only installs a pool has no use for is imported when it is first asked for:
# with the modules that it needs itself, it would be a hundredth of a small program's memory.
_LATE = {
    "ArrayPool": "_arrays",
    "ClassStats": "_stats",
    "Loan": "_objects",
    "ObjectPool": "_objects",
    "ObjectStats": "_objects",
    "PoolStats": "_stats",
}


if not _typing.TYPE_CHECKING:  # There every name would be one of numpool's.

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
