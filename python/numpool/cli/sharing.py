"""``numpool run --share`` inside the program: which of its messages carry copies in shared memory.

Only messages that one process of this machine receives do: those of multiprocessing's queues and
unnamed pipes, the arguments of its processes, and those of loky's queues. Ordinary pickling, and
connections that another machine may be at, stay as they are.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import stat
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from numpool import _copies
from numpool._copies import Array, CopyingPickler, PoolReference, Sent

WhenImported = Callable[[Iterable[str], Callable[[], None]], None]

STARTUP = str(Path(__file__).parent / "startup" / "sitecustomize.py")
LOKY = ("loky.backend", "joblib.externals.loky.backend")

_begun = False


def begin(
    when_imported: WhenImported, capacity: int, wipe: bool, parent: PoolReference | None = None
) -> None:
    """Send copies from now on. The program has imported NumPy and multiprocessing."""
    global _begun
    if _begun:
        return
    _begun = True
    _copies.begin(capacity, wipe=wipe, parent=parent)
    # A pool that exists before a fork is the child's pool, too.
    os.register_at_fork(before=_copies.pool)
    extend_multiprocessing()
    for name in LOKY:
        when_imported([f"{name}.queues"], partial(extend_loky, name))


def extend_multiprocessing() -> None:
    """Let multiprocessing's queues, pipes and processes send copies."""
    from multiprocessing import connection, popen_forkserver, popen_spawn_posix, queues, spawn

    connection.Connection.send = send  # type: ignore[method-assign]
    queues._ForkingPickler = CopyingPickler  # type: ignore[attr-defined]
    for module in (popen_spawn_posix, popen_forkserver):
        module.reduction = SimpleNamespace(dump=dump)  # type: ignore[attr-defined]
    extend_preparation(spawn)


def extend_loky(name: str) -> None:
    """Let loky's queues send copies; `name` is where its modules are."""
    import importlib

    queues = importlib.import_module(f"{name}.queues")
    reduction = importlib.import_module(f"{name}.reduction")
    queues.dumps = partial(dumps_of_loky, reduction)  # type: ignore[attr-defined]
    extend_preparation(importlib.import_module(f"{name}.spawn"))


def send(self: Any, obj: Any) -> None:
    """Send a (picklable) object."""
    self._check_closed()
    self._check_writable()
    buffer = io.BytesIO()
    if not is_local(self):
        ForkingPickler(buffer).dump(obj)
        self._send_bytes(buffer.getbuffer())
        return
    pickler = CopyingPickler(buffer)
    pickler.dump(obj)
    try:
        self._send_bytes(buffer.getbuffer())
    except OSError:  # The other end is closed.
        _copies.take_back(pickler.sent)
        raise


def is_local(connection: Any) -> bool:
    """Whether this is a pipe or an unnamed pair of sockets, as Pipe() makes them."""
    known = connection.__dict__.get("_numpool_is_local")
    if known is None:
        known = connection._numpool_is_local = descriptor_is_local(connection.fileno())
    return bool(known)


def descriptor_is_local(descriptor: int) -> bool:
    """Whether this descriptor is a pipe, or one of an unnamed pair of sockets."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISSOCK(mode):
        return stat.S_ISFIFO(mode)
    with socket.socket(fileno=os.dup(descriptor)) as one:
        return one.family == socket.AF_UNIX and not one.getsockname() and not one.getpeername()


def dump(obj: Any, file: Any, protocol: int | None = None) -> None:
    """Pickle for a new process."""
    CopyingPickler(file, protocol).dump(obj)


def dumps_of_loky(
    reduction: ModuleType, obj: Any, reducers: Any = None, protocol: int | None = None
) -> memoryview:
    """Pickle for one of loky's queues."""
    sent: Sent = []
    reducers = {**reduction._dispatch_table, **(reducers or {})}
    by_default = reduction.get_loky_pickler_name() == "cloudpickle"
    version = pickle.HIGHEST_PROTOCOL if by_default else pickle.DEFAULT_PROTOCOL
    reducers[np.ndarray] = partial(reduce_for_loky, reducers.get(np.ndarray), version, sent)
    buffer = io.BytesIO()
    try:
        reduction.dump(obj, buffer, reducers=reducers, protocol=protocol)
    except BaseException:
        _copies.take_back(sent)
        raise
    return buffer.getbuffer()


def reduce_for_loky(
    before: Callable[[Array], Any] | None, version: int, sent: Sent, array: Array
) -> Any:
    """A copy, unless joblib maps a file for this array."""
    most = getattr(before, "_max_nbytes", None)
    if not is_mapped(array) and (most is None or array.nbytes <= most):
        # joblib's own reducers pickle with the newest protocol.
        protocol = version if before is None else pickle.HIGHEST_PROTOCOL
        reduced = _copies.reduce_array(array, sent, protocol)
        if reduced is not None:
            return reduced
    return array.__reduce_ex__(version) if before is None else before(array)


def is_mapped(array: Any) -> bool:
    """Whether the array is a view of a file that is mapped."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def extend_preparation(spawn: Any) -> None:
    """Let new processes begin, too: what their parent tells them first says so."""
    before = spawn.get_preparation_data

    def get_preparation_data(*args: Any, **kwargs: Any) -> dict[str, Any]:
        data: dict[str, Any] = before(*args, **kwargs)
        data["numpool"] = BeginInChild()
        return data

    spawn.get_preparation_data = get_preparation_data


class BeginInChild:
    """Unpickled in a new process, it waits there for the import of NumPy."""

    def __reduce__(self) -> Any:
        """Name functions of Python only: NumPy must not be imported yet."""
        state = _copies._state
        arguments = (state.capacity, state.wipe, tuple(_copies.reference() or ()))
        code = "__import__('runpy').run_path(file)['begin_in_child'](*arguments)"
        return eval, (code, {"file": STARTUP, "arguments": arguments})
