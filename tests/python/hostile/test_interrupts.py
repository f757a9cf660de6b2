"""An exception between any two steps of numpool's Python code, as from a signal handler."""

from __future__ import annotations

import asyncio
import contextlib
import dis
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import numpool

PACKAGE = os.path.dirname(numpool.__file__) + os.sep  # noqa: PTH120 - as frames have it


class Interrupt(BaseException):
    """An exception that no code expects, like KeyboardInterrupt."""


# CPython checks for signals only after these instructions.
LOOKS = re.compile("CALL.*|JUMP_BACKWARD|JUMP_ABSOLUTE|RESUME")


def handler_of(frame: FrameType, place: int) -> int | None:
    """The place where the frame continues if the instruction at this place raises."""
    for entry in dis._parse_exception_table(frame.f_code):  # type: ignore[attr-defined]
        if entry.start <= place < entry.end:
            return int(entry.target)
    return None


class Interrupting:
    """Raises Interrupt at the nth place in numpool's own frames where a signal can raise."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.passed = 0
        self.last: dict[FrameType, int] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "call" or (event == "opcode" and self.may_be_after(frame)):
            if self.passed == self.at:
                sys.settrace(None)
                raise Interrupt
            self.passed += 1
        if event == "opcode":
            self.last[frame] = frame.f_lasti
        return self

    def may_be_after(self, frame: FrameType) -> bool:
        """Whether a signal can be handled between the frame's last instruction and this one."""
        last = self.last.get(frame, 0)
        looks = LOOKS.fullmatch(dis.opname[frame.f_code.co_code[last]])
        # CPython raises at the last instruction, which may have another handler.
        return looks is not None and handler_of(frame, last) == handler_of(frame, frame.f_lasti)

    def run(self, act: Callable[[], object]) -> bool:
        """Whether the act was interrupted."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            act()
        except Interrupt:
            return True
        finally:
            sys.settrace(before)
            self.last.clear()
        return False


at_each_step = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="this CPython has no table of what handles an exception"
)


def interrupted_everywhere(act: Callable[[], object], whole: Callable[[], object]) -> int:
    """Interrupts the act at each of its steps, and checks the pools each time."""
    act()  # This run makes all late imports.
    for at in range(100_000):
        interrupted = Interrupting(at).run(act)
        gc.collect(0)
        whole()
        if not interrupted:
            return at
    raise AssertionError("the act has no end")


def numpy_on_its_own() -> None:
    assert numpool.current() is None


@at_each_step
def test_no_step_of_a_with_block_leaves_numpy_with_the_pool(slabs: numpool.SlabPool) -> None:
    def act() -> None:
        with numpool.use(slabs):
            np.empty(10)

    interrupted_everywhere(act, numpy_on_its_own)


@at_each_step
def test_no_step_of_nested_blocks_leaves_numpy_with_a_pool(
    slabs: numpool.SlabPool, arena: numpool.Arena
) -> None:
    use = numpool.use(slabs)

    def act() -> None:
        with use, numpool.use(arena), use:
            np.empty(10)

    interrupted_everywhere(act, numpy_on_its_own)


@at_each_step
def test_no_step_of_a_decorated_function_leaves_numpy_with_the_pool(
    slabs: numpool.SlabPool,
) -> None:
    @numpool.use(slabs)
    def function() -> None:
        np.empty(10)

    @numpool.use(slabs)
    def generator() -> Iterator[int]:
        for i in range(2):
            np.empty(10)
            yield i

    def act() -> None:
        function()
        for _ in generator():
            numpy_on_its_own()

    assert interrupted_everywhere(act, numpy_on_its_own) > 5


@at_each_step
def test_no_step_of_a_realtime_block_leaves_it_open() -> None:
    def act() -> None:
        with numpool.rehearse() as rehearsal:
            np.empty(10)
        with numpool.realtime(rehearsal, locked=False) as rt, rt.step():
            np.empty(10)

    def whole() -> None:
        numpy_on_its_own()
        assert gc.isenabled()

    assert interrupted_everywhere(act, whole) > 5


@at_each_step
def test_no_step_of_install_and_uninstall_keeps_half_of_it() -> None:
    def act() -> None:
        # The malloc of a sanitizer cannot be tuned.
        with contextlib.suppress(ValueError):
            numpool.install(tune_malloc=True)
        numpool.install()
        numpool.uninstall()

    def whole() -> None:
        numpool.uninstall()
        numpy_on_its_own()

    interrupted_everywhere(act, whole)


@at_each_step
def test_no_step_of_a_loan_loses_its_place() -> None:
    pool: numpool.ObjectPool[list[int]] = numpool.ObjectPool(list, list.clear, size=2)

    def act() -> None:
        with pool.take() as one, pool.take() as other:
            assert one is not other
        loan = pool.try_take()
        assert loan is not None
        loan.release()

    def whole() -> None:
        pool.check()
        stats = pool.stats()
        assert stats.taken == 0
        assert stats.idle <= 2

    assert interrupted_everywhere(act, whole) > 5


@at_each_step
def test_no_step_of_an_array_loan_lends_one_array_twice() -> None:
    pool = numpool.ArrayPool(3, "u1", fill=1, size=1)

    def act() -> None:
        loan = pool.take()
        assert loan.object.sum() == 3
        assert pool.try_take() is None
        loan.release()
        assert loan.returned

    def whole() -> None:
        assert pool.stats().taken == 0

    assert interrupted_everywhere(act, whole) > 5


# A coroutine that was interrupted before its start was never awaited, and pytest would keep it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@at_each_step
def test_no_step_of_waiting_in_a_loop_loses_a_block(pool: numpool.FixedPool) -> None:
    async def wait_for_each_other() -> None:
        held = pool.acquire_many(4)
        waiting = asyncio.ensure_future(pool.acquire_async())
        await asyncio.sleep(0)
        held.pop().release()
        (await waiting).release()

    def whole() -> None:
        gc.collect()
        assert pool.stats().blocks == 0

    assert interrupted_everywhere(lambda: asyncio.run(wait_for_each_other()), whole) > 5


STORM = """
import contextvars, random, signal
import numpy as np
import numpool

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise Interrupt

signal.signal(signal.SIGALRM, interrupt)
slabs, arena = numpool.SlabPool(), numpool.Arena()
use = numpool.use(slabs)
objects = numpool.ObjectPool(list, size=1)

@numpool.use(slabs)
def decorated():
    return np.empty(10)

random.seed(7)
def work_until_interrupted():
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-4))
    while True:
        with use:
            np.empty(10)
        with numpool.use(arena), use:
            decorated()
        with slabs.acquire(100) as buffer:
            buffer.array()
        with objects.take(timeout=None):
            pass

count = left = 0
while count < {interrupts}:
    context = contextvars.copy_context()
    try:
        context.run(work_until_interrupted)
    except Interrupt:
        count += 1
    left += context.run(numpool.current) is not None
assert objects.stats().taken == 0 and slabs.stats().blocks == 0, (objects, slabs)
slabs.check(), arena.check()
print(left)
"""


def test_ten_thousand_signals_leave_nothing_behind(printed_by: Callable[..., str]) -> None:
    assert printed_by(STORM.format(interrupts=10_000)) == "0\n"
