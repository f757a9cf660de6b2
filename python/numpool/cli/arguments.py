"""Shared by all commands: types of options, and defaults from the environment."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpool

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Value = TypeVar("_Value")

PREFIX = "NUMPOOL_"
"""The start of the names of environment variables that set options."""

CHECKS = ("raise", "abort", "guard", "guard:N", "off")
"""The values of --checks."""

STANDARD_OUTPUT = Path("-")

SWITCH = {"1": True, "on": True, "yes": True, "true": True}
SWITCH |= {"0": False, "off": False, "no": False, "false": False, "": False}


class HelpFormatter(argparse.HelpFormatter):
    """Fills each paragraph to the terminal's width, but keeps one with indented lines.

    It shows an optional value as ``--option[=VALUE]``.
    """

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return super()._format_action_invocation(action).replace(" [", "[=")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph
            if "\n  " in paragraph
            else super(HelpFormatter, self)._fill_text(paragraph, width, indent)
            for paragraph in text.split("\n\n")
        )


class Parser(argparse.ArgumentParser):
    """A parser whose options may also come from environment variables.

    ``--some-option`` is ``NUMPOOL_SOME_OPTION`` there; the command line takes precedence.
    """

    def __init__(self, command: str, **kwargs: Any) -> None:
        super().__init__(
            prog=f"numpool {command}",
            allow_abbrev=False,
            formatter_class=HelpFormatter,
            **kwargs,
        )
        self.words: list[str] = []
        """The ends of the names of these variables."""

    def add_value(
        self, option: str, kind: Callable[[str], _Value], default: _Value | None, **kwargs: Any
    ) -> None:
        """Add an option with a value. ``kind`` makes it from the text, or raises ValueError."""

        def to_value(text: str) -> _Value:
            try:
                return kind(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None

        given = self._from_environment(option, kind)
        self.add_argument(
            option, type=to_value, default=default if given is None else given, **kwargs
        )

    def add_optional_value(
        self, option: str, kind: Callable[[str], _Value | None], alone: _Value, **kwargs: Any
    ) -> None:
        """Add an option that is ``--option`` or ``--option=value``."""

        def to_value(text: str) -> _Value | None:
            try:
                return kind(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None

        self.add_argument(
            option,
            nargs="?",
            const=alone,
            type=to_value,
            default=self._from_environment(option, kind),
            **kwargs,
        )

    def add_switch(self, option: str, **kwargs: Any) -> None:
        """Add an option that is on or off; ``--no-option`` switches it off."""
        self.add_argument(
            option,
            action=argparse.BooleanOptionalAction,
            default=self._from_environment(option, to_switch),
            **kwargs,
        )

    def _from_environment(self, option: str, kind: Callable[[str], _Value | None]) -> _Value | None:
        name = variable(option)
        self.words.append(name.removeprefix(PREFIX))
        text = os.environ.get(name)
        if text is None:
            return None
        try:
            return kind(text)
        except ValueError as error:
            self.error(f"environment variable {name}: {error}")

    def names(self) -> list[str]:
        """The options, without the short ones."""
        return [one for one in self._option_string_actions if one.startswith("--")]

    def error(self, message: str) -> NoReturn:
        """Print one line with the error and a probable correction, and exit with 2."""
        if message.startswith("unrecognized arguments: "):
            word = message.split()[2].partition("=")[0]
            close = difflib.get_close_matches(word, self.names(), 1)
            message += f": did you mean {close[0]}?" if close else f"; see {self.prog} --help"
        self.exit(2, f"{self.prog}: {message}\n")


def variable(option: str) -> str:
    """The environment variable of an option."""
    return PREFIX + option.strip("-").replace("-", "_").upper()


def warn_of_variables(parser: Parser) -> None:
    """Warn of environment variables that are probably misspelt options."""
    for name in sorted(os.environ):
        word = name.removeprefix(PREFIX)
        # NUMPOOL_RUN is numpool's own.
        if word == name or word in (*parser.words, "RUN"):
            continue
        for close in difflib.get_close_matches(word, parser.words, 1):
            print(
                f"{parser.prog}: warning: {name} stands for no option: did you mean "
                f"{PREFIX}{close}?",
                file=sys.stderr,
            )


def to_switch(text: str) -> bool:
    """On or off."""
    try:
        return SWITCH[text.strip().lower()]
    except KeyError:
        raise ValueError(
            f"{text!r} is neither on nor off: give 1, on, yes, true or 0, off, no, false"
        ) from None


def to_checks(text: str) -> str | None:
    """How to check: raise, abort, guard or guard:N; None for no checks."""
    if re.fullmatch(r"raise|abort|guard(:0*[1-9]\d{0,8})?", text):
        return text
    try:
        return "raise" if to_switch(text) else None
    except ValueError:
        raise ValueError(f"{text!r} is not one of {', '.join(CHECKS)}") from None


def to_limit(text: str) -> int:
    """Bytes, at least one."""
    size = numpool.parse_size(text)
    if size == 0:
        raise ValueError(f"{text!r} is no limit: a pool needs at least a byte")
    return size


def to_share(text: str) -> int | None:
    """The bytes for sharing; half of what this process may use for "on", and None for "off"."""
    if text.strip().lower() in SWITCH:
        return numpool.memory_limit() // 2 if to_switch(text) else None
    try:
        return to_limit(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a size, like 4GiB or 25%, nor on or off") from None


def to_sample(text: str) -> int | None:
    """The mean distance of a profile's samples in bytes, or None for no profile."""
    if SWITCH.get(text.strip().lower()) is False:
        return None
    try:
        return numpool.parse_size(text)
    except ValueError as error:
        raise ValueError(f"{error}; give the distance of samples, like 512KiB, or off") from None


def to_seconds(text: str) -> float:
    """Seconds, at least 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"{text!r} is not a number of seconds: give a number from 0 on, like 0.5")
    return seconds


def to_rounds(text: str) -> int:
    """A number of rounds, at least three."""
    try:
        rounds = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number of rounds: give a number from 3 on") from None
    if rounds < 3:
        raise ValueError(f"{text} rounds are too few: give a number from 3 on")
    return rounds


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def to_word(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return to_word


def add_json(parser: Parser) -> None:
    """Add the options for figures as JSON."""
    parser.add_value(
        "--json", Path, None, metavar="FILE", help="write the figures to this file; - prints them"
    )
    parser.add_switch("--force", help="overwrite the file")


def parse(parser: Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, Path | None]:
    """The options, and the file for the figures, or None."""
    given = parser.parse_args(arguments)
    warn_of_variables(parser)
    return given, json_file(parser, given)


def json_file(parser: Parser, given: argparse.Namespace) -> Path | None:
    """The file for the figures, or None."""
    if given.json == STANDARD_OUTPUT:
        return STANDARD_OUTPUT
    return to_new_file(parser, given.json, force=given.force)


def write_json(figures: DataclassInstance, file: Path) -> None:
    """Write a report's figures."""
    text = json.dumps(dataclasses.asdict(figures), indent=2) + "\n"
    if file == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        file.write_text(text)


def to_new_file(parser: argparse.ArgumentParser, path: Path | None, *, force: bool) -> Path | None:
    """The absolute path of a file that may be written, or the parser's error."""
    if path is None:
        return None
    path = path.absolute()
    if path.is_dir():
        parser.error(f"{path} is a folder: name a file in it")
    if path.exists() and not force:
        parser.error(f"{path} is already there: name another file, or overwrite it with --force")
    if not path.parent.is_dir():
        parser.error(f"there is no folder {path.parent} for {path.name}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        parser.error(f"{path} can't be written: its permissions forbid it")
    return path
