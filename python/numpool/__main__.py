"""``python -m numpool``: the same as the command ``numpool``."""

from numpool.cli import main

if __name__ == "__main__":
    main()
