"""The ratio of two contenders' times, taken round by round, and its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from markdown import figure

CONFIDENCE = 0.95


class Paired(NamedTuple):
    """A ratio, and the spread in which another run's ratio is expected, too."""

    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Paired:
        """The median of one ratio for each sitting, and an interval for the true median.

        Each sitting lies above the true median with probability 1/2. So the true median lies below
        the lowest of nine with a probability of 1/512 (nine coins all show tails), and below the
        second lowest with 10/512. It lies between the second lowest and the second highest with
        96 %, whatever the distribution.
        """
        in_order = sorted(ratios)
        out = outside(len(in_order))
        return cls(statistics.median(in_order), in_order[out], in_order[-1 - out])

    @classmethod
    def of_turns(
        cls, own: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
    ) -> Paired:
        """The ratio from the seconds of turns, sitting by sitting."""
        return cls.of([median_ratio(*both) for both in zip(own, reference, strict=True)])

    @property
    def width(self) -> float:
        """Half the spread, as a share."""
        return (self.high - self.low) / (2 * self.ratio)

    def agrees(self, other: Paired) -> bool:
        """Whether their spreads overlap."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{figure(self.ratio)} ({figure(self.low)} to {figure(self.high)})"


def median_ratio(own: Sequence[float], reference: Sequence[float]) -> float:
    """The ratio of one sitting. A slow moment of the machine in a round slows both contenders."""
    return statistics.median(one / other for one, other in zip(own, reference, strict=True))


def held(sittings: int, out: int) -> float:
    """The probability that the spread without this many at each end holds the true median."""
    return 1 - sum(comb(sittings, tails) for tails in range(out + 1)) / 2.0 ** (sittings - 1)


def outside(sittings: int) -> int:
    """How many sittings the spread leaves out at each end."""
    out = 0
    while held(sittings, out + 1) >= CONFIDENCE:
        out += 1
    return out


def confidence(sittings: int) -> float:
    """The probability that the stated spread holds the true median."""
    return held(sittings, outside(sittings))
