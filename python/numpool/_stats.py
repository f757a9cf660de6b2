"""The figures of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter


def _older_name(field: str) -> property:
    """An older name of a field, which still works. It is easily mistaken for another."""
    return property(attrgetter(field), doc=f"An older name of ``{field}``.")


@dataclass(frozen=True)
class ClassStats:
    """The figures of one size class, or of all blocks in spans.

    A block is in a span if it is too large for a size class, or has grown.

    block_size      bytes in a block; 0 for blocks in spans
    live_bytes      bytes of live blocks, as requested
    in_use          bytes of live blocks, as the pool rounds them
    cached          bytes with pages that are in no live block
    committed       bytes with pages, as far as the pool knows
    mapped          bytes of addresses that the class takes
    blocks          live blocks
    total_blocks    blocks handed out so far
    total_bytes     bytes of these blocks, as requested
    reused          how many of these blocks came from a cache; for spans, how many needed no new
                    pages

    Older names of ``live_bytes``, ``total_blocks``, ``total_bytes`` and ``reused`` still work:
    ``requested``, ``requests``, ``asked`` and ``hits``.
    """

    block_size: int
    live_bytes: int
    in_use: int
    cached: int
    committed: int
    mapped: int
    blocks: int
    total_blocks: int
    total_bytes: int
    reused: int

    requested = _older_name("live_bytes")
    requests = _older_name("total_blocks")
    asked = _older_name("total_bytes")
    hits = _older_name("reused")


@dataclass(frozen=True)
class PoolStats:
    """A pool's figures at one moment.

    Live blocks:

    live_bytes      bytes of live blocks, as requested
    in_use          bytes of live blocks, as the pool rounds them; ``limit`` bounds these
    peak            the largest ``in_use`` since the start or ``reset_peak()``
    limit           the most that ``in_use`` can reach; None if nothing bounds it
    blocks          live blocks

    Memory that the pool holds:

    cached          bytes with pages that are in no live block
    committed       bytes with pages, as far as the pool knows
    peak_committed  the largest ``committed`` so far; a SlabPool counts whole slabs
    mapped          bytes of addresses that it has taken; unused addresses take no memory
    in_file         bytes on the disk of the file that its pages lie in; 0 for a pool in memory

    Totals since the start:

    total_blocks    blocks handed out
    total_bytes     bytes of these blocks, as requested
    reused          how many of these blocks were used before
    growths         how often the pool took more addresses
    waits           requests that had to wait
    failures        requests that were refused

    By size, for pools that have several sizes:

    classes         the figures of each size class that was ever used, as ClassStats
    spans           the figures of blocks in spans, for a SlabPool

    Older names of ``live_bytes``, ``total_blocks``, ``total_bytes`` and ``reused`` still work:
    ``requested``, ``requests``, ``asked`` and ``hits``.
    """

    live_bytes: int
    in_use: int
    peak: int
    cached: int
    committed: int
    peak_committed: int
    mapped: int
    limit: int | None
    blocks: int
    total_blocks: int
    total_bytes: int
    reused: int
    growths: int
    waits: int
    failures: int
    classes: tuple[ClassStats, ...] = ()
    spans: ClassStats | None = None
    in_file: int = 0

    requested = _older_name("live_bytes")
    requests = _older_name("total_blocks")
    asked = _older_name("total_bytes")
    hits = _older_name("reused")

    def summary(self) -> str:
        """The figures as a table to print; ``str`` and ``print`` show the same."""
        from numpool import _summary

        return _summary.text_of(self)

    __str__ = summary

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        from numpool import _summary

        return _summary.html_of(self)
