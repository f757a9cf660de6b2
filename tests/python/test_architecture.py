"""The tree is the architecture: what src/README.md promises of the rooms and of public names."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import numpool

SRC = Path(__file__).parents[2] / "src"
ROOMS = ["base", "pages", "pools", "threads", "bindings"]
ROOM_WITH_PYTHON = "bindings"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)', re.MULTILINE)
OF_PYTHON = re.compile(r"(Python|structmember)\.h$|(pybind11|numpy|cpython)/")


def offences(src: Path) -> Iterator[str]:
    """The includes that no room, or not this one, may have."""
    for file in sorted(src.rglob("*.[chi]*")):
        here = file.relative_to(src)
        room = here.parts[0]
        for mark, included in INCLUDE.findall(file.read_text()):
            if OF_PYTHON.match(included):
                if room != ROOM_WITH_PYTHON:
                    yield f"{here} includes {included}: only {ROOM_WITH_PYTHON}/ knows Python"
            elif (src / included).exists():
                other = Path(included).parts[0]
                if other not in ROOMS or ROOMS.index(other) > ROOMS.index(room):
                    yield f"{here} includes {included}: a room includes only those before it"
            elif mark == '"' or included.startswith("."):
                yield f'{here} includes "{included}": write the path from src/ on'


def test_every_include_stays_in_its_room_or_goes_down() -> None:
    assert list(offences(SRC)) == []


def test_every_source_file_is_in_a_room() -> None:
    assert {path.name for path in SRC.iterdir()} == {*ROOMS, "README.md"}


def test_the_map_lists_the_rooms_in_their_order() -> None:
    rows = re.findall(r"^\| (\d) `(\w+)/` \|", (SRC / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(number), room) for number, room in enumerate(ROOMS, start=1)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("base/size.hpp", '#include "pages/os_pages.hpp"'),
        ("pages/os_pages.cpp", '  #  include "pools/fixed_pool.hpp"'),
        ("pools/fixed_pool.cpp", "#include <threads/pool.hpp>"),
        ("threads/doorbell.hpp", '#include "bindings/topics.hpp"'),
        ("pools/fixed_pool.hpp", '#include "../threads/pool.hpp"'),
        ("pools/fixed_pool.hpp", '#include "fixed_pool.hpp"'),
        ("base/error.hpp", "#include <Python.h>"),
        ("threads/pool.hpp", "#include <pybind11/pybind11.h>"),
        ("pages/page_source.hpp", '#include "numpy/ndarraytypes.h"'),
    ],
)
def test_an_include_that_goes_up_is_found(tmp_path: Path, file: str, line: str) -> None:
    src = tmp_path / "src"
    shutil.copytree(SRC, src)
    with (src / file).open("a") as planted:
        planted.write(f"{line}\n")
    [offence] = offences(src)
    assert offence.startswith(f"{file} includes ")


def documented(name: str, thing: object) -> bool:
    """Whether the text says more than the signature that pybind11 puts before it."""
    text = thing.__doc__ or ""
    return bool(re.sub(rf"^{name}\(.*(\n|$)", "", text).strip())


def documented_fields(cls: type) -> set[str]:
    """Fields with a text of their own behind them, which is in the source only."""
    [definition] = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id
        for field, text in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def undocumented(name: str) -> Iterator[str]:
    """The public name, and those of its attributes, that come without a text."""
    thing = getattr(numpool, name)
    if not isinstance(thing, type):
        # A constant can't carry a text: the module's tells of it.
        if not (documented(name, thing) if callable(thing) else name in (numpool.__doc__ or "")):
            yield name
        return
    if not vars(thing).get("__doc__"):
        yield name
    fields = getattr(thing, "__dataclass_fields__", {})
    for field in set(fields) - (documented_fields(thing) if fields else set()):
        yield f"{name}.{field}"
    for attribute, value in vars(thing).items():
        if not (attribute.startswith("_") or attribute in fields or documented(attribute, value)):
            yield f"{name}.{attribute}"


@pytest.mark.parametrize("name", sorted(set(numpool.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name: str) -> None:
    assert sorted(undocumented(name)) == []


def test_every_public_thing_is_listed() -> None:
    public = {
        name
        for name in dir(numpool)
        if not name.startswith("_") and not inspect.ismodule(getattr(numpool, name))
    }
    assert public == set(numpool.__all__) - {"__version__"}
