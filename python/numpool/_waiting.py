"""Waiting for a block in an event loop."""

from __future__ import annotations

import asyncio

from numpool._core import Buffer, FixedPool, ReservePool, _Request

LOOK_EVERY = 0.1
"""Seconds between looks for blocks that come without a word."""


def run_nothing() -> None:
    """Python code for a waiting thread to run, so that it notices what others did for it."""


class _Wake:
    """Wakes a coroutine from any thread; called once its request has an answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.woken = loop.create_future()

    def __call__(self) -> bool:
        """Whether the coroutine can still be woken: not once its loop is closed."""
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


async def acquire_async(pool: FixedPool | ReservePool) -> Buffer:
    """``FixedPool.acquire_async``: see there."""
    while True:
        wake = _Wake(asyncio.get_running_loop())
        request = _Request(pool, wake)
        try:
            buffer = request.take()
            if buffer is None:
                while request.look_elsewhere() and not wake.woken.done():
                    await asyncio.wait((wake.woken,), timeout=LOOK_EVERY)
                await wake.woken
                buffer = request.take()
            if buffer is not None:
                return buffer
        finally:
            request.cancel()
