"""What the literature claims for pools, each as a scenario that ``literature.py`` runs.

Each module has a ``CLAIM``. It is imported only where it is run, in a fresh process for each
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
    """What is said, how it is tried, and why it comes out as it does."""

    title: str
    claimed: str
    contenders: Sequence[str]
    """As ``speed_worker.py`` prepares them; other names are ways of the scenario itself."""
    amount: float
    """How long or how many by default: ``run`` gets it."""
    unit: str
    run: Callable[[str, float], list[float]]
    """The contender's figures."""
    measured: Callable[[Contenders], str]
    """The rounds as a table, and what it comes to."""
    why: str


def load(name: str) -> Claim:
    """The claim of the module of that name."""
    claim: Claim = import_module(f"claims.{name}").CLAIM
    return claim


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def change(now: float, before: float) -> str:
    """In percent, with a sign."""
    return f"{100 * (now / before - 1):+.0f} %"
