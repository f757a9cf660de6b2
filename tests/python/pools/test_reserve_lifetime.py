"""ReservePool with forks, at exit and in cycles."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

import numpool


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_forked_while_threads_wait_can_use_the_reserve(
    fork_amid: Callable[..., None],
) -> None:
    backing = numpool.FixedPool(4096, 2)
    reserve = numpool.ReservePool(backing, 4096, 2)

    def work() -> None:
        with reserve.acquire(timeout=None) as buffer:
            memoryview(buffer)[0] = 1

    def act() -> None:
        buffer = reserve.try_acquire()
        del buffer
        reserve.check()
        backing.check()

    fork_amid(work, act, children=20)


@pytest.mark.parametrize(
    "ending",
    [
        "b = pool.acquire()",
        "v = memoryview(pool.acquire()); del pool",
        "import builtins; builtins.view = memoryview(pool.acquire())",
        (
            "import threading; b = [pool.acquire() for _ in range(4)]\n"
            "threading.Thread(target=lambda: pool.acquire(timeout=None), daemon=True).start()"
        ),
        (
            "import threading\n"
            "def work():\n"
            "    while True: pool.acquire(timeout=None).release()\n"
            "for _ in range(6): threading.Thread(target=work, daemon=True).start()\n"
        ),
    ],
    ids=["buffer", "view", "view in builtins", "waiting thread", "daemon threads"],
)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    ends_cleanly(
        f"import numpool\npool = numpool.ReservePool(numpool.FixedPool(64, 4), 64, 2)\n{ending}"
    )


def test_a_reserve_that_its_backing_pools_init_refers_to_is_collected() -> None:
    gone: list[str] = []

    class Tells:
        def __del__(self) -> None:
            gone.append("init")

    def leave_a_cycle() -> None:
        tells = Tells()
        reserves: list[numpool.ReservePool] = []

        def init(view: memoryview) -> None:
            assert tells is not None
            assert reserves is not None

        backing = numpool.FixedPool(64, 8, init=init)
        reserves.append(numpool.ReservePool(backing, 64, 2))
        assert reserves[0].pool is backing

    leave_a_cycle()
    gc.collect()
    assert gone == ["init"]
