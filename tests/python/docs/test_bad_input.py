"""Each row of docs/reference/bad-input.md is true, and each public argument has a row."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "bad-input.md"
ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \| `(.+)` \|$", re.MULTILINE)
DUNDERS = {"__call__", "__contains__", "__dlpack__", "__getitem__"}
# Classes that only numpool itself makes, and plain records of figures.
NOT_FOR_CALLERS = {
    "ClassStats", "LiveArray", "LiveBlock", "Loan", "ObjectStats", "PoolListener", "PoolStats",
    "ProcessShare", "ProfileLine", "ProfilePhase", "RealtimeMiss", "RealtimeStats",
}  # fmt: skip


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall(PAGE.read_text())


def arguments_of(name: str, function: Any) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters:
        if parameter != "self":
            yield f"{name}({parameter})"


def public_arguments() -> Iterator[str]:
    """Each argument of each public function, class and method."""
    for name in set(numpool.__all__) - NOT_FOR_CALLERS:
        thing = getattr(numpool, name)
        if not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
            continue
        yield from arguments_of(name, thing)
        if isinstance(thing, type):
            for attribute, value in vars(thing).items():
                if callable(value) and (not attribute.startswith("_") or attribute in DUNDERS):
                    yield from arguments_of(f"{name}.{attribute}", value)


def names() -> dict[str, Any]:
    """The objects that the page's calls use, made by the page's own code."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    made: dict[str, Any] = {"numpool": numpool, "np": np}
    exec(code, made)
    return made


def outcome(call: str) -> str:
    """The outcome of a call, in the form of the page."""
    try:
        value = eval(call, names())
    except Exception as error:  # noqa: BLE001 - the page says which
        return f"{type(error).__name__}: {error}"
    return f"nothing: {value!r}"


def test_each_public_argument_has_a_row() -> None:
    assert sorted(set(public_arguments()) - {argument for argument, _, _ in rows()}) == []


def test_each_line_of_a_table_is_a_row() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(rows()) > 150


@pytest.mark.parametrize(("argument", "call", "said"), rows(), ids=lambda text: text[:50])
def test_bad_input_is_refused_as_the_page_says(argument: str, call: str, said: str) -> None:
    given = outcome(call)
    if said.endswith(", in NumPy's words"):
        assert given.split(":")[0] == said.split(",")[0]
    else:
        pieces = [re.escape(piece) for piece in said.split("…")]
        assert re.fullmatch(".*".join(pieces), given, re.DOTALL), given
    assert numpool.current() is None
