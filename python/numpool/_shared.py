"""Arrays of a SharedPool on their way to other processes.

After this import, multiprocessing sends such arrays as messages that lead to the same memory. All
other arrays, and ordinary pickling, stay as they are.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
import weakref
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numpool import _core
from numpool._core import SharedPool

if TYPE_CHECKING:
    from typing_extensions import Self

_pools: weakref.WeakValueDictionary[bytes, SharedPool] = weakref.WeakValueDictionary()
_pools_lock = threading.RLock()


@dataclass(frozen=True)
class ProcessShare:
    """The blocks of a SharedPool that one process holds.

    pid      the process
    alive    False if it has ended, but its blocks have not gone back yet
    blocks   the number of its blocks; several processes can hold the same block
    bytes    the bytes of these blocks, as rounded
    """

    pid: int
    alive: bool
    blocks: int
    bytes: int


@dataclass(frozen=True)
class _Reference:
    """Where another process finds a pool's memory: in a process that has it open."""

    id: bytes
    name: str
    pid: int
    fd: int


def _reference(pool: SharedPool) -> _Reference:
    with _pools_lock:
        _pools[pool._id] = pool
    return _Reference(pool._id, pool.name, os.getpid(), pool._fd)


def _attach(reference: _Reference, for_copies: bool = False) -> SharedPool:
    """The pool in this process: the one that it has already, or a new one on the same memory.

    With `for_copies`, a process for which the pool has no place can still receive copies.
    """
    with _pools_lock:
        known = _pools.get(reference.id)
        if known is not None and not known.closed:
            return known
        try:
            fd = os.open(f"/proc/{reference.pid}/fd/{reference.fd}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _core.PoolError(
                f"SharedPool {reference.name!r}: its memory can't be reached through process "
                f"{reference.pid}, which sent it ({error.strerror}): it has ended, or belongs to "
                "another user. Pass the pool to this process when it starts, or use "
                "SharedPool.connect()"
            ) from None
        try:
            return _joined(fd, reference.name, reference.id, for_copies)
        finally:
            os.close(fd)


def _joined(fd: int, name: str, id: bytes | None, for_copies: bool) -> SharedPool:
    pool = _core._attach_shared_pool(fd, name, for_copies)
    if id is not None and pool._id != id:
        raise _core.PoolError(
            f"SharedPool {name!r}: the process that sent it has ended, and another has its number. "
            "Pass the pool to this process when it starts"
        )
    with _pools_lock:
        return _pools.setdefault(pool._id, pool)


def _receive(
    reference: _Reference,
    message: tuple[int, int, int],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writeable: bool,
) -> np.ndarray[Any, Any]:
    """The array of a message: a new view of the same memory."""
    pool = _attach(reference)
    owner, address, nbytes = pool._receive(*message, not writeable)
    return _core._array_at(owner, address, nbytes, offset, shape, strides, dtype, writeable)


def _reduce_array(array: np.ndarray[Any, Any]) -> Any:
    pool = _core.owner(array) if array.nbytes and not array.dtype.hasobject else None
    if not isinstance(pool, SharedPool):
        return array.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    index, serial, block, offset = pool._send(array)
    return _receive, (
        _reference(pool),
        (index, serial, block),
        offset,
        array.shape,
        array.strides,
        array.dtype,
        array.flags.writeable,
    )


def _reduce_pool(pool: SharedPool) -> Any:
    return _attach, (_reference(pool),)


ForkingPickler.register(np.ndarray, _reduce_array)
ForkingPickler.register(SharedPool, _reduce_pool)


def share(pool: SharedPool, array: Any) -> np.ndarray[Any, Any]:
    """Copy an array, or an object that NumPy can make an array of, into the pool."""
    source = np.asarray(array)
    if source.dtype.hasobject:
        raise TypeError(
            f"an array of {source.dtype} holds references to Python objects of this process, which "
            "another can't follow: convert it to a dtype of fixed size, or send it without the pool"
        )
    copy = pool.empty(source.shape, source.dtype)
    copy[...] = source
    return copy


def processes(pool: SharedPool) -> list[ProcessShare]:
    """The blocks that each process holds."""
    return [ProcessShare(*one) for one in pool._members()]


def listen(pool: SharedPool, path: str | os.PathLike[str]) -> PoolListener:
    """Listen at this UNIX socket, so that processes of the same user can join the pool."""
    return PoolListener(pool, path)


def connect(path: str | os.PathLike[str], *, name: str = "") -> SharedPool:
    """Join the pool of the process that listens at this UNIX socket."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(str(path))
        except OSError as error:
            raise _core.PoolError(
                f"no SharedPool at {str(path)!r}: {error.strerror}; a process that has the pool "
                "must call pool.listen() with this path"
            ) from None
        said, descriptors, _, _ = socket.recv_fds(caller, 64, 1)
    if not descriptors:
        raise _core.PoolError(
            f"the SharedPool at {str(path)!r} refused: it belongs to another user"
            if said == b"refused"
            else f"what listens at {str(path)!r} is no SharedPool"
        )
    try:
        return _joined(descriptors[0], name or said.decode(), None, False)
    finally:
        os.close(descriptors[0])


class PoolListener:
    """Lets processes that open its socket join a pool, until it is closed.

    It accepts only processes of the same user. It is a context manager. Its end removes the socket.
    """

    def __init__(self, pool: SharedPool, path: str | os.PathLike[str]) -> None:
        self._pool = pool
        self._path = Path(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        except OSError as error:
            self._socket.close()
            raise _core.PoolError(f"can't listen at {str(path)!r}: {error.strerror}") from None
        finally:
            os.umask(mask)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name="numpool-listen", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:  # Closed.
                return
            with caller:
                try:
                    credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                    _, user, _ = struct.unpack("3i", credentials)
                    if user != os.geteuid():
                        caller.sendall(b"refused")
                        continue
                    said = self._pool.name.encode()[:64] or b"SharedPool"
                    socket.send_fds(caller, [said], [self._pool._fd])
                except OSError:  # The caller has ended.
                    continue

    def close(self) -> None:
        """Stop listening, and remove the socket. Processes that joined keep the pool."""
        if self._socket.fileno() < 0:
            return
        self._path.unlink(missing_ok=True)
        # close() alone would not end accept() in the other thread.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Return the listener, which listens already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the listener."""
        self.close()
