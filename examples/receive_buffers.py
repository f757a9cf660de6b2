"""A server that receives into pooled buffers: idle connections hold none."""

import asyncio
import resource

import numpool

pool = numpool.FixedPool("64KiB", blocks=8, name="receive")


class Lines(asyncio.BufferedProtocol):
    """Answers each line with its length. A buffer is in use only while a line arrives."""

    transport: asyncio.Transport
    waiting: asyncio.Future[None] | None = None

    def __init__(self) -> None:
        self.buffer: numpool.Buffer | None = None
        self.first = bytearray(1)
        self.filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected. It needs no buffer yet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """There is something to receive, of unknown size."""
        del sizehint
        self.buffer = self.buffer or pool.try_acquire()
        # If all buffers are in use, receive one byte, and the rest when it is this one's turn.
        return memoryview(self.buffer or self.first)[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answer, if the line is complete."""
        self.filled += nbytes
        if self.buffer is None:
            self.transport.pause_reading()
            self.waiting = asyncio.ensure_future(self.wait_for_buffer())
        elif self.filled == self.buffer.nbytes or memoryview(self.buffer)[self.filled - 1] == 10:
            self.transport.write(b"%d\n" % self.filled)
            self.drop()

    async def wait_for_buffer(self) -> None:
        """Wait for a buffer, while the client waits to send."""
        self.buffer = await pool.acquire_async()
        memoryview(self.buffer)[:1] = self.first
        self.transport.resume_reading()
        self.buffer_updated(0)

    def drop(self) -> None:
        """End the use. asyncio still has a view: the block goes back when that ends."""
        self.buffer, self.filled = None, 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        del exc
        if self.waiting is not None:
            self.waiting.cancel()
        self.drop()


async def main() -> None:
    """Many idle connections, then more clients than buffers at once."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Lines, "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    idle = [await connect() for _ in range(min(10_000, (most - 100) // 2))]
    print(f"{len(idle):,} idle connections: {pool.stats().blocks} buffers in use")

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(b"x" * 40_000)  # The first part of a line. The rest follows later.
        await asyncio.sleep(0.01)
        writer.write(b"x" * 9_999 + b"\n")
        return int(await reader.readline())

    answers = await asyncio.gather(*(ask(*connection) for connection in idle[:100]))
    print(f"{len(answers)} lines of {answers[0]} bytes at once: {pool.stats().peak >> 16} buffers")
    for _, writer in idle:
        writer.close()
    server.close()
    await asyncio.sleep(0)
    print(f"at the end: {pool.stats().blocks} buffers in use")


asyncio.run(main())
