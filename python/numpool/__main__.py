"""``python -m numpool``: the same as the command ``numpool``."""

from numpool.cli import main

main()
