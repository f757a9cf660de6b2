"""``install(spill=...)``: what the installed pool's limit refuses lies in a file."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

from numpool import _core
from numpool._core import Pages, Pool, SlabPool


@dataclass
class _Spill:
    """What serves now, and what a forked child needs to make a file of its own."""

    pool: Pool
    in_file: SlabPool
    pages: Pages
    limit: SupportsIndex | str | None
    tune_malloc: bool


_now: _Spill | None = None
_watches_forks = False


def install(
    pool: Pool,
    fallback: Any,
    tune_malloc: bool,
    spill: str | os.PathLike[str] | Pages,
    limit: SupportsIndex | str | None,
) -> bool:
    """Install this pool, with a pool in a file for what its limit refuses."""
    global _now, _watches_forks
    if fallback != "default":
        raise ValueError("the fallback is the pool in the file: leave fallback or spill out")
    if pool.stats().limit is None:
        raise ValueError(
            "spill serves what a limit refuses: install a pool with a limit, or give limit=..."
        )
    if not isinstance(spill, (str, os.PathLike, Pages)):
        raise TypeError(f"spill must be a folder's path or Pages(file=...), not {_kind(spill)}")
    pages = spill if isinstance(spill, Pages) else Pages(file=spill)
    in_file = _pool_in(pages, limit)
    limited = _core._install(pool, in_file, tune_malloc, True)
    _now = _Spill(pool, in_file, pages, limit, tune_malloc)
    if not _watches_forks:
        os.register_at_fork(after_in_child=_spill_anew)
        _watches_forks = True
    return limited


def _kind(thing: object) -> str:
    return type(thing).__name__


def _pool_in(pages: Pages, limit: SupportsIndex | str | None) -> SlabPool:
    """A pool on these pages. Its error names the argument of `install`."""
    try:
        return SlabPool(source=pages, limit=limit, name="spill")
    except (ValueError, TypeError) as error:
        if not str(error).startswith("limit"):
            raise
        raise type(error)(f"spill_{error}") from None


def serving() -> SlabPool | None:
    """The pool in a file that serves now."""
    return None if _now is None else _now.in_file


def forget() -> None:
    """Note that no pool in a file serves any more."""
    global _now
    _now = None


def _spill_anew() -> None:
    """In a forked child, use another file. Without one, its large requests raise MemoryError."""
    global _now
    if _now is None:
        return
    with suppress(OSError, MemoryError):
        pages = _now.pages._anew()
        in_file = _pool_in(pages, _now.limit)
        _core._install(_now.pool, in_file, _now.tune_malloc, True)
        _now = replace(_now, in_file=in_file, pages=pages)
