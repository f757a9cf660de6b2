"""The function that pickled buffers name, so that pickles survive changes to the extension."""

from __future__ import annotations

from typing import Any

from numpool._core import Buffer, _buffer_on


def restore_buffer(data: Any) -> Buffer:
    """A buffer on unpickled bytes; it belongs to no pool."""
    return _buffer_on(data)
