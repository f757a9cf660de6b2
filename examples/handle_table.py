"""Orders in a table: threads pass integers, and a stale one is refused."""

import queue
import threading

import numpy as np

import numpool

orders = numpool.HandlePool({64: 1000, "1KiB": 100}, name="orders")
to_fill: queue.Queue[int] = queue.Queue()
filled: list[bytes] = []
too_late = 0


def fill_orders() -> None:
    """Fill orders by handle: an order may have been cancelled before its turn."""
    global too_late
    while handle := to_fill.get():
        try:
            with orders[handle] as text:  # A memoryview; free() refuses while it lives.
                filled.append(bytes(text))
        except numpool.StaleHandle as error:
            too_late += 1
            last_words = error
            continue
        orders.free(handle)
    print("too late:", last_words)


handles = []
for number in range(600):
    text = b"order %d" % number
    handle = orders.alloc(len(text))
    orders[handle][:] = text
    handles.append(handle)
print(orders)

table = np.array(handles, np.int64)  # Handles are integers of 64 bits.
for handle in table[::3]:
    orders.free(handle)
for _ in range(100):  # Their blocks have other users now.
    orders.alloc(10)

worker = threading.Thread(target=fill_orders)
worker.start()
for handle in handles:
    to_fill.put(handle)
to_fill.put(0)  # No handle is 0.
worker.join()
print(f"filled {len(filled)}, cancelled {too_late}, the last is {filled[-1].decode()!r}")
print(orders)
