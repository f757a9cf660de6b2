"""Accesses that guard pages are to find, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

import numpool

Child = Callable[..., "subprocess.CompletedProcess[str]"]

POOLS = {
    "slab": "numpool.SlabPool(name='test', checks='guard:1')",
    "slab, wiped": "numpool.SlabPool(name='test', wipe=True, checks='guard:1')",
    "fixed": "numpool.FixedPool(80, 8, name='test', checks='guard:1')",
    "fixed, aligned": "numpool.FixedPool(80, 8, align=16, name='test', checks='guard:1')",
}
KINDS = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
ACTS = pytest.mark.parametrize("act", ["read", "write"])


def taking(pool: str) -> str:
    call = "pool.acquire()" if "Fixed" in pool else "pool.acquire(80)"
    return f"""
pool = {pool}
def take():
    return {call}
"""


def text_of(act: str, what: str) -> str:
    """The report's first words. Only x86 tells what kind of access it was."""
    return rf"numpool: \w+ 'test': (a {act}|an access) {what} \(a block of 80 bytes at 0x\w+\)\n"


ACQUIRED = r"  acquired \S*program.py:4 in take\n"


@KINDS
@ACTS
@pytest.mark.parametrize("place", [80, 81, 4000])
def test_an_access_past_a_block_is_found_at_once(
    child: Child, pool: str, act: str, place: int
) -> None:
    done = child(f"""{taking(pool)}
block = take()
{act}(block.address + 79)
{act}(block.address + {place})
print("not reached")
""")
    assert (done.returncode, done.stdout) == (-11, "")
    assert re.fullmatch(text_of(act, f"past a block: byte {place}") + ACQUIRED, done.stderr)


@KINDS
@ACTS
@pytest.mark.parametrize("place", [-1, -80, -4000])
def test_an_access_before_a_block_is_found_at_once(
    child: Child, pool: str, act: str, place: int
) -> None:
    done = child(f"""{taking(pool)}
blocks = [take() for _ in range(4)]  # One of four starts where a guard ends.
{act}(blocks[3].address)
{act}(blocks[3].address + {place})
print("not reached")
""")
    assert (done.returncode, done.stdout) == (-11, "")
    assert re.fullmatch(text_of(act, f"before a block: byte {place}") + ACQUIRED, done.stderr)


@KINDS
@ACTS
@pytest.mark.parametrize("place", [0, 79, 80, -1])
def test_an_access_after_the_release_is_found_at_once(
    child: Child, pool: str, act: str, place: int
) -> None:
    done = child(f"""{taking(pool)}
block = take()
address = block.address
block.release()
{act}(address + {place})
print("not reached")
""")
    assert (done.returncode, done.stdout) == (-11, "")
    what = f"of a block after its release: byte {place}"
    released = r"  released \S*program.py:8 in <module>\n"
    assert re.fullmatch(text_of(act, what) + ACQUIRED + released, done.stderr)


def test_a_buddy_pools_block_ends_at_a_guard_where_its_rounded_size_does(child: Child) -> None:
    done = child("""
pool = numpool.BuddyPool("1MiB", 64, checks="guard:1")
block = pool.acquire(100)
assert block.address % 128 == 0
read(block.address + 127)
read(block.address + 128)
""")
    assert done.returncode == -11
    assert re.match(r"numpool: BuddyPool: (a read|an access) past a block: byte 128", done.stderr)


def test_a_write_between_a_block_and_its_guard_is_found_at_the_release(child: Child) -> None:
    code = """
pool = numpool.FixedPool(10, 8, align=64, name="test", checks="guard:1")
blocks = pool.acquire_many(4)
assert {block.address % 64 for block in blocks} == {0}
write(blocks[block].address + place)
blocks[block].release()
"""
    for block, place, where in ((0, 10, "past"), (0, -1000, "before"), (3, 4000, "past")):
        done = child(code.replace("place", str(place)).replace("[block]", f"[{block}]"))
        assert done.returncode == 1
        assert (
            f"CorruptionError: FixedPool 'test': a write {where} a block: byte {place} is 0x41"
            in (done.stderr)
        )


