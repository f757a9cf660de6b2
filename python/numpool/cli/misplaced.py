"""Finds options of numpool that come after the program, and that the program does not know.

An option is surely not the program's own if its word is neither in the script nor in a module that
the program imports. Modules of Python and NumPy do not count.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from numpool.cli.python_arguments import Program


def suspects(program: Program, options: Sequence[str]) -> list[str]:
    """Numpool's options in the program's arguments that its own text does not mention."""
    given = {one.partition("=")[0] for one in program.arguments}
    found = [one for one in options if one in given]
    if not found or program.kind not in ("", "-c"):
        return []
    try:
        text = program.name if program.kind == "-c" else Path(program.name).read_text()
    except (OSError, UnicodeDecodeError):  # It may be a folder or a zip file.
        return []
    return unmentioned(found, text)


def misplaced(suspects: list[str]) -> list[str]:
    """The suspects that no module of the program mentions. The program has ended."""
    for text in sources() if suspects else ():
        suspects = unmentioned(suspects, text)
    return suspects


def unmentioned(options: list[str], text: str) -> list[str]:
    """The options whose words are not in the text."""
    words = {one: one.strip("-").replace("-", "[-_]") for one in options}
    return [one for one in options if not re.search(rf"\b{words[one]}\b", text, re.IGNORECASE)]


def sources() -> Iterator[str]:
    """The text of each module that is neither Python's nor NumPy's nor numpool's."""
    for name, module in [*sys.modules.items()]:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("numpy", "numpool"):
            continue
        with suppress(OSError, UnicodeDecodeError):
            yield Path(getattr(module, "__file__", None) or "").read_text()
