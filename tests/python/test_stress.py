"""Many threads use each pool at once, and pass blocks to each other."""

from __future__ import annotations

import gc
import queue
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Users:
    """The operations of threads on a pool. A thing is an object that they take and pass on."""

    pool: Any

    def take(self, chance: random.Random) -> Any:
        raise NotImplementedError

    def give_back(self, thing: Any, chance: random.Random) -> Any:
        """Give the thing back. The rest of it, for example a view, may be passed on."""
        raise NotImplementedError

    def look_after(self, chance: random.Random) -> None:
        action = chance.randrange(8)
        if action == 0:
            self.pool.trim()
        elif action == 1:
            self.pool.check()
        else:
            self.pool.stats()

    def close(self) -> None:
        self.pool.close()

    def out(self) -> int:
        count: int = self.pool.stats().blocks
        return count

    def take_all(self) -> None:
        """Check that all blocks can be taken at once, if their number is fixed."""


def verify(array: np.ndarray) -> None:
    assert (array == array.ravel()[:1]).all()


class BufferUsers(Users):
    """Operations on a pool of buffers, with views and arrays that outlive them."""

    def acquire(self, chance: random.Random) -> Any:
        raise NotImplementedError

    def take(self, chance: random.Random) -> numpool.Buffer:
        buffer: numpool.Buffer = self.acquire(chance)
        view = memoryview(buffer)
        view[:] = bytes([chance.randrange(256)]) * len(view)
        return buffer

    def give_back(self, thing: numpool.Buffer | np.ndarray, chance: random.Random) -> Any:
        if isinstance(thing, np.ndarray):
            return verify(thing)
        array = thing.array("u1")
        verify(array)
        action = chance.randrange(4)
        if action == 0:
            with pytest.raises(BufferError, match="still in use by 1 view"):
                thing.release()
        if action == 1:
            return array
        if action == 2:
            del array
            thing.release()
        return None


class FixedUsers(BufferUsers):
    def __init__(self) -> None:
        self.pool = numpool.FixedPool(256, 4, max_blocks=16)

    def take_all(self) -> None:
        assert len(self.pool.acquire_many(16)) == 16

    def acquire(self, chance: random.Random) -> Any:
        return self.pool.acquire(timeout=chance.choice([0, 0.0001]))


class SlabUsers(BufferUsers):
    def __init__(self) -> None:
        self.pool = numpool.SlabPool(limit="16MiB")

    def acquire(self, chance: random.Random) -> Any:
        buffer = self.pool.acquire(chance.randrange(200_000 if chance.randrange(32) == 0 else 2000))
        if chance.randrange(8) == 0:
            return self.pool.reallocate(buffer, chance.randrange(5000))
        return buffer

    def take(self, chance: random.Random) -> Any:
        if chance.randrange(2) == 0:
            return super().take(chance)
        array = self.pool.empty(chance.randrange(2000), "u1")
        array[:] = chance.randrange(256)
        return array

    def look_after(self, chance: random.Random) -> None:
        super().look_after(chance)
        with suppress(numpool.PoolExhausted):
            assert not self.pool.zeros(chance.randrange(5000), "u1").any()


class BuddyUsers(SlabUsers):
    def __init__(self) -> None:
        self.slabs = numpool.SlabPool()
        self.pool = numpool.BuddyPool("1MiB", source=self.slabs)

    def look_after(self, chance: random.Random) -> None:
        super().look_after(chance)
        assert sum(size * count for size, count in self.pool.free_blocks.items()) <= 2**20
        assert self.pool.fragmentation < 1

    def take_all(self) -> None:
        assert self.pool.acquire("1MiB").nbytes == 2**20


class ReserveUsers(BufferUsers):
    def __init__(self) -> None:
        self.backing = numpool.FixedPool(256, 12)
        self.pool = numpool.ReservePool(self.backing, 256, 2)

    def acquire(self, chance: random.Random) -> Any:
        return self.pool.acquire(timeout=chance.choice([0, 0.0001]))

    def look_after(self, chance: random.Random) -> None:
        super().look_after(chance)
        if chance.randrange(4) == 0:
            self.pool.resize(chance.randrange(1, 6))
        self.backing.check()

    def out(self) -> int:
        assert self.backing.stats().blocks == super().out() + self.pool.at_hand
        return super().out()


class ArenaUsers(BufferUsers):
    """A buffer without views may have ended. Then it raises, and never shows bytes of others."""

    def __init__(self) -> None:
        self.pool = numpool.Arena()
        self.resets = 0
        self.closing = False

    def acquire(self, chance: random.Random) -> Any:
        return self.pool.acquire(chance.randrange(20_000 if chance.randrange(32) == 0 else 500))

    def take(self, chance: random.Random) -> Any:
        with suppress(ValueError):
            return super().take(chance)

    def give_back(self, thing: Any, chance: random.Random) -> Any:
        if thing is None:
            return None
        with suppress(ValueError):  # It has ended.
            left = super().give_back(thing, chance)
            # Pass on only few arrays: while one lives, no thread can reset.
            return left if chance.randrange(16) == 0 and not self.closing else None
        with pytest.raises(ValueError, match="its arena was reset, rewound or closed"):
            memoryview(thing)
        return None

    def look_after(self, chance: random.Random) -> None:
        super().look_after(chance)
        action = chance.randrange(4)
        with suppress(BufferError):
            if action == 0:
                self.pool.reset()
                self.resets += 1
            elif action == 1:
                child = numpool.Arena(parent=self.pool)
                # A reset of the parent ends the child.
                with suppress(numpool.PoolClosed):
                    child.acquire(100)
                    child.empty(100)
            elif action == 2:
                mark = self.pool.mark()
                self.pool.acquire(100)
                # Another thread may have reset the arena, so the mark is stale.
                with suppress(ValueError):
                    self.pool.rewind(mark)

    def take_all(self) -> None:
        assert self.resets != 0
        self.pool.reset()
        assert self.pool.stats().requested == 0

    def close(self) -> None:
        self.closing = True  # From here on, no thread passes an array on.
        while not self.pool.closed:
            with suppress(BufferError):
                self.pool.close()
            time.sleep(0)


