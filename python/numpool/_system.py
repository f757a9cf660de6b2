"""Says why the extension is missing. It is imported only if there is no ``numpool._core``."""

import sys


def why_it_is_missing() -> str:
    """One sentence with the most probable reason."""
    if sys.platform != "linux":
        return f"numpool needs Linux: this is {sys.platform}"
    if sys.maxsize < 2**32:
        return "numpool needs a 64-bit Python: this one has 32 bits"
    if sys.implementation.name != "cpython":
        return f"numpool needs CPython: this is {sys.implementation.name}"
    version = ".".join(map(str, sys.version_info[:2]))
    return (
        f"numpool's extension is missing for Python {version}: install numpool with this Python's "
        "pip instead of importing its sources"
    )
