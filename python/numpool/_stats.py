"""What a pool tells of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassStats:
    """The figures of one size class, or of all blocks in spans: too large for any, or grown."""

    block_size: int
    """Bytes in a block; 0 for blocks in spans."""
    requested: int
    """Bytes of live blocks, as they were asked for."""
    in_use: int
    """Bytes of live blocks, as the pool rounds them."""
    cached: int
    """Bytes that hold pages and are in no live block."""
    committed: int
    """Bytes that hold pages, as far as the pool knows."""
    mapped: int
    """Bytes of addresses that the class takes."""
    blocks: int
    """Live blocks."""
    requests: int
    """Blocks handed out so far."""
    asked: int
    """Their bytes, as they were asked for."""
    hits: int
    """Of those, blocks that were at hand; of blocks in spans, those that needed no new pages."""


@dataclass(frozen=True)
class PoolStats:
    """A pool's figures at one moment."""

    requested: int
    """Bytes of live blocks, as they were asked for."""
    in_use: int
    """Bytes of live blocks, as the pool rounds them."""
    peak: int
    """The most that ``in_use`` has been."""
    cached: int
    """Bytes that hold pages and are in no live block."""
    committed: int
    """Bytes that hold pages, as far as the pool knows."""
    peak_committed: int
    """The most that was ever committed; a slab pool counts its slabs whole."""
    mapped: int
    """Bytes of addresses the pool has taken; they cost nothing until they are used."""
    limit: int | None
    """What ``in_use`` may reach; None if nothing bounds it."""
    blocks: int
    """Live blocks."""
    requests: int
    """Blocks handed out so far."""
    asked: int
    """Their bytes, as they were asked for."""
    hits: int
    """Of those, blocks that had been used before."""
    growths: int
    """How often the pool took more address space."""
    waits: int
    """Requests that had to wait."""
    failures: int
    """Requests that were refused."""
    classes: tuple[ClassStats, ...] = ()
    """The same by size class, of those that were ever used; a slab pool's."""
    spans: ClassStats | None = None
    """The same of blocks in spans, too large for a class or grown; a slab pool's."""
