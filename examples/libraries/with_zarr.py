"""Zarr: chunks are decoded into a pooled array.

Zarr reads in threads of its own, where ``numpool.use`` of this thread does not hold. So give it the
array, or install the pool in the whole process.
"""

import zarr
from zarr.buffer.cpu import NDBuffer

import numpool

pool = numpool.SlabPool(name="chunks")

stored = zarr.create_array({}, shape=(1000, 1000), chunks=(100, 100), dtype="f4", fill_value=1)
stored[:500] = 2

into = pool.empty(stored.shape, stored.dtype)
stored.get_basic_selection(out=NDBuffer.from_numpy_array(into))
print("read into the pool:", numpool.owner(into) is pool, int(into.sum()))

numpool.install(pool)
values = stored[:]
print("after install:", numpool.owner(values) is pool)
numpool.uninstall()
