"""The program of test_system_calls.py: public operations while system calls fail.

It runs with failing_calls.cpp preloaded. For each act it counts the system calls that the extension
makes, from the first pool of a process on. Then each of them fails in its turn, alone or with all
that follow, each time in a child process of its own, where the pool must be whole afterwards and
the act work once nothing fails any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import public_acts  # type: ignore[import-not-found, unused-ignore]
from public_acts import ACTS, acquire, whole

import numpool

CALLS = ctypes.CDLL(None)
CALLS.last_failed.restype = ctypes.c_char_p
NEVER = -1
MANY = 1 << 30


def stop_failing() -> None:
    CALLS.fail_calls(NEVER, 0)


public_acts.stop_failing = stop_failing


def close_amid_use(pool: Any) -> None:
    buffer = acquire(pool)
    pool.close()
    buffer.release()


def fork(pool: Any) -> None:
    buffer = acquire(pool)
    child = os.fork()
    if child == 0:
        stop_failing()
        # A pool in a file is closed in a child.
        expected = numpool.PoolClosed if pool.name == "in_file" else numpool.PoolExhausted
        with contextlib.suppress(expected):
            acquire(pool).release()
        os._exit(0 if buffer.pool is pool else 1)
    assert os.waitpid(child, 0)[1] == 0


for kind in (
    public_acts.fixed, public_acts.slabs, public_acts.buddy, public_acts.shared,
    public_acts.in_file,
):  # fmt: skip
    ACTS[f"{kind.__name__}: close"] = (kind, close_amid_use)
    ACTS[f"{kind.__name__}: fork"] = (kind, fork)


def in_child(act: Callable[[], int | str]) -> int | str:
    """What the act returns, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        with os.fdopen(writer, "w") as said:
            try:
                outcome = act()
            except BaseException:  # noqa: BLE001 - it is printed
                outcome = traceback.format_exc()
            print(repr(outcome), file=said)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        line = said.read()
    status = os.waitpid(child, 0)[1]
    told: int | str = eval(line) if status == 0 else f"ended with status {status}"
    return told


def count(name: str) -> int:
    """How many system calls the act makes."""
    kind, act = ACTS[name]
    CALLS.fail_calls(NEVER, 0)
    act(kind())
    return int(CALLS.calls_made())


def fail(name: str, n: int, times: int) -> str:
    """What went wrong in an act whose nth system call fails; empty where nothing did."""
    kind, act = ACTS[name]
    pool = None
    raised: BaseException | None = None
    CALLS.fail_calls(n, times)
    try:
        pool = kind()
        act(pool)
    except (MemoryError, numpool.PoolError, OSError) as error:
        raised = error
    failed = CALLS.last_failed().decode()
    stop_failing()
    del raised
    try:
        for one in (pool, kind()):
            if one is not None and not one.closed:
                trouble = whole(one)
                act(one)
                trouble = trouble or whole(one)
                # A child that found no place in the pool can't say when it is done with a block.
                pinned = name == "shared: fork" and failed in {"open", "fcntl"}
                if trouble and not (pinned and trouble == "1 blocks are live"):
                    return f"{failed}: {trouble}"
    except BaseException:  # noqa: BLE001 - told with the call that failed
        return f"{failed}: {traceback.format_exc()}"
    return ""


def main() -> None:
    """Print what went wrong, a line for each act and call."""
    total = 0
    for name in sys.argv[1:] or ACTS:
        calls = in_child(lambda name=name: count(name))  # type: ignore[misc]
        if not isinstance(calls, int):
            print(f"{name}: {calls}")
            continue
        total += calls
        for n in range(calls):
            for times in (1, MANY):
                trouble = in_child(lambda name=name, n=n, times=times: fail(name, n, times))  # type: ignore[misc]
                if trouble:
                    print(f"{name}, call {n} of {calls}, {times} times: {trouble}", flush=True)
    print(f"{total} calls failed in their turn", file=sys.stderr)


if __name__ == "__main__":
    main()
