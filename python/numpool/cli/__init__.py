"""The command line: ``numpool run``, ``numpool bench`` and ``numpool info``.

A command is a module that parses options and gathers figures. The figures are a dataclass, and a
renderer shows it. So tests can check a report with made-up figures. A command imports its modules
when it runs.
"""

from __future__ import annotations

import difflib
import importlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpool

COMMANDS = {
    "run": "run a Python program with the pool as NumPy's allocator",
    "bench": "compare the pool with NumPy's own allocator on this machine",
    "info": "show what this machine offers, and what is installed",
}

USAGE = """usage: numpool COMMAND [options]

{commands}

  help [COMMAND]  show this, or a command's options
  --version       show the version"""


def usage() -> str:
    """The text of ``numpool help``."""
    return USAGE.format(
        commands="\n".join(f"  {name:<14}  {text}" for name, text in COMMANDS.items())
    )


def no_such_command(command: str, rest: Sequence[str]) -> str:
    """The error for an unknown command, with the command that the user probably meant."""
    there_is_none = f"there is no command {command!r}"
    if command in ("-m", "-c") or command.endswith(".py") or Path(command).exists():
        meant = shlex.join(["numpool", "run", command, *rest])
        return f"{there_is_none}: did you mean {meant!r}?"
    close = difflib.get_close_matches(command, [*COMMANDS, "help"], 1)
    guess = f": did you mean {close[0]!r}? There" if close else "; there"
    return f"{there_is_none}{guess} are {', '.join(COMMANDS)} and help"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the arguments name, and exit. By default they are the process's own."""
    command, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["help"]
    if command == "--version":
        print(f"numpool {numpool.__version__}")
        sys.exit(0)
    if command in ("help", "--help", "-h"):
        if not rest:
            print(usage())
            sys.exit(0)
        command, rest = rest[0], ["--help"]
    if command not in COMMANDS:
        print(f"numpool: {no_such_command(command, rest)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(importlib.import_module(f"numpool.cli.{command}").main(rest))
