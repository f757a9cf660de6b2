"""Cycles through objects that the garbage collector does not see: arrays, buffers, a queue."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Attack = Callable[[str], list[str]]

OWNER = """
import weakref
import numpy as np

class Owner:
    def call(self, *_):
        pass

owner = Owner()
gone = weakref.ref(owner)
"""

CYCLES = {
    "a buffer, its pool, init": (
        "pool = numpool.FixedPool(64, 2, init=owner.call)\nowner.kept = pool.acquire()"
    ),
    "a view, its pool, init": (
        "pool = numpool.FixedPool(64, 2, init=owner.call)\nowner.kept = memoryview(pool.acquire())"
    ),
    "an array, its pool, init": (
        "pool = numpool.FixedPool(800, 2, init=owner.call)\n"
        "with numpool.use(pool): owner.kept = np.ones(100)\n"
        "assert numpool.pool_of(owner.kept) is pool"
    ),
    "an array, its pool, init, as a fallback": (
        "pool = numpool.FixedPool(800, 2, init=owner.call)\n"
        "with numpool.use(numpool.FixedPool(8, 1), fallback=pool): owner.kept = np.ones(100)\n"
        "assert numpool.pool_of(owner.kept) is pool"
    ),
    "a view of a reserve's block, the backing pool's init": (
        "pool = numpool.FixedPool(64, 4, init=owner.call)\n"
        "reserve = numpool.ReservePool(pool, 64, 1)\n"
        "owner.kept = memoryview(reserve.acquire())\n"
        "del reserve"
    ),
    "an array of an arena, a clean-up": (
        "pool = numpool.Arena()\npool.defer(owner.call)\nowner.kept = pool.empty(100)"
    ),
    "an array of a child, its parent's clean-up": (
        "pool = numpool.Arena()\n"
        "pool.defer(owner.call)\n"
        "owner.kept = numpool.Arena(parent=pool).empty(100)"
    ),
    "an arena's mark, a clean-up": (
        "pool = numpool.Arena()\npool.defer(owner.call)\nowner.kept = pool.mark()"
    ),
}


@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES)
def test_a_cycle_through_a_block_is_collected(attack: Attack, cycle: str) -> None:
    assert attack(f"{OWNER}\n{cycle}\ndel owner, pool\ngc.collect()\nprint(gone())") == ["None"]


def test_an_installed_pool_keeps_its_init(attack: Attack) -> None:
    assert attack(f"""{OWNER}
pool = numpool.FixedPool(800, 2, init=owner.call)
numpool.install(pool)
del owner, pool
gc.collect()
array = np.ones(100)
pool = numpool.pool_of(array)
print(type(pool).__name__, pool.closed, type(gone()).__name__)
numpool.uninstall()
""") == ["FixedPool False Owner"]


def test_a_fallback_keeps_its_init_while_it_serves(attack: Attack) -> None:
    assert attack(f"""{OWNER}
using = numpool.use(numpool.FixedPool(8, 1), fallback=numpool.FixedPool(800, 2, init=owner.call))
gc.collect()
with using:
    array = np.ones(100)
print(numpool.pool_of(array).closed)
""") == ["False"]


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "waiting"])
def test_a_loop_that_is_closed_while_a_coroutine_waits_loses_nothing(
    attack: Attack, granted: bool
) -> None:
    assert attack(f"""
import asyncio, weakref
pool = numpool.FixedPool(64, 1)
held = pool.acquire()
loop = asyncio.new_event_loop()
gone = weakref.ref(loop)
async def wait():
    await pool.acquire_async()
task = loop.create_task(wait())
loop.call_later(0.05, loop.stop)
loop.run_forever()
if {granted}:
    held.release()
loop.set_exception_handler(lambda *_: None)
task._log_destroy_pending = False
loop.close()
del loop, task
gc.collect()
if not {granted}:
    held.release()
print(gone(), pool.stats().blocks, pool.acquire(timeout=1).nbytes)
pool.check()
""") == ["None 0 64"]
