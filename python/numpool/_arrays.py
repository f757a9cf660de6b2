"""Arrays that are built once and used again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex

from numpool._objects import ObjectPool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class ArrayPool(ObjectPool["NDArray[Any]"]):
    """A bounded number of arrays of one shape and dtype, each built once and lent again and again.

    It lends as ObjectPool does: ``with pool.take() as x``. An array that still has views when it is
    returned, or whose shape, dtype, strides or flags were changed, is not lent again. With ``fill``
    each array holds that value when it is lent; otherwise it holds whatever its last user left.

    Use it for frames, batches and work arrays that are passed around and given back. An array that
    need not be given back by hand comes from SlabPool.

    shape       of each array
    dtype       of each array
    fill        what each array is filled with before it is lent: a value, or an array that
                broadcasts to the shape
    size        how many arrays may be out at once
    name        shown in errors and reprs
    """

    def __init__(
        self,
        shape: int | Iterable[int],
        dtype: DTypeLike = float,
        fill: ArrayLike | None = None,
        *,
        size: SupportsIndex,
        name: str = "",
    ) -> None:
        import numpy as np

        self._empty = np.empty
        # It takes no memory, and says what is wrong with the arguments.
        like = np.broadcast_to(np.zeros((), dtype), shape)
        self._shape = like.shape
        self._dtype = like.dtype
        self._fill = fill
        if fill is not None:
            np.broadcast_to(np.asarray(fill).astype(self._dtype), self._shape)
        super().__init__(self._make, size=size, name=name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each array."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of each array."""
        return self._dtype

    def _make(self) -> NDArray[Any]:
        array = self._empty(self._shape, self._dtype)
        if self._fill is not None:
            array[...] = self._fill
        return array

    def _restored(self, one: NDArray[Any]) -> bool:
        # As Python attributes they may have been set; then the array is another one now.
        if one.shape != self._shape or one.dtype != self._dtype or not one.flags.carray:
            return False
        if self._fill is not None:
            one[...] = self._fill
        return True