def test_what_lies_elsewhere_faults_as_before(child: Child) -> None:
    for act in ("ctypes.string_at(8)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"):
        done = child(f"pool = numpool.SlabPool(checks='guard:1'); block = pool.acquire(80); {act}")
        assert (done.returncode, done.stderr) == (-11, "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_faulthandler_still_shows_the_line(child: Child, when: str) -> None:
    enable = "import faulthandler; faulthandler.enable()"
    done = child(f"""
{enable if when == "before" else ""}
pool = numpool.SlabPool(name="test", checks="guard:1")
{enable if when == "after" else ""}
block = pool.acquire(80)
read(block.address + 80)
""")
    assert done.returncode == -11
    report, trace = done.stderr.split("Fatal Python error: Segmentation fault")
    assert re.match(text_of("read", "past a block: byte 80"), report)
    assert 'program.py", line 6 in <module>' in trace


def test_the_handler_is_there_only_while_a_pool_has_guards(child: Child) -> None:
    done = child("""
def is_handled():
    for line in open("/proc/self/status"):
        if line.startswith("SigCgt"):
            print(int(line.split()[1], 16) >> 10 & 1)
is_handled()
one = numpool.SlabPool(checks=True)
is_handled()
one = numpool.SlabPool(checks="guard")
other = numpool.FixedPool(80, 2, checks="guard")
is_handled()
del one
is_handled()
del other
is_handled()
""")
    assert (done.stdout.split(), done.stderr) == (["0", "0", "1", "1", "0"], "")


def test_a_forked_child_reports_too(child: Child) -> None:
    done = child(f"""{taking(POOLS["slab"])}
import os
block = take()
if os.fork() == 0:
    read(block.address + 80)
print(os.waitstatus_to_exitcode(os.wait()[1]))
""")
    assert (done.returncode, done.stdout) == (0, "-11\n")
    assert re.fullmatch(text_of("read", "past a block: byte 80") + ACQUIRED, done.stderr)


def test_a_fault_in_one_of_many_threads_is_reported_once(child: Child) -> None:
    done = child(f"""{taking(POOLS["slab"])}
import threading
blocks = [take() for _ in range(3)]
together = threading.Barrier(3)
memset = ctypes.CDLL(None).memset
memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def work(block):
    together.wait()
    memset(block.address, 1, 81)
threads = [threading.Thread(target=work, args=(block,)) for block in blocks]
for thread in threads: thread.start()
for thread in threads: thread.join()
""")
    assert done.returncode == -11
    assert re.fullmatch(text_of("write", "past a block: byte 80") + ACQUIRED, done.stderr)


def test_a_guarded_block_leads_to_its_pool() -> None:
    slabs = numpool.SlabPool(name="test", checks="guard:1")
    frames = numpool.FixedPool(80, 4, checks="guard:1")
    for pool, buffer in ((slabs, slabs.acquire(80)), (frames, frames.acquire())):
        assert pool.owns(buffer)
        assert pool.owns(buffer.address)
        assert numpool.owner(buffer.address) is pool
        assert numpool.owner(memoryview(buffer)) is pool
        assert not (frames if pool is slabs else slabs).owns(buffer)
    reserve = numpool.ReservePool(slabs, 80, 2)
    assert reserve.owns(reserve.acquire())


def test_the_array_of_a_guarded_block_leads_to_its_pool() -> None:
    np = pytest.importorskip("numpy")
    pool = numpool.SlabPool(checks="guard:1")
    with numpool.use(pool):
        a = np.arange(10)
    assert numpool.pool_of(a) is pool
    assert numpool.owner(a.ctypes.data) is pool
    assert pool.owns(a)
    assert (a.ctypes.data + a.nbytes) % 4096 == 0


def test_blocks_with_contents_to_keep_are_not_guarded() -> None:
    def init(view: memoryview) -> None:
        view[:] = bytes(range(80))

    pool = numpool.FixedPool(80, 4, init=init, checks="guard:1")
    for _ in range(5):
        assert all(bytes(buffer) == bytes(range(80)) for buffer in pool.acquire_many(4))


def test_random_use_of_a_guarded_pool_finds_no_fault_in_itself() -> None:
    np = pytest.importorskip("numpy")
    random = np.random.default_rng(18)
    pool = numpool.SlabPool(limit="256MiB", checks="guard:3")
    arrays = {}
    with numpool.use(pool):
        for step in range(3000):
            size = int(random.integers(0, 3000)) * int(random.choice([1, 1, 1, 30]))
            arrays[int(random.integers(0, 300))] = np.full(size, step % 100, "u1")
            if step % 500 == 0:
                pool.check()
                pool.trim()
    assert all((array == array[:1]).all() for array in arrays.values())
    assert len(pool.live()) == len(arrays) == pool.stats().blocks
    arrays.clear()
    pool.check()
    assert pool.live() == []
