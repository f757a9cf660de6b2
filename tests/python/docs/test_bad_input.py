"""The page on bad input has a row for each argument of a constructor; test_pages runs the rows."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import numpool

PAGE = Path(__file__).parents[3] / "docs/reference/bad-input.md"
ROW = re.compile(r"^\| `numpool\.(\w+)\((.*)\)` \| `(.*)` \|", re.MULTILINE)
CLASSES = ["FixedPool", "SlabPool", "Arena", "BuddyPool", "ReservePool", "HandlePool"]
CLASSES += ["ObjectPool", "ArrayPool", "Pages", "use"]
# One row for all classes shows what it refuses.
FOR_ALL = ["name"]


@pytest.mark.parametrize("name", CLASSES)
def test_each_argument_of_a_constructor_has_a_row_with_a_bad_one(name: str) -> None:
    rows = ROW.findall(PAGE.read_text())
    # A row is about an argument if the call gives it by its name, or the error names it.
    shown = [f"{given} {error}" for called, given, error in rows if called == name]
    shown += [given for _, given, _ in rows if given.split("=")[0] in FOR_ALL]
    for argument in inspect.signature(getattr(numpool, name)).parameters:
        found = any(re.search(rf"\b{argument}\b", row) for row in shown)
        assert found, f"{PAGE.name} has no row for {name}({argument}=...)"
