"""What a slab pool promises to its user: any size, bounded, given back."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool
from numpool.cli.huge_pages import huge_bytes_at, try_for_huge_pages

SIZES = [0, 1, 8, 16, 17, 64, 100, 1000, 1024, 4096, 5000, 65536, 10**6, 2**21, 10**7 + 3, 2**26]


@pytest.mark.parametrize("size", SIZES)
def test_a_buffer_is_exactly_as_long_as_requested(slabs: numpool.SlabPool, size: int) -> None:
    with slabs.acquire(size) as buffer:
        assert len(buffer) == buffer.nbytes == size
        view = memoryview(buffer)
        view[:] = b"\xff" * size
        assert view.nbytes == size
        view.release()
        assert buffer.address % (64 if size >= 64 else 16 if size >= 16 else 8) == 0
        assert slabs.owns(buffer)
        assert buffer.pool is slabs
    assert slabs.stats().blocks == 0


def test_sizes_may_be_texts(slabs: numpool.SlabPool) -> None:
    assert slabs.acquire("64KiB").nbytes == 65536


@pytest.mark.skipif(not try_for_huge_pages(), reason="the system gives no huge pages now")
def test_small_blocks_have_huge_pages_if_requested() -> None:
    def huge_bytes(**options: Any) -> int:
        slabs = numpool.SlabPool(**options)
        blocks = [slabs.acquire(4096) for _ in range(4096)]
        for block in blocks:
            block.array()[:] = 1
        smaps = Path("/proc/self/smaps").read_text()
        # Mappings with different advice are separate, so several of them may have the blocks.
        places = {block.address >> 21: block.address for block in blocks}
        return max(huge_bytes_at(address, smaps) for address in places.values())

    assert huge_bytes(huge_pages="all") > 0
    assert huge_bytes() == 0
    assert huge_bytes(huge_pages=False) == 0


@pytest.mark.parametrize(
    ("size", "error", "text"),
    [
        (-1, ValueError, "nbytes is -1: it cannot be negative"),
        (1.5, TypeError, "nbytes must be an int or a text like '64KiB', not float"),
        (None, TypeError, "nbytes must be an int or a text"),
        ("much", ValueError, "nbytes: 'much' is not a size"),
        (2**70, ValueError, "more than an address space holds"),
    ],
)
def test_a_bad_size_is_named(
    slabs: numpool.SlabPool, size: Any, error: type[Exception], text: str
) -> None:
    for request in (slabs.acquire, slabs.try_acquire):
        with pytest.raises(error, match=text):
            request(size)


@pytest.mark.parametrize("size", [2**46, 2**47, 2**62, 2**63 - 1, 2**64 - 1])
def test_a_request_beyond_all_memory_raises_a_memory_error(
    slabs: numpool.SlabPool, size: int
) -> None:
    with pytest.raises(numpool.PoolExhausted, match=r"SlabPool 'test'"):
        slabs.acquire(size)
    assert slabs.try_acquire(size) is None
    assert slabs.stats().blocks == 0


def test_blocks_do_not_overlap_and_come_back(slabs: numpool.SlabPool) -> None:
    rng = random.Random(20260101)
    live: list[tuple[int, np.ndarray[Any, np.dtype[np.uint8]]]] = []
    for step in range(6000):
        if rng.random() < 0.55 or not live:
            size = int(2 ** rng.uniform(0, 21 if step % 50 else 24))
            array = slabs.acquire(size).array()
            array[:] = step % 251
            live.append((step % 251, array))
        else:
            mark, array = live.pop(rng.randrange(len(live)))
            assert (array == mark).all()
            del array
        if step % 1000 == 999:
            slabs.check()
            slabs.trim()
            assert slabs.stats().blocks == len(live)
        if sum(array.nbytes for _, array in live) > 3e8:
            live.clear()


def test_a_limit_holds_and_its_error_names_the_request() -> None:
    pool = numpool.SlabPool(limit="64MiB", name="small")
    kept = [pool.acquire("16MiB") for _ in range(3)]
    with pytest.raises(numpool.PoolExhausted) as caught:
        pool.acquire("40MiB")
    text = str(caught.value)
    assert text.startswith("SlabPool 'small'")
    for part in ("40 MiB", "64 MiB"):
        assert part in text
    assert pool.stats().limit == 2**26
    assert pool.stats().failures == 1
    assert pool.try_acquire("40MiB") is None
    kept.clear()
    assert pool.acquire("40MiB").nbytes == 40 * 2**20
    pool.check()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"limit": 0}, ValueError, "limit is 0"),
        ({"limit": -1}, ValueError, "limit is -1"),
        ({"limit": "a lot"}, ValueError, "limit: 'a lot' is not a size"),
        ({"limit": 1.5}, TypeError, "limit must be an int or a text"),
        ({"cache": "x"}, ValueError, "cache: 'x' is not a size"),
        ({"huge_pages": "some"}, ValueError, "huge_pages is 'some': it must be True"),
        ({"huge_pages": 1}, ValueError, "huge_pages is 1: it must be True"),
        ({"decay": -1}, ValueError, "decay is -1"),
        ({"decay": float("nan")}, ValueError, "decay is nan"),
        ({"classes": []}, ValueError, "classes is empty"),
        ({"classes": ["x"]}, ValueError, "a size in classes: 'x' is not a size"),
        ({"classes": [0]}, ValueError, "class"),
        ({"name": 3}, TypeError, "name must be a str, not int"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        numpool.SlabPool(**options)


def test_a_limit_may_be_a_percentage() -> None:
    assert numpool.SlabPool(limit="50%").stats().limit == numpool.memory_limit() // 2


def test_classes_can_be_chosen() -> None:
    pool = numpool.SlabPool(classes=[48, "1KiB", 3000])
    assert set(pool.classes) >= {48, 1024}
    buffers = [pool.acquire(size) for size in (1, 40, 48, 49, 1024, 2000, 3000, 3001)]
    for number, buffer in enumerate(buffers):
        buffer.array()[:] = number
    assert all((buffer.array() == number).all() for number, buffer in enumerate(buffers))
    pool.check()


def test_trim_gives_back_nearly_everything(printed_by: Callable[..., str]) -> None:
    # This needs its own process, because it would also count memory that other tests give back.
    code = """if True:
        from pathlib import Path

        import numpool
        import numpy  # as Buffer.array() does

        def resident_bytes():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

        pool = numpool.SlabPool()
        before = resident_bytes()
        sizes = (100, 5000, 300_000, 5_000_000)
        buffers = [pool.acquire(size) for size in sizes for _ in range(50)]
        for buffer in buffers:
            buffer.array()[:] = 1
        used = resident_bytes() - before
        del buffers, buffer
        trimmed = pool.trim()
        pool.check()
        print(used, trimmed, resident_bytes() - before)
    """
    used, trimmed, left = map(int, printed_by(code).split())
    assert used > 250_000_000
    assert trimmed > 0.95 * used
    assert left < 0.03 * used


def test_stats_show_each_class_and_the_total(slabs: numpool.SlabPool) -> None:
    small = [slabs.acquire(100) for _ in range(10)]
    large = slabs.acquire(3_000_000)
    stats = slabs.stats()
    assert stats.blocks == 11
    assert stats.asked == stats.requested
    assert stats.peak_committed >= stats.peak
    assert stats.requested == 1000 + 3_000_000
    assert stats.requested <= stats.in_use <= stats.committed <= stats.mapped
    assert stats.peak >= stats.in_use
    (of_class,) = stats.classes
    assert of_class.block_size in slabs.classes
    assert of_class.blocks == 10
    assert of_class.requested == 1000
    assert stats.spans is not None
    assert stats.spans.blocks == 1
    assert stats.spans.requested == 3_000_000
    assert stats.limit is None
    del small, large
    assert slabs.stats().requested == 0


def test_reallocate_keeps_the_contents_and_releases_the_old_buffer(slabs: numpool.SlabPool) -> None:
    buffer = slabs.acquire(10)
    memoryview(buffer)[:] = b"0123456789"
    for size in (20, 5000, 10**6, 2**25, 10**5, 10):
        bigger = slabs.reallocate(buffer, size)
        assert buffer.released
        assert bigger.nbytes == size
        assert bytes(memoryview(bigger)[:10]) == b"0123456789"
        buffer = bigger
    assert slabs.stats().blocks == 1


def test_an_array_that_grows_in_steps_stays_where_it_is(slabs: numpool.SlabPool) -> None:
    array = slabs.full(512, 7.0)
    places = {}
    for kib in range(8, 60, 4):
        array.resize(kib * 128, refcheck=False)
        places[kib] = array.ctypes.data
    assert len({place for kib, place in places.items() if kib >= 16}) == 1
    assert (array[:512] == 7).all()
    stats = slabs.stats()
    # With NumPy 1, no array reaches the end of its block.
    assert stats.requested == array.nbytes + np.__version__.startswith("1.")
    # The difference between the span and the array counts as rounding.
    assert stats.in_use == 64 * 1024
    array.resize(2000, refcheck=False)
    assert slabs.stats().in_use == 16384
    assert (array[:512] == 7).all()


def test_arrays_that_grew_before_they_were_cut_to_their_size_take_no_span(
    slabs: numpool.SlabPool,
) -> None:
    with numpool.use(slabs):
        array = np.fromiter((float(i) for i in range(3000)), "f8")
    stats = slabs.stats()
    assert stats.spans is not None
    assert stats.spans.blocks == 0
    assert array.nbytes <= stats.in_use < 1.15 * array.nbytes


def test_reallocate_refuses_unsafe_calls(slabs: numpool.SlabPool) -> None:
    buffer = slabs.acquire(100)
    view = memoryview(buffer)
    with pytest.raises(BufferError, match="still in use by 1 view"):
        slabs.reallocate(buffer, 200)
    view.release()
    other = numpool.SlabPool(limit="16MiB")
    with pytest.raises(ValueError, match=r"not one of SlabPool"):
        other.reallocate(buffer, 200)
    with pytest.raises(TypeError, match="takes a Buffer of this pool, not bytearray"):
        slabs.reallocate(bytearray(3), 200)  # type: ignore[arg-type]
    mine = other.acquire(100)
    memoryview(mine)[:] = b"x" * 100
    with pytest.raises(numpool.PoolExhausted):
        other.reallocate(mine, "1GiB")
    assert bytes(mine) == b"x" * 100
    buffer.release()
    with pytest.raises(ValueError, match="was released"):
        slabs.reallocate(buffer, 200)


def test_an_idle_process_gives_back_in_the_background(resident_bytes: Callable[[], int]) -> None:
    before = resident_bytes()
    pool = numpool.SlabPool(decay=0.1, background=True)
    array = pool.full(10**8, 1, "u1")
    small = [pool.full(10**4, 1, "u1") for _ in range(2000)]
    assert resident_bytes() - before > 110_000_000
    del array, small
    deadline = time.monotonic() + 20
    while resident_bytes() - before > 20_000_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert resident_bytes() - before < 20_000_000
    pool.check()


def test_a_wiping_pool_hands_out_zeroes() -> None:
    pool = numpool.SlabPool(wipe=True)
    for size in (10, 1000, 50_000, 3_000_000):
        for _ in range(3):
            buffer = pool.acquire(size)
            assert not buffer.array().any()
            buffer.array()[:] = 0xFF
            del buffer


def test_acquire_many_takes_all_or_none() -> None:
    pool = numpool.SlabPool(limit="64MiB")
    assert [buffer.nbytes for buffer in pool.acquire_many(1000, 5)] == [1000] * 5
    with pytest.raises(numpool.PoolExhausted):
        pool.acquire_many("20MiB", 4)
    gc.collect()
    assert pool.stats().blocks == 0


def test_the_repr_shows_the_state() -> None:
    pool = numpool.SlabPool(limit="1GiB", name="n")
    assert repr(pool).startswith("<SlabPool 'n': 0 blocks, 0 bytes of 1 GiB in use, ")
    buffer = pool.acquire(64)
    assert "1 block, 64 bytes of 1 GiB in use" in repr(pool)
    pool.close()
    assert repr(pool) == "<SlabPool 'n': closed, 1 block still in use>"
    buffer.release()
    assert repr(pool) == "<SlabPool 'n': closed>"


def test_threads_share_a_pool_and_release_each_others_blocks(slabs: numpool.SlabPool) -> None:
    exchanged: list[tuple[int, numpool.Buffer]] = []
    lock = threading.Lock()
    wrong: list[int] = []

    def work(mark: int) -> None:
        rng = random.Random(mark)
        for _ in range(2000):
            buffer = slabs.acquire(int(2 ** rng.uniform(0, 18)))
            buffer.array()[:] = mark
            with lock:
                exchanged.append((mark, buffer))
                other, buffer = exchanged.pop(rng.randrange(len(exchanged)))
            if not (buffer.array() == other).all():
                wrong.append(other)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert slabs.stats().blocks == len(exchanged) == 0


@pytest.mark.parametrize("size", [64, 4096, 2**20])
def test_bursts_fault_no_page_after_the_first_round(slabs: numpool.SlabPool, size: int) -> None:
    import resource

    def burst() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        buffers = [slabs.acquire(size) for _ in range(200)]
        for buffer in buffers:
            buffer.array()[:] = 1
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    burst()
    burst()
    assert min(burst() for _ in range(3)) <= 2
