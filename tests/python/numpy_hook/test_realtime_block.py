"""How a real-time block lives with threads, tasks, other blocks, forks and the collector."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    assert gc.isenabled()
    yield
    assert gc.isenabled()


def realtime(sizes: Any, **options: Any) -> numpool.realtime:
    """Not locked: this machine may not allow it."""
    return numpool.realtime(sizes, locked="try", **options)


def ones(count: int) -> np.ndarray[Any, Any]:
    """Like np.ones, which makes an array of the number 1, too."""
    array = np.empty(count)
    array.fill(1)
    return array


def test_other_threads_are_not_affected() -> None:
    missed = []

    def work() -> None:
        missed.append(ones(5000).sum())

    with realtime({800: 1}, on_miss="raise") as rt:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        a = ones(100)
        thread = threading.Thread(target=a.sum)
        thread.start()
        thread.join()
    assert missed == [5000]
    assert rt.stats().misses + rt.stats().unwatched_misses == 0


def test_a_thread_may_free_the_arrays_of_the_loop() -> None:
    with realtime({800: 1}) as rt:
        for _ in range(10):
            arrays = [ones(100)]
            thread = threading.Thread(target=arrays.clear)
            thread.start()
            thread.join()
    assert rt.stats().misses == 0


def test_only_the_thread_of_the_block_marks_steps() -> None:
    errors: list[str] = []

    def mark() -> None:
        try:
            with rt.step():
                pass
        except RuntimeError as error:
            errors.append(str(error))

    with realtime({}) as rt:
        thread = threading.Thread(target=mark)
        thread.start()
        thread.join()
    assert errors == ["realtime: only the thread that began the block marks its steps"]


def test_steps_do_not_nest_and_need_the_block() -> None:
    rt = realtime({})
    with pytest.raises(RuntimeError, match="does not run: a step is inside its with block"):
        rt.step()
    inside = pytest.raises(RuntimeError, match="a step begins inside another one")
    with rt, rt.step(), inside, rt.step():
        pass
    with rt:
        step = rt.step()
    with pytest.raises(RuntimeError, match="a step begins only inside the with block"), step:
        pass


def test_blocks_nest_and_the_inner_one_serves() -> None:
    with realtime({800: 1}) as outer:
        with realtime({8000: 1}) as inner:
            a = ones(1000)
            b = ones(1000)
        c = ones(100)
    assert (inner.stats().misses, outer.stats().misses) == (1, 1)
    assert a.sum() + b.sum() + c.sum() == 2100


def test_a_use_inside_the_block_serves_and_is_no_miss(slabs: numpool.SlabPool) -> None:
    with realtime({}) as rt, numpool.use(slabs):
        a = ones(100)
        assert numpool.owner(a) is slabs
    assert rt.stats().misses == 0


def test_what_a_block_misses_comes_from_the_pool_that_served_before(
    slabs: numpool.SlabPool,
) -> None:
    with numpool.use(slabs), realtime({}):
        a = ones(100)
        assert slabs.stats().blocks == 1
    del a
    assert slabs.stats().blocks == 0


def test_a_block_runs_once_at_a_time_and_begins_anew_each_time() -> None:
    rt = realtime({800: 1})
    for _ in range(2):
        with rt:
            with pytest.raises(RuntimeError, match="runs already: end its block first"), rt:
                pass
            with rt.step():
                ones(100)
            assert repr(rt) == "<numpool.realtime: 1 warm blocks, running>"
        assert rt.stats().steps == 1
    with pytest.raises(RuntimeError, match="does not run: its block has ended"):
        rt.__exit__(None, None, None)
    assert repr(rt) == "<numpool.realtime: 1 warm blocks, not running>"


def test_garbage_is_collected_only_where_the_loop_says() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.myself = self

    with realtime({}) as rt:
        assert not gc.isenabled()
        thing = Cycle()
        gone = weakref.ref(thing)
        del thing
        many = [[thing] for thing in range(3000)]
        assert gone() is not None
        assert rt.collect() >= 1
        assert gone() is None
        assert len(many) == 3000
    assert rt.stats().collections == 1


def test_the_collector_is_as_before_after_an_exception() -> None:
    with pytest.raises(KeyError), realtime({}):
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with realtime({}), realtime({}):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_off_until_the_last_block_ends() -> None:
    first, second = realtime({}), realtime({})

    def generate(block: numpool.realtime) -> Iterator[None]:
        with block:
            yield

    one, two = generate(first), generate(second)
    next(one)
    next(two)
    with pytest.warns(RuntimeWarning, match="ends before one that began after it"):
        assert next(one, None) is None
    assert not gc.isenabled()
    assert next(two, None) is None
    assert gc.isenabled()
    assert numpool.current() is None


def test_a_block_in_a_task_holds_for_that_task_and_those_it_starts() -> None:
    async def child() -> int:
        await asyncio.sleep(0)
        return np.empty(1000).nbytes

    async def bystander(done: asyncio.Event) -> None:
        ones(1000)
        await done.wait()

    async def main() -> numpool.realtime:
        done = asyncio.Event()
        task = asyncio.ensure_future(bystander(done))
        with realtime({}) as rt:
            await asyncio.sleep(0)
            assert await asyncio.ensure_future(child()) == 8000
        done.set()
        await task
        return rt

    assert asyncio.run(main()).stats().misses == 1


def test_a_task_that_outlives_the_block_goes_on_without_its_blocks() -> None:
    async def late() -> Any:
        await asyncio.sleep(0.01)
        return ones(100)

    async def main() -> Any:
        with realtime({800: 4}) as rt:
            task = asyncio.ensure_future(late())
            await asyncio.sleep(0)
        array = await task
        assert rt.stats().misses + rt.stats().unwatched_misses == 0
        return array

    assert asyncio.run(main()).sum() == 100


FORKED = """
import os
import numpy as np
import numpool

with numpool.realtime({8000: 2}, locked="try") as rt:
    a = np.zeros(1000)
    with rt.step():
        child = os.fork()
        b = a.copy()
    if child == 0:
        with rt.step():
            c = np.empty(1000)
        os._exit(0 if (a == b).all() and rt.stats().misses == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert rt.stats().misses == 0
"""


def test_a_forked_child_has_a_copy_of_the_block(ends_cleanly: Any) -> None:
    ends_cleanly(FORKED)
