"""h5py: datasets read into pooled arrays."""

import io

import h5py
import numpy as np

import numpool

pool = numpool.SlabPool(name="datasets")

with h5py.File(io.BytesIO(), "w") as file:
    dataset = file.create_dataset("values", data=np.arange(1000.0))
    with numpool.use(pool):
        values = dataset[:]
    again = pool.empty(dataset.shape, dataset.dtype)
    dataset.read_direct(again)

print("a new array is in the pool:", numpool.owner(values) is pool)
print("read_direct fills the array that it gets:", bool((again == values).all()))
