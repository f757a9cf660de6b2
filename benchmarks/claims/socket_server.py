"""A server on loopback that receives into new buffers, or into pooled ones."""

from __future__ import annotations

import json
import mmap
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from markdown import table

from claims import Claim, change, quantile

if TYPE_CHECKING:
    from contenders import Contenders

    import numpool

SIZES = (4 << 10, 64 << 10, 1 << 20)
NAMES = ("4 KiB", "64 KiB", "1 MiB")
CONNECTIONS = 4
FRESH, BYTES, POOLED, LIMIT = "fresh bytearray", "recv's bytes", "FixedPool", "one buffer, kept"
FIGURES = 4

pools: dict[int, numpool.FixedPool] = {}


def receive(connection: socket.socket, view: memoryview) -> bool:
    """Fill the view; False at the end of the stream."""
    done = 0
    while done < len(view):
        count = connection.recv_into(view[done:])
        if not count:
            return False
        done += count
    return True


def serve_fresh(connection: socket.socket, size: int) -> None:
    while receive(connection, memoryview(bytearray(size))):
        connection.sendall(b"received")


def serve_bytes(connection: socket.socket, size: int) -> None:
    """What most servers do: receive parts, and join them."""
    while True:
        parts, missing = [], size
        while missing:
            part = connection.recv(missing)
            if not part:
                return
            parts.append(part)
            missing -= len(part)
        b"".join(parts)
        connection.sendall(b"received")


def serve_pooled(connection: socket.socket, size: int) -> None:
    pool = pools[size]
    while True:
        with pool.acquire(timeout=None) as buffer, memoryview(buffer) as view:
            if not receive(connection, view):
                return
            connection.sendall(b"received")


def serve_kept(connection: socket.socket, size: int) -> None:
    view = memoryview(mmap.mmap(-1, size))
    while receive(connection, view):
        connection.sendall(b"received")


SERVERS: dict[str, Callable[[socket.socket, int], None]] = {
    FRESH: serve_fresh,
    BYTES: serve_bytes,
    POOLED: serve_pooled,
    LIMIT: serve_kept,
}


def run(contender: str, seconds: float) -> list[float]:
    """Requests a second, and p50, p99 and p99.9 of their seconds, for each size."""
    if contender == POOLED:
        import numpool

        pools.update({size: numpool.FixedPool(size, CONNECTIONS) for size in SIZES})
    figures: list[float] = []
    for size in SIZES:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            order = [str(listener.getsockname()[1]), str(size), str(seconds)]
            with subprocess.Popen(
                [sys.executable, "-m", "claims.socket_server", *order],
                cwd=Path(__file__).parents[1],
                stdout=subprocess.PIPE,
                text=True,
            ) as clients:
                handlers = [
                    threading.Thread(target=serve, args=(contender, listener.accept()[0], size))
                    for _ in range(CONNECTIONS)
                ]
                for handler in handlers:
                    handler.start()
                assert clients.stdout is not None
                figures += json.loads(clients.stdout.read())
                for handler in handlers:
                    handler.join()
    return figures


def serve(contender: str, connection: socket.socket, size: int) -> None:
    with connection:
        SERVERS[contender](connection, size)


def client(port: int, size: int, seconds: float) -> list[float]:
    """Connections that send a request as soon as the last one is answered."""
    message = bytes(size)
    took: list[float] = []
    all_of = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    start = time.perf_counter()

    def requests(connection: socket.socket) -> None:
        own: list[float] = []
        with connection:
            sent = time.perf_counter()
            # At least one, even on a busy machine.
            while not own or sent < start + seconds:
                connection.sendall(message)
                connection.recv(8, socket.MSG_WAITALL)
                answered = time.perf_counter()
                own.append(answered - sent)
                sent = answered
        took.extend(own)

    threads = [threading.Thread(target=requests, args=(one,)) for one in all_of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    took.sort()
    return [len(took) / elapsed, *(quantile(took, share) for share in (0.5, 0.99, 0.999))]


def measured(all_of: Contenders) -> str:
    rows, lines = [], []
    for place, name in enumerate(NAMES):
        first = FIGURES * place
        medians = {
            way: [all_of.seconds(way, "socket_server", first + i).median for i in range(FIGURES)]
            for way in all_of.names
        }
        for way, (rate, *times) in medians.items():
            spread = all_of.seconds(way, "socket_server", first).spread / rate
            rows.append(
                [name, way, f"{rate:,.0f} ±{spread:.0%}", *(f"{1e6 * one:.0f}" for one in times)]
            )
        for other in (FRESH, BYTES):
            to = [change(*both) for both in zip(medians[POOLED], medians[other], strict=True)]
            lines.append(
                f"{name}, the pool to {other}: throughput {to[0]}; p50 {to[1]}, p99 {to[2]}."
            )
    head = ["request", "received into", "requests a second", "p50 µs", "p99 µs", "p99.9 µs"]
    return table(head, rows) + "\n".join(lines)


CLAIM = Claim(
    title="A socket server on loopback, pooled against fresh receive buffers",
    claimed="servers: +30 % throughput, -20 % latency",
    contenders=(FRESH, BYTES, POOLED, LIMIT),
    amount=1.0,
    run=run,
    measured=measured,
    why="""\
A new buffer of 4 KiB costs about 0.1 µs, and a request on loopback 20 to 50 µs. So nothing can be
gained there: "one buffer, kept" allocates nothing at all, and gains little. The gain grows with the
size. A new bytearray is cleared before the socket overwrites it, and glibc may map and unmap large
ones, which the kernel then clears page by page. recv's bytes are not cleared, but joined. Large new
buffers also begin 16 bytes after the start of a page. There the kernel's copy takes up to 1.4 times
as long as at the start of a page, where a pool's large blocks begin. The server does nothing but
receive, so this is the most that pooling can gain. Each of four clients sends again after each
answer, so latency is about the inverse of throughput. Its tail comes from the scheduler: clients
and server share the processors.""",
)

if __name__ == "__main__":
    print(json.dumps(client(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
