"""``numpool run``: a Python program with the pool as NumPy's allocator.

Python itself runs the program: this process becomes ``python program…`` by exec. So everything from
``__main__`` to the exit code is as without numpool. An entry in PYTHONPATH makes Python's `site`
import `startup/sitecustomize.py` before the program. This module installs the pool, and removes the
entry before the program begins.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpool
from numpool import _core
from numpool.cli.arguments import (
    CHECKS,
    Parser,
    add_json,
    json_file,
    one_of,
    to_checks,
    to_limit,
    to_rounds,
    to_sample,
    to_seconds,
    to_share,
    variable,
    warn_of_variables,
    write_json,
)
from numpool.cli.misplaced import suspects
from numpool.cli.python_arguments import (
    flag_against_startup,
    is_missing,
    meant,
    names_python,
    program_in,
    python_options,
)

STARTUP = Path(__file__).parent / "startup"

DESCRIPTION = """\
Run a Python program with the pool as NumPy's allocator, and show a summary at its end.

PROGRAM is what you would write after 'python': a script and its arguments, -m MODULE, -c CODE, a
folder or a zip file, or - for standard input. Python's own options (-u, -W, -X ...) may precede it.
The pool replaces NumPy's allocator when the program imports NumPy. All else is as without numpool:
output, exit code, signals, tracebacks, and what the program sees of its process."""

EPILOG = """\
Environment variables can set options, too: NUMPOOL_LIMIT=2GiB, NUMPOOL_HUGE_PAGES=off,
NUMPOOL_WIPE=1 and so on. A program that ends by os._exit() or a signal has no summary.

