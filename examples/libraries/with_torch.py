"""PyTorch: tensors on pooled memory, and arrays on tensors: no copy."""

import torch

import numpool

pool = numpool.SlabPool(name="tensors")

array = pool.zeros((256, 256), "f4")
tensor = torch.from_numpy(array)
tensor += 1
print("the tensor has the array's memory:", tensor.data_ptr() == array.ctypes.data, array.max())
del array
print("and so has the array that it becomes:", numpool.owner(tensor.numpy()) is pool)

buffer = pool.acquire(4096)
shared = torch.from_dlpack(buffer)
print("a tensor on a Buffer, by DLPack:", shared.data_ptr() == buffer.address, len(shared))
del buffer, shared, tensor
print("blocks in use at the end:", pool.stats().blocks)
