"""Memory pools for Python and NumPy: pooled buffers in constant time.

``tracemalloc_domain`` is the domain in which tracemalloc records the blocks in use.
"""

from importlib.metadata import version as _version

from numpool._core import (
    Buffer,
    FixedPool,
    Pool,
    PoolClosed,
    PoolError,
    PoolExhausted,
    SlabPool,
    format_size,
    memory_limit,
    parse_size,
    tracemalloc_domain,
)
from numpool._stats import ClassStats, PoolStats

__version__ = _version("numpool")

__all__ = [
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
    "format_size",
    "memory_limit",
    "parse_size",
    "tracemalloc_domain",
]
