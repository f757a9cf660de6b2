"""SharedPool: arrays that arrive in other processes as the same memory."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

sys.path.insert(0, str(Path(__file__).parent))
import workers  # type: ignore[import-not-found]

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(autouse=True)
def workers_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def pool() -> Iterator[numpool.SharedPool]:
    pool = numpool.SharedPool("64MiB", name="shared")
    yield pool
    pool.check()


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def context(request: pytest.FixtureRequest) -> BaseContext:
    context: BaseContext = multiprocessing.get_context(request.param)
    return context


def test_a_worker_writes_into_the_sender_s_memory(
    pool: numpool.SharedPool, context: BaseContext
) -> None:
    array = pool.zeros((100, 100), "f4")
    with context.Pool(1) as processes:
        worker = processes.apply(workers.fill, (array,))
    assert worker != os.getpid()
    assert (array == 7).all()


def test_an_executor_s_results_lie_in_the_pool(
    pool: numpool.SharedPool, context: BaseContext
) -> None:
    arrays = [pool.full(50_000, i, "f8") for i in range(6)]
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        results = list(executor.map(workers.doubled, arrays))
    for i, result in enumerate(results):
        assert numpool.owner(result) is pool
        assert (result == 2 * i).all()
    del arrays, results, result
    gc.collect()
    pool.reap(older_than=0)
    assert pool.stats().blocks == 0


def test_queues_pass_one_array_through_many_hands(
    pool: numpool.SharedPool, context: BaseContext
) -> None:
    inbox: Any = context.Queue()
    outbox: Any = context.Queue()
    process = context.Process(target=workers.pass_on, args=(inbox, outbox))  # type: ignore[attr-defined]
    process.start()
    array = pool.zeros(1_000_000, "u1")
    address = array.__array_interface__["data"][0]
    for _ in range(5):
        inbox.put(array)
        array = outbox.get(timeout=60)
        assert array.__array_interface__["data"][0] == address
    assert (array == 5).all()
    inbox.put(None)
    process.join(60)
    assert pool.stats().blocks == 1


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[2:5],
        lambda a: a[::-1],
        lambda a: a[1::2, ::3],
        lambda a: a.T,
        lambda a: a[3, 4, ...],
        lambda a: a["x"],
        lambda a: a[:0],
        lambda a: np.broadcast_to(a[0], (4, 10)),
    ],
    ids=["slice", "reversed", "steps", "transposed", "scalar", "field", "empty", "broadcast"],
)
def test_views_arrive_as_they_are(pool: numpool.SharedPool, view: Any) -> None:
    whole = pool.zeros((8, 10), [("x", "f4"), ("y", "i8")])
    whole["x"] = np.arange(80).reshape(8, 10)
    sent = view(whole)
    ours, theirs = multiprocessing.Pipe()
    ours.send(sent)
    got = theirs.recv()
    assert got.dtype == sent.dtype
    assert got.shape == sent.shape
    assert got.flags.writeable == sent.flags.writeable
    assert (got == sent).all()
    if sent.size:
        assert got.strides == sent.strides
        assert np.shares_memory(got, whole) == sent.flags.writeable


def test_a_read_only_array_cannot_be_written_by_its_receiver(pool: numpool.SharedPool) -> None:
    array = pool.zeros(1000)
    array.flags.writeable = False
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        said = processes.apply(workers.try_to_write, (array,))
    assert said == (
        "assignment destination is read-only | cannot set WRITEABLE flag to True of this array"
    )
    assert (array == 0).all()


def test_the_mapping_of_a_read_only_array_forbids_writing(printed_by: Any) -> None:
    code = """
    import ctypes, faulthandler, multiprocessing, os
    import numpool
    faulthandler.disable()  # What happens is meant.
    pool = numpool.SharedPool("1MiB")
    array = pool.zeros(10)
    array.flags.writeable = False
    ours, theirs = multiprocessing.Pipe()
    ours.send(array)
    address = theirs.recv().__array_interface__["data"][0]
    child = os.fork()
    if child == 0:
        ours.send(array)
        kept = theirs.recv()
        ctypes.memset(kept.__array_interface__["data"][0], 1, 8)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), array[0])
    """
    assert printed_by(textwrap.dedent(code)).split() == [str(-signal.SIGSEGV), "0.0"]


def test_ordinary_pickling_copies(pool: numpool.SharedPool) -> None:
    array = pool.full(100, 3.0)
    for copied in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array)):
        assert (copied == 3).all()
        assert numpool.owner(copied) is None


def test_arrays_of_no_shared_pool_are_pickled_as_before() -> None:
    ours, theirs = multiprocessing.Pipe()
    for array in (np.arange(10), np.array([{}, None], object), np.zeros((0, 3))):
        ours.send(array)
        got = theirs.recv()
        assert got.dtype == array.dtype
        assert got.tolist() == array.tolist()


def test_share_copies_one_in(pool: numpool.SharedPool) -> None:
    shared = pool.share([[1, 2], [3, 4]])
    assert shared.tolist() == [[1, 2], [3, 4]]
    assert numpool.owner(shared) is pool
    with pytest.raises(TypeError, match="holds references to Python objects of this process"):
        pool.share(np.array([object()]))


def test_a_message_can_be_received_once(pool: numpool.SharedPool) -> None:
    from multiprocessing.reduction import ForkingPickler

    message = bytes(ForkingPickler.dumps(pool.zeros(10)))
    first = pickle.loads(message)
    with pytest.raises(numpool.PoolError, match="this array was received already"):
        pickle.loads(message)
    assert (first == 0).all()


def test_a_message_on_its_way_keeps_its_block(pool: numpool.SharedPool) -> None:
    ours, theirs = multiprocessing.Pipe()
    for i in range(3):
        ours.send(pool.full(1000, i))
    assert pool.stats().blocks == 3
    assert [theirs.recv()[0] for _ in range(3)] == [0, 1, 2]
    assert pool.stats().blocks == 0


def test_the_blocks_of_a_killed_process_go_back(pool: numpool.SharedPool) -> None:
    context = multiprocessing.get_context("spawn")
    array = pool.zeros(1 << 20)
    ready, theirs = context.Pipe()
    process = context.Process(target=workers.hold, args=(array, theirs))
    process.start()
    assert ready.recv() == 8 << 20
    assert pool.stats().blocks == 2
    assert sorted(one.blocks for one in pool.processes()) == [1, 2]
    process.kill()
    process.join()
    del array
    assert [one.alive for one in pool.processes()].count(False) == 1
    pool.reap()
    assert pool.stats().blocks == 0
    assert [one.pid for one in pool.processes()] == [os.getpid()]


def test_a_fork_in_the_middle_keeps_both_sides_arrays(pool: numpool.SharedPool) -> None:
    array = pool.full(100_000, 5)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        fine = (array == 5).all() and pool.zeros(10).sum() == 0
        os._exit(0 if fine else 1)
    del array
    other = pool.full(100_000, 9)
    os.write(write, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (other == 9).all()
    pool.reap()
    assert pool.stats().blocks == 1


def test_an_unrelated_process_joins_through_a_socket(
    pool: numpool.SharedPool, tmp_path: Path
) -> None:
    array = pool.zeros(10)
    path = tmp_path / "pool.sock"
    code = f"""
