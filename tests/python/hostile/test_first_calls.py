"""Each public callable gives its value or its error as the first call of a process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import numpool

TABLE = Path(__file__).with_name("first_calls.txt")
DUNDERS = {
    "__call__", "__contains__", "__del__", "__dlpack__", "__dlpack_device__", "__enter__",
    "__exit__", "__getitem__", "__iter__", "__len__", "__reduce_ex__", "__repr__",
}  # fmt: skip

# There are only imports before the fork, so each child makes the first call of its process.
SERVER = """
import sys
{imports}
import asyncio, json, os, pickle, signal

def answer(expression):
    try:
        return repr(eval(expression))
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"

answers = []
for expression in json.load(sys.stdin):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os.write(writer, answer(expression).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    answers.append(f"status {{status}} after {{text!r}}" if status else text)
print(json.dumps(answers))
"""
IMPORTS = {
    "numpool first": "import numpool; import numpy as np",
    "numpy first": "import numpy as np; import numpool",
    "without numpy": "sys.modules['numpy'] = None; import numpool; np = None",
}


def public_callables() -> set[str]:
    """The name of each public function, class, method and property."""
    names = set()
    for name in numpool.__all__:
        thing = getattr(numpool, name)
        if callable(thing):
            names.add(name)
        if isinstance(thing, type):
            names |= {
                f"{name}.{attribute}"
                for attribute in vars(thing)
                if not attribute.startswith("_") or attribute in DUNDERS
            }
    return names


def table() -> list[tuple[str, str, str, str]]:
    """Rows of name, expression, its result, and its result without NumPy."""
    words: dict[str, str] = {}
    rows = []
    for line in TABLE.read_text().splitlines():
        if match := re.fullmatch(r"([A-Z_]+) = (.*)", line):
            words[match[1]] = match[2]
        elif line and not line.startswith("#"):
            for word, meaning in words.items():
                line = re.sub(rf"\b{word}\b", meaning, line)
            name, _, rest = line.partition(": ")
            expression, _, given = rest.partition(" -> ")
            with_numpy, _, without = given.partition(" | ")
            rows.append((name, expression, with_numpy, without or with_numpy))
    return rows


def test_the_table_has_a_row_for_each_public_callable() -> None:
    rows = {name for name, *_ in table()}
    assert public_callables() - rows == set()
    # Some functions have several rows.
    assert {name for name in rows - public_callables() if name.split(".")[0] not in rows} == set()


@pytest.mark.parametrize("imports", IMPORTS)
def test_a_first_call_gives_its_value_or_its_documented_error(imports: str) -> None:
    rows = table()
    server = subprocess.run(
        [sys.executable, "-c", SERVER.format(imports=IMPORTS[imports])],
        input=json.dumps([expression for _, expression, _, _ in rows]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (server.returncode, server.stderr) == (0, "")
    expected = {name: row[-1 if imports == "without numpy" else -2] for name, *row in rows}
    given = dict(zip(expected, json.loads(server.stdout), strict=True))
    wrong = {
        name: (given[name], "instead of", expected[name])
        for name in expected
        if given[name] != expected[name]
    }
    assert wrong == {}
