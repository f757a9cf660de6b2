"""What an arena promises to its user: everything ends at once, and nothing that is reachable."""

from __future__ import annotations

import gc
import pickle
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool


@pytest.fixture
def arena() -> Iterator[numpool.Arena]:
    """An arena; it must be whole at the test's end."""
    arena = numpool.Arena(name="test")
    yield arena
    arena.check()


@pytest.mark.parametrize("size", [0, 1, 16, 100, 1024, 5000, 16384, 16385, 10**6, 10**8])
def test_a_buffer_is_exactly_as_long_as_asked(arena: numpool.Arena, size: int) -> None:
    buffer = arena.acquire(size)
    assert len(buffer) == buffer.nbytes == size
    view = memoryview(buffer)
    view[:] = b"\xff" * size
    assert buffer.address % (64 if size >= 1024 else 16) == 0
    assert buffer.pool is arena
    assert arena.owns(buffer)
    assert arena.stats().requested == size
    view.release()
    buffer.release()
    assert arena.stats().blocks == 0


arena_of: Any = numpool.Arena  # what types would not allow


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: numpool.Arena(0), ValueError, "chunk_size is 0: an arena needs at least a byte"),
        (lambda: numpool.Arena("2GiB"), ValueError, "chunk_size is 2147483648: at most 1 GiB"),
        (lambda: numpool.Arena("a lot"), ValueError, "chunk_size: 'a lot' is not a size"),
        (lambda: arena_of(1.5), TypeError, "chunk_size must be an int or a text"),
        (lambda: arena_of(parent=3), TypeError, "parent must be an Arena or None, not int"),
        (lambda: arena_of(source=3), TypeError, "source must be a pool, Pages or None, not int"),
        (lambda: arena_of(name=3), TypeError, "name must be a str, not int"),
        (lambda: numpool.Arena().acquire(-1), ValueError, "nbytes is -1: it cannot be negative"),
        (
            lambda: arena_of().defer(3),
            TypeError,
            "defer\\(\\) takes something to call, not int",
        ),
    ],
)
def test_bad_arguments_are_named(
    make: Callable[[], object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("size", [2**46, 2**47, 2**62, 2**64 - 1])
def test_more_than_there_is_raises_a_memory_error(arena: numpool.Arena, size: int) -> None:
    with pytest.raises(numpool.PoolExhausted, match=r"Arena 'test': .* requested, 0 bytes taken"):
        arena.acquire(size)
    assert arena.try_acquire(size) is None
    assert arena.stats().failures == 2


def in_a_cycle(used: object) -> list[object]:
    cycle = [used]
    cycle.append(cycle)
    return cycle


USES: dict[str, Callable[[numpool.Arena], object]] = {
    "memoryview": lambda arena: memoryview(arena.acquire(100)),
    "slice of a memoryview": lambda arena: memoryview(arena.acquire(100))[10:20],
    "array on a buffer": lambda arena: arena.acquire(100).array("f4"),
    "view of an array": lambda arena: arena.acquire(100).array()[::2],
    "frombuffer": lambda arena: np.frombuffer(arena.acquire(100), "u1"),
    "from_dlpack": lambda arena: np.from_dlpack(arena.acquire(100)),
    "dlpack capsule": lambda arena: arena.acquire(100).__dlpack__(),
    "ndarray(buffer=)": lambda arena: np.ndarray(100, "u1", buffer=arena.acquire(100)),
    "PickleBuffer": lambda arena: memoryview(pickle.PickleBuffer(arena.acquire(100))),
    "empty": lambda arena: arena.empty(100, "u1"),
    "zeros": lambda arena: arena.zeros(100, "u1"),
    "full": lambda arena: arena.full(100, 7, "u1"),
    "array": lambda arena: arena.array(range(100), "u1"),
    "large": lambda arena: arena.empty(10**6),
    "a cycle": lambda arena: in_a_cycle(arena.empty(9)),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("verb", ["reset", "close"])
def test_nothing_that_is_reachable_is_ended(
    arena: numpool.Arena, use: Callable[[numpool.Arena], object], verb: str
) -> None:
    used = use(arena)
    with pytest.raises(BufferError, match=rf"1 block is still in use .* before {verb}\(\)"):
        getattr(arena, verb)()
    assert not arena.closed
    assert arena.stats().blocks == 1
    assert arena.acquire(10).nbytes == 10
    del used
    gc.collect()
    getattr(arena, verb)()
    assert arena.stats().blocks == 0


def test_the_error_names_how_many_and_the_first_few(arena: numpool.Arena) -> None:
    views = [memoryview(arena.acquire(100 + i)) for i in range(6)]
    buffers = [arena.acquire(50) for _ in range(3)]
    with pytest.raises(BufferError) as caught:
        arena.reset()
    named = ", ".join(f"{100 + i} bytes at {np.asarray(views[i]).ctypes.data:#x}" for i in range(4))
    assert str(caught.value) == (
        f"Arena 'test': 6 blocks are still in use by arrays or views: {named} and 2 more; "
        "drop them before reset()"
    )
    assert not any(buffer.released for buffer in buffers)


def test_dead_blocks_are_no_obstacle_however_many(arena: numpool.Arena) -> None:
    for _ in range(100_000):
        arena.acquire(64)
    arrays = [arena.empty(8) for _ in range(10_000)]
    random.Random(1).shuffle(arrays)
    kept = arrays.pop()
    arrays.clear()
    with pytest.raises(BufferError, match="1 block is"):
        arena.reset()
    del kept
    arena.reset()
    stats = arena.stats()
    assert stats.blocks == stats.in_use == 0
    assert arena.chunk_size <= stats.mapped < 2 * arena.chunk_size
    assert stats.asked == 7_040_000
    assert stats.requests == 110_000


ENDED_USES: dict[str, Callable[[numpool.Buffer], object]] = {
    "memoryview": memoryview,
    "array": lambda buffer: buffer.array(),
    "frombuffer": lambda buffer: np.frombuffer(buffer, "u1"),
    "dlpack": lambda buffer: buffer.__dlpack__(),
    "ndarray(buffer=)": lambda buffer: np.ndarray(10, "u1", buffer=buffer),
    "bytes": lambda buffer: bytes(buffer),
    "len": len,
    "nbytes": lambda buffer: buffer.nbytes,
    "address": lambda buffer: buffer.address,
    "pool": lambda buffer: buffer.pool,
    "with": lambda buffer: buffer.__enter__(),
    "pickle": lambda buffer: pickle.dumps(buffer),
}


@pytest.mark.parametrize("use", ENDED_USES.values(), ids=ENDED_USES)
@pytest.mark.parametrize("verb", ["reset", "rewind", "close"])
def test_a_buffer_that_nobody_views_ends_and_says_so(
    arena: numpool.Arena, use: Callable[[numpool.Buffer], object], verb: str
) -> None:
    mark = arena.mark()
    buffer = arena.acquire(100)
    memoryview(buffer).release()
    arena.rewind(mark) if verb == "rewind" else getattr(arena, verb)()
    text = "this buffer ended when its arena was reset, rewound or closed: acquire another one"
    with pytest.raises((ValueError, BufferError), match=text):
        use(buffer)
    assert repr(buffer) == "<numpool.Buffer, ended by its arena>"


def test_an_ended_buffer_does_nothing_to_the_block_that_has_its_place(arena: numpool.Arena) -> None:
    old = arena.acquire(100)
    address = old.address
    arena.reset()
    new = arena.acquire(100)
    assert new.address == address
    view = memoryview(new)
    view[:] = b"n" * 100
    old.release()
    with pytest.raises(ValueError, match="was released"):
        len(old)
    del old
    gc.collect()
    assert arena.stats().blocks == 1
    other = arena.acquire(100)
    memoryview(other)[:] = b"o" * 100
    assert bytes(view) == b"n" * 100


def test_release_refuses_while_views_live_and_counts_them(arena: numpool.Arena) -> None:
    buffer = arena.acquire(100)
    views = [memoryview(buffer), memoryview(buffer)]
    with pytest.raises(BufferError, match="still in use by 2 views"):
        buffer.release()
    views.clear()
    buffer.release()
    assert arena.stats().blocks == 0


def test_views_outlive_their_buffer_and_the_arena() -> None:
    arena = numpool.Arena()
    view = memoryview(arena.acquire(100))
    with numpool.use(arena):
        array = np.arange(1000)
    del arena
    gc.collect()
    view[:] = b"v" * 100
    assert bytes(view) == b"v" * 100
    assert array.sum() == 499500
    pool = numpool.pool_of(array)
    assert isinstance(pool, numpool.Arena)
    pool.check()
    del array, view
    gc.collect()
    assert pool.stats().blocks == 0


def test_a_buffer_outlives_the_arena_that_nobody_can_reset_any_more() -> None:
    buffer = numpool.Arena(name="gone").acquire(100)
    gc.collect()
    memoryview(buffer)[:] = b"b" * 100
    assert bytes(buffer) == b"b" * 100
    pool = buffer.pool
    assert pool is not None
    assert pool.name == "gone"


def test_a_pinned_buffer_is_in_use_until_it_is_dropped(arena: numpool.Arena) -> None:
    buffer = arena.acquire(100)
    array = np.ndarray(100, "u1", buffer=buffer)
    with pytest.raises(BufferError, match="1 block is still in use"):
        arena.reset()
    del array
    with pytest.raises(BufferError, match="1 block is still in use"):
        arena.reset()
    del buffer
    arena.reset()


def test_temporaries_under_use_end_in_one_step(arena: numpool.Arena) -> None:
    x = np.arange(10_000.0)
    for _ in range(3):
        with numpool.use(arena):
            result = float(((x * 2 + 1) ** 2 - x).sum())
        arena.reset()
    stats = arena.stats()
    assert stats.requests >= 6
    assert stats.blocks == 0
    assert np.isclose(result, float(((x * 2 + 1) ** 2 - x).sum()))


def test_a_result_kept_from_under_use_forbids_the_end(arena: numpool.Arena) -> None:
    with numpool.use(arena):
        kept = np.ones(10) + 1
    with pytest.raises(BufferError, match=r"1 block is still in use .*: 80 bytes at 0x"):
        arena.close()
    copy = kept.copy()
    assert numpool.pool_of(copy) is None
    del kept
    arena.close()
    assert copy.sum() == 20


def test_arrays_grow_shrink_and_keep_their_contents(arena: numpool.Arena) -> None:
    array = arena.array(np.arange(100))
    other = arena.zeros(10)
    for size in (50, 1000, 100_000, 10**6, 100):
        kept = min(size, array.size)
        before = array[:kept].copy()
        array.resize(size, refcheck=False)
        assert (array[:kept] == before).all()
        assert arena.owns(array)
        arena.check()
    assert not other.any()


def test_zeros_are_zero_where_blocks_were_dirty(arena: numpool.Arena) -> None:
    for size in (8, 1000, 100_000):
        arena.full(size, 0xFF, "u1")
        assert not arena.zeros(size, "u1").any()


def test_blocks_do_not_overlap_whatever_comes_and_goes(arena: numpool.Arena) -> None:
    rng = random.Random(20260102)
    live: list[tuple[int, np.ndarray[Any, np.dtype[np.uint8]]]] = []
    for step in range(6000):
        if rng.random() < 0.55 or not live:
            size = int(2 ** rng.uniform(0, 15 if step % 50 else 20))
            array = arena.acquire(size).array() if step % 2 else arena.empty(size, "u1")
            array[:] = step % 251
            live.append((step % 251, array))
        else:
            mark, array = live.pop(rng.choice([-1, rng.randrange(len(live))]))
            assert (array == mark).all()
            del array
        if step % 1000 == 999:
            arena.check()
            assert arena.stats().blocks == len(live)
    assert all((array == mark).all() for mark, array in live)
    live.clear()


# Families and clean-ups.


def test_children_end_first_then_clean_ups_in_reverse_then_the_memory() -> None:
    events: list[str] = []
    parent = numpool.Arena(name="parent")
    parent.defer(events.append, "parent's first")
    older = numpool.Arena(parent=parent, name="older")
    younger = numpool.Arena(parent=parent, name="younger")
    grandchild = numpool.Arena(parent=older, name="grandchild")
    for child in (older, younger, grandchild):
        child.defer(events.append, child.name)
    older.defer(events.append, "older's last")
    parent.defer(
        lambda *, memory: events.append(f"{memory.nbytes} bytes"), memory=parent.acquire(9)
    )
    parent.close()
    assert events == [
        "younger",
        "grandchild",
        "older's last",
        "older",
        "9 bytes",
        "parent's first",
    ]
    assert all(arena.closed for arena in (parent, older, younger, grandchild))
    parent.close()
    assert len(events) == 6
    assert older.parent is parent
    assert parent.parent is None


def test_reset_ends_children_and_runs_clean_ups_too() -> None:
    events: list[str] = []
    parent = numpool.Arena()
    child = numpool.Arena(parent=parent)
    child.defer(events.append, "child")
    parent.defer(events.append, "parent")
    parent.reset()
    assert events == ["child", "parent"]
    assert child.closed
    assert not parent.closed
    parent.reset()
    assert events == ["child", "parent"]


def test_a_childs_live_array_forbids_its_parents_end() -> None:
    events: list[str] = []
    parent = numpool.Arena(name="parent")
    child = numpool.Arena(parent=parent)
    child.defer(events.append, "child")
    array = child.empty(10)
    own = parent.empty(5)
    with pytest.raises(BufferError, match=r"^Arena 'parent': 2 blocks are .* before close\(\)$"):
        parent.close()
    del own
    with pytest.raises(BufferError, match=r"1 block is still in use .*: 80 bytes"):
        parent.reset()
    assert events == []
    assert not child.closed
    del array
    parent.close()
    assert events == ["child"]


def test_a_dropped_child_is_no_obstacle_but_its_arrays_are() -> None:
    parent = numpool.Arena()
    numpool.Arena(parent=parent)
    array = numpool.Arena(parent=parent).empty(10)
    gc.collect()
    with pytest.raises(BufferError):
        parent.close()
    array[:] = 1
    del array
    parent.close()


def test_a_closed_parent_takes_no_child() -> None:
    parent = numpool.Arena(name="parent")
    parent.close()
    with pytest.raises(numpool.PoolClosed, match="Arena 'parent' is closed"):
        numpool.Arena(parent=parent)


def test_a_child_keeps_its_parent() -> None:
    events: list[str] = []
    parent = numpool.Arena()
    parent.defer(events.append, "parent")
    child = numpool.Arena(parent=parent)
    del parent
    gc.collect()
    assert events == []
    del child
    gc.collect()
    assert events == ["parent"]


def test_a_clean_up_may_defer_another_and_make_a_child() -> None:
    events: list[str] = []
    arena = numpool.Arena()

    def first() -> None:
        events.append("first")
        arena.defer(second)

    def second() -> None:
        events.append("second")
        numpool.Arena(parent=arena).defer(events.append, "child")

    arena.defer(events.append, "oldest")
    arena.defer(first)
    arena.close()
    assert events == ["first", "second", "child", "oldest"]


def test_all_clean_ups_run_and_the_last_error_passes() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(lambda: dict[str, int]()["first"])
    arena.defer(events.append, "between")
    arena.defer(int, "second")
    arena.acquire(100)
    with pytest.raises(KeyError, match="first") as caught:
        arena.close()
    assert isinstance(caught.value.__context__, ValueError)
    assert events == ["between"]
    assert arena.closed
    assert arena.stats().blocks == 0


def test_a_clean_up_that_takes_a_block_into_use_is_found() -> None:
    kept: list[Any] = []
    arena = numpool.Arena()
    arena.defer(lambda: kept.append(arena.empty(3)))
    with pytest.raises(BufferError, match="24 bytes"):
        arena.close()
    assert not arena.closed
    kept[0][:] = 1
    kept.clear()
    arena.close()


def test_a_dropped_arena_runs_its_clean_ups() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(events.append, "dropped")
    array = arena.empty(10)
    del arena
    assert events == ["dropped"]
    array[:] = 1


def test_an_arena_in_a_cycle_runs_its_clean_ups_and_goes() -> None:
    events: list[str] = []

    def leave_a_cycle() -> None:
        arena = numpool.Arena(name="cycle")
        arena.defer(lambda: events.append(arena.name))
        buffer = arena.acquire(10)
        arena.defer(lambda: events.append(str(buffer.nbytes)))

    leave_a_cycle()
    gc.collect()
    assert events == ["10", "cycle"]


def test_a_failing_clean_up_of_a_dropped_arena_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reports.append(report.exc_type))
    arena = numpool.Arena()
    arena.defer(int, "x")
    del arena
    assert reports == [ValueError]


def test_a_clean_up_may_reset_or_close_its_arena() -> None:
    for verb in ("reset", "close"):
        arena = numpool.Arena()
        arena.defer(getattr(arena, verb))
        arena.acquire(10)
        arena.close()
        assert arena.closed


# Marks.


def test_rewinding_ends_what_began_since_the_mark() -> None:
    events: list[str] = []
    arena = numpool.Arena()
    arena.defer(events.append, "before")
    before = arena.acquire(10)
    older = numpool.Arena(parent=arena)
    kept = arena.array(range(5))
    mark = arena.mark()
    for round_ in range(3):
        arena.defer(events.append, f"since {round_}")
        since = arena.acquire(10)
        child = numpool.Arena(parent=arena)
        arena.rewind(mark)
        assert since.released
        assert child.closed
    assert events == ["since 0", "since 1", "since 2"]
    assert not before.released
    assert not older.closed
    assert kept.tolist() == [0, 1, 2, 3, 4]
    arena.check()
    del kept
    arena.close()
    assert events[-1] == "before"


def test_only_what_began_since_the_mark_forbids_to_rewind(arena: numpool.Arena) -> None:
    before = arena.zeros(10)
    mark = arena.mark()
    since = arena.zeros(20)
    with pytest.raises(BufferError, match=r"1 block .*: 160 bytes at .* before rewind\(\)"):
        arena.rewind(mark)
    del since
    arena.rewind(mark)
    assert before.sum() == 0


def test_marks_nest_and_say_when_they_are_stale(arena: numpool.Arena) -> None:
    arena.acquire(1)
    kept = [arena.acquire(10)]
    outer = arena.mark()
    kept.append(arena.acquire(10))
    inner = arena.mark()
    kept.append(arena.acquire(10))
    arena.rewind(inner)
    assert [buffer.released for buffer in kept] == [False, False, True]
    arena.rewind(outer)
    assert [buffer.released for buffer in kept] == [False, True, True]
    stale = r"Arena 'test': this mark is of a state that the arena has left"
    with pytest.raises(ValueError, match=stale):
        arena.rewind(inner)
    arena.reset()
    with pytest.raises(ValueError, match=stale):
        arena.rewind(outer)
    with pytest.raises(ValueError, match="this mark is another arena's"):
        arena.rewind(numpool.Arena().mark())
    with pytest.raises(TypeError):
        arena.rewind(3)  # type: ignore[arg-type]


# The rest of what pools have in common.


def test_with_closes_the_arena() -> None:
    with numpool.Arena(name="w") as arena:
        arena.acquire(10)
    assert arena.closed
    assert repr(arena) == "<Arena 'w': closed>"
    for request in (
        lambda: arena.acquire(1),
        lambda: arena.try_acquire(1),
        lambda: arena.empty(1),
        arena.mark,
        arena.reset,
        lambda: arena.defer(print),
    ):
        with pytest.raises(numpool.PoolClosed, match="Arena 'w' is closed"):
            request()
    with pytest.raises(numpool.PoolClosed):
        numpool.use(arena)


def test_with_refuses_to_end_what_is_in_use_but_lets_an_exception_pass() -> None:
    events: list[str] = []
    with pytest.raises(BufferError, match=r"before close\(\)"), numpool.Arena() as arena:
        array = arena.empty(10)
    assert repr(arena).startswith("<Arena: 1 block")
    arena.defer(events.append, "clean-up")
    with pytest.raises(KeyError, match="passes"), arena:
        raise KeyError("passes")
    assert repr(arena) == "<Arena: closed, 1 block still in use>"
    assert events == ["clean-up"]
    array[:] = 1
    del array
    assert repr(arena) == "<Arena: closed>"
    assert arena.stats().mapped == 0


def test_the_repr_and_stats_tell_the_state() -> None:
    arena = numpool.Arena("16KiB", name="r")
    assert repr(arena) == "<Arena 'r': 0 blocks of 0 bytes in 0 bytes>"
    buffers = [arena.acquire(1000), arena.acquire(24)]
    stats = arena.stats()
    taken = numpool.format_size(stats.mapped)
    assert repr(arena) == f"<Arena 'r': 2 blocks of 1 KiB in {taken}>"
    assert stats.requested == stats.asked == 1024
    assert stats.in_use == 1008 + 16 + 32 + 16
    assert stats.blocks == stats.requests == 2
    assert stats.growths == stats.hits == 1
    assert stats.mapped == stats.in_use + stats.cached == stats.peak_committed
    buffers.clear()
    assert arena.stats().peak == stats.in_use
    assert arena.trim() == stats.mapped
    assert arena.stats().mapped == 0
    assert arena.stats().peak_committed == stats.mapped
    assert not arena.owns(np.empty(3))


def test_acquire_many_takes_all_or_none() -> None:
    source = numpool.SlabPool(limit="16MiB")
    arena = numpool.Arena(source=source)
    assert [buffer.nbytes for buffer in arena.acquire_many(1000, 5)] == [1000] * 5
    with pytest.raises(numpool.PoolExhausted):
        arena.acquire_many("5MiB", 4)
    gc.collect()
    assert arena.stats().blocks == 0


def test_threads_share_an_arena_and_resets_hit_no_live_block(arena: numpool.Arena) -> None:
    wrong: list[object] = []
    stop = threading.Event()

    def work(mark: int) -> None:
        rng = random.Random(mark)
        with numpool.use(arena):
            for _ in range(1500):
                size = int(2 ** rng.uniform(0, 16))
                array = np.full(size, mark, "u1")
                buffer = arena.acquire(size)
                try:
                    view = buffer.array()
                    view[:] = mark
                    if not (view == mark).all():
                        wrong.append(mark)
                except ValueError:  # A reset came between the two.
                    view = None
                if not (array == mark).all():
                    wrong.append(mark)
                del array, view, buffer

    def reset() -> None:
        while not stop.is_set():
            try:
                arena.reset()
            except BufferError:  # noqa: PERF203 - as long as it takes
                arena.check()

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    resetting = threading.Thread(target=reset)
    for thread in (*threads, resetting):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    resetting.join()
    assert wrong == []
    arena.reset()
    assert arena.stats().blocks == 0


def test_threads_make_and_end_families() -> None:
    parent = numpool.Arena()
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(400):
                try:
                    child = numpool.Arena(parent=parent)
                    child.defer(len, ())
                    child.acquire(100).array()[:] = 1
                    grandchild = numpool.Arena(parent=child)
                    array = grandchild.zeros(10)
                    if rng.random() < 0.3:
                        parent.reset()
                    del array
                    if rng.random() < 0.5:
                        child.close()
                except (BufferError, ValueError):  # noqa: PERF203 - others end it
                    pass
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    gc.collect()
    parent.close()
