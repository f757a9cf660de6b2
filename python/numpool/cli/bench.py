"""``numpool bench``: NumPy's own allocator and the pool on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from numpool.cli.arguments import (
    Parser,
    add_json,
    json_file,
    to_new_file,
    warn_of_variables,
    write_json,
)

DESCRIPTION = """\
Time NumPy's operations with its own allocator, with glibc set to keep memory (mallopt), and with
the pool. Each allocator runs in a process of its own, and they take turns. np.add(a, b, out=c)
allocates nothing, so it is the limit for a + b. The tables show medians. The spread behind ± is
half the width of the middle half of all rounds. This takes about half a minute."""


def parser() -> Parser:
    """The options of ``numpool bench``."""
    parser = Parser("bench", description=DESCRIPTION)
    parser.add_switch(
        "--full",
        help="measure all operations and all sizes that fit in memory, in more rounds: six minutes",
    )
    add_json(parser)
    parser.add_value(
        "--plot",
        Path,
        None,
        metavar="FILE",
        help="draw a picture into this file; its ending gives the format, like .png",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Measure, then show, write or draw the figures."""
    options = parser()
    given = options.parse_args(arguments)
    warn_of_variables(options)
    file = json_file(options, given)
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
