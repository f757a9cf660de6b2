"""Named parts of a program, in the profile that runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpool import _core
from numpool._numpy import Decorating

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class ProfilePhase:
    """What NumPy's arrays used in one phase of a program, as ``profile.phases`` lists it.

    The figures are estimates from samples, and of all threads.

    name     the phase's name
    start    seconds from the profile's beginning to the phase's
    seconds  how long it took
    total    bytes that arrays requested
    count    the number of blocks that they requested
    peak     the most bytes in use at once
    before   bytes in use when it began
    after    bytes in use when it ended
    """

    name: str
    start: float
    seconds: float
    total: int
    count: int
    peak: int
    before: int
    after: int


class _Open:
    """A phase that has begun."""

    def __init__(self, name: str, figures: dict[str, Any]) -> None:
        self.name = name
        self.begun = figures
        self.peak: int = figures["live"]

    def end(self, now: dict[str, Any]) -> ProfilePhase:
        return ProfilePhase(
            name=self.name,
            start=self.begun["seconds"],
            seconds=now["seconds"] - self.begun["seconds"],
            total=now["total"] - self.begun["total"],
            count=now["count"] - self.begun["count"],
            peak=self.peak,
            before=self.begun["live"],
            after=now["live"],
        )


_lock = threading.Lock()
_open: list[_Open] = []
_ended: list[ProfilePhase] = []


def begin() -> None:
    """Forget the phases of an earlier profile."""
    with _lock:
        _open.clear()
        _ended.clear()


def ended() -> list[ProfilePhase]:
    """The phases that have ended."""
    with _lock:
        return sorted(_ended, key=lambda one: one.start)


def _mark() -> dict[str, Any]:
    """The figures now. Every open phase gets its part of the peak."""
    now: dict[str, Any] = _core._profile_mark()
    for one in _open:
        one.peak = max(one.peak, now["recent_peak"])
    return now


class phase(Decorating):
    """Name a part of the program in the profile that runs: in a ``with`` block or a function.

    It is a context manager, and a decorator of functions, coroutine functions and generator
    functions. ``profile.phases`` lists what the arrays used meanwhile. Phases may nest and overlap.
    Where no profile runs, it does nothing.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        self._name = name
        self._begun: list[_Open | None] = []

    def __enter__(self) -> Self:
        """Begin."""
        with _lock:
            one = None
            if _core._profile_runs():
                one = _Open(self._name, _mark())
                _open.append(one)
            self._begun.append(one)
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        with _lock:
            one = self._begun.pop()
            if one in _open and _core._profile_runs():
                now = _mark()
                _open.remove(one)
                _ended.append(one.end(now))

    def __repr__(self) -> str:
        return f"numpool.phase({self._name!r})"
