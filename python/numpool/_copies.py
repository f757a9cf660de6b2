"""Copies of arrays on their way to other processes, for ``numpool run --share``.

A copy lies in memory that the processes share, so that it needs no pickling and no pipe. The
receiver may write to it: a page that it writes becomes its own. All else is pickled as before.
"""

from __future__ import annotations

import os
import pickle
import threading
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import numpy as np

from numpool import _core, _shared
from numpool._core import SharedPool

Array = np.ndarray[Any, Any]
Sent = list[tuple[SharedPool, int, int, int]]

SMALLEST = 64 << 10
"""Smaller arrays are pickled: that is as fast."""

KINDS = frozenset("biufcSUmMV")
"""The kinds of dtypes whose elements are bytes without references."""


class PoolReference(NamedTuple):
    """A process that has the pool's memory open, under which descriptor, and the pool's id."""

    pid: int
    fd: int
    id: bytes


class _State:
    """How this process sends copies."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.capacity = 0
        self.wipe = False
        self.pool: SharedPool | None = None
        # Without these references, a pool would end with its last array and be joined anew.
        self.joined: dict[bytes, SharedPool] = {}


_state = _State()


def begin(capacity: int, *, wipe: bool, parent: PoolReference | None = None) -> None:
    """From now on this process can send copies: through its parent's pool, or through its own."""
    _state.capacity = capacity
    _state.wipe = wipe
    if parent is not None:
        try:
            _state.pool = join(parent)
        except (_core.PoolError, ValueError):
            return  # Its parent has ended, say. It makes a pool at its first copy.


def pool() -> SharedPool | None:
    """The pool that this process sends through. None if the system refuses one."""
    with _state.lock:
        if _state.pool is None and _state.capacity:
            try:
                _state.pool = SharedPool(_state.capacity, wipe=_state.wipe, name="share")
            except _core.PoolError:
                _state.capacity = 0
                return None
            _state.joined[_state.pool._id] = _state.pool
        return _state.pool


def reference() -> PoolReference | None:
    """What a new process needs to join the pool of this one."""
    mine = pool()
    return None if mine is None else PoolReference(os.getpid(), mine._fd, mine._id)


def figures() -> tuple[int, int]:
    """The arrays that all processes of this pool have sent, and their bytes."""
    return (0, 0) if _state.pool is None else _state.pool._copies()


def join(where: PoolReference) -> SharedPool:
    """The pool in this process. If all its places are taken, it serves for receiving only."""
    with _state.lock:
        known = _state.joined.get(where.id)
        if known is None:
            sender = _shared._Reference(where.id, "share", where.pid, where.fd)
            known = _shared._attach(sender, for_copies=True)
            _state.joined[where.id] = known
        return known


def is_permuted(array: Array) -> bool:
    """Whether the elements are contiguous, but neither in C nor in Fortran order."""
    if array.flags.forc:
        return False
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    return array.transpose(axes).flags.c_contiguous


def reduce_array(array: Array, sent: Sent, protocol: int) -> Any:
    """Send a copy of the array, or return None if it must be pickled.

    The copy arrives as an array that was pickled with this protocol.
    """
    dtype = array.dtype
    if (
        array.nbytes < SMALLEST
        or dtype.kind not in KINDS
        or dtype.hasobject
        or not dtype.isnative  # Pickling may change the order of the bytes.
        or (protocol > 4 and is_permuted(array))
    ):
        return None
    through = pool()
    message = None if through is None else through._send_copy(array)
    if through is None or message is None:
        return None
    index, serial, block, fortran = message
    sent.append((through, index, serial, block))
    where = (os.getpid(), through._fd, through._id)
    # From protocol 5 on, a contiguous array that is pickled read-only stays so.
    writeable = array.flags.writeable or protocol < 5 or not array.flags.forc
    return receive, (where, index, serial, block, array.shape, dtype, fortran, writeable)


def receive(
    where: tuple[int, int, bytes],
    index: int,
    serial: int,
    block: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    fortran: bool,
    writeable: bool,
) -> Array:
    """The array that another process has copied."""
    through = _state.joined.get(where[2]) or join(PoolReference(*where))
    return through._receive_copy(index, serial, block, shape, dtype, fortran, writeable)


def take_back(sent: Sent) -> None:
    """End messages that no process will receive."""
    for through, *message in sent:
        through._take_back(*message)


def _reduce(sent: Sent, protocol: int, array: Array) -> Any:
    owner = _core.owner(array) if array.nbytes else None
    if isinstance(owner, SharedPool) and owner._id not in _state.joined:
        return _shared._reduce_array(array)  # An array of the program's own SharedPool.
    reduced = reduce_array(array, sent, protocol)
    return array.__reduce_ex__(protocol) if reduced is None else reduced


class CopyingPickler(ForkingPickler):
    """The pickler of multiprocessing. It sends large arrays as copies in shared memory.

    What it pickles must be received once, by a process of this machine.
    """

    def __init__(self, file: Any, protocol: int | None = None) -> None:
        super().__init__(file, protocol)
        self.sent: Sent = []
        # A reducer that the program has registered stays.
        if self.dispatch_table.get(np.ndarray, _shared._reduce_array) is _shared._reduce_array:
            version = pickle.DEFAULT_PROTOCOL if protocol is None else protocol
            self.dispatch_table[np.ndarray] = partial(_reduce, self.sent, version)

    def dump(self, obj: Any) -> None:
        """Pickle the object; if that fails, nothing stays in the pool."""
        try:
            super().dump(obj)
        except BaseException:
            take_back(self.sent)
            raise
