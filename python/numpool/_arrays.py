"""Arrays that are built once and lent many times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex

from numpool._objects import ObjectPool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class ArrayPool(ObjectPool["NDArray[Any]"]):
    """A bounded number of arrays of one shape and dtype, each built once and lent many times.

    It lends as ObjectPool does: ``with pool.take() as x``. The pool does not lend an array again if
    it still has views when it is returned, or if its shape, dtype, strides or flags were changed.
    With ``fill``, each array has that value when it is lent. Otherwise it has what its last user
    wrote.

    Use it for frames, batches and work arrays that are passed around and given back. If you do not
    want to give arrays back by hand, use SlabPool.

    shape       the shape of each array
    dtype       the dtype of each array
    fill        the content of each array when it is lent: a value, or an array that broadcasts to
                the shape
    size        how many arrays can be lent at once
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
        # It takes no memory, and raises NumPy's errors for bad arguments.
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
        # A user may have set these attributes of the array.
        if one.shape != self._shape or one.dtype != self._dtype or not one.flags.carray:
            return False
        if self._fill is not None:
            one[...] = self._fill
        return True
