"""After any sequence of calls, no block has two owners, none is lost, and every check succeeds.

The gate runs a short form. The long one is the profile "long"; CONTRIBUTING.md has the command.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import numpool

# A profile other than the default says itself how much is to be done.
LONG = settings.get_current_profile_name() != "default"
REFUSALS = (numpool.PoolExhausted, numpool.PoolClosed)
SIZES = st.sampled_from([0, 1, 16, 100, 4096, 5000, 70_000, 300_000])
PLACES = st.integers(0, 1000)


class OwnSlabs(numpool.SlabPool):
    """A subclass that makes cycles."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.itself = self


class Trouble(Exception):
    """The error that callbacks raise."""


class Block:
    """A live block: the object that holds it, and the byte that fills it."""

    def __init__(self, owner: Any, shown: Any, fill: int) -> None:
        self.owner = owner
        self.shown = shown
        self.fill = fill
        self.views: list[Any] = []
        np.frombuffer(self.bytes(), "u1")[:] = fill

    def bytes(self) -> memoryview:
        return memoryview(self.shown).cast("B")

    def place(self) -> tuple[int, int]:
        array = np.frombuffer(self.bytes(), "u1")
        return array.__array_interface__["data"][0], array.size

    def is_intact(self) -> bool:
        return bool((np.frombuffer(self.bytes(), "u1") == self.fill).all())


