"""Whether something still refers to an object of a pool."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Generic, TypeVar

from numpool._core import _references

_Object = TypeVar("_Object")


# inspect.CO_OPTIMIZED: of the code of functions.
_OWN_NAMES = 1


def namespace_of(frame: FrameType) -> int:
    """Where a frame's names are: its own, or those that the statements of a prompt share."""
    return id(frame) if frame.f_code.co_flags & _OWN_NAMES else id(frame.f_locals)


class Item(Generic[_Object]):
    """An object of a pool, and how many references to it are tolerated.

    The name in ``with ... as x`` stays after the block, so it still refers to the object.
    So only references that appear during a loan mean that the object was kept. References from
    before the loan are the names of earlier blocks.
    """

    __slots__ = ("holder", "last_in", "namespace", "own", "tolerated")

    most_namespaces = 1024

    def __init__(self, factory: Callable[[], _Object], last_in: dict[int, int]) -> None:
        self.holder = (factory(),)
        # For each namespace, the item of its last block. It is cleared when it has many entries.
        self.last_in = last_in
        # References that a new object has from its own class or factory, such as a cycle.
        self.own = _references(self.holder)
        self.tolerated = 0
        # The namespace of the last block.
        self.namespace = 0

    def begin(self, namespace: int) -> bool:
        """Whether it can be lent: no reference was added since it was returned."""
        references = _references(self.holder) - self.own
        if references > self.tolerated:
            return False
        # A block in the same namespace, usually in a loop, binds the same name again. If a
        # reference has gone since the item's last block, it may be this name: it was bound to
        # another item.
        again = (
            references > 0
            and namespace == self.namespace
            and (references == self.tolerated or self.last_in.get(namespace) == id(self))
        )
        self.tolerated = references - 1 if again else references
        return True

    def end(self, namespace: int | None) -> bool:
        """Whether no reference was added since it was lent, except the name of its block."""
        references = _references(self.holder) - self.own
        name_left = namespace is not None
        if references > self.tolerated + name_left:
            return False
        self.tolerated = references
        self.namespace = namespace or 0
        if namespace is not None and self.last_in.get(namespace) != id(self):
            if len(self.last_in) >= self.most_namespaces:
                self.last_in.clear()
            self.last_in[namespace] = id(self)
        return True
