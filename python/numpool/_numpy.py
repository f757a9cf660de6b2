"""NumPy's data allocator: for a context, or for the whole process."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Literal, TypeAlias, TypeVar, cast

from numpool import _core
from numpool._core import Pool

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Fallback: TypeAlias = Pool | Literal["default"] | None


class use(_core._Context):
    """NumPy allocates the data of new arrays from this pool: in a ``with`` block or a function.

    It is a context manager and a decorator of functions, coroutine functions, generator functions
    and asynchronous generator functions; one object can be used often, nested, and by several
    threads. Arrays stay good after its end, and whatever becomes of the pool.

    What the pool can't serve comes from ``fallback``. "default" is the default pool, for what the
    pool can't serve by its kind: its blocks are too small, all of them are in use, or it is closed.
    What a limit or the system refuses is a MemoryError then. A pool serves all that the first one
    refuses; with None nothing does.

    It holds for a context: for this thread and what it calls, or for this asyncio task and tasks
    that it starts meanwhile. Threads begin with the process's allocator (on CPython built without
    the GIL, from 3.14 on, they inherit their starter's). See ``install`` for the whole process.

    A generator runs in the context of whoever advances it. So a ``with`` block in one that is left
    by ``yield`` holds for the caller, too, until the generator goes on: what a
    ``contextlib.contextmanager`` wants, and few others do. As a decorator it holds while the
    generator runs, and not in between. Blocks that end in another order than they began restore
    what they must, with a RuntimeWarning; one that ends in another thread or task raises
    RuntimeError.
    """

    def __init__(self, pool: Pool, *, fallback: _Fallback = "default") -> None:
        self._fallback = fallback  # Its object lives as long as it may be asked.
        super().__init__(pool, fallback)

    def __call__(self, function: _Function) -> _Function:
        """Decorate: NumPy allocates from the pool while the function runs."""
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
                    except BaseException as error:  # noqa: BLE001 - thrown on into the generator
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
                    except BaseException as error:  # noqa: BLE001 - thrown on into the generator
                        argument, resume = error, generator.athrow
            finally:
                with self:
                    await generator.aclose()

        return run_generator

    def __repr__(self) -> str:
        return f"numpool.use({self._pool!r})"


def install(
    pool: Pool | None = None,
    *,
    fallback: _Fallback = "default",
    tune_malloc: bool = False,
) -> Pool:
    """Let NumPy allocate from this pool in the whole process, and return the pool.

    Threads that already run are included, and executors, tasks, and arrays that libraries make.
    Without a pool it is the default one. For a limit, install a pool that has one:
    ``install(SlabPool(limit="2GiB"))``. What the pool can't serve comes from ``fallback``, as with
    ``use``: what a limit refuses is a MemoryError, unless a pool is named. ``use`` goes on to
    decide for its context. The pool lives as long as the process from now on.

    Of several calls the last one decides. Arrays from before, of any pool or none, are freed by
    those who made them. Another package that took the same place earlier serves again after
    ``uninstall``.

    Where the pool has a limit, ``sys.excepthook`` and ``threading.excepthook`` are wrapped, so that
    an uncaught MemoryError names the pool and its limit, in threads as well.

    ``tune_malloc`` also tells glibc's malloc, process-wide, to keep freed memory for what does not
    pass through NumPy's allocator, like LAPACK's workspaces; ValueError where malloc is another.
    """
    if tune_malloc not in (True, False):
        raise TypeError(f"tune_malloc must be True or False, not {tune_malloc!r}")
    pool = _core.default_pool() if pool is None else pool
    if _core._install(pool, fallback, tune_malloc):
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
    """Let NumPy allocate as before ``install``; nothing happens where no pool is installed.

    Only new arrays are concerned: those of the pool stay good, and are freed to it. What
    ``tune_malloc`` told glibc is taken back, as far as glibc can: its thresholds stay where they
    stop adapting by themselves.
    """
    _core._uninstall()
