"""Pools with checks do what they do without."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import threading
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import numpool

Child = Callable[..., "subprocess.CompletedProcess[str]"]

MAKERS: dict[str, Callable[[], numpool.SlabPool | numpool.BuddyPool]] = {
    "slab": lambda: numpool.SlabPool(name="test", checks=True),
    "slab, wiped": lambda: numpool.SlabPool(name="test", wipe=True, checks=True),
    "buddy": lambda: numpool.BuddyPool("16MiB", name="test", checks=True),
    "slab, guarded": lambda: numpool.SlabPool(name="test", checks="guard:1"),
    "buddy, guarded": lambda: numpool.BuddyPool("16MiB", name="test", checks="guard:1"),
}
ANY_SIZE = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@pytest.mark.parametrize("kind", ["slab", "slab, wiped", "buddy"])
def test_blocks_keep_their_alignment(kind: str) -> None:
    pool = MAKERS[kind]()
    for size in (0, 1, 10, 64, 100, 4096, 5000, 100_000, 1 << 20):
        buffers = pool.acquire_many(size, 3)
        assert {buffer.address % 64 for buffer in buffers} == {0}
        assert {buffer.nbytes for buffer in buffers} == {size}


def test_blocks_of_a_fixed_pool_keep_their_alignment() -> None:
    pool = numpool.FixedPool(10, 4, align=4096, checks=True)
    assert [buffer.address % 4096 for buffer in pool.acquire_many(4)] == [0] * 4
    assert (pool.block_size, pool.blocks, pool.max_blocks, pool.align) == (10, 4, 4, 4096)


def test_blocks_of_a_buddy_pool_start_at_multiples_of_their_size() -> None:
    pool = numpool.BuddyPool("1MiB", 64, checks=True)
    region = pool.acquire(64).address - 64
    buffers = []
    for size in (64, 100, 4096, 1 << 18):
        rounded = 1 << (size - 1).bit_length()
        buffers.append(pool.acquire(size))
        assert (buffers[-1].address - region) % rounded == 0
    assert (pool.capacity, pool.min_block) == (1 << 20, 64)


def test_a_buddy_pool_has_its_whole_capacity() -> None:
    pool = numpool.BuddyPool("64KiB", 4096, checks=True)
    for size, count in ((4096, 16), (1 << 14, 4), (1 << 16, 1)):
        buffers = pool.acquire_many(size, count)
        assert pool.try_acquire(1) is None
        assert pool.used_bytes == 1 << 16
        del buffers
    assert repr(numpool.BuddyPool("64KiB", checks=True)) == (
        "<BuddyPool: 0 blocks, 0 bytes of 64 KiB in use>"
    )
    with pytest.raises(ValueError, match="min_block is 16: a pool with checks needs at least 64"):
        numpool.BuddyPool("64KiB", 16, checks=True)


def test_the_limit_that_refuses_many_blocks_is_the_users() -> None:
    pool = numpool.BuddyPool("1MiB", 64, checks=True)
    text = "asked for 5000 buffers of 1 KiB at once, more than its limit of 1 MiB"
    with pytest.raises(numpool.PoolExhausted, match=text):
        pool.acquire_many(1024, 5000)


@ANY_SIZE
def test_what_is_not_zeroed_holds_the_fill_byte(make: Callable[[], numpool.SlabPool]) -> None:
    pool = make()
    assert not pool.zeros(1000, "u1").any()
    wiped = not np.asarray(pool.acquire(1000)).any()
    assert wiped or np.all(np.asarray(pool.acquire(1000)) == 0xCD)


@ANY_SIZE
def test_blocks_may_be_reallocated(make: Callable[[], numpool.SlabPool]) -> None:
    pool = make()
    buffer = pool.acquire(10)
    memoryview(buffer)[:] = bytes(range(10))
    for size in (20, 100_000, 5):
        buffer = pool.reallocate(buffer, size)
        assert bytes(buffer)[:5] == bytes(range(5))
    assert [one.size for one in pool.live()] == [5]
    with numpool.use(pool):
        a = np.arange(10)
        a.resize(100_000, refcheck=False)
    assert a[9] == 9
    assert not a[10:].any()


def test_a_pool_without_checks_refuses_buffers_of_one_with_them() -> None:
    checked, plain = numpool.SlabPool(checks=True), numpool.SlabPool()
    for one, other in ((checked, plain), (plain, checked)):
        with pytest.raises(ValueError, match="not one of SlabPool"):
            one.reallocate(other.acquire(10), 20)
        buffer = one.acquire(10)
        assert buffer.pool is one
        assert numpool.owner(memoryview(buffer)) is one
        assert one.owns(buffer)
        array = one.ones(10)
        assert numpool.owner(array) is one


def test_a_fixed_pool_lends_all_of_its_blocks() -> None:
    pool = numpool.FixedPool(100, 4, checks=True)
    for count in (1, 4, 3, 4, 2, 4):
        buffers = pool.acquire_many(count)
        assert pool.stats().blocks == count
        del buffers
    assert pool.stats().blocks == 0
    buffers = [pool.acquire() for _ in range(4)]
    assert len(buffers) == 4
    assert pool.try_acquire() is None
    with pytest.raises(numpool.PoolExhausted, match="all 4 blocks of 100 bytes are in use"):
        pool.acquire()


def test_a_pool_of_one_block_has_no_quarantine() -> None:
    pool = numpool.FixedPool(100, 1, checks=True)
    for _ in range(3):
        address = pool.acquire().address
        ctypes.memset(address, 0, 100)  # It was released already, and nobody notices.
        pool.check()
        assert pool.acquire().address == address


def test_a_waiting_thread_gets_a_block_that_is_released() -> None:
    pool = numpool.FixedPool(100, 1, checks=True)
    for _ in range(50):
        buffer = pool.acquire()
        thread = threading.Thread(target=lambda: pool.acquire(timeout=20).release())
        thread.start()
        buffer.release()
        thread.join()
    pool.check()


def test_threads_share_a_checked_pool() -> None:
    slabs = numpool.SlabPool(checks=True)
    frames = numpool.FixedPool(1000, 3, checks=True)

    def work() -> None:
        for size in range(300):
            a = slabs.ones(size)
            with frames.acquire(timeout=20) as buffer:
                memoryview(buffer)[:] = bytes(1000)
            assert a.sum() == size

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in (slabs, frames):
        pool.check()
        assert pool.stats().blocks == 0


def test_a_child_may_use_a_pool_that_was_busy_when_it_forked(
    fork_amid: Callable[..., None],
) -> None:
    pool = numpool.SlabPool(checks=True)

    def work() -> None:
        pool.acquire(100).release()

    def act() -> None:
        for _ in range(100):
            work()

    fork_amid(work, act, children=20)
    pool.check()


def test_what_a_limit_leaves_is_not_kept_for_released_blocks() -> None:
    pool = numpool.SlabPool(limit="8MiB", checks=True)
    for _ in range(20):
        pool.acquire("3MiB").release()
    buffer = pool.acquire("7MiB")
    with pytest.raises(numpool.PoolExhausted, match="limit of 8 MiB"):
        pool.acquire("3MiB")
    del buffer


def test_arrays_outlive_their_pool() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        a = numpool.SlabPool(checks=True).ones(1000)
        b = numpool.FixedPool(80, 1, checks=True).acquire().array("f8")
        gc.collect()
        sum(range(10))
    b[:] = 2
    assert (a.sum(), b.sum()) == (1000, 20)


def test_other_pools_draw_on_a_checked_one_and_are_not_checked() -> None:
    pool = numpool.SlabPool(checks=True)
    frames = numpool.FixedPool("64KiB", 4, source=pool)
    memoryview(frames.acquire())[:4] = b"data"
    assert pool.live() == []
    reserve = numpool.ReservePool(pool, 100, 2)
    reserve.acquire().release()
    assert [one.size for one in pool.live()] == [100, 100]


def test_the_live_blocks_are_listed_from_the_oldest_on() -> None:
    pool = numpool.SlabPool(name="test", checks=True)
    first = pool.acquire(10)
    time.sleep(0.01)
    a = pool.zeros(100, "u1")
    oldest, newest = pool.live()
    assert (oldest.size, oldest.address) == (10, first.address)
    assert (newest.size, newest.address) == (100, a.ctypes.data)
    assert oldest.age >= newest.age + 0.009
    for one, line in ((oldest, 0), (newest, 2)):
        start = test_the_live_blocks_are_listed_from_the_oldest_on.__code__.co_firstlineno
        name = "test_the_live_blocks_are_listed_from_the_oldest_on"
        assert one.line == f"{__file__}:{start + 2 + line} in {name}"
    first.release()
    assert [one.size for one in pool.live()] == [100]


def test_the_line_is_the_users_and_not_numpys() -> None:
    pool = numpool.SlabPool(checks=True)
    with numpool.use(pool):
        a = np.ones(10)
    [one] = pool.live()
    assert one.line is not None
    assert one.line.startswith(f"{__file__}:")
    del a


@pytest.mark.parametrize(
    "pool",
    [numpool.SlabPool(checks=False), numpool.Arena(), numpool.HandlePool({64: 1})],
    ids=lambda pool: type(pool).__name__,
)
def test_pools_without_checks_keep_no_list(pool: numpool.Pool) -> None:
    with pytest.raises(ValueError, match=r"keeps no list of its blocks: .* with checks=True"):
        pool.live()


def close_and_run_on(pool: numpool.Pool) -> None:
    pool.close()
    sum(range(10))


def test_a_pool_that_is_closed_with_blocks_in_use_warns() -> None:
    pool = numpool.SlabPool(name="test", checks=True)
    buffer = pool.acquire(10)
    with pytest.warns(ResourceWarning) as told:
        close_and_run_on(pool)
    [one] = told
    assert re.fullmatch(
        r"SlabPool 'test' was closed or dropped with 1 block, 10 bytes in use, acquired by\n"
        rf"  {re.escape(__file__)}:\d+ in \w+: 1 block, 10 bytes",
        str(one.message),
    )
    buffer.release()


def test_a_pool_that_is_closed_or_dropped_without_blocks_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for close in (True, False):
            pool = numpool.FixedPool(10, 2, checks=True)
            pool.acquire().release()
            if close:
                pool.close()
            del pool
            sum(range(10))


def test_a_pool_that_is_dropped_with_blocks_out_is_told_of() -> None:
    buffer = None

    def drop() -> None:
        nonlocal buffer
        buffer = numpool.FixedPool(10, 2, name="test", checks=True).acquire()
        sum(range(10))

    with pytest.warns(ResourceWarning, match="FixedPool 'test' was closed or dropped with 1 block"):
        drop()
    assert buffer is not None


@pytest.mark.parametrize(
    "wrong",
    ["loud", 1, 0, "", [True], "guard:", "guard:0", "guard:-1", "guard:1.5", "guard1", "guard: 1",
     "guard:9999999999"],
)  # fmt: skip
def test_what_is_no_way_to_check_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"checks is .*: it must be True or 'raise'"):
        numpool.SlabPool(checks=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "result"),
    [("1", "raise"), ("raise", "raise"), ("on", "raise"), ("guard", "raise"), ("guard:1", "raise"),
     ("0", "off"), ("", "off")],
)  # fmt: skip
def test_the_environment_has_all_pools_checked(child: Child, value: str, result: str) -> None:
    code = """
