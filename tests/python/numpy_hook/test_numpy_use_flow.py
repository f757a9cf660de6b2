"""`use` in nested blocks, functions, generators, threads, tasks and other contexts."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numpool

THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))


def here() -> str | None:
    """The name of the pool that owns the data of a new array."""
    pool = numpool.pool_of(np.empty(10))
    return None if pool is None else pool.name


def test_blocks_nest_and_restore(pool: numpool.FixedPool, other: numpool.FixedPool) -> None:
    with numpool.use(pool):
        with numpool.use(other):
            assert here() == "other"
            with numpool.use(pool):
                assert here() == "test"
            assert here() == "other"
        assert here() == "test"
    assert here() is None


def test_one_object_can_be_entered_within_itself(pool: numpool.FixedPool) -> None:
    use = numpool.use(pool)
    with use:
        with use:
            assert here() == "test"
        assert here() == "test"
    assert here() is None


def test_an_exception_restores(pool: numpool.FixedPool) -> None:
    with pytest.raises(KeyError, match="passes"), numpool.use(pool):
        raise KeyError("passes")
    assert here() is None


def test_a_decorated_function_allocates_from_the_pool(pool: numpool.FixedPool) -> None:
    @numpool.use(pool)
    def work(count: int, *, deep: bool = False) -> str | None:
        """What it does."""
        return work(count) if deep else here()

    assert work(3) == "test"
    assert work(3, deep=True) == "test"
    assert work.__name__ == "work"
    assert work.__doc__ == "What it does."
    assert here() is None


def test_a_decorated_coroutine_function_allocates_from_the_pool(pool: numpool.FixedPool) -> None:
    @numpool.use(pool)
    async def work() -> str | None:
        await asyncio.sleep(0)
        return here()

    async def main() -> list[str | None]:
        return [await work(), here(), *await asyncio.gather(work(), work()), here()]

    assert asyncio.run(main()) == ["test", None, "test", "test", None]


def test_a_decorated_generator_holds_only_while_it_runs(pool: numpool.FixedPool) -> None:
    closed: list[str | None] = []

    @numpool.use(pool)
    def work() -> Generator[str | None, str, str]:
        try:
            sent = yield here()
            try:
                yield sent
            except KeyError:
                yield here()
            return "the end"
        finally:
            closed.append(here())

    generator = work()
    assert next(generator) == "test"
    assert here() is None
    assert generator.send("sent") == "sent"
    assert generator.throw(KeyError("thrown")) == "test"
    with pytest.raises(StopIteration, match="the end"):
        next(generator)
    assert closed == ["test"]
    generator = work()
    next(generator)
    generator.close()
    assert closed == ["test", "test"]
    assert here() is None


def test_a_decorated_asynchronous_generator_holds_only_while_it_runs(
    pool: numpool.FixedPool,
) -> None:
    closed: list[str | None] = []

    @numpool.use(pool)
    async def work() -> AsyncIterator[str | None]:
        try:
            yield here()
            await asyncio.sleep(0)
            try:
                yield here()
            except KeyError:
                yield "caught"
        finally:
            closed.append(here())

    async def main() -> None:
        seen = []
        async for item in work():
            seen += [item, here()]
        assert seen == ["test", None, "test", None]
        generator: Any = work()
        await generator.asend(None)
        await generator.asend(None)
        assert await generator.athrow(KeyError("thrown")) == "caught"
        await generator.aclose()
        assert here() is None

    asyncio.run(main())
    assert closed == ["test", "test"]


def test_only_functions_can_be_decorated(pool: numpool.FixedPool) -> None:
    with pytest.raises(TypeError, match=r"use\(<FixedPool 'test'.* decorates functions, not 3"):
        numpool.use(pool)(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="decorates functions, not <class 'int'>"):
        numpool.use(pool)(int)


def test_blocks_that_end_out_of_order_restore_the_right_pool(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    def leaking() -> Iterator[None]:
        with numpool.use(other):
            yield

    outer = numpool.use(pool)
    outer.__enter__()
    generator = leaking()
    next(generator)
    assert here() == "other"
    with pytest.warns(RuntimeWarning, match="before one that began after it"):
        outer.__exit__()
    # The generator is still in its block, so this context is, too.
    assert here() == "other"
    next(generator, None)
    assert here() is None


def test_a_block_that_ends_in_another_context_says_so(pool: numpool.FixedPool) -> None:
    def leaking() -> Iterator[None]:
        with numpool.use(pool):
            yield

    generator = leaking()
    contextvars.copy_context().run(next, generator)
    with pytest.raises(RuntimeError, match="ends in another thread or task than it began in"):
        next(generator, None)
    assert here() is None


def test_a_block_entered_by_a_parent_cannot_be_ended_by_its_task(pool: numpool.FixedPool) -> None:
    use = numpool.use(pool)
    with use:
        with pytest.raises(RuntimeError, match="ends in another thread or task"):
            contextvars.copy_context().run(use.__exit__)
        assert here() == "test"
    assert here() is None


def test_threads_begin_with_the_allocator_of_the_process(pool: numpool.FixedPool) -> None:
    inherited = "test" if THREADS_INHERIT else None
    with numpool.use(pool), ThreadPoolExecutor(2) as executor:
        assert executor.submit(here).result() == inherited


def test_threads_have_blocks_of_their_own(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    barrier = threading.Barrier(2)

    def work(mine: numpool.FixedPool) -> list[str | None]:
        with numpool.use(mine):
            barrier.wait(10)
            seen = [here()]
            barrier.wait(10)
        return [*seen, here()]

    with ThreadPoolExecutor(2) as executor:
        results = executor.map(work, [pool, other])
        assert list(results) == [["test", None], ["other", None]]


def test_tasks_inherit_and_do_not_disturb_each_other(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    async def work(mine: numpool.FixedPool) -> list[str | None]:
        seen = [here()]
        with numpool.use(mine):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(here())
        return seen

    async def main() -> None:
        with numpool.use(pool):
            tasks = [asyncio.create_task(work(mine)) for mine in (other, pool)]
            assert await asyncio.to_thread(here) == "test"
        assert await tasks[0] == ["test", "other", "other", "other"]
        assert await tasks[1] == ["test"] * 4
        assert here() is None

    asyncio.run(main())


def test_use_takes_precedence_over_an_installed_pool(
    pool: numpool.FixedPool, other: numpool.FixedPool
) -> None:
    numpool.install(other)
    with numpool.use(pool):
        assert here() == "test"
        assert numpool.current() is pool
    assert here() == "other"
