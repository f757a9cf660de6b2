"""``numpool info``: what this machine offers, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence

from numpool.cli.arguments import Parser, add_json, parse, write_json

DESCRIPTION = """\
Show what this machine offers to pools: versions, processor, page sizes, whether the system really
provides huge pages, memory limits, and NumPy's allocator. Hints say what could be better. To see
this as a program under numpool run sees it: numpool run -m numpool info"""


def parser() -> Parser:
    """The options of ``numpool info``."""
    parser = Parser("info", description=DESCRIPTION)
    add_json(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Gather the facts, and show or write them."""
    _, file = parse(parser(), arguments)

    from numpool.cli import console, info_report, machine

    figures = machine.gather()
    if file is None:
        console.show(info_report.report(figures))
    else:
        write_json(figures, file)
    return 0
