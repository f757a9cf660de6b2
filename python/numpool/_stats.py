"""What a pool tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter


def _older_name(field: str) -> property:
    """The name that a field had before, which was easily taken for another."""
    return property(attrgetter(field), doc=f"An older name of ``{field}``.")


@dataclass(frozen=True)
class ClassStats:
    """The figures of one size class, or of all blocks in spans: too large for any, or grown.

    block_size      bytes in a block; 0 for blocks in spans
    live_bytes      bytes of live blocks, as they were asked for
    in_use          bytes of live blocks, as the pool rounds them
    cached          bytes that hold pages and are in no live block
    committed       bytes that hold pages, as far as the pool knows
    mapped          bytes of addresses that the class takes
    blocks          live blocks
    total_blocks    blocks handed out so far
    total_bytes     their bytes, as they were asked for
    reused          of those blocks, how many were at hand; of blocks in spans, how many needed no
                    new pages

    Older names of ``live_bytes``, ``total_blocks``, ``total_bytes`` and ``reused`` go on working:
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

    Live, bytes first:

    live_bytes      bytes of live blocks, as they were asked for
    in_use          bytes of live blocks, as the pool rounds them: what ``limit`` bounds
    peak            the most that ``in_use`` has been, since the start or ``reset_peak()``
    limit           what ``in_use`` may reach; None if nothing bounds it
    blocks          live blocks

    Memory that the pool holds:

    cached          bytes that hold pages and are in no live block
    committed       bytes that hold pages, as far as the pool knows
    peak_committed  the most that was ever committed; a slab pool counts its slabs whole
    mapped          bytes of addresses that it has taken; they cost nothing until they are used

    So far, in all:

    total_blocks    blocks handed out
    total_bytes     their bytes, as they were asked for
    reused          of those blocks, how many had been used before
    growths         how often the pool took more address space
    waits           requests that had to wait
    failures        requests that were refused

    By size, for the pools that have sizes:

    classes         the same for each size class that was ever used, as ClassStats
    spans           the same for blocks in spans, too large for a class or grown; a SlabPool's

    Older names of ``live_bytes``, ``total_blocks``, ``total_bytes`` and ``reused`` go on working:
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
