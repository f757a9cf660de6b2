"""A camera's ring of frames: a camera and a viewer share three arrays."""

import queue
import threading

import numpy as np
from numpy.typing import NDArray

import numpool

ring = numpool.ArrayPool((480, 640, 3), "u1", size=3, name="frames")
shown: queue.Queue[numpool.Loan[NDArray[np.uint8]] | None] = queue.Queue()


def camera(frames: int) -> None:
    """Wait for a free frame instead of making another one: back-pressure."""
    for number in range(frames):
        loan = ring.take(timeout=None)
        loan.object[:] = number
        shown.put(loan)  # The other thread returns the loan.
    shown.put(None)


thread = threading.Thread(target=camera, args=(100,))
thread.start()
brightness = []
while loan := shown.get():
    with loan as frame:
        brightness.append(int(frame.mean()))
thread.join()
print(f"{len(brightness)} frames in order: {brightness == list(range(100))}")
print(f"arrays built: {ring.stats().built}, {ring}")

with ring.take() as frame:
    thumbnail = frame[::8, ::8]  # A view that outlives the loan.
print(f"kept: {ring.stats().kept}. The array has a view, so it is not lent again")
with ring.take() as frame:
    print("shares memory with the next one:", np.shares_memory(frame, thumbnail))
