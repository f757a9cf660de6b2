"""Arenas at exit and after fork, when things end in any order."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

import numpool

ENDINGS = {
    "buffer in a global": "b = arena.acquire(10)",
    "array in a global": "a = arena.empty(10)",
    "array on a buffer in a builtin module": (
        "import builtins; builtins.kept = arena.acquire(10).array()"
    ),
    "array under use": "use = numpool.use(arena); use.__enter__(); a = np.ones(1000) + 1",
    "in a cycle": "c = [arena.empty(10), arena]; c.append(c)",
    "reset with buffers out": "b = arena.acquire(10); arena.reset()",
    "child of a child": "c = numpool.Arena(parent=numpool.Arena(parent=arena)); b = c.empty(3)",
    "clean-up that is never run by hand": "arena.defer(keep.append, 1)",
    "clean-up in a cycle": "arena.defer(lambda: arena.name)",
    "ended at exit": "import atexit; atexit.register(arena.close); b = arena.acquire(3)",
    "pool in between": "s = numpool.SlabPool(); a = numpool.Arena(source=s).empty(3); del s",
    "daemon threads that work and reset": (
        "import threading, time\n"
        "def work():\n"
        "    while True:\n"
        "        try:\n"
        "            with numpool.Arena(parent=arena) as c: c.defer(len, ()); c.zeros(10)\n"
        "            arena.reset()\n"
        "        except (BufferError, ValueError): pass\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.05)"
    ),
}


if not getattr(sys, "_is_gil_enabled", lambda: True)() or sys.version_info < (3, 11):
    # When Python ends, a lock of pybind11 may belong to a thread that hangs for ever. CPython 3.10
    # also crashes sometimes, even without numpool: a thread that waits for the GIL reads an
    # interpreter that is gone.
    del ENDINGS["daemon threads that work and reset"]


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_cleanly_whatever_is_still_alive(
    ending: str, ends_cleanly: Callable[[str], None]
) -> None:
    ends_cleanly(f"import numpool, numpy as np; keep = []; arena = numpool.Arena()\n{ending}")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_forked_while_threads_use_arenas_can_use_them(
    fork_amid: Callable[..., None],
) -> None:
    slabs = numpool.SlabPool()
    shared = numpool.Arena(source=slabs)
    kept = shared.full(100, 7, "u1")

    def work() -> None:
        with numpool.Arena(parent=shared) as arena:
            arena.defer(len, ())
            for size in (10, 1000, 100_000):
                arena.zeros(size)
            mark = arena.mark()
            arena.acquire_many(100, 10)
            arena.rewind(mark)
        shared.acquire(100)
        slabs.acquire(3000)

    def act() -> None:
        with numpool.Arena(parent=shared) as arena, numpool.use(arena):
            assert float((np.ones(1000) + 1).sum()) == 2000
        assert kept.sum() == 700
        shared.acquire(10)
        shared.check()
        slabs.check()

    fork_amid(work, act, children=60)
    shared.check()


def test_an_arena_cannot_be_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(numpool.Arena())
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(numpool.Arena().mark())


def test_an_arena_whose_init_never_ran_is_refused() -> None:
    bare = numpool.Arena.__new__(numpool.Arena)
    for use in (lambda: bare.acquire(1), bare.reset, bare.stats, lambda: numpool.use(bare)):
        with pytest.raises(TypeError, match=r"__init__\(\) was not called"):
            use()


def test_a_subclass_may_add_to_it() -> None:
    events: list[str] = []

    class Request(numpool.Arena):
        def __del__(self) -> None:
            events.append("del")

    request = Request()
    request.defer(events.append, "clean-up")
    assert numpool.pool_of(request.empty(3)) is request
    del request
    assert events == ["del", "clean-up"]