pools = [numpool.SlabPool(), numpool.FixedPool(10, 1), numpool.BuddyPool("1MiB"),
         numpool.default_pool(), numpool.install()]
numpool.BuddyPool("1MiB", 16), numpool.Arena()
for pool in pools:
    try:
        print(len(pool.live()))
    except ValueError:
        print("off")
buffer = pools[3].acquire(10)
a = np.ones(10)
if value != "off":
    print([one.size for one in pools[3].live()])
"""
    done = child(code.replace("value", repr(result)), NUMPOOL_CHECKS=value)
    checked = "0\n" * 5 + "[10, 80]\n"
    assert (done.stdout, done.stderr) == (checked if result == "raise" else "off\n" * 5, "")


def test_the_environments_nonsense_is_refused(child: Child) -> None:
    done = child("numpool.SlabPool()", NUMPOOL_CHECKS="loud")
    assert done.returncode == 1
    assert "ValueError: NUMPOOL_CHECKS is 'loud': it must be '1' or 'raise' (rai" in done.stderr


def test_a_forked_child_says_nothing_at_its_exit(child: Child) -> None:
    done = child("""
import os
pool = numpool.SlabPool(checks=True)
block = pool.acquire(10)
address = block.address
block.release()
if os.fork() == 0:
    write(address)
    sys.exit()
os.wait()
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_pools_without_checks_import_nothing_for_them(child: Child) -> None:
    done = child("""
numpool.SlabPool(), numpool.FixedPool(10, 1), numpool.install()
print("numpool._checks" in sys.modules)
""")
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert os.environ.get("NUMPOOL_CHECKS") is None
