"""``numpool run --share``: programs that pass arrays to other processes do the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import numpool
from numpool.cli import run

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]
Write = Callable[[str, str], str]
SharedRun = Callable[..., dict[str, Any]]


@pytest.fixture
def same_shared(tmp_path: Path, numpool_run: Run) -> SharedRun:
    """Runs Python and ``numpool run --share``: both must do the same. Returns the figures."""

    def run_both(*arguments: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
        expected = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert (expected.returncode, expected.stderr) == (0, "")
        ours = ("--share", "--quiet", "--json", "figures.json", "--force", *options, "--")
        done = numpool_run(*ours, *arguments)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", expected.stdout)
        figures: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
        return figures

    return run_both


FACTS = """
import hashlib
import numpy as np

def facts(a):
    flags = a.flags
    data = repr(a.tolist()).encode() if a.dtype.hasobject else a.tobytes()
    return (
        type(a).__name__, a.dtype.descr, a.shape, a.strides, flags.c_contiguous, flags.f_contiguous,
        flags.writeable, flags.aligned, flags.owndata, hashlib.sha1(data).hexdigest(),
    )

def seen_and_written(a):
    before = facts(a)
    if a.flags.writeable and not a.dtype.hasobject:
        a[...] = np.zeros((), a.dtype)
    return before, facts(a)

def doubled(a):
    a *= 2
    return a
"""

WAYS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from facts import *

def serve(inbox, outbox):
    while (array := inbox.get()) is not None:
        outbox.put((seen_and_written(array), array + 1))

def answer(pipe):
    while (array := pipe.recv()) is not None:
        pipe.send((seen_and_written(array), array + 1))

def own(array, number, queue):
    array += number
    queue.put((facts(array), array))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    images = [np.full((256, 300), i, "f4") for i in range(6)]
    with context.Pool(2) as pool:
        print(pool.map(seen_and_written, images))
        results = pool.map(doubled, images, chunksize=2)
        print([facts(one) for one in results], [one[0, 0] for one in pool.imap(doubled, results)])
        print(facts(pool.apply_async(doubled, (images[5],)).get()))
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        print(list(executor.map(seen_and_written, images)))
        print([facts(one) for one in executor.map(doubled, images)])
    for kind in (context.Queue, context.SimpleQueue, context.JoinableQueue):
        inbox, outbox = kind(), kind()
        process = context.Process(target=serve, args=(inbox, outbox))
        process.start()
        for image in images:
            inbox.put(image)
            said, result = outbox.get()
            image += 1  # after it has arrived
            print(said, facts(result))
        inbox.put(None)
        process.join()
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    for image in images:
        ours.send(image)
        image += 1  # what was sent is a snapshot
        said, result = ours.recv()
        print(said, facts(result))
    ours.send(None)
    process.join()
    queue = context.Queue()
    processes = [context.Process(target=own, args=(images[0], i, queue)) for i in range(3)]
    for one in processes:
        one.start()
        print(queue.get())
        one.join()
    print([facts(image) for image in images])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_way_to_another_process_does_as_without_numpool(
    same_shared: SharedRun, write: Write, method: str
) -> None:
    write("facts.py", FACTS)
    figures = same_shared(write("program.py", WAYS), method)
    assert figures["shared"] > 70
    assert figures["shared_bytes"] == figures["shared"] * 256 * 300 * 4


KINDS = """
import multiprocessing
import numpy as np
from facts import *

whole = np.arange(64 * 100 * 50).reshape(64, 100, 50) % 1000
read_only = whole.copy()
read_only.flags.writeable = False
record = np.zeros(9000, [("x", "f4"), ("y", "i8")])
record["x"] = np.arange(9000)
ARRAYS = [
    whole, whole[1:], whole[:, 1:], whole[::-1], whole[..., ::2], whole.T, whole.transpose(1, 0, 2),
    np.asfortranarray(whole), np.asfortranarray(whole)[:, :-1], whole[:, :1], whole[:, :, 3],
    read_only, read_only.T, read_only[::2], np.broadcast_to(whole[0], (9, 100, 50)),
    record, record["x"], record[::2], record.view(np.recarray),
    whole.astype(">i8"), whole.astype("f2"), whole.astype(bool), whole.astype("c16"),
    whole.astype("M8[s]"), whole.astype("m8[D]"), whole.astype("S8"), whole.astype("U6"),
    whole.astype("V3"), np.ma.masked_greater(whole, 500), np.matrix(whole[0].repeat(40, 0)),
    np.array([None, {}] * 9000, object), np.zeros((0, 10**6)), np.array(3.0), whole[:1, :1, :1],
]

