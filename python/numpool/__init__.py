"""Memory pools for Python and NumPy: pooled buffers in constant time.

``tracemalloc_domain`` is the domain in which tracemalloc records the blocks in use.
"""

from numpool._arrays import ArrayPool
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
from numpool._numpy import install, uninstall, use
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