import numpool
pool = numpool.SharedPool.connect({str(path)!r})
print(pool.name, pool.capacity, pool.stats().blocks, len(pool.processes()))
"""
    with pool.listen(path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["shared", str(64 << 20), "1", "2"]
    assert not path.exists()
    with pytest.raises(numpool.PoolError, match=r"No such file .* must call pool\.listen"):
        numpool.SharedPool.connect(path)
    del array


def test_the_error_of_a_full_pool_names_the_processes(pool: numpool.SharedPool) -> None:
    array = pool.empty(60 << 20, "u1")
    with pytest.raises(numpool.PoolExhausted, match="60 MiB are in use by 1 process"):
        pool.acquire("8MiB")
    with pytest.raises(MemoryError, match="8 MiB requested; of 64 MiB, 60 MiB are in use"):
        pool.zeros(8 << 20, "u1")
    del array
    assert pool.zeros(60 << 20, "u1").nbytes == 60 << 20


def test_the_figures_count_the_requests_of_this_process(pool: numpool.SharedPool) -> None:
    array = pool.zeros(1000)
    stats = pool.stats()
    assert stats.total_blocks == stats.blocks == 1
    assert stats.total_bytes >= array.nbytes


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(numpool.PoolExhausted, match="2 MiB requested; that is more than its cap"):
        numpool.SharedPool("1MiB").acquire("2MiB")
    with pytest.raises(ValueError, match="a SharedPool holds 1 byte to 4 TiB, not 0 bytes"):
        numpool.SharedPool(0)
    with pytest.raises(ValueError, match="not 5 TiB"):
        numpool.SharedPool("5TiB")
    with pytest.raises(ValueError, match="older_than must be 0 seconds or more"):
        numpool.SharedPool("1MiB").reap(older_than=-1)


def test_buffers_of_a_shared_pool_work_as_others_do(pool: numpool.SharedPool) -> None:
    with pool.acquire("64KiB") as buffer:
        memoryview(buffer)[:3] = b"abc"
        assert pool.owns(buffer)
    assert pool.stats().blocks == 0


def test_numpy_allocates_from_a_shared_pool(pool: numpool.SharedPool) -> None:
    with numpool.use(pool):
        array = np.arange(1000.0) * 2
    assert numpool.owner(array) is pool


def test_a_wiping_pool_hands_out_zeroes() -> None:
    pool = numpool.SharedPool("1MiB", wipe=True)
    for _ in range(10):
        array = pool.empty(1000, "u1")
        assert not array.any()
        array[:] = 255


def test_nothing_is_left_behind(pool: numpool.SharedPool) -> None:
    before = set(Path("/dev/shm").iterdir())
    array = pool.full(1 << 20, 1.0)
    assert set(Path("/dev/shm").iterdir()) == before
    assert array.nbytes <= pool.stats().committed
    del array
    pool.trim()
    assert pool.stats().committed < 1 << 20


def test_ordinary_pickling_names_the_ways_to_another_process(pool: numpool.SharedPool) -> None:
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError) as caught:
            refused(pool)
        assert str(caught.value) == (
            "cannot pickle or copy a SharedPool: pass it to another process as an argument or "
            "through a queue of multiprocessing, or use listen() and SharedPool.connect()"
        )