def told(array):
    return facts(array), type(array.base).__name__ in ("bytes", "PyCapsule", "NoneType")

if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        for array in ARRAYS:
            print(pool.apply(seen_and_written, (array,)))
        for array in pool.map(np.asarray, ARRAYS):
            print(facts(array))
        one, two, three = pool.apply(list, ([whole, {"same": whole}, whole[:]],))
        print(one is two["same"], one is three)
"""


def test_arrays_of_every_kind_arrive_as_pickled(same_shared: SharedRun, write: Write) -> None:
    write("facts.py", FACTS)
    assert same_shared(write("program.py", KINDS))["shared"] > 30


JOBLIB = """
import sys
import numpy as np
from joblib import Parallel, delayed
from kinds import ARRAYS
from facts import *

def work(array):
    return seen_and_written(array)[0][1:], array.reshape(-1)[:9].tolist(), array

if __name__ == "__main__":
    arrays = [array for array in ARRAYS if type(array) is np.ndarray]
    for most in (None, "1M"):
        with Parallel(2, max_nbytes=most) as parallel:
            for *said, result in parallel(delayed(work)(array) for array in arrays):
                print(said, facts(np.asarray(result)))
"""


def test_joblib_does_as_without_numpool(same_shared: SharedRun, write: Write) -> None:
    pytest.importorskip("joblib")
    write("facts.py", FACTS)
    write("kinds.py", KINDS)
    assert same_shared(write("program.py", JOBLIB))["shared"] > 30


def test_results_of_workers_that_got_no_array_are_shared(
    same_shared: SharedRun, write: Write
) -> None:
    program = """
import multiprocessing, sys
import numpy as np

def make(i):
    return np.full(10**6, i, "i4")

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print([int(one.sum()) for one in pool.imap(make, range(20))])
"""
    name = write("program.py", program)
    for method in ("fork", "spawn", "forkserver"):
        assert same_shared(name, method)["shared"] == 20


def test_a_full_pool_pickles(same_shared: SharedRun, write: Write) -> None:
    program = """
import multiprocessing
import numpy as np

def doubled(array):
    array *= 2
    return array

if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        arrays = pool.map(doubled, [np.full(10**6, i, "f8") for i in range(12)])
    print([float(one.sum()) for one in arrays])
"""
    figures = same_shared(write("program.py", program), options=("--share=40MiB",))
    assert 0 < figures["shared"] < 24


def test_more_processes_than_places_pickle_or_copy(same_shared: SharedRun, write: Write) -> None:
    program = """
import multiprocessing, sys
import numpy as np

def serve(inbox, outbox):
    while (array := inbox.get()) is not None:
        array += 1
        outbox.put(array)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queues = [(context.SimpleQueue(), context.SimpleQueue()) for _ in range(60)]
    processes = [context.Process(target=serve, args=pair) for pair in queues]
    for process in processes:
        process.start()
    for turn in range(2):
        for i, (inbox, outbox) in enumerate(queues):
            inbox.put(np.full(100_000, i, "f4"))
            print(float(outbox.get().mean()))
    for inbox, _ in queues:
        inbox.put(None)
    for process in processes:
        process.join()
"""
    figures = same_shared(write("program.py", program))
    assert 120 < figures["shared"] < 240


def test_connections_that_may_lead_to_another_machine_pickle(
    same_shared: SharedRun, write: Write
) -> None:
    program = """
import multiprocessing, threading
from multiprocessing.connection import Client, Listener
import numpy as np

def serve(listener):
    with listener.accept() as one:
        one.send(one.recv() + 1)

if __name__ == "__main__":
    for family in ("AF_INET", "AF_UNIX"):
        with Listener(family=family) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            with Client(listener.address) as client:
                client.send(np.zeros(10**6))
                print(client.recv().sum())
            thread.join()
    with multiprocessing.Manager() as manager:
        shared = manager.dict(array=np.ones(10**6))
        print(shared["array"].sum(), shared["array"].sum())
"""
    assert same_shared(write("program.py", program))["shared"] == 0


def test_ordinary_pickling_is_unchanged(same_shared: SharedRun, write: Write) -> None:
    program = """
import copy, hashlib, pickle, io
from multiprocessing import reduction
import numpy as np
array = np.arange(10**6)
file = io.BytesIO()
reduction.dump(array, file)
for text in (pickle.dumps(array), bytes(reduction.ForkingPickler.dumps(array)), file.getvalue()):
    print(hashlib.sha1(text).hexdigest(), [pickle.loads(text).sum() for _ in range(2)])
print(copy.deepcopy(array).flags.owndata)
"""
    assert same_shared(write("program.py", program))["shared"] == 0


def test_a_reducer_that_the_program_registers_stays(same_shared: SharedRun, write: Write) -> None:
    program = """