class HandleUsers(Users):
    def __init__(self) -> None:
        self.pool = numpool.HandlePool({16: 20, 256: 20})
        self.seen = 0

    def take(self, chance: random.Random) -> int:
        handle: int = self.pool.alloc(chance.randrange(1, 256))
        view = self.pool[handle]
        view[:] = bytes([handle % 251]) * len(view)
        self.seen = handle
        return handle

    def give_back(self, thing: int, chance: random.Random) -> None:
        self.look_up(thing)
        assert thing in self.pool
        while thing in self.pool:
            with suppress(BufferError):  # Another thread has a view of it.
                self.pool.free(thing)
        assert not self.pool.try_free(thing)
        with pytest.raises(numpool.StaleHandle, match="is"):
            self.look_up(thing)

    def look_up(self, handle: int) -> None:
        view = self.pool[handle]
        assert bytes(view) == bytes([handle % 251]) * len(view)

    def look_after(self, chance: random.Random) -> None:
        super().look_after(chance)
        assert len(list(self.pool)) <= 40
        with suppress(numpool.StaleHandle):
            self.look_up(self.seen)

    def take_all(self) -> None:
        assert len({self.pool.alloc(8) for _ in range(40)}) == 40


class ObjectUsers(Users):
    def __init__(self) -> None:
        self.pool = numpool.ObjectPool(list[int], list.clear, size=8)

    def take(self, chance: random.Random) -> Any:
        loan = self.pool.take(timeout=chance.choice([0, 0.0001]))
        assert loan.object == []
        loan.object.append(chance.randrange(100))
        return loan

    def give_back(self, thing: Any, chance: random.Random) -> Any:
        if isinstance(thing, list):
            return None
        # No other thread had it meanwhile.
        assert len(thing.object) == 1
        one = thing.object if chance.randrange(4) == 0 else None
        if chance.randrange(8) != 0:
            thing.release()
        return one

    def out(self) -> int:
        stats = self.pool.stats()
        assert stats.built <= stats.takes
        taken: int = stats.taken
        return taken

    def take_all(self) -> None:
        assert len([self.pool.take() for _ in range(8)]) == 8


class ArrayUsers(ObjectUsers):
    def __init__(self) -> None:
        self.pool = numpool.ArrayPool((20, 20), "u1", size=8)

    def take(self, chance: random.Random) -> Any:
        loan = self.pool.take(timeout=chance.choice([0, 0.0001]))
        loan.object[...] = chance.randrange(256)
        return loan

    def give_back(self, thing: Any, chance: random.Random) -> Any:
        if isinstance(thing, np.ndarray):
            return verify(thing)
        verify(thing.object)
        # An array with a view is not lent again, so no other thread writes to it.
        view = thing.object[1:, 1:] if chance.randrange(4) == 0 else None
        thing.release()
        return view


class Crowd:
    """The threads that use one pool, and the things that they pass to each other."""

    def __init__(self, users: Users) -> None:
        self.users = users
        self.exchange: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def use(self, seed: int, steps: int) -> None:
        chance = random.Random(seed)
        for _ in range(steps):
            if chance.randrange(16) == 0:
                self.users.look_after(chance)
            with suppress(numpool.PoolExhausted):
                self.exchange.put(self.users.take(chance))
            self.pass_on(chance)

    def pass_on(self, chance: random.Random) -> None:
        with suppress(queue.Empty):
            left = self.users.give_back(self.exchange.get_nowait(), chance)
            if left is not None:
                self.exchange.put(left)

    def end(self) -> None:
        chance = random.Random(0)
        while not self.exchange.empty():
            self.pass_on(chance)
        gc.collect()
        self.users.pool.check()
        assert self.users.out() == 0


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Runs work(0), work(1) … at once, and raises the error of any of them."""
    with ThreadPoolExecutor(count) as executor:
        for future in [executor.submit(work, i) for i in range(count)]:
            future.result()


every_pool = pytest.mark.parametrize(
    "users",
    [
        FixedUsers,
        SlabUsers,
        BuddyUsers,
        ReserveUsers,
        ArenaUsers,
        HandleUsers,
        ObjectUsers,
        ArrayUsers,
    ],
    ids=lambda users: type(users().pool).__name__,
)


@every_pool
def test_threads_that_pass_blocks_on_lose_and_share_none(
    users: type[Users],
) -> None:
    crowd = Crowd(users())
    in_threads(4, lambda seed: crowd.use(seed, 2000))
    crowd.end()
    crowd.users.take_all()


@every_pool
def test_a_pool_may_be_closed_while_threads_use_it_and_wait_for_it(users: type[Users]) -> None:
    for round in range(10):
        crowd = Crowd(users())

        def work(seed: int, crowd: Crowd = crowd, round: int = round) -> None:
            if seed == 0:
                time.sleep(0.001 * round)
                crowd.users.close()
                return
            with pytest.raises(numpool.PoolClosed, match="closed"):
                crowd.use(seed, sys.maxsize)

        in_threads(4, work)
        crowd.end()
