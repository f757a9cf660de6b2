"""The figures of all pools: bytes in use, peaks that can be reset, summaries, statistics."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

import numpool

KIB = 1 << 10
MIB = 1 << 20


def handles(table: Any, nbytes: int) -> Callable[[], None]:
    handle = table.alloc(nbytes)
    return lambda: table.free(handle)


def buffers(pool: Any, nbytes: int) -> Callable[[], None]:
    buffer = pool.acquire(nbytes)
    return lambda: buffer.release()


def blocks(pool: Any, nbytes: int) -> Callable[[], None]:
    taken = pool.acquire_many(nbytes // pool.block_size)

    def release() -> None:
        for one in taken:
            one.release()

    return release


def reserved(pool: Any, nbytes: int) -> Callable[[], None]:
    taken = [pool.acquire() for _ in range(nbytes // pool.nbytes)]

    def release() -> None:
        for one in taken:
            one.release()

    return release


# A pool, and a function that takes this number of its bytes.
POOLS: dict[str, tuple[Callable[[], Any], Callable[[Any, int], Callable[[], None]]]] = {
    "FixedPool": (lambda: numpool.FixedPool("4KiB", 100, name="test"), blocks),
    "SlabPool, small": (lambda: numpool.SlabPool(name="test"), buffers),
    "Arena": (lambda: numpool.Arena("64KiB", name="test"), buffers),
    "BuddyPool": (lambda: numpool.BuddyPool("1MiB", name="test"), buffers),
    "Budget": (
        lambda: numpool.Budget("1MiB", source=numpool.SlabPool(), name="test"),
        buffers,
    ),
    "HandlePool": (lambda: numpool.HandlePool({8 * KIB: 2, 16 * KIB: 2}, name="test"), handles),
    "ReservePool": (
        lambda: numpool.ReservePool(numpool.FixedPool("4KiB", 9), "4KiB", 1, name="test"),
        reserved,
    ),
}
each_pool = pytest.mark.parametrize(("make", "take"), POOLS.values(), ids=POOLS)


@each_pool
def test_bytes_in_use_and_their_peak_which_can_begin_anew(
    make: Callable[[], Any], take: Callable[[Any, int], Callable[[], None]]
) -> None:
    pool = make()
    assert (pool.used_bytes, pool.peak_bytes) == (0, 0)
    release = take(pool, 16 * KIB)
    assert pool.used_bytes == pool.stats().in_use >= 16 * KIB
    high = pool.used_bytes
    release()
    assert (pool.used_bytes, pool.peak_bytes) == (0, high)
    pool.reset_peak()
    assert pool.peak_bytes == pool.stats().peak == 0
    release = take(pool, 8 * KIB)
    assert 8 * KIB <= pool.peak_bytes < high
    pool.check()
    release()
    pool.close()
    pool.reset_peak()


def test_the_peak_of_what_is_held_begins_anew_too(slabs: numpool.SlabPool) -> None:
    slabs.acquire(8 * MIB).release()
    slabs.trim()
    assert slabs.stats().peak_committed >= 8 * MIB
    slabs.reset_peak()
    assert slabs.stats().peak_committed < MIB
    with slabs.acquire(2 * MIB):
        slabs.reset_peak()
        assert slabs.peak_bytes >= 2 * MIB
        assert 2 * MIB <= slabs.stats().peak_committed < 8 * MIB


@each_pool
def test_a_summary_is_a_table_to_print(
    make: Callable[[], Any], take: Callable[[Any, int], Callable[[], None]]
) -> None:
    pool = make()
    release = take(pool, 8 * KIB)
    lines = pool.summary().splitlines()
    assert lines[0] == f"{type(pool).__name__} 'test'"
    [in_use] = [line for line in lines if line.startswith("  in use")]
    assert f"{numpool.format_size(pool.used_bytes)}" in in_use
    assert in_use.endswith(("block", "blocks"))
    assert any(line.startswith("  waited, refused") and line.endswith("0, 0") for line in lines)
    assert all(len(line) <= 80 for line in lines)
    release()


def test_a_summary_tells_the_limit_and_each_size() -> None:
    slabs = numpool.SlabPool(limit="64MiB", name="<frames>")
    held = [slabs.acquire(1000), slabs.acquire("1MiB")]
    text = slabs.summary()
    assert "of a limit of 64 MiB, in 2 blocks" in text
    head, small, large = text.split("\n\n")[1].splitlines()
    assert " ".join(head.split()) == "block size live blocks in use unused blocks so far reused"
    assert small.split()[:4] == ["1", "KiB", "1", "1"]
    assert large.split()[:4] == ["larger", "1", "1.06", "MiB"]
    html = slabs._repr_html_()
    assert html.startswith("<b>SlabPool &#x27;&lt;frames&gt;&#x27;</b>\n<table>")
    assert "<tr><th>peak in use</th><td>" in html
    assert "<td>larger</td><td>1</td><td>1.06 MiB</td>" in html
    del held
    slabs.close()
    assert slabs.summary().startswith("SlabPool '<frames>', closed\n")


def test_a_pool_without_a_name_or_blocks_has_a_summary_too() -> None:
    text = numpool.FixedPool(8, 2).summary()
    assert text.startswith("FixedPool\n")
    assert "reused           none yet" in text


def test_statistics_have_names_that_cannot_be_confused_and_the_older_ones_still_work(
    slabs: numpool.SlabPool,
) -> None:
    slabs.acquire(100).release()
    buffer = slabs.acquire(100)
    stats = slabs.stats()
    for one in (stats, stats.classes[0]):
        assert (one.live_bytes, one.requested) == (100, 100)
        assert (one.total_blocks, one.requests) == (2, 2)
        assert (one.total_bytes, one.asked) == (200, 200)
        assert one.reused == one.hits > 0
    assert "live_bytes=100" in repr(stats)
    del buffer


def test_statistics_are_shown_as_a_table_and_have_a_repr_to_evaluate(
    slabs: numpool.SlabPool,
) -> None:
    buffer = slabs.acquire(100)
    for stats, row in (
        (slabs.stats(), "  peak in use "),
        (numpool.ObjectPool(list, size=2).stats(), "  peak lent "),
    ):
        assert str(stats) == stats.summary()
        assert str(stats).startswith(f"{type(stats).__name__}\n")
        assert row in str(stats)
        assert stats._repr_html_().startswith(f"<b>{type(stats).__name__}</b>\n<table>")
        assert eval(repr(stats), vars(numpool)) == stats
    assert str(slabs.stats()).partition("\n")[2] == slabs.summary().partition("\n")[2]
    assert "reused           0.0 % of the blocks" in str(slabs.stats())
    del buffer


@pytest.mark.parametrize(
    "cls",
    [numpool.PoolStats, numpool.ClassStats, numpool.ObjectStats],
    ids=lambda cls: cls.__name__,
)
def test_help_shows_what_each_figure_is(cls: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(cls))
    for field in fields(cls):
        [line] = [
            line
            for line in (inspect.getdoc(cls) or "").splitlines()
            if line.startswith(f"{field.name} ")
        ]
        assert line in shown