def in_thread(act: Callable[[], Any]) -> Any:
    """Run the act in a thread of its own, and return its result or raise its error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((act(), None))
        except Exception as error:  # noqa: BLE001 - raised again below
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    [(value, error)] = outcome
    if error is not None:
        raise error
    return value


class Pools(RuleBasedStateMachine):
    """Pools of every kind, and their live blocks."""

    operations = 0
    runs = 0

    @initialize()
    def begin(self) -> None:
        self.pools: list[Any] = []
        self.blocks: list[Block] = []
        self.handles: list[tuple[Any, int, int]] = []
        self.loans: list[Any] = []
        self.count = 0
        self.make_pool(1)

    def makers(self) -> list[Callable[[], Any]]:
        def construct(view: memoryview) -> None:
            # It acquires from its own pool while the pool constructs a block, and sometimes raises.
            with contextlib.suppress(*REFUSALS, IndexError):
                fixed[0].acquire().release()
            self.count += 1
            if self.count % 7 == 0:
                raise Trouble

        def constructing() -> Any:
            fixed.append(numpool.FixedPool(4096, 3, init=construct))
            return fixed.pop()

        fixed: list[Any] = []
        return [
            lambda: numpool.FixedPool(4096, 4),
            lambda: numpool.SlabPool(limit="2MiB"),
            lambda: numpool.SlabPool(wipe=True),
            lambda: numpool.BuddyPool("1MiB"),
            numpool.Arena,
            OwnSlabs,
            constructing,
            lambda: numpool.FixedPool(100, 2, max_blocks=None, source=numpool.SlabPool()),
            lambda: numpool.HandlePool({64: 3, 4096: 2}),
            lambda: numpool.ReservePool(numpool.FixedPool(4096, 4), 4096, 2),
            lambda: numpool.ObjectPool(list, list.clear, size=2),
            lambda: numpool.SharedPool("4MiB"),
            lambda: numpool.Budget("4MiB", source=numpool.SlabPool()),
        ]

    def pool_at(self, place: int) -> Any:
        return self.pools[place % len(self.pools)]

    def block_at(self, place: int) -> Block:
        return self.blocks[place % len(self.blocks)]

    def keep(self, owner: Any, shown: Any) -> None:
        self.count += 1
        self.blocks.append(Block(owner, shown, self.count % 255))

    @precondition(lambda self: len(self.pools) < 8)
    @rule(kind=PLACES)
    def make_pool(self, kind: int) -> None:
        makers = self.makers()
        self.pools.append(makers[kind % len(makers)]())

    @rule(place=PLACES, size=SIZES, apart=st.booleans())
    def acquire(self, place: int, size: int, apart: bool) -> None:
        pool = self.pool_at(place)

        def act() -> Any:
            if isinstance(pool, numpool.FixedPool | numpool.ReservePool):
                return pool.acquire()
            return pool.acquire(size)

        if isinstance(pool, numpool.ObjectPool):
            with contextlib.suppress(*REFUSALS):
                self.loans.append(pool.take())
        elif isinstance(pool, numpool.HandlePool):
            with contextlib.suppress(*REFUSALS, ValueError):
                handle = pool.alloc(size)
                self.count += 1
                pool[handle][:] = bytes([self.count % 255]) * len(pool[handle])
                self.handles.append((pool, handle, self.count % 255))
        else:
            with contextlib.suppress(*REFUSALS, Trouble):
                self.keep(pool, in_thread(act) if apart else act())

    @rule(place=PLACES, size=SIZES)
    def make_array(self, place: int, size: int) -> None:
        pool = self.pool_at(place)
        if isinstance(pool, numpool.ReservePool | numpool.HandlePool | numpool.ObjectPool):
            return
        with contextlib.suppress(MemoryError, *REFUSALS), numpool.use(pool):
            array = np.empty(size, "u1")
            if numpool.pool_of(array) is pool:
                self.keep(pool, array)

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES, apart=st.booleans())
    def release(self, place: int, apart: bool) -> None:
        block = self.block_at(place)
        if not isinstance(block.shown, numpool.Buffer):
            self.blocks.remove(block)
            return
        try:
            in_thread(block.shown.release) if apart else block.shown.release()
        except BufferError:
            assert block.views
        else:
            assert not block.views
            self.blocks.remove(block)

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES)
    def view(self, place: int) -> None:
        block = self.block_at(place)
        block.views.append(block.bytes())

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES)
    def drop_view(self, place: int) -> None:
        block = self.block_at(place)
        if block.views:
            block.views.pop()

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES, size=SIZES)
    def reallocate(self, place: int, size: int) -> None:
        block = self.block_at(place)
        if isinstance(block.shown, np.ndarray):
            with contextlib.suppress(MemoryError, ValueError):
                block.shown.resize(size, refcheck=False) if not block.views else None
            block.shown[:] = block.fill
        elif isinstance(block.owner, numpool.SlabPool | numpool.BuddyPool):
            with contextlib.suppress(BufferError, *REFUSALS):
                block.shown = block.owner.reallocate(block.shown, size)
                np.frombuffer(block.bytes(), "u1")[:] = block.fill

    @precondition(lambda self: self.handles)
    @rule(place=PLACES)
    def free_handle(self, place: int) -> None:
        table, handle, _ = self.handles.pop(place % len(self.handles))
        table.free(handle)
        assert handle not in table
        assert not table.try_free(handle)

    @precondition(lambda self: self.loans)
    @rule(place=PLACES)
    def end_loan(self, place: int) -> None:
        self.loans.pop(place % len(self.loans)).release()

    @rule(place=PLACES)
    def end_arena(self, place: int) -> None:
        pool = self.pool_at(place)
        if not isinstance(pool, numpool.Arena) or pool.closed:
            return
        ran: list[int] = []
        resetting = True

        def fail() -> None:
            ran.append(1)
            # After a refused reset it stays for the arena's end, where an error has no caller.
            if resetting:
                raise Trouble

        pool.defer(fail)
        pool.defer(ran.append, 2)
        mine = [block for block in self.blocks if block.owner is pool]
        in_use = any(isinstance(block.shown, np.ndarray) or block.views for block in mine)
        try:
            pool.reset()
        except BufferError:
            assert in_use
        except Trouble:
            assert not in_use
            assert ran == [2, 1]
            self.blocks = [block for block in self.blocks if block.owner is not pool]
        resetting = False

    @rule()
    def collect(self) -> None:
        gc.collect()

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES)
    def collect_with_a_callback_that_acquires(self, place: int) -> None:
        pool = self.block_at(place).owner
        found: list[Any] = []

        class Cycle:
            pass

        def called(_: object) -> None:
            with contextlib.suppress(*REFUSALS, Trouble, TypeError):
                found.append(pool.acquire())

        cycle = Cycle()
        cycle.itself = cycle  # type: ignore[attr-defined]
        reference = weakref.ref(cycle, called)
        del cycle
        gc.collect()
        assert reference() is None
        for buffer in found:
            buffer.release()

    @rule(place=PLACES)
    def look(self, place: int) -> None:
        pool = self.pool_at(place)
        assert repr(pool)
        pool.check()
        pool.trim()
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            if isinstance(pool, numpool.Pool):
                with contextlib.suppress(TypeError):
                    raise AssertionError(make(pool))

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES)
    def pickle_block(self, place: int) -> None:
        block = self.block_at(place)
        restored = pickle.loads(pickle.dumps(block.shown, protocol=5))
        assert bytes(memoryview(restored).cast("B")) == bytes(block.bytes())

    @precondition(lambda self: self.blocks)
    @rule(place=PLACES)
    def send_block(self, place: int) -> None:
        block = self.block_at(place)
        shares = isinstance(block.owner, numpool.SharedPool) and not block.owner.closed
        if shares and isinstance(block.shown, np.ndarray) and block.shown.size:
            received = ForkingPickler.loads(ForkingPickler.dumps(block.shown))
            assert numpool.owner(received) is block.owner
            block.views.append(memoryview(received))

    @precondition(lambda self: len(self.pools) > 1)
    @rule(place=PLACES, closes=st.booleans())
    def leave_pool(self, place: int, closes: bool) -> None:
        pool = self.pool_at(place)
        if closes and not isinstance(pool, numpool.Arena):
            with contextlib.suppress(BufferError):
                pool.close()
        self.pools.remove(pool)

    @invariant()
    def no_block_has_two_owners(self) -> None:
        Pools.operations += 1
        if not hasattr(self, "blocks"):
            return
        for block in self.blocks:
            assert block.is_intact()
        places = sorted(block.place() for block in self.blocks)
        for (start, size), (after, _) in itertools.pairwise(places):
            assert start + size <= after
        for table, handle, fill in self.handles:
            assert set(table[handle]) <= {fill}
        assert numpool.current() is None

    def teardown(self) -> None:
        Pools.runs += 1
        if LONG and Pools.runs % 100 == 0:
            print(f"{Pools.operations} operations in {Pools.runs} runs", file=sys.__stderr__)
        pools = {id(pool): pool for pool in self.pools}
        pools |= {id(block.owner): block.owner for block in self.blocks}
        for table, handle, _ in self.handles:
            table.free(handle)
            pools[id(table)] = table
        self.blocks.clear()
        self.loans.clear()
        gc.collect()
        for pool in pools.values():
            pool.check()
            if isinstance(pool, numpool.ObjectPool):
                assert pool.stats().taken == 0
            elif not isinstance(pool, numpool.ReservePool):
                assert pool.stats().blocks == 0


# The long profile sets the number of steps itself.
if not LONG:
    Pools.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestPools = Pools.TestCase
