"""Builds the site in ``docs/_build/html``; ``--open`` shows it in a browser.

It needs an installed numpool and ``pip install --group docs``.
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from sphinx.cmd.build import main as sphinx

SOURCE = Path(__file__).parent
HTML = SOURCE / "_build" / "html"


def main() -> int:
    """Build, show all warnings, and fail if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--open", action="store_true", help="show the site in a browser")
    given = parser.parse_args()
    strict = ["-W", "--keep-going", "-n", "-q"]
    fresh = ["-E", "-d", f"{SOURCE}/_build/trees"]
    result = sphinx([*strict, *fresh, str(SOURCE), str(HTML)])
    if result == 0:
        index = HTML / "index.html"
        print(f"built {index}")
        if given.open:
            webbrowser.open(index.as_uri())
    return result


if __name__ == "__main__":
    sys.exit(main())
