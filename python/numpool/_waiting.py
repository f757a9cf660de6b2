"""Waiting for a block in an event loop."""

from __future__ import annotations

import asyncio
from functools import partial

from numpool._core import Buffer, FixedPool, _Request


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


async def acquire_async(pool: FixedPool) -> Buffer:
    """``FixedPool.acquire_async``: see there."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    request = _Request(pool, partial(loop.call_soon_threadsafe, _wake, woken))
    try:
        buffer = request.take()
        while buffer is None:
            await woken
            buffer = request.take()
        return buffer
    finally:
        request.cancel()
