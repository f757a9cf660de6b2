"""An import of numpool brings little in, because a program keeps it in memory to its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import numpool

LEAN = """
import sys
import numpy
before = set(sys.modules)
import numpool
numpool.install()
numpy.ones(1000)
ours = {name for name in sys.modules if name.split(".")[0] == "numpool"}
print(*sorted(ours))
print(*{"asyncio", "dataclasses", "ssl"} & (set(sys.modules) - before))
"""


def test_a_program_that_installs_a_pool_imports_nothing_else(
    printed_by: Callable[[str], str],
) -> None:
    ours, others = printed_by(LEAN).split("\n")[:2]
    assert ours.split() == ["numpool", "numpool._core", "numpool._numpy"]
    assert others == ""


LATE = """
import numpool
assert "ObjectPool" in dir(numpool) and "ObjectPool" not in vars(numpool)
from numpool import *
assert ArrayPool.__mro__[1].__name__ == "ObjectPool" and PoolStats is numpool.PoolStats
assert "ObjectPool" in vars(numpool)
print("all")
"""


def test_names_that_are_imported_late_can_be_used_and_listed(
    printed_by: Callable[[str], str],
) -> None:
    assert printed_by(LATE) == "all\n"


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'numpool' has no attribute 'Pond'"):
        numpool.Pond  # type: ignore[attr-defined]  # noqa: B018
