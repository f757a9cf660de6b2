"""Whether somebody still refers to a pool's object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from numpool._core import _references

_Object = TypeVar("_Object")


class Item(Generic[_Object]):
    """An object of a pool, and how many may refer to it.

    A ``with`` block leaves its name behind, in a frame that may wait for another object by now. So
    only references that appear during a loan are held against it: what was there before is the
    names of earlier blocks.
    """

    __slots__ = ("frame", "holder", "last_in", "own", "tolerated")

    most_frames = 1024

    def __init__(self, factory: Callable[[], _Object], last_in: dict[int, int]) -> None:
        self.holder = (factory(),)
        # Which item of the pool a frame's last block was for; forgotten now and then.
        self.last_in = last_in
        # What refers to a new object is its own affair: a cycle, or a list of all of its kind.
        self.own = _references(self.holder)
        self.tolerated = 0
        # That which the last block was in.
        self.frame = 0

    def begin(self, frame: int) -> bool:
        """Whether it can be lent: nobody refers to it that did not when it was returned."""
        references = _references(self.holder) - self.own
        if references > self.tolerated:
            return False
        # A block in the same frame, in a loop as a rule, gives the same name again. Where a name
        # has gone since the item's last block, it may be this one: the frame had another item.
        again = (
            references > 0
            and frame == self.frame
            and (references == self.tolerated or self.last_in.get(frame) == id(self))
        )
        self.tolerated = references - 1 if again else references
        return True

    def end(self, frame: int | None) -> bool:
        """Whether nobody refers to it that did not when it was lent, but the name in a block."""
        references = _references(self.holder) - self.own
        name_left = frame is not None
        if references > self.tolerated + name_left:
            return False
        self.tolerated = references
        self.frame = frame or 0
        if frame is not None and self.last_in.get(frame) != id(self):
            if len(self.last_in) >= self.most_frames:
                self.last_in.clear()
            self.last_in[frame] = id(self)
        return True
