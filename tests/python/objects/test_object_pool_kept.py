"""ObjectPool does not lend an object again that is still in use. The name of a block is no use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

import numpool


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


def test_a_second_name_given_after_the_block_is_seen_at_the_next_take(
    things: numpool.ObjectPool[Any],
) -> None:
    with things.take() as thing:
        pass
    also = [thing]
    with things.take() as other:
        assert other is not also[0]
    assert things.stats().kept == 1


def test_an_object_kept_in_a_later_round_of_a_loop_is_seen(
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
    """A frame in which a block has left its name."""
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


def test_an_object_kept_after_a_name_in_another_frame_went_is_seen(
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


def test_what_is_kept_at_a_prompt_is_seen(things: numpool.ObjectPool[Any]) -> None:
    prompt: dict[str, Any] = {"things": things, "sys": sys, "frames": []}

    def enter(line: str) -> None:
        # Each statement has a frame of its own, and all share their names.
        exec(f"with things.take() as thing: {line}; frames.append(sys._getframe())", prompt)

    enter("first = id(thing)")
    enter("assert id(thing) == first; kept = [thing]")
    enter("assert thing is not kept[0]")
    enter("pass")
    assert (things.stats().built, things.stats().kept) == (2, 1)
