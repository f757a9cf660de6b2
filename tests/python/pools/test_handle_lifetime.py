"""HandlePool: views, threads, forks and ends."""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool


def test_handles_of_another_process_are_refused() -> None:
    code = (
        "import numpool, pickle, sys\n"
        "tables = [numpool.HandlePool({64: 100}) for _ in range(3)]\n"
        "sys.stdout.buffer.write(pickle.dumps([t.alloc(1) for t in tables for _ in range(100)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    tables = [numpool.HandlePool({64: 100}) for _ in range(3)]
    for table in tables:
        for _ in range(100):
            table.alloc(1)
    foreign = pickle.loads(done.stdout)
    assert not any(handle in table for handle in foreign for table in tables)


def test_a_handle_is_not_freed_while_a_view_of_it_lives(table: numpool.HandlePool) -> None:
    handle = table.alloc(64)
    array = np.frombuffer(table[handle], "u1")
    view = table[handle]
    with pytest.raises(
        BufferError,
        match=f"HandlePool 'test': the block of handle {handle} is still in use by 2 views "
        r"\(memoryview or array\): drop them first",
    ):
        table.free(handle)
    assert not table.try_free(handle)
    view.release()
    with pytest.raises(BufferError, match=r"by 1 view .*: drop it first"):
        table.free(handle)
    assert handle in table
    array[:] = 7
    assert bytes(table[handle]) == b"\7" * 64
    del array
    table.free(handle)


def test_a_view_of_a_view_holds_the_block_too(table: numpool.HandlePool) -> None:
    handle = table.alloc(64)
    part = table[handle][8:16].cast("I")
    array = np.asarray(part)[::-1]
    del part
    assert not table.try_free(handle)
    del array
    assert table.try_free(handle)


def test_a_view_outlives_its_pool() -> None:
    table = numpool.HandlePool({"1MiB": 2})
    view = table[table.alloc("1MiB")]
    view[:] = b"\1" * 2**20
    del table
    gc.collect()
    assert bytes(view) == b"\1" * 2**20
    view[-1] = 2


def test_live_handles_keep_no_pool_alive() -> None:
    class Table(numpool.HandlePool):
        pass

    table = Table({64: 2})
    table.alloc(1)
    gone = weakref.ref(table)
    del table
    gc.collect()
    assert gone() is None


def test_a_pool_in_a_cycle_with_its_views_is_collected() -> None:
    class Table(numpool.HandlePool):
        me: object

    table = Table({64: 2})
    table.me = [table, table[table.alloc(8)]]
    gone = weakref.ref(table)
    del table
    gc.collect()
    assert gone() is None


def test_a_closed_pool_gives_no_more_handles_and_keeps_those_that_live(
    table: numpool.HandlePool,
) -> None:
    handle = table.alloc(3)
    table.close()
    with pytest.raises(numpool.PoolClosed, match="HandlePool 'test' is closed"):
        table.alloc(1)
    table[handle][:] = b"abc"
    assert bytes(table[handle]) == b"abc"
    table.free(handle)
    assert table.stats().mapped == 0
    with pytest.raises(numpool.StaleHandle):
        table[handle]


def test_handles_cross_threads_and_no_block_is_shared_or_lost() -> None:
    table = numpool.HandlePool({16: 64, 64: 64})
    mailbox: list[int] = []
    bad: list[object] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(3000):
            try:
                handle = table.alloc(rng.choice([8, 16, 40]))
                table[handle][:8] = handle.to_bytes(8, "little")
                mailbox.append(handle)
            except numpool.PoolExhausted:
                pass
            if rng.random() < 0.4:
                continue
            try:
                other = mailbox.pop(rng.randrange(max(1, len(mailbox))))
            except IndexError:
                continue
            if bytes(table[other][:8]) != other.to_bytes(8, "little"):
                bad.append(other)
            table.free(other)
            if table.try_free(other):
                bad.append(other)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
    assert sorted(table) == sorted(mailbox)
    table.check()


def test_of_threads_that_free_one_handle_exactly_one_succeeds() -> None:
    table = numpool.HandlePool({8: 8})
    for _ in range(200):
        handle = table.alloc(8)
        freed: list[bool] = []
        start = threading.Barrier(4)

        def free(handle: int = handle, freed: list[bool] = freed, go: Any = start) -> None:
            go.wait()
            freed.append(table.try_free(handle))

        threads = [threading.Thread(target=free) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(freed) == [False, False, False, True]
    table.check()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_the_table_for_itself() -> None:
    table = numpool.HandlePool({8: 4})
    handle = table.alloc(8)
    table[handle][:] = b"original"
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        status = 1
        try:
            table[handle][:] = b"of child"
            table.free(handle)
            table.free(table.alloc(8))
            table.check()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(table[handle]) == b"original"


@pytest.mark.parametrize(
    "ending",
    [
        "h = table.alloc(8)",
        "v = table[table.alloc(8)]",
        "import builtins; builtins.view = table[table.alloc(8)]",
        "table.me = [table, table[table.alloc(8)]]",
        "import atexit; atexit.register(lambda: keep.append(table[table.alloc(8)]))",
        (
            "import threading\n"
            "def work():\n"
            "    while True: table.free(table.alloc(8))\n"
            "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        ),
    ],
    ids=["handle", "view", "view in builtins", "cycle", "at exit", "daemon threads"],
)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    ends_cleanly(
        "import numpool\nkeep = []\nclass Table(numpool.HandlePool): pass\n"
        f"table = Table({{8: 16}})\n{ending}"
    )


def test_a_random_table_agrees_with_a_dict() -> None:
    rng = random.Random(6)
    for _ in range(5):
        table = numpool.HandlePool({8: 20, 100: 10, 5000: 5})
        live: dict[int, bytes] = {}
        dead: list[int] = []
        views: dict[int, memoryview] = {}
        for step in range(3000):
            action = rng.random()
            if action < 0.5:
                nbytes = rng.choice([0, 1, 8, 50, 100, 3000, 5000])
                try:
                    handle = table.alloc(nbytes)
                except numpool.PoolExhausted:
                    continue
                live[handle] = bytes([step % 256]) * nbytes
                table[handle][:] = live[handle]
            elif action < 0.85 and live:
                handle = rng.choice(list(live))
                assert bytes(table[handle]) == live[handle]
                if handle in views:
                    with pytest.raises(BufferError):
                        table.free(handle)
                    del views[handle]
                table.free(handle)
                del live[handle]
                dead.append(handle)
            elif action < 0.95 and live:
                handle = rng.choice(list(live))
                views[handle] = table[handle]
            elif dead:
                assert not table.try_free(rng.choice(dead))
                table.trim()
            assert len(table) == len(live)
        assert sorted(table) == sorted(live)
        table.check()
