"""Objects that are built once and lent many times."""

from __future__ import annotations

import operator
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, NoReturn, SupportsIndex, TypeVar

from numpool._core import Buffer as _Permit
from numpool._core import FixedPool, PoolClosed, PoolExhausted, _Count
from numpool._item import Item, namespace_of

_Object = TypeVar("_Object")


@dataclass(frozen=True)
class ObjectStats:
    """The figures of a pool of objects at one moment.

    size      how many objects can be lent at once
    taken     how many objects are lent now
    idle      objects that wait to be lent again
    peak      the largest ``taken`` so far
    takes     loans so far
    built     calls of the factory that returned an object
    waits     requests that had to wait
    failures  requests that were refused
    kept      objects that are not lent again because something else still referred to them
    dropped   objects that are not lent again because their reset failed or could not restore them
    """

    size: int
    taken: int
    idle: int
    peak: int
    takes: int
    built: int
    waits: int
    failures: int
    kept: int
    dropped: int

    def summary(self) -> str:
        """The figures as a table to print; ``str`` and ``print`` show the same."""
        from numpool import _summary

        return _summary.text_of(self)

    __str__ = summary

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        from numpool import _summary

        return _summary.html_of(self)


class Loan(Generic[_Object]):
    """An object that a pool has lent, until it is returned.

    A ``with`` block on a loan gives the object, and returns it at the end. A loan that is dropped
    gives its place back, too, but its object is not lent again.
    """

    __slots__ = ("_item", "_permits", "_pool")

    def __init__(self, pool: ObjectPool[_Object], item: Item[_Object], permit: _Permit) -> None:
        self._pool = pool
        self._item: Item[_Object] | None = item
        # If several threads return one loan, only the thread that pops the permit does so.
        self._permits = [permit]

    @property
    def object(self) -> _Object:
        """The object. After its return this raises ValueError."""
        item = self._item
        if item is None:
            raise ValueError("this loan was returned: take another one from its pool")
        return item.holder[0]

    @property
    def returned(self) -> bool:
        """Whether the object was returned."""
        return not self._permits

    def release(self) -> None:
        """Return the object: reset it, and lend it again if nothing else refers to it.

        An error of the reset reaches the caller. A second release does nothing.
        """
        self._release(None)

    def _release(self, namespace: int | None) -> None:
        try:
            permit = self._permits.pop()
        except IndexError:
            return
        item, self._item = self._item, None
        assert item is not None
        self._pool._take_back(item, permit, namespace)

    def __enter__(self) -> _Object:
        """The object."""
        return self.object

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Return the object. The name that the ``with`` block bound may still refer to it."""
        self._release(namespace_of(sys._getframe(1)))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a loan from {self._pool.title} cannot be pickled or copied: others can't return it"
        )

    def __repr__(self) -> str:
        item = self._item
        what = ", returned" if item is None else f" of {item.holder[0]!r}"
        return f"<numpool.Loan{what} from {self._pool.title}>"


class ObjectPool(Generic[_Object]):
    """A bounded number of Python objects, each built once and lent many times.

    ``with pool.take() as x`` lends an object and takes it back, in constant time. ``take`` returns
    a Loan, which can also be passed on and released elsewhere. When all objects are lent, ``take``
    raises PoolExhausted or waits. The pool serves waiting threads and tasks in order. A thread may
    return an object that another thread took.

    Use it for objects that are slow to build or limited in number: connections, parsers, compiled
    plans, buffers with structure. If views may outlive the loan, use FixedPool.

    If something else refers to an object when it is returned, the pool does not lend it again, and
    builds another one when it needs one. ``stats().kept`` counts these objects. Only the name in
    ``with ... as x`` may still refer to the object. Do not use this name after its block, as you do
    not use a file after it is closed. The pool counts references as CPython does, so it misses some
    of them: addresses taken through ctypes; a reference that appears just when the name of an
    earlier block in another thread goes; a reference that appears in a block whose name is a global
    or an attribute, if a block of another function bound that name before; and, from CPython 3.14
    on, a ``return x`` inside the block.

    factory     called without arguments when an object is needed and none is idle
    reset       called with each object that comes back. If it raises, the object is dropped and
                the error reaches the caller
    size        how many objects can be lent at once
    name        shown in errors and reprs
    """

    def __init__(
        self,
        factory: Callable[[], _Object],
        reset: Callable[[_Object], object] | None = None,
        *,
        size: SupportsIndex,
        name: str = "",
    ) -> None:
        if not callable(factory):
            raise TypeError(f"factory must be callable, not {type(factory).__name__}")
        if reset is not None and not callable(reset):
            raise TypeError(f"reset must be callable with an object, not {type(reset).__name__}")
        if not hasattr(type(size), "__index__"):
            raise TypeError(f"size must be an int, not {type(size).__name__}")
        self._size = operator.index(size)
        if self._size < 1:
            raise ValueError(f"size is {size}: a pool needs at least 1 object")
        self._factory = factory
        self._reset = reset
        # A block is the permit to have one object. It is released after its object became idle, so
        # a caller with a permit finds the idle object.
        self._places = FixedPool(8, size, name=name)
        self._idle: deque[Item[_Object]] = deque()
        self._last_in: dict[int, int] = {}
        self._built = _Count()
        self._kept = _Count()
        self._dropped = _Count()

    @property
    def name(self) -> str:
        """The name that errors and reprs show. It may be empty."""
        return self._places.name

    @property
    def title(self) -> str:
        """The pool's title in errors: its kind, and its name if it has one."""
        return f"{type(self).__name__} {self.name!r}" if self.name else type(self).__name__

    @property
    def size(self) -> int:
        """How many objects can be lent at once."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._places.closed

    def take(self, *, timeout: float | None = 0) -> Loan[_Object]:
        """Lend an object. If all are lent, wait up to ``timeout`` seconds; None waits for ever.

        Raises PoolExhausted if no object comes back in this time.
        """
        try:
            permit = self._places.acquire(timeout=timeout)
        except PoolExhausted:
            raise PoolExhausted(f"{self._all_out()}: {self._advice(timeout)}") from None
        except PoolClosed:
            raise self._is_closed() from None
        return self._lend(permit, namespace_of(sys._getframe(1)))

    def try_take(self) -> Loan[_Object] | None:
        """Lend an object, or return None if all are lent."""
        try:
            permit = self._places.try_acquire()
        except PoolClosed:
            raise self._is_closed() from None
        return None if permit is None else self._lend(permit, namespace_of(sys._getframe(1)))

    async def take_async(self, *, timeout: float | None = None) -> Loan[_Object]:
        """Lend an object, and wait in the event loop: ``with await pool.take_async() as x``.

        It waits for ever, or raises PoolExhausted after ``timeout`` seconds. Tasks and threads wait
        in the same queue. A cancelled task loses no object.
        """
        try:
            permit = await self._places.acquire_async(timeout=timeout)
        except PoolExhausted:
            raise PoolExhausted(f"{self._all_out()}: {self._advice(timeout)}") from None
        except PoolClosed:
            raise self._is_closed() from None
        return self._lend(permit, namespace_of(sys._getframe(1)))

    def _lend(self, permit: _Permit, namespace: int) -> Loan[_Object]:
        try:
            item = self._pop_idle()
            if item is not None and not item.begin(namespace):
                self._kept.add()
                item = None
            if item is None:
                item = Item(self._factory, self._last_in)
                self._built.add()
            return Loan(self, item, permit)
        except BaseException:
            permit.release()
            raise

    def _pop_idle(self) -> Item[_Object] | None:
        """The idle object that was returned last, or None."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _take_back(self, item: Item[_Object], permit: _Permit, namespace: int | None) -> None:
        try:
            if not self._restored(item.holder[0]):
                self._dropped.add()
            elif not item.end(namespace):
                self._kept.add()
            else:
                self._idle.append(item)
                if self.closed:
                    self._idle.clear()
        except BaseException:
            self._dropped.add()
            raise
        finally:
            permit.release()

    def _restored(self, one: _Object) -> bool:
        """Bring the object back to the state in which it is lent, and say whether this worked."""
        if self._reset is not None:
            self._reset(one)
        return True

    def _all_out(self) -> str:
        if self.size == 1:
            return f"{self.title}: its only object is taken"
        return f"{self.title}: all {self.size} objects are taken"

    def _advice(self, timeout: float | None) -> str:
        one, none = ("it", "it was not") if self.size == 1 else ("one", "none was")
        if timeout == 0:
            return f"return {one}, or wait with take(timeout=...)"
        return f"{none} returned within {timeout} second{'s' * (timeout != 1)}"

    def _is_closed(self) -> PoolClosed:
        return PoolClosed(f"{self.title} is closed and takes no more requests")

    def trim(self) -> int:
        """Drop the idle objects, and return their number."""
        count = 0
        while self._pop_idle() is not None:
            count += 1
        return count

    def stats(self) -> ObjectStats:
        """The pool's figures at this moment."""
        places = self._places.stats()
        return ObjectStats(
            size=self.size,
            taken=places.blocks,
            idle=len(self._idle),
            peak=places.peak // 8,
            takes=places.total_blocks,
            built=operator.index(self._built),
            waits=places.waits,
            failures=places.failures,
            kept=operator.index(self._kept),
            dropped=operator.index(self._dropped),
        )

    def summary(self) -> str:
        """The pool's figures as a table to print. Programs use ``stats()``."""
        from numpool import _summary

        return _summary.text_of(self)

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        from numpool import _summary

        return _summary.html_of(self)

    def check(self) -> None:
        """Check the whole pool, and raise a PoolError that says what is broken, if anything is."""
        self._places.check()

    def close(self) -> None:
        """Take no more requests: new and waiting requests raise PoolClosed.

        Idle objects are dropped now, and lent objects when they come back. A second close does
        nothing.
        """
        self._places.close()
        self._idle.clear()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self.title} cannot be pickled or copied: a pool belongs to its process")

    def __enter__(self) -> ObjectPool[_Object]:
        """The pool itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the pool."""
        self.close()

    def __repr__(self) -> str:
        stats = self.stats()
        if self.closed:
            out = f", {stats.taken} still taken" if stats.taken else ""
            return f"<{self.title}: closed{out}>"
        return f"<{self.title}: {stats.taken} of {stats.size} taken, {stats.idle} idle>"
