"""Pages give memory without later page faults, or an error that says what is missing."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import numpool
from numpool.cli.huge_pages import reserved_pages

MIB = 1 << 20
BLOCKS = 16


def faults_of_first_use(source: numpool.Pages | None) -> int:
    """The page faults during the first writes to all blocks of a new pool."""
    pool = numpool.FixedPool(MIB, BLOCKS, source=source)
    views = [memoryview(buffer) for buffer in pool.acquire_many(BLOCKS)]
    once = bytes(MIB // 4096)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for view in views:
        view[::4096] = once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def locked_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmLck" in line) * 1024


def test_populated_pages_cause_no_page_faults() -> None:
    assert faults_of_first_use(numpool.Pages(populated=True)) < 32
    # Ordinary pages do cause page faults: one for each page, or for each huge page.
    assert faults_of_first_use(None) >= BLOCKS // 2


def test_locked_pages_are_there_and_stay() -> None:
    before = locked_bytes()
    try:
        pool = numpool.FixedPool(MIB, 4, source=numpool.Pages(locked=True))
    except numpool.PoolExhausted:
        pytest.skip("this process may not lock 4 MiB")
    assert locked_bytes() - before >= 4 * MIB
    assert pool.trim() == 0
    pool.close()
    assert locked_bytes() == before


POOLS: dict[str, Callable[[numpool.Pages], Any]] = {
    "FixedPool": lambda pages: numpool.FixedPool(4096, 4, source=pages).acquire(),
    "BuddyPool": lambda pages: numpool.BuddyPool(MIB, source=pages).acquire(100),
    "Arena": lambda pages: numpool.Arena(source=pages).acquire(100),
}


@pytest.mark.parametrize("acquire", POOLS.values(), ids=POOLS)
def test_pools_draw_on_them(acquire: Callable[[numpool.Pages], numpool.Buffer]) -> None:
    buffer = acquire(numpool.Pages(populated=True))
    buffer.array()[:] = 7
    assert bytes(buffer) == b"\x07" * buffer.nbytes
    assert buffer.pool is not None
    buffer.pool.check()


REFUSED = """
import os, resource, sys
import numpool
if os.getuid() == 0:
    os.setuid(65534)  # Nobody may lock what he likes.
resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
pages = numpool.Pages(locked=True)
for make in (
    lambda: numpool.FixedPool("1MiB", 16, source=pages).acquire(),
    lambda: numpool.BuddyPool("1MiB", source=pages),
    lambda: numpool.Arena("1MiB", source=pages).acquire(10),
):
    try:
        make()
    except numpool.PoolExhausted as error:
        print(error)
"""


def test_locking_beyond_the_limit_is_an_error_that_names_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, text=True, check=True
    )
    why = "this process may lock no more than 4 KiB (RLIMIT_MEMLOCK): raise that"
    assert done.stdout.splitlines() == [
        f"the system refused 16 MiB for 16 blocks of 1 MiB; {why}",
        f"the system refused 1 MiB for a buddy pool; {why}",
        f"Arena: 10 bytes requested, 0 bytes taken so far; {why}",
    ]


@pytest.mark.skipif(
    any(pages.total for pages in reserved_pages()), reason="huge pages are set aside here"
)
def test_the_error_says_that_no_huge_pages_are_reserved() -> None:
    with pytest.raises(numpool.PoolExhausted, match=r"are set aside: raise vm\.nr_hugepages"):
        numpool.FixedPool("2MiB", 2, source=numpool.Pages(huge=True)).acquire()


@pytest.mark.parametrize(
    ("node", "error", "text"),
    [
        (10**6, ValueError, "memory of NUMA node 1000000 was asked for, but this machine has"),
        (2**70, ValueError, "node is 1180591620717411303424: more than"),
        (-1, ValueError, "node is -1: it cannot be negative"),
        ("0", TypeError, "node must be an int"),
    ],
)
def test_unknown_nodes_are_named(node: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        numpool.Pages(node=node)


def test_memory_comes_from_a_node() -> None:
    try:
        pool = numpool.FixedPool(MIB, 2, source=numpool.Pages(node=0, populated=True))
    except numpool.PoolExhausted:
        pytest.skip("this container may not choose its memory's node")
    assert memoryview(pool.acquire())[0] == 0


def test_the_repr_shows_the_options() -> None:
    assert repr(numpool.Pages()) == "<numpool.Pages: as they come>"
    everything = numpool.Pages(populated=True, locked=True, huge=True, node=0)
    assert repr(everything) == "<numpool.Pages: populated locked huge of node 0>"


def test_they_serve_several_pools_and_outlive_their_name() -> None:
    pools = [numpool.FixedPool(4096, 4, source=pages) for pages in [numpool.Pages()] * 2]
    buffers = [pool.acquire() for pool in pools]
    del pools
    for buffer in buffers:
        buffer.array()[:] = 1


def test_other_objects_are_refused_as_a_source() -> None:
    with pytest.raises(TypeError, match="source must be a pool, Pages or None, not int"):
        numpool.FixedPool(4096, 4, source=7)  # type: ignore[arg-type]


def test_they_cannot_be_made_by_halves() -> None:
    halves = numpool.Pages.__new__(numpool.Pages)
    with pytest.raises(TypeError, match="__init__"):
        numpool.FixedPool(4096, 4, source=halves)
