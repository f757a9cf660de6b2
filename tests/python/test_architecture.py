"""The tree is the architecture: these tests check the rooms of src/README.md, and public names."""

from __future__ import annotations

import inspect
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import numpool

SRC = Path(__file__).parents[2] / "src"
TESTS = Path(__file__).parents[1] / "cpp"

# Every room with its sub-rooms, in their order: a file includes only its own sub-room and those
# before it. Files of a room outside its sub-rooms come before them ("" stands for these files).
ROOMS = {
    "base": ["", "gate"],
    "pages": ["system", "source", "range"],
    "pools": ["magazine", "span", "moving", "slab", "fixed", "arena", "buddy", "handle"],
    "threads": [
        "lifecycle", "checked", "magazine", "waiting", "slab", "fixed", "arena", "buddy", "handle",
        "reserve", "realtime", "budget",
    ],
    "processes": ["region", "tables", "pool"],
    "observe": [""],
    "numpool": [""],
    "bindings": [
        "python", "buffer", "sources", "pools", "processes", "numpy", "c_api", "profile", "",
    ],
}  # fmt: skip
# Sub-rooms of one list that must not include each other.
APART = {
    "pools": {"fixed", "arena", "buddy", "handle"},
    "threads": {"slab", "fixed", "arena", "buddy", "handle", "reserve"},
}
# Rooms beside each other, which must not include each other either.
ROOMS_APART = {"processes", "observe"}
ROOM_WITH_PYTHON = "bindings"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)', re.MULTILINE)
OF_PYTHON = re.compile(r"(Python|structmember)\.h$|(pybind11|numpy|cpython)/")


def place(path: Path) -> tuple[str, str]:
    """The room and the sub-room of a path from src/ on."""
    return path.parts[0], path.parts[1] if len(path.parts) > 2 else ""


def goes_up(here: tuple[str, str], there: tuple[str, str]) -> bool:
    """Whether an include from one place to the other is forbidden."""
    (room, sub), (other, other_sub) = here, there
    if room != other:
        if {room, other} <= ROOMS_APART:
            return True
        order = list(ROOMS)
        return other not in order or order.index(other) > order.index(room)
    if sub == other_sub:
        return False
    if {sub, other_sub} <= APART.get(room, set()):
        return True
    subs = ROOMS[room]
    return other_sub not in subs or subs.index(other_sub) > subs.index(sub)


def offences(src: Path) -> Iterator[str]:
    """The includes that are forbidden in every room, or in this one."""
    for file in sorted(src.rglob("*.[chi]*")):
        here = file.relative_to(src)
        for mark, included in INCLUDE.findall(file.read_text()):
            if OF_PYTHON.match(included):
                if here.parts[0] != ROOM_WITH_PYTHON:
                    yield f"{here} includes {included}: only {ROOM_WITH_PYTHON}/ knows Python"
            elif (src / included).exists():
                if goes_up(place(here), place(Path(included))):
                    yield f"{here} includes {included}: a room includes only those before it"
            elif mark == '"' or included.startswith("."):
                yield f'{here} includes "{included}": write the path from src/ on'


def test_every_include_stays_in_its_room_or_goes_down() -> None:
    assert list(offences(SRC)) == []


def test_every_source_file_is_in_a_room() -> None:
    assert {path.name for path in SRC.iterdir()} == {*ROOMS, "README.md"}
    for room, subs in ROOMS.items():
        folders = {path.name for path in (SRC / room).iterdir() if path.is_dir()}
        assert folders == set(subs) - {""}, room


def test_no_two_files_of_the_core_have_one_name() -> None:
    names = Counter(path.name for path in SRC.rglob("*.[ch]*") if path.suffix != ".txt")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_room_has_more_than_two_dozen_files_side_by_side() -> None:
    folders = Counter(path.parent for path in SRC.rglob("*.[ch]*"))
    assert {str(folder): count for folder, count in folders.items() if count > 24} == {}


def test_the_cpp_tests_mirror_the_rooms() -> None:
    for test in TESTS.rglob("*_test.cpp"):
        room, sub = place(test.relative_to(TESTS))
        assert sub in ROOMS[room], test


