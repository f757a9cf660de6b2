"""``numpool bench``: NumPy's own allocator and the pool on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from numpool.cli.arguments import Parser, add_json, parse, to_new_file, write_json

DESCRIPTION = """\
Time NumPy's operations with its own allocator, with glibc set to keep freed memory (mallopt), and
with the pool. Each allocator runs in its own process, and they take turns. The tables show medians.
The number after ± is half the distance between the quartiles of all rounds. np.add(a, b, out=c)
allocates nothing, so a + b cannot be faster. This takes about half a minute."""


def parser() -> Parser:
    """The options of ``numpool bench``."""
    parser = Parser("bench", description=DESCRIPTION)
    parser.add_switch(
        "--full",
        help="measure all operations, all sizes that fit in memory, and more rounds: six minutes",
    )
    add_json(parser)
    parser.add_value(
        "--plot",
        Path,
        None,
        metavar="FILE",
        help="draw a plot into this file; its ending is the format, like .png",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Measure, then show, write or draw the figures."""
    options = parser()
    given, file = parse(options, arguments)
    picture = to_new_file(options, given.plot, force=given.force)

    from numpool.cli import bench_plot, bench_report, console, timings

    if picture is not None:
        try:
            bench_plot.check(picture)
        except ValueError as error:
            options.error(f"--plot: {error}")

    try:
        figures = timings.measure(timings.FULL if given.full else timings.QUICK)
    except timings.WorkerEnded as error:
        print(f"numpool bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if file is None:
        console.show(bench_report.report(figures))
    else:
        write_json(figures, file)
    if picture is not None:
        bench_plot.draw(figures, picture)
    return 0
