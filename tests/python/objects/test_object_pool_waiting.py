"""ObjectPool: many threads and tasks, Ctrl-C, forks and ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import numpool


def test_only_one_of_the_threads_that_release_a_loan_does_it(
    things: numpool.ObjectPool[Any],
) -> None:
    for _ in range(100):
        loan = things.take()
        threads = [threading.Thread(target=loan.release) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert things.stats().idle == 1
    assert things.stats().built == 1


def test_threads_wait_and_are_served_in_their_order(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(3)]
    served: list[int] = []

    def wait(number: int) -> None:
        with things.take(timeout=10):
            served.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while things.stats().waits <= number:
            time.sleep(0.001)
    loans.pop().release()
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3]
    for loan in loans:
        loan.release()
    assert things.stats().built == 3


def test_many_threads_share_few_objects(things: numpool.ObjectPool[Any]) -> None:
    bad = []
    # All threads live until the last is done: another thread may reuse the frame of an ended one.
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        for _ in range(300):
            with things.take(timeout=None) as thing:
                if thing.marks:
                    bad.append(list(thing.marks))
                thing.marks.append(number)
                if number % 3 == 0:
                    time.sleep(0)
                if thing.marks != [number]:
                    bad.append(list(thing.marks))
        together.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
    assert things.stats().takes == 2400
    # Without a GIL, and on a busy machine, a thread may be done before the next one begins.
    assert 1 <= things.stats().built <= 3
    assert things.stats().kept == 0


def test_tasks_share_few_objects(things: numpool.ObjectPool[Any]) -> None:
    async def work(number: int) -> None:
        for _ in range(20):
            with await things.take_async() as thing:
                assert thing.marks == []
                thing.marks.append(number)
                await asyncio.sleep(0)
                assert thing.marks == [number]

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(20)))

    asyncio.run(main())
    assert things.stats().built == 3


def test_a_cancelled_wait_loses_no_place(things: numpool.ObjectPool[Any]) -> None:
    async def main() -> None:
        loans = [things.take() for _ in range(3)]
        waiting = [asyncio.ensure_future(things.take_async()) for _ in range(3)]
        await asyncio.sleep(0)
        for loan in loans:
            loan.release()
        for task in waiting[:2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        (await waiting[2]).release()

    asyncio.run(main())
    gc.collect()
    assert things.stats().taken == 0
    for loan in [things.take() for _ in range(3)]:
        loan.release()


def test_ctrl_c_in_the_factory_and_in_reset_loses_no_place() -> None:
    def interrupt(*_: object) -> list[object]:
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)
        return []

    slow = numpool.ObjectPool(interrupt, size=1)
    with pytest.raises(KeyboardInterrupt):
        slow.take()
    assert slow.stats().taken == 0
    slow = numpool.ObjectPool(list, interrupt, size=1)
    with pytest.raises(KeyboardInterrupt), slow.take():
        pass
    assert slow.stats().taken == 0
    assert slow.stats().idle == 0


def test_ctrl_c_anywhere_loses_no_place() -> None:
    pool: numpool.ObjectPool[list[int]] = numpool.ObjectPool(list, list.clear, size=2)
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    armed = False
    interrupted = 0

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    deadline = time.monotonic() + 1.0
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    try:
        while time.monotonic() < deadline:
            try:
                armed = True
                while True:
                    with pool.take() as one:
                        one.append(1)
            except KeyboardInterrupt:  # noqa: PERF203 - again and again
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert interrupted > 10
    gc.collect()
    pool.check()
    assert pool.stats().taken == 0


def test_close_ends_the_waits(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(3)]
    errors: list[Exception] = []

    def wait() -> None:
        try:
            things.take(timeout=10)
        except numpool.PoolClosed as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while things.stats().waits == 0:
        time.sleep(0.001)
    things.close()
    thread.join()
    assert len(errors) == 1
    for loan in loans:
        loan.release()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_the_pool_for_itself(
    things: numpool.ObjectPool[Any], fork_amid: Callable[..., None]
) -> None:
    def work() -> None:
        with things.take(timeout=None) as thing:
            thing.marks.append(1)

    def act() -> None:
        with things.take() as thing:
            thing.marks.append(2)
        things.stats()
        things.check()

    fork_amid(work, act, children=20)


@pytest.mark.parametrize(
    "ending",
    [
        "loan = pool.take()",
        "with pool.take() as x: pass",
        "c = [pool, pool.take()]; c.append(c)",
        "import atexit; atexit.register(lambda: keep.append(pool.take()))",
        (
            "import threading\n"
            "def work():\n"
            "    while True:\n"
            "        with pool.take(timeout=None) as x: x.append(1)\n"
            "for _ in range(6): threading.Thread(target=work, daemon=True).start()\n"
        ),
    ],
    ids=["loan", "idle", "cycle", "at exit", "daemon threads"],
)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    ends_cleanly(
        f"import numpool\nkeep = []\npool = numpool.ObjectPool(list, list.clear, size=4)\n{ending}"
    )


def test_a_coroutine_waits_for_an_object_until_its_timeout() -> None:
    pool: numpool.ObjectPool[list[int]] = numpool.ObjectPool(list, size=1)

    async def main() -> None:
        with await pool.take_async(timeout=0) as taken:
            assert taken == []
            with pytest.raises(
                numpool.PoolExhausted,
                match=r"^ObjectPool: its only object is taken: it was not returned within 0\.01 s",
            ):
                await pool.take_async(timeout=0.01)

    asyncio.run(main())
    assert pool.stats().taken == 0
