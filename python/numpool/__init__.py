"""Memory pools for Python and NumPy: pooled buffers in constant time.

``tracemalloc_domain`` is the domain in which tracemalloc records the blocks in use.
"""

from numpool._core import (
    Arena,
    ArenaMark,
    Buffer,
    FixedPool,
    Pool,
    PoolClosed,
    PoolError,
    PoolExhausted,
    SlabPool,
    __version__,
    current,
    default_pool,
    format_size,
    memory_limit,
    parse_size,
    pool_of,
    tracemalloc_domain,
)
from numpool._numpy import install, uninstall, use
from numpool._stats import ClassStats, PoolStats

__all__ = [
    "Arena",
    "ArenaMark",
    "Buffer",
    "ClassStats",
    "FixedPool",
    "Pool",
    "PoolClosed",
    "PoolError",
    "PoolExhausted",
    "PoolStats",
    "SlabPool",
    "__version__",
    "current",
    "default_pool",
    "format_size",
    "install",
    "memory_limit",
    "parse_size",
    "pool_of",
    "tracemalloc_domain",
    "uninstall",
    "use",
]
