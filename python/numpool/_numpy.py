"""NumPy's data allocator: for a context, or for the whole process."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Literal, SupportsIndex, TypeAlias, TypeVar, cast

from numpool import _core
from numpool._core import Pages, Pool, SlabPool

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Fallback: TypeAlias = Pool | Literal["default"] | None


class Decorating:
    """A context manager that is also a decorator of all kinds of functions."""

    __slots__ = ()

    def __enter__(self) -> object:
        raise NotImplementedError

    def __exit__(self, *error: object) -> None:
        raise NotImplementedError

    def __call__(self, function: _Function) -> _Function:
        """Decorate: the block lasts while the function runs."""
        return cast(_Function, self._decorate(function))

    def _decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"{self!r} decorates functions, not {function!r}")
        if inspect.isasyncgenfunction(function):
            return self._decorate_async_generator(function)
        if inspect.isgeneratorfunction(function):
            return self._decorate_generator(function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return run_coroutine

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run

    def _decorate_generator(
        self, function: Callable[..., Generator[Any, Any, Any]]
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def run_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            resume: Callable[[Any], Any] = generator.send
            argument = None
            try:
                while True:
                    with self:
                        try:
                            item = resume(argument)
                        except StopIteration as end:
                            return end.value
                    try:
                        argument = yield item
                        resume = generator.send
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - passed on to the generator
                        argument, resume = error, generator.throw
            finally:
                with self:
                    generator.close()

        return run_generator

    def _decorate_async_generator(
        self, function: Callable[..., AsyncGenerator[Any, Any]]
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        async def run_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            generator = function(*args, **kwargs)
            resume: Callable[[Any], Any] = generator.asend
            argument = None
            try:
                while True:
                    with self:
                        try:
                            item = await resume(argument)
                        except StopAsyncIteration:
                            return
                    try:
                        argument = yield item
                        resume = generator.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - passed on to the generator
                        argument, resume = error, generator.athrow
            finally:
                with self:
                    await generator.aclose()

        return run_generator


class Block(_core._Context, Decorating):
    """A block of code in which NumPy allocates from a pool; also a decorator."""


class use(Block):
    """NumPy allocates the data of new arrays from this pool: in a ``with`` block or a function.

    It is a context manager, and a decorator of functions, coroutine functions, generator functions
    and asynchronous generator functions. One object can be used many times, nested, and by several
    threads. Arrays stay valid after its end, and when the pool is closed or gone.

    ``fallback`` serves requests that the pool refuses. "default" is the default pool, and serves
    only requests that the pool cannot serve by its kind: its blocks are too small, all of them are
    in use, or it is closed. A request beyond a limit, or beyond the system's memory, then raises
    MemoryError. A pool that you name as fallback serves all requests that the first one refuses.
    With None, every refused request raises MemoryError.

    It holds for a context: for this thread and the functions that it calls, or for this asyncio
    task and the tasks that it starts meanwhile. A new thread begins with the process's allocator
    (on free-threaded CPython from 3.14 on, it inherits the pool of the thread that started it).
    ``install`` is for the whole process.

    A generator runs in the context of its caller. So if a generator yields inside a ``with`` block,
    the block holds for the caller, too, until the generator continues. A
    ``contextlib.contextmanager`` needs this, but few other generators do. As a decorator, it holds
    only while the generator runs. Blocks that end in another order than they began restore the
    right pool, and give a RuntimeWarning. A block that ends in another thread or task raises
    RuntimeError.
    """

    def __init__(self, pool: Pool, *, fallback: _Fallback = "default") -> None:
        self._fallback = fallback  # This keeps the fallback's Python object alive.
        super().__init__(pool, fallback)

    def __repr__(self) -> str:
        return f"numpool.use({self._pool!r})"


def install(
    pool: Pool | None = None,
    *,
    fallback: _Fallback = "default",
    tune_malloc: bool = False,
    limit: SupportsIndex | str | None = None,
    spill: str | os.PathLike[str] | Pages | None = None,
    spill_limit: SupportsIndex | str | None = None,
) -> Pool:
    """Make NumPy allocate from this pool in the whole process, and return the pool.

    This includes threads that already run, executors, tasks, and arrays that libraries make.
    Without an argument it installs the default pool. With ``limit`` it installs a new SlabPool with
    this limit, as ``install(SlabPool(limit="2GiB"))`` does. ``fallback`` serves requests that the
    pool refuses, as with ``use``: a request beyond a limit raises MemoryError, unless you name a
    pool. A ``use`` still decides for its context. From now on the pool lives as long as the
    process.

    ``spill`` names a folder on a disk. Arrays of more than 64 KiB that the limit refuses then lie
    in a file there, so a program may need more than the memory that it has. ``spill_limit`` bounds
    the file, and ``spill_pool()`` returns its pool. The file has no name and ends with the process.
    See "Larger than memory" in the documentation.

    If the pool has a limit, ``install`` wraps ``sys.excepthook`` and ``threading.excepthook``, so
    that an uncaught MemoryError names the pool and its limit, in threads as well.

    ``tune_malloc`` also makes glibc's malloc keep freed memory, in the whole process. This helps
    memory that does not pass through NumPy's allocator, like LAPACK's workspaces. It raises
    ValueError if malloc is not glibc's.
    """
    if tune_malloc not in (True, False):
        raise TypeError(f"tune_malloc must be True or False, not {tune_malloc!r}")
    if limit is not None:
        if pool is not None:
            raise ValueError("limit is for a new pool: give it to the pool that you install")
        pool = _core.SlabPool(limit=limit, name="installed")
    pool = _core.default_pool() if pool is None else pool
    if spill is not None:
        from numpool import _spill

        limited = _spill.install(pool, fallback, tune_malloc, spill, spill_limit)
    elif spill_limit is not None:
        raise ValueError("spill_limit bounds the file of spill: name its folder with spill=...")
    else:
        limited = _core._install(pool, fallback, tune_malloc, False)
        _forget_spill()
    if limited:
        import threading

        sys.excepthook = _naming_limit(sys.excepthook, lambda error: error[1])
        threading.excepthook = _naming_limit(threading.excepthook, lambda error: error[0].exc_value)
    return pool


def _naming_limit(hook: Callable[..., Any], error_in: Callable[[Any], Any]) -> Callable[..., Any]:
    """A hook that names the pool and its limit in a MemoryError, and calls this one."""
    if getattr(hook, "__qualname__", "").startswith(_naming_limit.__qualname__):
        return hook

    def name_limit(*arguments: Any) -> None:
        _core._name_refusal(error_in(arguments))
        hook(*arguments)

    return name_limit


def uninstall() -> None:
    """Make NumPy allocate as before ``install``. Without an installed pool it does nothing.

    It affects only new arrays: arrays of the pool stay valid, and go back to the pool. It also
    undoes ``tune_malloc``, except that glibc no longer adapts its thresholds.
    """
    _core._uninstall()
    _forget_spill()


def spill_pool() -> SlabPool | None:
    """Return the pool in a file that serves what the installed pool's limit refuses, or None.

    ``install(spill=...)`` and ``numpool run --spill`` make it. Its ``stats()`` say how much lies in
    the file.
    """
    spill = sys.modules.get("numpool._spill")
    return None if spill is None else spill.serving()


def _forget_spill() -> None:
    spill = sys.modules.get("numpool._spill")
    if spill is not None:
        spill.forget()
