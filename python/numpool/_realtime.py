"""Loops that must not be late: a rehearsal of their arrays, and blocks that are warm for these."""

from __future__ import annotations

import gc
import operator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, SupportsIndex, cast

from numpool import _core
from numpool._core import PoolError, PoolExhausted
from numpool._realtime_report import RealtimeStats, rehearsal_report, report, stats_from

if TYPE_CHECKING:
    from numpool._core import _Block, _RealtimeLoop, _Rehearsal
else:
    _Block, _Rehearsal, _RealtimeLoop = _core._realtime_classes()


class RealtimeError(PoolError, RuntimeError):
    """A step of a ``realtime`` block had page faults, and the block's ``on_miss`` is "raise"."""


def name_miss(error: object, text: str) -> None:
    """Say in a MemoryError which request no warm block served."""
    if not isinstance(error, MemoryError):
        return
    if hasattr(error, "add_note"):
        error.add_note(f"numpool: {text}")
    elif error.__cause__ is None:
        error.__cause__ = PoolExhausted(text)


class rehearse(_Block):
    """Record which arrays NumPy makes in this thread: their sizes, and how many live at once.

    ``realtime`` then keeps as many blocks warm. Run at least two cycles of the loop in the block:
    an array that one cycle leaves to the next lives together with its successor.

    Arrays come from the allocator that served before, and stay valid after the block. The block
    holds for this thread or task, as that of ``use`` does; other threads are not recorded. Another
    ``with`` of the same object starts anew.
    """

    def __init__(self) -> None:
        super().__init__()

    def _make(self) -> _Rehearsal:
        return _Rehearsal()

    def _recorded(self) -> list[tuple[int, int, int, int]]:
        return [] if self._content is None else cast(_Rehearsal, self._content).sizes()

    @property
    def sizes(self) -> dict[int, int]:
        """How many blocks were live at once at most, by their size in bytes."""
        return {size: most for size, most, _, _ in self._recorded()}

    def report(self) -> str:
        """The recorded sizes as text."""
        unrecorded = 0 if self._content is None else self._content.unrecorded()
        return rehearsal_report(self._recorded(), unrecorded)

    def __repr__(self) -> str:
        sizes = self.sizes
        return f"<numpool.rehearse: {sum(sizes.values())} blocks of {len(sizes)} sizes>"


class realtime(_Block):
    """A block for a loop that must not be late: its arrays come from memory that is there already.

    At its begin it takes a block of memory for each array that ``sizes`` announces: what a
    ``rehearse`` recorded, or a dict like ``{"64KiB": 4}`` of sizes and counts. All their pages are
    brought in and locked in memory. In this thread (or task, as with ``use``) NumPy's arrays get
    these blocks, each the smallest free one that fits. An array for which none is free is a miss:
    it comes from the allocator that served before. Arrays may outlive the block. The warm memory
    goes back when the block has ended and the last of them has gone.

    Mark the steps of the loop by ``with rt.step():``. The page faults of the thread in each step
    are counted, and so are the misses. ``report()`` tells how many there were, and at which lines.
    What happens between steps does not count. Without steps, misses count in the whole block.

    on_miss  "report" only counts. "raise" lets a miss raise MemoryError, with a note, and the end
             of a step with page faults RealtimeError
    locked   True raises PoolExhausted if the system refuses to lock so much; "try" then goes on
             without the lock; False only brings the pages in
    warm_up  so many first steps are not counted: caches of Python and of libraries fill then

    Python's garbage collector is off in the block, in the whole process, and as before after it.
    It collects once at the block's begin. Call ``collect()`` where the loop has time.
    """

    def __init__(
        self,
        sizes: rehearse | Mapping[SupportsIndex | str, SupportsIndex],
        *,
        on_miss: Literal["report", "raise"] = "report",
        locked: bool | Literal["try"] = True,
        warm_up: SupportsIndex = 0,
    ) -> None:
        super().__init__()
        self._sizes = _sizes_from(sizes)
        if on_miss not in ("report", "raise"):
            raise ValueError(f"on_miss must be 'report' or 'raise', not {on_miss!r}")
        if locked is not True and locked is not False and locked != "try":
            raise ValueError(f"locked must be True, False or 'try', not {locked!r}")
        self._raises = on_miss == "raise"
        self._locked = locked
        self._warm_up = _count(warm_up, "warm_up")
        self._is_locked = False
        self._collections = 0

    def _make(self) -> _RealtimeLoop:
        loop = self._warm()
        self._collections = 0
        gc.collect()
        return loop

    def _warm(self) -> _RealtimeLoop:
        if self._locked:
            try:
                loop = _RealtimeLoop(self._sizes, True, self._raises, self._warm_up)
            except PoolExhausted as refused:
                if self._locked is True:
                    raise PoolExhausted(
                        f"{refused}. To go on without the lock, give locked='try' or False"
                    ) from None
            else:
                self._is_locked = True
                return loop
        self._is_locked = False
        return _RealtimeLoop(self._sizes, False, self._raises, self._warm_up)

    def step(self) -> AbstractContextManager[None]:
        """A context manager for one step of the loop: ``with rt.step():``."""
        if not self._runs:
            raise RuntimeError(f"{self!r} does not run: a step is inside its with block")
        step: AbstractContextManager[None] = self._content
        return step

    def collect(self, generation: int = 2) -> int:
        """Collect garbage now, as ``gc.collect`` does: where the loop has time for it."""
        self._collections += 1
        return gc.collect(generation)

    def stats(self) -> RealtimeStats:
        """The figures until now, or of the block that ended last."""
        figures = _NOTHING_YET if self._content is None else self._content.figures()
        return stats_from(figures, locked=self._is_locked, collections=self._collections)

    def report(self) -> str:
        """The figures as text: steps, page faults, misses with their lines, and times."""
        return report(self.stats())

    def __repr__(self) -> str:
        state = "running" if self._runs else "not running"
        return f"<numpool.realtime: {sum(self._sizes.values())} warm blocks, {state}>"


_NOTHING_YET = {
    **dict.fromkeys(("steps", "faulty_steps", "minor_faults", "major_faults", "block_faults"), 0),
    **dict.fromkeys(("misses", "missed_bytes", "unwatched_misses", "nbytes", "longest"), 0),
    **dict.fromkeys(("times", "places", "sizes"), ()),
}


def _count(value: SupportsIndex, what: str) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an int, not {type(value).__name__}") from None
    if count < 0:
        raise ValueError(f"{what} is {count}: it cannot be negative")
    return count


def _sizes_from(
    sizes: rehearse | Mapping[SupportsIndex | str, SupportsIndex],
) -> dict[int, int]:
    if isinstance(sizes, rehearse):
        if sizes._content is None:
            raise ValueError(
                "this rehearsal recorded nothing: run two cycles of the loop in its with block"
            )
        return sizes.sizes
    if not isinstance(sizes, Mapping):
        raise TypeError(
            "sizes must be a rehearsal, or a dict like {'64KiB': 4} of sizes and counts, not "
            f"{type(sizes).__name__}"
        )
    all_sizes: dict[int, int] = {}
    for size, count in sizes.items():
        nbytes = _core.parse_size(size)
        all_sizes[nbytes] = all_sizes.get(nbytes, 0) + _count(count, f"the count of {size!r}")
    return all_sizes
