"""A camera's frames in a pool: a bounded number of buffers, written, shared and reused."""

import numpy as np

import numpool

pool = numpool.FixedPool("8MiB", blocks=4, name="frames")
print(pool)

with pool.acquire() as buffer:
    frame = buffer.array("u1", (1080, 1920, 4))  # an ndarray on the block, no copy
    frame[:] = 128
    print(f"one frame: shape {frame.shape}, mean {frame.mean():.0f}, from {buffer.pool}")
    try:
        buffer.release()
    except BufferError as error:
        print("too early:", error)
    del frame  # otherwise the block would go back with this array, and not at the end of with

frames = pool.acquire_many(4)
try:
    pool.acquire()
except numpool.PoolExhausted as error:
    print("exhausted:", error)

kept = np.frombuffer(frames[0], "u1")
del frames, buffer
print(f"three went back, an array keeps one: {pool}")
pool.close()
print(f"the array outlives its pool: {kept[0]} still reads, {pool}")
