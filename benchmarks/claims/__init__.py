"""Claims of the literature for pools. Each is a scenario that ``literature.py`` runs.

Each module has a ``CLAIM``. It is imported only in the process that runs it, a new one for each
contender.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contenders import Contenders

CLAIMS = ("socket_server", "control_loop", "frame_loop", "small_records")


@dataclass(frozen=True)
class Claim:
    """The claim, the way to measure it, and the reason why the figures differ."""

    title: str
    claimed: str
    contenders: Sequence[str]
    """Allocators that ``speed_worker.py`` sets, or ways of the scenario itself."""
    amount: float
    """The default amount of work, an argument of ``run``: seconds for each size, or records."""
    run: Callable[[str, float], list[float]]
    """The contender's figures."""
    measured: Callable[[Contenders], str]
    """The rounds as a table, with a summary."""
    why: str


def load(name: str) -> Claim:
    """The claim of the module with this name."""
    claim: Claim = import_module(f"claims.{name}").CLAIM
    return claim


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def change(now: float, before: float) -> str:
    """The change in percent, with a sign."""
    return f"{100 * (now / before - 1):+.0f} %"
