"""ObjectPool: built once, lent again and again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import numpool


def test_an_object_is_built_when_it_is_first_needed_and_never_again(
    things: numpool.ObjectPool[Any],
) -> None:
    assert things.stats().built == 0
    seen = set()
    for _ in range(100):
        with things.take() as thing:
            seen.add(id(thing))
    assert type(thing).built == 1
    assert len(seen) == 1
    assert things.stats().built == 1
    assert things.stats().takes == 100


def test_what_comes_back_is_reset(things: numpool.ObjectPool[Any]) -> None:
    with things.take() as thing:
        thing.marks.append(1)
    assert thing.marks == []
    with things.take() as again:
        assert again is thing
        assert again.marks == []


def test_no_more_objects_are_out_than_the_size(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(3)]
    assert len({id(loan.object) for loan in loans}) == 3
    assert things.try_take() is None
    with pytest.raises(
        numpool.PoolExhausted,
        match=r"ObjectPool 'things': all 3 objects are taken: return one, or wait with take\(",
    ):
        things.take()
    with pytest.raises(MemoryError, match=r"taken: none was returned within 0\.01"):
        things.take(timeout=0.01)
    loans.pop().release()
    loan = things.try_take()
    assert loan is not None
    loan.release()
    for one in loans:
        one.release()
    assert things.stats().built == 3


def test_the_object_returned_last_is_lent_first(things: numpool.ObjectPool[Any]) -> None:
    first, second = things.take(), things.take()
    last = id(second.object)
    first.release()
    second.release()
    with things.take() as thing:
        assert id(thing) == last


def test_a_loan_can_be_released_elsewhere_and_once(things: numpool.ObjectPool[Any]) -> None:
    loan = things.take()
    loan.object.marks.append(1)
    assert repr(loan).startswith("<numpool.Loan of <")
    assert repr(loan).endswith("> from ObjectPool 'things'>")
    thread = threading.Thread(target=loan.release)
    thread.start()
    thread.join()
    loan.release()
    assert loan.returned
    assert repr(loan) == "<numpool.Loan, returned from ObjectPool 'things'>"
    uses: list[Callable[[], object]] = [lambda: loan.object, loan.__enter__]
    for use in uses:
        with pytest.raises(ValueError, match="this loan was returned: take another one"):
            use()
    assert things.stats().idle == 1


def test_of_threads_that_release_one_loan_exactly_one_does(
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


def test_a_dropped_loan_gives_its_place_back_and_its_object_is_not_lent_again(
    things: numpool.ObjectPool[Any],
) -> None:
    for _ in range(5):
        things.take().object.marks.append("dirty")
    gc.collect()
    assert things.stats().taken == 0
    assert things.stats().built == 5
    with things.take() as thing:
        assert thing.marks == []


def keep_itself(thing: Any, kept: list[object]) -> None:
    kept.append(thing)


def keep_a_method(thing: Any, kept: list[object]) -> None:
    kept.append(thing.__repr__)


def keep_in_a_closure(thing: Any, kept: list[object]) -> None:
    kept.append(lambda: thing)


def keep_in_an_exception(thing: Any, kept: list[object]) -> None:
    try:
        raise LookupError
    except LookupError as error:
        kept.append(error)


@pytest.mark.parametrize(
    "keep",
    [keep_itself, keep_a_method, keep_in_a_closure, keep_in_an_exception],
    ids=lambda keep: keep.__name__,
)
def test_an_object_that_somebody_kept_is_not_lent_again(
    things: numpool.ObjectPool[Any], keep: Callable[[Any, list[object]], None]
) -> None:
    kept: list[object] = []
    with things.take() as thing:
        keep(thing, kept)
    assert things.stats().kept == 1
    assert things.stats().idle == 0
    with things.take() as other:
        assert other is not thing
    assert things.stats().built == 2


def test_an_object_released_by_hand_may_have_no_name_left(
    things: numpool.ObjectPool[Any],
) -> None:
    loan = things.take()
    thing = loan.object
    loan.release()
    assert things.stats().kept == 1
    loan = things.take()
    assert loan.object is not thing
    loan.release()
    assert things.stats().idle == 1


def test_a_second_name_given_after_the_block_is_seen_when_the_object_is_wanted(
    things: numpool.ObjectPool[Any],
) -> None:
    with things.take() as thing:
        pass
    also = [thing]
    with things.take() as other:
        assert other is not also[0]
    assert things.stats().kept == 1


def test_what_is_kept_in_a_later_round_of_a_loop_is_seen(
    things: numpool.ObjectPool[Any],
) -> None:
    kept: list[Any] = []
    for number in range(6):
        with things.take() as thing:
            assert all(thing is not one for one in kept)
            if number % 2:
                kept.append(thing)
    assert things.stats().kept == 3
    assert things.stats().built == 3


def elsewhere(things: numpool.ObjectPool[Any]) -> Generator[None]:
    """A frame that a block has left its name in."""
    with things.take() as thing:
        pass
    yield
    del thing


def test_a_name_that_moved_on_is_not_confused_with_one_in_another_frame(
    things: numpool.ObjectPool[Any],
) -> None:
    aside = things.take()
    other_frame = elsewhere(things)
    next(other_frame)
    with things.take() as thing:
        first = id(thing)
    aside.release()
    with things.take() as thing:
        assert id(thing) != first
    aside = things.take()
    with things.take() as thing:
        assert id(thing) == first
    aside.release()
    assert (things.stats().built, things.stats().kept) == (2, 0)
    other_frame.close()


def test_what_is_kept_after_a_name_in_another_frame_went_is_seen(
    things: numpool.ObjectPool[Any],
) -> None:
    other_frame = elsewhere(things)
    next(other_frame)
    kept = []
    for round in range(2):
        with things.take() as thing:
            if round == 1:
                kept.append(thing)
        other_frame.close()
    with things.take() as thing:
        assert thing is not kept[0]
    assert things.stats().kept == 1


def test_a_function_that_is_called_again_and_again_is_lent_the_same_object(
    things: numpool.ObjectPool[Any],
) -> None:
    def work() -> int:
        with things.take() as thing:
            return id(thing)

    assert len({work() for _ in range(10)}) == 1
    assert things.stats().kept == 0


def test_an_object_that_refers_to_itself_is_lent_again() -> None:
    class Knot:
        def __init__(self) -> None:
            self.me = self
            self.callbacks = {"do": self.do}

        def do(self) -> None:
            pass

    registry = []

    def build() -> Knot:
        registry.append(Knot())
        return registry[-1]

    pool = numpool.ObjectPool(build, size=1)
    for _ in range(5):
        with pool.take() as knot:
            knot.do()
    assert len(registry) == 1
    with pool.take() as knot:
        registry.append(knot)
    assert pool.stats().kept == 1


def test_an_error_in_the_factory_passes_and_takes_no_place() -> None:
    attempts = 0

    def build() -> object:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise LookupError(f"attempt {attempts}")
        return [attempts]

    pool = numpool.ObjectPool(build, size=1)
    errors = []
    for attempt in (1, 2):
        with pytest.raises(LookupError, match=f"attempt {attempt}") as raised:
            pool.take()
        errors.append(raised.value)  # Its frames live on.
        assert pool.stats().taken == 0
    with pool.take() as built:
        assert built == [3]


def test_an_error_in_reset_passes_and_drops_the_object() -> None:
    def reset(one: list[int]) -> None:
        if one:
            raise LookupError(f"reset of {one}")

    pool = numpool.ObjectPool(list, reset, size=1)
    errors = []
    for number in (1, 2):
        loan = pool.take()
        assert loan.object == []
        loan.object.append(number)
        with pytest.raises(LookupError, match=rf"reset of \[{number}\]") as raised:
            loan.release()
        errors.append(raised.value)
        assert pool.stats().taken == 0
    assert pool.stats().dropped == 2
    assert pool.stats().built == 2
    pool.take().release()


def test_an_error_in_the_block_passes_and_the_object_comes_back(
    things: numpool.ObjectPool[Any],
) -> None:
    with pytest.raises(LookupError), things.take() as thing:  # noqa: PT012 - the block is meant
        thing.marks.append(1)
        raise LookupError
    assert things.stats().taken == 0
    assert thing.marks == []


def test_a_factory_may_use_the_pool_itself() -> None:
    def build() -> object:
        if pool.stats().taken < 3:
            with pool.take():
                pass
        return []

    pool = numpool.ObjectPool(build, size=4)
    with pool.take():
        pass
    pool.check()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((3,), {"size": 1}, TypeError, "factory must be callable, not int"),
        ((list, 3), {"size": 1}, TypeError, "reset must be callable with an object, not int"),
        ((list,), {"size": 0}, ValueError, "size is 0: a pool needs at least 1 object"),
        ((list,), {"size": 1.5}, TypeError, "float"),
        ((list,), {"size": 1, "name": 7}, TypeError, "name must be a str, not int"),
        ((list,), {}, TypeError, "size"),
    ],
)
def test_bad_arguments_are_named(
    arguments: Any, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        numpool.ObjectPool(*arguments, **options)


def test_a_bad_timeout_is_named(things: numpool.ObjectPool[Any]) -> None:
    with pytest.raises(ValueError, match="timeout is -1"):
        things.take(timeout=-1)


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

    def work(number: int) -> None:
        for _ in range(300):
            with things.take(timeout=None) as thing:
                if thing.marks:
                    bad.append(list(thing.marks))
                thing.marks.append(number)
                if number % 3 == 0:
                    time.sleep(0)
                if thing.marks != [number]:
                    bad.append(list(thing.marks))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
    assert things.stats().takes == 2400
    assert things.stats().built == 3
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


def test_a_closed_pool_lends_nothing_and_lets_its_objects_go(
    things: numpool.ObjectPool[Any],
) -> None:
    with things.take() as thing:
        pass
    idle = weakref.ref(thing)
    del thing
    loan = things.take()
    out = weakref.ref(loan.object)
    other = things.take()
    other.release()
    assert repr(things) == "<ObjectPool 'things': 1 of 3 taken, 1 idle>"
    things.close()
    things.close()
    assert things.closed
    assert repr(things) == "<ObjectPool 'things': closed, 1 still out>"
    for use in (things.take, things.try_take, lambda: things.take(timeout=1)):
        with pytest.raises(numpool.PoolClosed, match="ObjectPool 'things' is closed and takes no"):
            use()
    with pytest.raises(numpool.PoolClosed, match="ObjectPool 'things' is closed"):
        asyncio.run(things.take_async())
    assert idle() is out()
    loan.release()
    gc.collect()
    assert out() is None
    assert repr(things) == "<ObjectPool 'things': closed>"
    with numpool.ObjectPool(list, size=1) as pool:
        pass
    assert pool.closed


def test_those_who_wait_are_told_of_the_end(things: numpool.ObjectPool[Any]) -> None:
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


def test_trim_lets_idle_objects_go(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(3)]
    for loan in loans[1:]:
        loan.release()
    assert things.trim() == 2
    assert things.trim() == 0
    loans[0].release()
    assert things.stats().idle == 1
    assert things.stats().built == 3


def test_stats_tell_the_history(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(2)]
    loans[0].release()
    assert things.stats() == numpool.ObjectStats(
        size=3,
        taken=1,
        idle=1,
        peak=2,
        takes=2,
        built=2,
        waits=0,
        failures=0,
        kept=0,
        dropped=0,
    )
    loans[1].release()


def test_a_pool_that_only_its_objects_can_reach_is_collected() -> None:
    class Owner:
        pool: numpool.ObjectPool[list[object]]

    owner = Owner()
    things: list[object] = [owner]
    owner.pool = numpool.ObjectPool(things.copy, size=1)
    with owner.pool.take():
        pass
    loan = owner.pool.take()
    loan.object.append(loan)
    gone = weakref.ref(owner)
    del owner, loan, things
    gc.collect()
    assert gone() is None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_the_pool_for_itself(things: numpool.ObjectPool[Any]) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with things.take(timeout=None) as thing:
                thing.marks.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            status = 1
            try:
                with things.take() as thing:
                    thing.marks.append(2)
                things.stats()
                things.check()
                status = 0
            finally:
                os._exit(status)
        statuses.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 20


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


def test_exit_stacks_return_their_loans(things: numpool.ObjectPool[Any]) -> None:
    with contextlib.ExitStack() as stack:
        thing = stack.enter_context(things.take())
        thing.marks.append(1)
    assert things.stats().idle == 1
