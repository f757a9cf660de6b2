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
    digits = max(0, 2 - math.floor(math.log10(value))) if value else 0
    return f"{value:.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
