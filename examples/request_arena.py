"""A server's request arena: all memory of a request comes from one region and ends with it."""

import numpy as np

import numpool

MODEL = np.linspace(0, 1, 512 * 512).reshape(512, 512)  # outlives every request


def handle(request: int, server: numpool.Arena, log: list[str]) -> float:
    """Answer a request; all that it allocates ends in one step."""
    with numpool.Arena("1MiB", parent=server, name=f"request {request}") as arena:
        arena.defer(log.append, f"request {request} is done")
        body = arena.acquire(4096)  # a buffer to read the request into
        with numpool.use(arena):  # NumPy's temporaries come from the arena, too
            pixels = body.array("f4", (32, 32))
            pixels[:] = request
            features = np.tanh(np.resize(pixels, 512) @ MODEL)
            answer = float(features.mean())
        if request == 1:
            try:
                arena.reset()
            except BufferError as error:
                log.append(f"too early: {str(error).partition(':')[2].partition(':')[0].strip()}")
        if request == 2:
            mark = arena.mark()
            for _ in range(3):  # attempts that leave nothing behind
                arena.acquire_many(1000, 100)
                arena.rewind(mark)
        del pixels, features
        return answer


log: list[str] = []
with numpool.Arena(name="server") as server:
    for request in range(3):
        print(f"answer {request}: {handle(request, server, log):.4f}")
    forgotten = numpool.Arena(parent=server, name="forgotten")
    buffer = forgotten.acquire(100)
print(*log, sep="\n")
print(f"a child ends with its parent: {forgotten}")
try:
    memoryview(buffer)
except ValueError as error:
    print("too late:", error)
