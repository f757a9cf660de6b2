"""Numba: compiled functions work on pooled arrays. Arrays that they make are Numba's own."""

import numba
import numpy as np
from numpy.typing import NDArray

import numpool

pool = numpool.SlabPool(name="signals")


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def smooth(signal: NDArray[np.float64], into: NDArray[np.float64]) -> None:
    """Write the mean of each value and its neighbours."""
    for i in range(1, len(signal) - 1):
        into[i] = (signal[i - 1] + signal[i] + signal[i + 1]) / 3


@numba.njit  # type: ignore[untyped-decorator]
def doubled(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a new array."""
    return 2 * signal


signal = pool.array(np.arange(100.0))
result = pool.zeros(100)
smooth(signal, result)
print("the result is in the pool:", numpool.owner(result) is pool, result[1:4])
print("an array that compiled code makes:", numpool.owner(doubled(signal)))
