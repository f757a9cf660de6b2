"""A contender's time to another's, taken round by round, and where it is expected again."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from markdown import figure

CONFIDENCE = 0.95


class Paired(NamedTuple):
    """A ratio, and its stated spread: what it is said to lie within, in another run too."""

    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Paired:
        """From one ratio a sitting: their median, and what holds the median of all sittings.

        That is a matter of counting. The median of all sittings lies below the lowest of nine with
        a probability of 1 in 512, as nine coins all show tails; below the second lowest with 10 in
        512. So it lies between the second lowest and the second highest with 96 %, however
        sittings are distributed.
        """
        in_order = sorted(ratios)
        out = outside(len(in_order))
        return cls(statistics.median(in_order), in_order[out], in_order[-1 - out])

    @classmethod
    def of_turns(
        cls, own: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
    ) -> Paired:
        """From the seconds of turns, sitting by sitting."""
        return cls.of([median_ratio(*both) for both in zip(own, reference, strict=True)])

    @property
    def width(self) -> float:
        """Half the spread, as a share."""
        return (self.high - self.low) / (2 * self.ratio)

    def agrees(self, other: Paired) -> bool:
        """Whether their spreads have something in common."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{figure(self.ratio)} ({figure(self.low)} to {figure(self.high)})"


def median_ratio(own: Sequence[float], reference: Sequence[float]) -> float:
    """Of one sitting: whoever is slow in a round for the machine's sake has slow company."""
    return statistics.median(one / other for one, other in zip(own, reference, strict=True))


def held(sittings: int, out: int) -> float:
    """With what probability a spread that leaves out so many at each end holds the true median."""
    return 1 - sum(comb(sittings, tails) for tails in range(out + 1)) / 2.0 ** (sittings - 1)


def outside(sittings: int) -> int:
    """How many of them at each end the spread leaves out."""
    out = 0
    while held(sittings, out + 1) >= CONFIDENCE:
        out += 1
    return out


def confidence(sittings: int) -> float:
    """What the stated spread is good for."""
    return held(sittings, outside(sittings))