examples:
  numpool run simulation.py --steps 100
  numpool run --compare simulation.py
  numpool run --limit 50% --json figures.json -m pytest tests
  NUMPOOL_QUIET=1 numpool run -c 'import numpy; print(numpy.ones(3))'"""


def parser() -> Parser:
    """The options of ``numpool run``. The arguments after them go to Python."""
    parser = Parser(
        "run",
        usage="numpool run [options] PROGRAM [arguments]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_value(
        "--pool",
        one_of("slab", "none"),
        "slab",
        metavar="KIND",
        help="the pool: slab (the default), or none to measure NumPy's own allocator",
    )
    parser.add_value(
        "--limit",
        to_limit,
        None,
        metavar="SIZE",
        help="the most memory that NumPy's arrays may take, like 2GiB or 50%% (of the memory that "
        "this process may use); NumPy raises MemoryError for arrays beyond it",
    )
    parser.add_value(
        "--spill",
        str,
        None,
        metavar="FOLDER",
        help="keep large arrays that --limit refuses in a file in this folder, on a disk; the file "
        "has no name and ends with the program",
    )
    parser.add_value(
        "--spill-limit", to_limit, None, metavar="SIZE", help="the most that this file may take"
    )
    parser.add_value(
        "--huge-pages",
        one_of("on", "off", "auto"),
        "auto",
        metavar="on|off|auto",
        help="huge pages for large arrays: auto (the default) uses them if the system offers them; "
        "on refuses to start if the system offers none",
    )
    parser.add_value(
        "--decay",
        to_seconds,
        1.0,
        metavar="SECONDS",
        help="give memory back to the system when it was unused for this time (1)",
    )
    parser.add_switch(
        "--background",
        help="use a thread for --decay, so that an idle program gives memory back, too",
    )
    parser.add_switch("--wipe", help="zero the memory of an array when it is freed")
    parser.add_switch(
        "--tune-malloc",
        help="also make glibc keep freed memory, for memory that is not NumPy's arrays",
    )
    parser.add_switch(
        "--children",
        help="also use a pool in the Python processes that the program starts (forked ones always "
        "do); their PYTHONPATH then has an entry of numpool",
    )
    parser.add_optional_value(
        "--share",
        to_share,
        numpool.memory_limit() // 2,
        metavar="SIZE",
        help="send large arrays to other processes as copies in shared memory, in place of "
        "pickling them: through multiprocessing, ProcessPoolExecutor and joblib; --share=SIZE "
        "bounds this memory (half of what this process may use)",
    )
    parser.add_optional_value(
        "--checks",
        to_checks,
        "raise",
        metavar="raise|abort|guard|off",
        help="find memory bugs of C extensions and ctypes: writes outside a block or after its "
        "release, and frees of an address that is no block. --checks raises CorruptionError, "
        "--checks=abort aborts the process. --checks=guard also finds reads, by pages around one "
        "block in 16 that cannot be accessed; --checks=guard:1 guards every block",
    )
    parser.add_switch(
        "--leaks",
        help="show the lines that acquired the blocks in use when the program ends; it checks "
        "blocks, as --checks does",
    )
    parser.add_value(
        "--sample",
        to_sample,
        None,
        metavar="SIZE|off",
        help="show at the end which lines held the most memory at the peak, and which made the "
        "most temporary arrays; a sample each SIZE bytes in the mean, like 512KiB (off)",
    )
    parser.add_switch(
        "--compare",
        help="run the program several times, without its output, and show the time and memory of "
        "each way, in turns: NumPy's own allocator, the pool, and the pool with --tune-malloc",
    )
    parser.add_value(
        "--rounds",
        to_rounds,
        5,
        metavar="N",
        help="the runs of each way in --compare (5)",
    )
    parser.add_switch("--quiet", help="show no summary")
    add_json(parser)
    return parser


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split into numpool's options, which are all long ones, and the arguments for Python."""
    with_value = {
        "--pool", "--limit", "--spill", "--spill-limit", "--huge-pages", "--decay", "--json",
        "--rounds", "--sample",
    }  # fmt: skip
    end = 0
    while end < len(arguments) and arguments[end].startswith("--"):
        if arguments[end] == "--":
            return [*arguments[:end]], [*arguments[end + 1 :]]
        end += 2 if arguments[end] in with_value else 1
    return [*arguments[:end]], [*arguments[end:]]


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the program; does not return."""
    options = parser()
    ours, program = split(["--help"] if arguments[:1] == ["-h"] else arguments)
    given = options.parse_args(ours)
    warn_of_variables(options)
    if not given.compare and any(one.partition("=")[0] == "--rounds" for one in ours):
        options.error("--rounds says how often --compare runs the program: give --compare, too")
    if not program:
        options.error("name a program: a script, -m MODULE, -c CODE or - for standard input")
    if names_python(program[0]):
        hint = shlex.join(["numpool", "run", *ours, *program[1:]])
        options.error(f"PROGRAM is what you would write after 'python': did you mean {hint!r}?")
    if ours[-1:] == ["--checks"] and program[0] in CHECKS and not Path(program[0]).exists():
        options.error(
            f"--checks takes its value after '=': write --checks={program[0]} (it takes "
            f"{', '.join(CHECKS)}), or only --checks for raise"
        )
    named = program_in(program)
    if better := meant(named):
        options_of_python = python_options(program)
        hint = shlex.join(["numpool", "run", *ours, *options_of_python, *better, *named.arguments])
        options.error(f"there is no file {named.name}: did you mean {hint!r}?")
    flags = python_options(sys.orig_argv[1:])
    if flag := flag_against_startup([*flags, *python_options(program)]):
        options.error(
            f"with Python's {flag}, numpool cannot install its pool: leave {flag} out, or call "
            "numpool.install() in the program itself"
        )
    for name in ("limit", "spill", "wipe", "background", "checks", "leaks", "sample"):
        if given.pool == "none" and getattr(given, name):
            options.error(
                f"--{name} has no effect with --pool none, which keeps NumPy's own allocator: "
                "leave one of the two out"
            )
    check_spill(options, given)
    if given.huge_pages == "on":
        check_huge_pages(options)
    if given.tune_malloc:
        check_malloc(options)
    if given.share:
        check_sharing(options, given.share)
    file = json_file(options, given)
    checks = "raise" if given.leaks and given.checks is None else given.checks
    if given.compare and checks is not None:
        options.error("--compare measures time, and --checks and --leaks cost time: leave them out")
    if given.compare and given.sample is not None:
        options.error("--compare measures time, and --sample costs time: leave it out")
    if given.compare:
        sys.exit(compare(options, given, flags, program, file))
    settings = {
        "pool": given.pool,
        "limit": given.limit,
        "spill": given.spill,
        "spill_limit": given.spill_limit,
        "huge_pages": given.huge_pages != "off",
        "decay": given.decay,
        "background": bool(given.background),
        "wipe": bool(given.wipe),
        "share": given.share,
        "checks": checks or False,
        "checked_for": [
            f"--{name}" if any(one.startswith(f"--{name}") for one in ours) else variable(name)
            for name in ("checks", "leaks")
            if getattr(given, name)
        ],
        "leaks": bool(given.leaks),
        "sample": given.sample,
        "tune_malloc": bool(given.tune_malloc),
        "quiet": bool(given.quiet) or is_missing(named),
        "json": None if file is None else str(file),
        "program": program,
        "suspects": suspects(named, options.names()),
    }
    become([*flags, *program], settings, children=given.children)


def compare(
    options: Parser,
    given: argparse.Namespace,
    flags: Sequence[str],
    program: Sequence[str],
    file: Path | None,
) -> int:
    """Run the program in all ways, and show or write the time and memory of each."""
    if given.pool == "none" or given.tune_malloc:
        options.error("--compare itself runs with --pool none and --tune-malloc: leave them out")
    from numpool.cli import compare, compare_report, console

    try:
        comparison = compare.measure(
            program, flags, pool_options(given), rounds=given.rounds, tune=malloc_can_be_tuned()
        )
    except compare.ProgramFailed as error:
        print(f"numpool run --compare: {error}", file=sys.stderr)
        return error.code if 0 < error.code < 256 else 1
    except KeyboardInterrupt:
        return 130
    if file is not None:
        write_json(comparison, file)
    if file is None or not (given.quiet or str(file) == "-"):
        console.show(compare_report.report(comparison))
    return 0


def pool_options(given: argparse.Namespace) -> list[str]:
    """The options of the pool, as they were given."""
    values = {
        "--limit": given.limit,
        "--spill": given.spill,
        "--spill-limit": given.spill_limit,
        "--huge-pages": given.huge_pages,
        "--decay": given.decay,
    }
    if given.share:
        values["--share"] = given.share
    options = [f"{name}={value}" for name, value in values.items() if value is not None]
    switches = {
        "--background": given.background,
        "--wipe": given.wipe,
        "--children": given.children,
    }
    return options + [name for name, on in switches.items() if on]


def malloc_can_be_tuned() -> bool:
    """Whether malloc is glibc's."""
    try:
        _core._keep_heap()
    except ValueError:
        return False
    _core._release_heap()
    return True


