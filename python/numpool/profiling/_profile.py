"""The profile of a part of a program."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from numpool import _core, _numpy
from numpool._core import format_size
from numpool.profiling import _formats, _phases, _stacks
from numpool.profiling._phases import ProfilePhase

if TYPE_CHECKING:
    from typing_extensions import Self

_By = Literal["peak", "live", "total", "count", "temporaries"]
_KEYS = ("peak", "live", "total", "count", "temporaries")


@dataclass(frozen=True)
class ProfileLine:
    """What one line of the program has requested, as ``profile.top()`` lists it.

    The line is the innermost one outside of NumPy. All figures are estimates from samples. Blocks
    as large as the profile's ``sample`` are counted exactly.

    file             the file's name, or "native" for code that no Python code has called
    line             the line's number
    function         the function's name
    live             bytes that are in use now
    peak             bytes that were in use when the program used the most
    total            bytes so far
    count            blocks so far
    lifetime         mean lifetime of the blocks that ended, in seconds
    temporaries      bytes so far of the arrays that ended within their own statement
    temporary_count  the number of these arrays
    """

    file: str
    line: int
    function: str
    live: int
    peak: int
    total: int
    count: int
    lifetime: float
    temporaries: int
    temporary_count: int


class profile:
    """A sampling profile: which lines of Python hold the memory of NumPy's arrays.

    It runs in a ``with`` block, for all threads of the process. It samples by bytes: a request is
    chosen at a random distance, of ``sample`` bytes in the mean, and its Python stack is noted.
    Requests of ``sample`` bytes or more are always chosen. A smaller ``sample`` is more exact and
    takes more time.

    It sees the arrays that NumPy allocates from pools: from the installed pool, and in ``use``
    blocks that begin meanwhile. If no pool is installed, it installs the default pool while it
    runs.

    One profile can run at a time. ``seed`` makes the random distances the same in each run.
    """

    def __init__(self, sample: int | str = "512KiB", *, seed: int | None = None) -> None:
        self._sample = to_sample(sample)
        self._seed = to_seed(seed)
        self._installed = False
        self._runs = False
        self._final: _stacks.Snapshot | None = None
        self._phases: list[ProfilePhase] = []

    def __enter__(self) -> Self:
        """Begin. What the object knew before is forgotten."""
        if _core._profile_runs():
            raise RuntimeError(
                "a profile runs already, and a process has one at a time: end that one first, or "
                "run the program without --sample"
            )
        if not _core._is_installed():
            _numpy.install()
            self._installed = True
        _phases.begin()
        _core._profile_begin(self._sample, self._seed)
        self._runs = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End. The figures stay as they are now."""
        _core._profile_end()
        self._final = _stacks.take()
        self._phases = _phases.ended()
        self._runs = False
        if self._installed:
            self._installed = False
            _numpy.uninstall()

    def _snapshot(self) -> _stacks.Snapshot:
        if self._final is not None and not self._runs:
            return self._final
        if not self._runs:
            raise RuntimeError(
                "this profile has not run yet: begin it with 'with numpool.profile() as p:'"
            )
        return _stacks.take()

    @property
    def live(self) -> int:
        """The bytes that arrays use now, or used at the profile's end."""
        return self._snapshot().live

    @property
    def peak(self) -> int:
        """The most bytes that arrays used at once."""
        return self._snapshot().peak

    @property
    def total(self) -> int:
        """The bytes that NumPy asked for."""
        return self._snapshot().total

    @property
    def count(self) -> int:
        """The number of blocks that NumPy asked for."""
        return self._snapshot().count

    @property
    def seconds(self) -> float:
        """How long the profile ran."""
        return self._snapshot().seconds

    @property
    def phases(self) -> list[ProfilePhase]:
        """The phases that have ended, in the order of their beginning."""
        return _phases.ended() if self._runs else list(self._phases)

    def top(self, n: int = 10, *, by: _By = "peak") -> list[ProfileLine]:
        """The ``n`` lines with the largest figure of this name, the largest first."""
        count = _core_count(n, "n")
        if by not in _KEYS:
            raise ValueError(f"by is {by!r}: give one of {', '.join(_KEYS)}")
        found = [one for one in lines(self._snapshot()) if getattr(one, by) > 0]
        found.sort(key=operator.attrgetter(by), reverse=True)
        return found[:count]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the profile. The end of the name says the format.

        .json is all figures; .csv has a row for each line; .pb.gz is for pprof, Pyroscope, Parca
        and Perfetto; .speedscope.json for speedscope. .collapsed or .txt has a row for each stack,
        with the bytes at the peak, for flame graphs.
        """
        file = Path(path)
        snapshot = self._snapshot()
        file.write_bytes(_formats.encode(file.name, snapshot, lines(snapshot), self.phases))

    def __repr__(self) -> str:
        size = format_size(self._sample)
        if not self._runs and self._final is None:
            return f"<profile, not begun: a sample each {size}>"
        now = self._snapshot()
        state = "runs" if self._runs else "ended"
        return (
            f"<profile, {state}: {format_size(now.peak)} at the peak, {format_size(now.total)} in "
            f"{now.count:,} block{'s' * (now.count != 1)}, {now.samples:,} "
            f"sample{'s' * (now.samples != 1)}>"
        )


def lines(snapshot: _stacks.Snapshot) -> list[ProfileLine]:
    """The figures of all stacks, added up for each line; most bytes at the peak first."""
    by_line: dict[tuple[str, int, str], list[_stacks.Stack]] = {}
    for one in snapshot.stacks:
        key = one.shown.file, one.shown.line, one.shown.function
        by_line.setdefault(key, []).append(one)
    found = [_line(*key, stacks) for key, stacks in by_line.items()]
    return sorted(found, key=lambda one: (-one.peak, -one.total, one.file, one.line))


def _line(file: str, line: int, function: str, stacks: list[_stacks.Stack]) -> ProfileLine:
    ended = sum(one.ended for one in stacks)
    return ProfileLine(
        file=file,
        line=line,
        function=function,
        live=sum(one.live for one in stacks),
        peak=sum(one.peak for one in stacks),
        total=sum(one.total for one in stacks),
        count=sum(one.count for one in stacks),
        lifetime=sum(one.seconds for one in stacks) / ended if ended > 0 else 0.0,
        temporaries=sum(one.temporaries for one in stacks),
        temporary_count=sum(one.temporary_count for one in stacks),
    )


def to_sample(sample: int | str) -> int:
    """The mean distance of two samples, in bytes."""
    try:
        size = _core.parse_size(sample)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("size", "sample", 1)) from None
    if size == 0:
        raise ValueError("sample is 0: samples need a distance of at least a byte")
    return size


def to_seed(seed: int | None) -> int:
    """A start for the random numbers."""
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    try:
        return operator.index(seed) % 2**64
    except TypeError:
        raise TypeError(f"seed must be an int or None, not {type(seed).__name__}") from None


def _core_count(n: int, name: str) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(n).__name__}") from None
    if count < 0:
        raise ValueError(f"{name} is {count}: it cannot be negative")
    return count
