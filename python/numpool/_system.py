"""Says why there is no extension: imported only where ``numpool._core`` is missing."""

import sys


def why_it_is_missing() -> str:
    """One sentence with the reason, as far as this system tells it."""
    if sys.platform != "linux":
        return f"numpool needs Linux: this is {sys.platform}"
    if sys.maxsize < 2**32:
        return "numpool needs a Python of 64 bits: this one has 32"
    if sys.implementation.name != "cpython":
        return f"numpool needs CPython: this is {sys.implementation.name}"
    version = ".".join(map(str, sys.version_info[:2]))
    return (
        f"numpool's extension is missing for Python {version}: install numpool with this Python's "
        "pip instead of importing its sources"
    )
