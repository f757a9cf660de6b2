"""Every test exists that the table in docs/explanation/promises.md names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import numpool

ROOT = Path(__file__).parents[2]
CPP_TEST = re.compile(r'^TEST\(\s*((?:"[^"]*"\s*)+)\)', re.MULTILINE)


def rows() -> Iterator[tuple[str, str, str]]:
    """The idea, the class without its arguments, and the tests that show it."""
    text = (ROOT / "docs/explanation/promises.md").read_text()
    table = text.partition("| idea | class | shown by |\n")[2].partition("\n\n")[0]
    for line in table.splitlines()[1:]:
        idea, carrier, shown = (cell.strip() for cell in line.strip("|").split(" | "))
        [name] = re.findall(r"^`(\w+)", carrier)
        yield idea, name, shown


def names_in(file: str) -> set[str]:
    """The tests in the file of this name: functions in Python, sentences in C++."""
    if file.startswith("test_"):
        [module] = (ROOT / "tests/python").rglob(f"{file}.py")
        text = module.read_text()
        return set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))
    [path] = (ROOT / "tests/cpp").rglob(f"{file}.cpp")
    return {
        "".join(re.findall(r'"([^"]*)"', sentence))
        for sentence in CPP_TEST.findall(path.read_text())
    }


ROWS = list(rows())


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 19


@pytest.mark.parametrize(("idea", "carrier", "shown"), ROWS, ids=[row[0] for row in ROWS])
def test_each_named_test_exists(idea: str, carrier: str, shown: str) -> None:
    if not hasattr(numpool, carrier):
        pytest.skip(f"{carrier} is yet to come")
    named = re.findall(r"`(\w+_test|test_\w+)`: (.*?)(?=, `|$)", shown)
    assert named, f"{idea}: name the test that shows it"
    for file, name in named:
        assert name in names_in(file), f"{idea}: {file} has no {name!r}"
