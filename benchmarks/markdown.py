"""Writes figures and tables in Markdown, and reads them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any


def mean(values: Iterable[float]) -> str:
    """The geometric mean; empty if there are no values."""
    logarithms = [math.log(value) for value in values]
    return f"{math.exp(statistics.mean(logarithms)):.2f}" if logarithms else ""


def figure(value: float) -> str:
    """A number with three digits, or with all digits before the point."""
    exponent = int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, 2 - exponent)}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def is_row(line: str) -> bool:
    return line.startswith("| ")


def tables(text: str) -> list[dict[str, Any]]:
    """The tables of a text: the line before each, its head, and its rows."""
    found: list[dict[str, Any]] = []
    title, inside = "", False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not is_row(line):
            inside = False
            title = line.strip("# ") or title
        elif not inside:
            inside = True
            found.append({"title": title, "head": cells, "rows": []})
        elif set(cells) != {"---"}:
            found[-1]["rows"].append(cells)
    return found
