"""The console on which the commands show their reports."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

NARROW = 80
WIDE = 100
"""Longer lines are hard to read."""


def standard_output() -> Console:
    """The console on standard output, as wide as the terminal up to a maximum, or 80 columns."""
    console = Console(highlight=False, emoji=False)
    console.width = min(console.width, WIDE) if console.is_terminal else NARROW
    return console


def show(report: RenderableType) -> None:
    """Print to standard output."""
    standard_output().print(report)


def render(report: RenderableType, *, terminal: bool = False, width: int = NARROW) -> str:
    """The report as text, coloured on a terminal with colours unless NO_COLOR is set."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=width, highlight=False, emoji=False)
    console.print(report)
    return text.getvalue()
