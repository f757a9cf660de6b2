"""In a subinterpreter the import fails, and says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

REFUSAL = "numpool works in the main interpreter only, as NumPy does: import it there, or use "

INSIDE = """
try:
    import numpool
except ImportError as error:
    print(error, flush=True)
"""

PROGRAM = """
import sys
{before}
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
one = interpreters.{create}
interpreters.run_string(one, {inside!r})
interpreters.destroy(one)
print("end")
"""


def shared_gil() -> str:
    """A function that creates an interpreter with the main one's GIL, as before CPython 3.12."""
    try:
        import _interpreters  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ImportError:
        return "create(isolated=False)"
    return "create('legacy')"


@pytest.mark.parametrize("before", ["", "import numpool"], ids=["first", "after the main one"])
def test_an_import_in_a_subinterpreter_says_where_to_import_instead(
    printed_by: Callable[..., str], before: str
) -> None:
    program = PROGRAM.format(before=before, create=shared_gil(), inside=INSIDE)
    refusal, end, _ = printed_by(program, seconds=60).split("\n")
    assert refusal.startswith(REFUSAL)
    assert end == "end"


@pytest.mark.parametrize("before", ["", "import numpool"], ids=["first", "after the main one"])
def test_an_import_in_an_isolated_interpreter_is_an_import_error(
    printed_by: Callable[..., str], before: str
) -> None:
    program = PROGRAM.format(before=before, create="create()", inside=INSIDE)
    refusal, end, _ = printed_by(program, seconds=60).split("\n")
    # From CPython 3.13 on, CPython itself refuses.
    assert refusal.startswith(REFUSAL) or "does not support loading in subinterpreters" in refusal
    assert end == "end"
