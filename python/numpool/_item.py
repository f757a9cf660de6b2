"""Whether somebody still refers to a pool's object."""

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
    """An object of a pool, and how many may refer to it.

    A ``with`` block leaves its name behind, in a namespace that may wait for another object by now.
    So only references that appear during a loan are held against it: what was there before is the
    names of earlier blocks.
    """

    __slots__ = ("holder", "last_in", "namespace", "own", "tolerated")

    most_namespaces = 1024

    def __init__(self, factory: Callable[[], _Object], last_in: dict[int, int]) -> None:
        self.holder = (factory(),)
        # Which item of the pool a namespace's last block was for; forgotten now and then.
        self.last_in = last_in
        # What refers to a new object is its own affair: a cycle, or a list of all of its kind.
        self.own = _references(self.holder)
        self.tolerated = 0
        # That which the last block was in.
        self.namespace = 0

    def begin(self, namespace: int) -> bool:
        """Whether it can be lent: nobody refers to it that did not when it was returned."""
        references = _references(self.holder) - self.own
        if references > self.tolerated:
            return False
        # A block in the same namespace, in a loop as a rule, gives the same name again. Where a
        # name has gone since the item's last block, it may be this one: the namespace had another
        # item.
        again = (
            references > 0
            and namespace == self.namespace
            and (references == self.tolerated or self.last_in.get(namespace) == id(self))
        )
        self.tolerated = references - 1 if again else references
        return True

    def end(self, namespace: int | None) -> bool:
        """Whether nobody refers to it that did not when it was lent, but the name in a block."""
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