import multiprocessing
from multiprocessing import reduction
import numpy as np

reduction.register(np.ndarray, lambda array: (np.zeros, (3,)))
ours, theirs = multiprocessing.Pipe()
ours.send(np.ones(10**6))
print(theirs.recv())
"""
    assert same_shared(write("program.py", program))["shared"] == 0


LOST = """
import gc, multiprocessing, os, signal, sys, threading, time
import numpy as np
from numpool import _copies

def hold(pipe):
    kept = pipe.recv()
    pipe.send(len(kept))
    time.sleep(600)

def in_use():
    gc.collect()
    pool = _copies.pool()
    pool.reap(older_than=0)
    pool.check()
    return pool.stats().blocks

if __name__ == "__main__":
    array = np.zeros(10**6)
    ours, theirs = multiprocessing.Pipe()
    try:
        ours.send([array, threading.Lock()])
    except TypeError:
        print("cannot be pickled:", in_use())
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(theirs,))
    process.start()
    ours.send([array] + [array + i for i in range(9)])
    print(ours.recv(), in_use())
    process.kill()
    process.join()
    print("killed:", in_use())
    theirs.close()
    try:
        ours.send(array)
    except BrokenPipeError:
        print("nobody receives:", in_use())
"""


def test_no_block_is_lost(numpool_run: Run, write: Write) -> None:
    done = numpool_run("--share", write("program.py", LOST))
    assert done.stdout.splitlines() == [
        "cannot be pickled: 0",
        "10 10",
        "killed: 0",
        "nobody receives: 0",
    ]


def test_a_sender_and_a_receiver_use_the_same_memory_again(numpool_run: Run, write: Write) -> None:
    program = """
import multiprocessing
import numpy as np
from numpool import _copies

if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        for i in range(300):
            assert pool.apply(np.negative, (np.full(10**6, i, "i4"),))[0] == -i
    print(_copies.pool().stats().committed < 32 << 20)
"""
    assert numpool_run("--share", write("program.py", program)).stdout == "True\n"


def test_workers_have_the_pool_of_numpy_only_with_children(numpool_run: Run, write: Write) -> None:
    program = """
import multiprocessing, os
import numpy as np
import numpool

def work(array):
    return str(numpool.current()), float(array.sum()), "PYTHONPATH" in os.environ

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(work, (np.ones(10**6),)))
"""
    name = write("program.py", program)
    assert numpool_run("--share", name).stdout == "('None', 1000000.0, False)\n"
    with_children = numpool_run("--share", "--children", name).stdout
    assert "SlabPool 'run'" in with_children
    assert "1000000.0, True" in with_children


def test_the_summary_counts_what_was_shared(numpool_run: Run, write: Write) -> None:
    program = """
import multiprocessing
import numpy as np

if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        pool.map(np.negative, [np.zeros(1 << 17) for _ in range(8)])
"""
    name = write("program.py", program)
    assert "sent by sharing  16 MiB in 16 arrays" in numpool_run("--share", name).stderr
    assert "sharing" not in numpool_run(name).stderr
    assert "sent by sharing  16 MiB" in numpool_run("--pool", "none", "--share", name).stderr
    done = numpool_run("--share", "-c", "import numpy")
    assert "No array was sent by sharing" in " ".join(done.stderr.split())


def test_a_program_without_processes_imports_no_more(numpool_run: Run) -> None:
    code = "import sys, numpy; print('multiprocessing' in sys.modules)"
    assert numpool_run("--share", "-c", code).stdout == "False\n"


def test_what_share_takes(numpool_run: Run) -> None:
    done = numpool_run("--share=much", "-c", "")
    assert done.returncode == 2
    assert "--share: 'much' is neither a size, like 4GiB or 25%, nor on or off" in done.stderr
    done = numpool_run("-c", "print(1)", environment={"NUMPOOL_SHARE": "1GiB"})
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_without_shared_memory_the_run_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(capacity: int) -> None:
        raise numpool.PoolExhausted("SharedPool: no shared memory of 1 GiB: memfd_create")

    monkeypatch.setattr(numpool, "SharedPool", refuse)
    with pytest.raises(SystemExit):
        run.main(["--share", "program.py"])
    assert capsys.readouterr().err == (
        "numpool run: --share: SharedPool: no shared memory of 1 GiB: memfd_create\n"
    )


def test_compare_shares_in_the_runs_on_the_pool() -> None:
    options = run.parser()
    assert run.pool_options(options.parse_args(["--share=1GiB"]))[-1] == "--share=1073741824"
    assert not any("share" in one for one in run.pool_options(options.parse_args([])))