def test_the_map_lists_the_rooms_in_their_order() -> None:
    rows = re.findall(r"^\| (\d) `(\w+)/` \|", (SRC / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(number), room) for number, room in enumerate(ROOMS, start=1)]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("base/size.hpp", '#include "pages/source/os_pages.hpp"'),
        ("base/size.hpp", '#include "base/gate/counter.hpp"'),
        ("pages/source/os_pages.cpp", '  #  include "pools/fixed/fixed_pool.hpp"'),
        ("pages/source/os_pages.cpp", '#include "pages/range/page_map.hpp"'),
        ("pools/fixed/fixed_pool.cpp", "#include <threads/lifecycle/pool.hpp>"),
        ("pools/span/span_bank.hpp", '#include "pools/slab/slab.hpp"'),
        ("pools/span/span_bank.hpp", '#include "pools/moving/span_mover.hpp"'),
        ("pools/arena/arena.hpp", '#include "pools/fixed/fixed_pool.hpp"'),
        ("threads/waiting/doorbell.hpp", '#include "bindings/python/topics.hpp"'),
        ("threads/reserve/shared_reserve_pool.hpp", '#include "threads/slab/shared_slab_pool.hpp"'),
        ("threads/slab/shared_slab_pool.hpp", '#include "threads/budget/shared_budget.hpp"'),
        ("threads/lifecycle/fork_guarded.hpp", '#include "threads/magazine/pool_threads.hpp"'),
        ("pools/fixed/fixed_pool.hpp", '#include "../../threads/lifecycle/pool.hpp"'),
        ("pools/fixed/fixed_pool.hpp", '#include "fixed_pool.hpp"'),
        ("bindings/buffer/buffer.hpp", '#include "bindings/numpy/numpy_handler.hpp"'),
        ("processes/pool/shared_pool.hpp", '#include "numpool/pools.hpp"'),
        ("observe/profile.hpp", '#include "processes/pool/shared_pool.hpp"'),
        ("threads/slab/allocator_functions.hpp", '#include "observe/sampler.hpp"'),
        ("base/error.hpp", "#include <Python.h>"),
        ("threads/lifecycle/pool.hpp", "#include <pybind11/pybind11.h>"),
        ("pages/source/page_source.hpp", '#include "numpy/ndarraytypes.h"'),
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
    """Whether the text has more than the signature that pybind11 puts before it."""
    text = thing.__doc__ or ""
    return bool(re.sub(rf"^{name}\(.*(\n|$)", "", text).strip())


def documented_fields(cls: type) -> set[str]:
    """Fields with a line of their own in the class's docstring, which help() shows."""
    return set(re.findall(r"^(\w+)  +\S", inspect.getdoc(cls) or "", re.MULTILINE))


def undocumented(name: str) -> Iterator[str]:
    """The public name and its attributes, if they have no text."""
    thing = getattr(numpool, name)
    if not isinstance(thing, type):
        # A constant cannot have a docstring: that of the module describes it.
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


def test_the_map_shows_functions_that_are_there() -> None:
    text = (SRC / "README.md").read_text()
    hops = set(re.findall(r"\b([A-Z]\w+)::(\w+)", text[text.index("## The way of an array") :]))
    assert len(hops) > 15
    for cls, function in sorted(hops):
        [header] = [path for path in SRC.rglob("*.hpp") if f"class {cls} " in path.read_text()]
        assert re.search(rf"\b{function}\(", header.read_text()), f"{header}: no {function}"


def test_the_map_names_files_that_are_there() -> None:
    files = re.findall(r"`([\w/]+/\w+\.[ch]pp)`", (SRC / "README.md").read_text())
    assert len(files) >= 4
    assert [file for file in files if not (SRC / file).is_file()] == []


def test_the_vocabulary_is_short() -> None:
    table = (SRC / "README.md").read_text().partition("| word | meaning |\n| --- | --- |\n")[2]
    assert 10 < len(table.strip().splitlines()) <= 25
