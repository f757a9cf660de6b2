"""``on_soft``: what a budget calls when more than its soft limit comes into use."""

from __future__ import annotations

import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 1 << 20


def mib(count: float) -> Any:
    return np.empty(int(count * MIB), np.uint8)


def soft_budget(on_soft: Callable[[], object], **options: Any) -> numpool.budget:
    return numpool.budget("4MiB", soft="2MiB", on_soft=on_soft, name="load", **options)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_it_is_called_once_for_each_upward_crossing() -> None:
    calls: list[int] = []
    with soft_budget(lambda: calls.append(1)):
        kept = [mib(1), mib(1)]
        assert len(calls) == 0
        for crossing in range(1, 4):
            kept += [mib(0.5), mib(0.5)]
            gc.isenabled()  # a step of Python code
            assert len(calls) == crossing
            del kept[2:]


def test_it_may_free_memory_before_the_limit_is_reached() -> None:
    cache: list[Any] = []
    with soft_budget(cache.clear) as budget:
        for _ in range(20):
            cache += [mib(0.5)]
    assert budget.stats().failures == 0
    assert budget.peak == 2.5 * MIB


def test_it_is_called_in_the_main_thread_where_that_made_the_array() -> None:
    where: list[object] = []
    with soft_budget(lambda: where.append(threading.current_thread())):
        array = mib(3)
    assert where == [threading.main_thread()]
    del array


def test_another_thread_does_not_wait_for_the_main_thread() -> None:
    where: list[object] = []
    called = threading.Event()

    def on_soft() -> None:
        where.append(threading.current_thread())
        called.set()

    def work() -> None:
        array = mib(3)
        assert called.wait(10)
        del array

    with soft_budget(on_soft):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()
    assert called.is_set()
    assert where[0] not in (thread, threading.main_thread())


def test_it_may_make_arrays_in_the_budget() -> None:
    made: list[Any] = []
    with soft_budget(lambda: made.append(mib(0.5))) as budget:
        array = mib(3)
        gc.isenabled()
        assert budget.used_bytes == 3.5 * MIB
    del array, made[:]


def test_an_array_that_grows_crosses_the_limit_too() -> None:
    calls: list[int] = []
    with soft_budget(lambda: calls.append(1)):
        array = mib(1)
        array.resize(3 * MIB, refcheck=False)
        gc.isenabled()
        assert calls == [1]


def test_from_its_error_on_the_soft_limit_holds_until_use_is_below_it() -> None:
    calls: list[int] = []

    def on_soft() -> None:
        calls.append(1)
        raise RuntimeError("enough")

    def fill() -> None:
        with soft_budget(on_soft):
            kept = [mib(2.5)]
            gc.isenabled()
            with pytest.raises(MemoryError):
                mib(0.5)
            kept.clear()
            kept.append(mib(1))
            kept.append(mib(1))
            assert calls == [1]
            kept.append(mib(0.5))
            gc.isenabled()
            assert calls == [1, 1]
            mib(0.5)

    with pytest.raises(MemoryError) as caught:
        fill()
    error: Any = caught.value
    text = "".join(getattr(error, "__notes__", [])) or str(error.__cause__)
    assert (
        "Budget 'load': 524288 bytes (512 KiB) requested, 2.5 MiB of a limit of 4 MiB in use; "
        "since on_soft raised RuntimeError: enough, its soft limit of 2 MiB holds: release arrays"
        in text
    )
    cause = error.__cause__
    if isinstance(cause, numpool.PoolExhausted):  # Python 3.10
        cause = cause.__cause__
    assert isinstance(cause, RuntimeError)
    assert cause.__traceback__ is not None


def test_an_error_that_refused_no_array_is_raised_at_the_end_of_the_block() -> None:
    def on_soft() -> None:
        raise RuntimeError("enough")

    def fail_after(array: Any) -> None:
        raise LookupError

    kept: list[Any] = []
    with pytest.raises(RuntimeError, match="enough"), soft_budget(on_soft):
        kept += [mib(3)]
    with pytest.raises(LookupError), soft_budget(on_soft):
        fail_after(mib(3))


def test_the_error_of_an_outer_budget_refuses_in_an_inner_one() -> None:
    def on_soft() -> None:
        raise RuntimeError("enough")

    def fill() -> None:
        with numpool.budget("4MiB", name="inner"):
            array = mib(3)
            gc.isenabled()
            del array
            again = mib(3)
            gc.isenabled()
            mib(0.5)
            del again

    with pytest.raises(MemoryError) as caught, soft_budget(on_soft):
        fill()
    error: Any = caught.value
    cause = error.__cause__
    assert "enough" in str(cause.__cause__ if isinstance(cause, numpool.PoolExhausted) else cause)


def test_an_interrupt_inside_it_interrupts_the_program() -> None:
    def on_soft() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), soft_budget(on_soft):
        mib(3).fill(0)


def test_a_budget_and_its_function_that_refer_to_each_other_are_collected() -> None:
    class Cache:
        budget: Any = None

        def shrink(self) -> None: ...

    cache = Cache()
    cache.budget = numpool.Budget("4MiB", soft="2MiB", on_soft=cache.shrink)
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None


def test_arrays_alone_do_not_keep_the_function() -> None:
    class Cache:
        def shrink(self) -> None: ...

    cache = Cache()
    with soft_budget(cache.shrink):
        array = mib(3)
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None
    array.resize(MIB, refcheck=False)
    array.resize(3 * MIB, refcheck=False)
    gc.isenabled()


def test_it_is_called_for_use_and_buffers_as_well() -> None:
    calls: list[int] = []
    budget = numpool.Budget(
        "4MiB", soft="2MiB", on_soft=lambda: calls.append(1), source=numpool.SlabPool()
    )
    with numpool.use(budget):
        array = mib(3)
    assert calls == [1]
    del array
    buffer = budget.acquire("3MiB")
    gc.isenabled()
    assert calls == [1, 1]
    buffer.release()


def test_many_budgets_may_cross_at_once() -> None:
    calls: list[int] = []
    budgets = [
        numpool.Budget(
            "4MiB", soft=100, on_soft=lambda: calls.append(1), source=numpool.default_pool()
        )
        for _ in range(100)
    ]
    kept = [budget.acquire(1000) for budget in budgets]
    wait_for(lambda: len(calls) == 100)
    del kept


def test_threads_cross_while_others_free() -> None:
    calls: list[int] = []
    budget = numpool.Budget(
        "64MiB", soft="1MiB", on_soft=lambda: calls.append(1), source=numpool.SlabPool()
    )

    def work() -> None:
        with numpool.use(budget):
            for _ in range(300):
                mib(1.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: calls)
    assert budget.used_bytes == 0


AT_EXIT = """
import contextvars, numpy as np, numpool, threading
def work():
    for _ in range(1000):
        np.empty(3 << 20, "u1")
with numpool.budget("4MiB", soft="2MiB", on_soft=list):
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
print("end")
"""


def test_a_program_may_end_while_threads_cross(printed_by: Any) -> None:
    for _ in range(5):
        assert printed_by(AT_EXIT) == "end\n"
