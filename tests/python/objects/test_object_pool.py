"""ObjectPool: objects that are built once and lent many times."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import pickle
import threading
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


def test_an_object_that_comes_back_is_reset(things: numpool.ObjectPool[Any]) -> None:
    with things.take() as thing:
        thing.marks.append(1)
    assert thing.marks == []
    with things.take() as again:
        assert again is thing
        assert again.marks == []


def test_at_most_size_objects_are_lent(things: numpool.ObjectPool[Any]) -> None:
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


def test_a_summary_is_a_table_to_print(things: numpool.ObjectPool[Any]) -> None:
    with things.take():
        assert things.summary().splitlines() == [
            "ObjectPool 'things'",
            "  lent             1 of at most 3 objects",
            "  peak lent        1",
            "  idle             0",
            "  loans so far     1",
            "  built            1",
            "  not lent again   0 still in use, 0 not restored",
            "  waited, refused  0, 0",
        ]
    html = things._repr_html_()
    assert html.startswith("<b>ObjectPool &#x27;things&#x27;</b>\n<table>")
    assert "<tr><th>idle</th><td>1</td></tr>" in html


def test_one_object_is_not_counted_in_an_error() -> None:
    pool: numpool.ObjectPool[list[int]] = numpool.ObjectPool(list, size=1, name="one")
    loan = pool.take()
    with pytest.raises(numpool.PoolExhausted) as caught:
        pool.take()
    advice = "return it, or wait with take(timeout=...)"
    assert str(caught.value) == f"ObjectPool 'one': its only object is taken: {advice}"
    with pytest.raises(numpool.PoolExhausted, match=r"taken: it was not returned within 0\.01 sec"):
        pool.take(timeout=0.01)
    loan.release()


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_pool_of_objects_cannot_be_pickled_and_the_error_names_it(
    things: numpool.ObjectPool[Any], copying: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match="ObjectPool 'things' cannot be pickled or copied: a pool"):
        copying(things)
    with pytest.raises(TypeError, match=r"^ArrayPool cannot be pickled"):
        copying(numpool.ArrayPool(3, size=1))
    loan = things.take()
    with pytest.raises(TypeError, match="a loan from ObjectPool 'things' cannot be pickled"):
        copying(loan)
    loan.release()


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
        errors.append(raised.value)  # The error keeps its frames alive.
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
    assert repr(things) == "<ObjectPool 'things': closed, 1 still taken>"
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
    with numpool.ObjectPool(list[int], size=1) as pool:
        pass
    assert pool.closed


def test_trim_lets_idle_objects_go(things: numpool.ObjectPool[Any]) -> None:
    loans = [things.take() for _ in range(3)]
    for loan in loans[1:]:
        loan.release()
    assert things.trim() == 2
    assert things.trim() == 0
    loans[0].release()
    assert things.stats().idle == 1
    assert things.stats().built == 3


def test_stats_show_the_history(things: numpool.ObjectPool[Any]) -> None:
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


def test_exit_stacks_return_their_loans(things: numpool.ObjectPool[Any]) -> None:
    with contextlib.ExitStack() as stack:
        thing = stack.enter_context(things.take())
        thing.marks.append(1)
    assert things.stats().idle == 1