def check_huge_pages(options: Parser) -> None:
    """End with the parser's error if the system gives no huge pages."""
    from numpool.cli import huge_pages

    if not huge_pages.offered():
        options.error(
            f"--huge-pages on: this system offers none. Set {huge_pages.TRANSPARENT}/enabled to "
            "always or madvise, or use --huge-pages auto"
        )


def check_spill(options: Parser, given: argparse.Namespace) -> None:
    """End with the parser's error if arrays cannot lie in a file there. Make the path absolute."""
    if given.spill is None:
        if given.spill_limit is not None:
            options.error("--spill-limit bounds the file of --spill: name a folder with --spill")
        return
    if given.limit is None:
        options.error("--spill takes what --limit refuses: give --limit, too, such as --limit 50%")
    try:
        numpool.Pages(file=given.spill)
    except (OSError, ValueError) as error:
        options.error(f"--spill: {error}")
    given.spill = str(Path(given.spill).absolute())


def check_malloc(options: Parser) -> None:
    """End with the parser's error if malloc is not glibc's."""
    try:
        _core._keep_heap()
    except ValueError as error:
        options.error(f"--tune-malloc: {error}")
    _core._release_heap()


def check_sharing(options: Parser, capacity: int) -> None:
    """End with the parser's error if the system gives no memory that processes can share."""
    try:
        numpool.SharedPool(capacity)
    except (numpool.PoolError, ValueError) as error:
        options.error(f"--share: {error}")


def become(arguments: Sequence[str], settings: dict[str, object], *, children: bool) -> NoReturn:
    """Replace this process by Python with these arguments. The environment has the settings."""
    environment = dict(os.environ)
    # For the pools that the program makes itself.
    environment.pop("NUMPOOL_CHECKS", None)
    if settings["checks"]:
        environment["NUMPOOL_CHECKS"] = str(settings["checks"])
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{STARTUP}{os.pathsep}{before}" if before else str(STARTUP)
    if before is not None:
        environment["NUMPOOL_RUN_PYTHONPATH"] = before
    usage = resource.getrusage(resource.RUSAGE_SELF)
    started = {
        "faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
        "clock": time.monotonic(),
    }
    whom = "children" if children else "alone"
    # A Python literal, because NumPy has loaded `ast`, but not `json`.
    environment["NUMPOOL_RUN"] = f"{os.getpid()} {whom} {started | settings!r}"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *arguments], environment)
