"""PyArrow: a column on a pooled array, a buffer on a pooled Buffer, and the way back: no copy."""

import numpy as np
import pyarrow as pa

import numpool

pool = numpool.SlabPool(name="columns")

prices = pool.empty(1_000_000)
prices[:] = np.arange(1_000_000)
column = pa.array(prices)
print("the column has the array's memory:", column.buffers()[1].address == prices.ctypes.data)
del prices
back = column.to_numpy()
print("and so has the array that it becomes:", numpool.owner(back) is pool)

buffer = pool.acquire("1MiB")
arrow = pa.py_buffer(buffer)
print("an Arrow buffer on a Buffer:", arrow.address == buffer.address, arrow.size)
del buffer
print("Arrow keeps the blocks:", pool.stats().blocks)
del column, back, arrow
print("until they are not used any more:", pool.stats().blocks)
