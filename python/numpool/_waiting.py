"""Waiting for a block in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from numpool._core import Buffer, FixedPool, ReservePool, _Request

_NOT_AWAITED = "acquire_async() was not awaited: this is no buffer yet"
_AWAIT = "write `await pool.acquire_async()` or `async with pool.acquire_async() as buffer`"

LOOK_EVERY = 0.1
"""Seconds between looks for blocks that come back without a notice."""


def run_nothing() -> None:
    """Does nothing. Without a GIL, a thread that runs it drops references that others queued."""


class _Wake:
    """Wakes a coroutine from any thread. The pool calls it when the request has an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.woken = loop.create_future()

    def __call__(self) -> bool:
        """Wake the coroutine, and return whether this was possible: its loop may be closed."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            if self.loop.is_closed():
                return False
            raise
        return True

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Acquisition(Coroutine[Any, Any, Buffer]):
    """A buffer to wait for: ``await`` it, or enter it as an ``async with`` block."""

    __slots__ = ("__weakref__", "_buffer", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Buffer]) -> None:
        self._coroutine = coroutine
        self._buffer: Buffer | None = None

    def __await__(self) -> Generator[Any, Any, Buffer]:
        """Wait, and return the buffer."""
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """As a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """As a coroutine does."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """As a coroutine does."""
        self._coroutine.close()

    if not TYPE_CHECKING:  # For a type checker, such a use is an error already.

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{_NOT_AWAITED} and has no {name!r}: {_AWAIT}")

        def __buffer__(self, flags: int) -> NoReturn:  # Python 3.12 and newer call it.
            raise TypeError(f"{_NOT_AWAITED}: {_AWAIT}")

        def __array__(self, *_: object, **__: object) -> NoReturn:
            raise TypeError(f"{_NOT_AWAITED}: {_AWAIT}")

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{_NOT_AWAITED}: {_AWAIT}")

        def __exit__(self, *_: object) -> None:
            """Never called."""

    async def __aenter__(self) -> Buffer:
        """Wait, and return the buffer."""
        self._buffer = await self._coroutine
        return self._buffer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the buffer, as its own ``with`` block does."""
        cast(Buffer, self._buffer).__exit__(kind, error, traceback)


def acquire_async(pool: FixedPool | ReservePool, timeout: float | None) -> Acquisition:
    """``FixedPool.acquire_async``: see there."""
    return Acquisition(_acquire(pool, timeout))


async def _acquire(pool: FixedPool | ReservePool, timeout: float | None) -> Buffer:
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while True:
        wake = _Wake(loop)
        request = _Request(pool, wake)
        try:
            buffer = request.collect()
            if buffer is None:
                await _woken(request, wake, deadline)
                buffer = request.collect()
            if buffer is not None:
                return buffer
            if timeout is not None and not wake.woken.done():
                request.refuse(timeout)
        finally:
            request.cancel()


# The warning about a request that was never awaited shows this name.
_acquire.__qualname__ = "acquire_async"


async def _woken(request: _Request, wake: _Wake, deadline: float | None) -> None:
    """Returns when the request has an answer, or at the deadline."""
    while not wake.woken.done():
        left = None if deadline is None else deadline - wake.loop.time()
        if left is not None and left <= 0:
            return
        if request.look_elsewhere():
            left = LOOK_EVERY if left is None else min(left, LOOK_EVERY)
        if not wake.woken.done():
            await asyncio.wait((wake.woken,), timeout=left)
