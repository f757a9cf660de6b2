"""The arguments of ``numpool run`` for Python: Python's own options, the program, its arguments."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple


class Program(NamedTuple):
    """The program in Python's arguments."""

    kind: str
    """-m, -c, - for standard input, or empty for a script, a folder or a zip file."""
    name: str
    arguments: list[str]
    """The arguments that the program gets."""


def python_options(arguments: Sequence[str]) -> list[str]:
    """Python's own options at the start, one by one: -uW error is -u, -Werror."""
    options: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            break
        for place, letter in enumerate(argument[1:], start=2):
            if letter in "cm":
                return options
            if letter in "WX":
                options.append(f"-{letter}{argument[place:] or next(rest, '')}")
                break
            options.append(f"-{letter}")
    return options


def program_in(arguments: Sequence[str]) -> Program:
    """The program that Python runs with these arguments."""
    rest = [*arguments]
    while rest and rest[0].startswith("-") and rest[0] != "-":
        option = rest.pop(0)
        if option.startswith("--"):
            if option == "--check-hash-based-pycs":
                del rest[:1]
            continue
        for place, letter in enumerate(option[1:], start=2):
            if letter not in "cmWX":
                continue
            value = option[place:] or (rest.pop(0) if rest else "")
            if letter in "cm":
                return Program(f"-{letter}", value, rest)
            break
    if not rest or rest[0] == "-":
        return Program("-", "", rest[1:])
    return Program("", rest[0], rest[1:])


def is_missing(program: Program) -> bool:
    """Whether Python cannot start the program. Python itself then reports it."""
    if program.kind == "-m":
        return not is_module(program.name)
    if program.kind == "":
        path = Path(program.name)
        return not (path.is_dir() or os.access(path, os.R_OK))
    return False


def is_module(name: str) -> bool:
    """Whether ``-m`` finds the module or, for a.b, its package a."""
    top = name.partition(".")[0]
    with suppress(ImportError, ValueError):
        return bool(PathFinder.find_spec(top, [os.curdir]) or importlib.util.find_spec(top))
    return True


def meant(program: Program) -> list[str] | None:
    """How to name the program, if its name is not a file, but a file without .py or a module."""
    if program.kind != "" or Path(program.name).exists():
        return None
    if Path(f"{program.name}.py").exists():
        return [f"{program.name}.py"]
    is_name = re.fullmatch(r"\w+(\.\w+)*", program.name) and not program.name.endswith(".py")
    return ["-m", program.name] if is_name and is_module(program.name) else None


def flag_against_startup(options: Sequence[str]) -> str | None:
    """The flag, if any, that keeps Python from reading PYTHONPATH or importing `site`."""
    return next((option for option in options if option in ("-I", "-E", "-S")), None)


def names_python(program: str) -> bool:
    """Whether this names Python itself, and not a program for it."""
    is_python = re.fullmatch(r"python[0-9.]*t?", Path(program).name) is not None
    return is_python and (os.sep in program or not Path(program).exists())
