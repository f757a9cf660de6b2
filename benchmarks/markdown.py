"""How figures are written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable


def mean(values: Iterable[float]) -> str:
    """The geometric one."""
    logarithms = [math.log(value) for value in values]
    return f"{math.exp(statistics.mean(logarithms)):.2f}" if logarithms else ""


def figure(value: float) -> str:
    """Three digits, or all those before the point."""
    exponent = int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, 2 - exponent)}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
