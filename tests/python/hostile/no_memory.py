"""The program of test_no_memory.py: public operations while Python gets no memory.

Each act runs in a child process of its own, so that a crash is reported with the act's name. It
runs many times: once with no memory from Python's nth request on, and once with only this request
refused, for every n until the act makes fewer requests.
"""

from __future__ import annotations

import _testcapi  # type: ignore[import-not-found, unused-ignore]
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import public_acts  # type: ignore[import-not-found, unused-ignore]
from public_acts import ACTS, whole

public_acts.stop_failing = _testcapi.remove_mem_hooks


def outcome(act: Callable[[Any], object], pool: Any, first: int, last: int) -> str | None:
    """The fault of one run; "" if memory was missing, None if the act needed no more memory."""
    wrong = None
    _testcapi.set_nomemory(first, last)
    try:
        act(pool)
    except MemoryError:
        wrong = ""
    except BaseException as error:  # noqa: BLE001 - reported with the act
        _testcapi.remove_mem_hooks()
        wrong = f"{type(error).__name__}: {error}"
    _testcapi.remove_mem_hooks()
    return wrong


def try_all(name: str, last_of: Callable[[int], int]) -> str:
    """The faults of an act with requests refused from the nth to some last one, for every n.

    It ends after thirty runs in a row without a MemoryError.
    """
    kind, act = ACTS[name]
    pool = kind()
    n = untouched = 0
    while untouched < 30:
        n += 1
        wrong = outcome(act, pool, n, last_of(n))
        if trouble := wrong or whole(pool):
            return f"{name}, requests {n} to {last_of(n) or 'the last'}: {trouble}"
        untouched = untouched + 1 if wrong is None else 0
    return ""


def try_act(name: str) -> str:
    """The faults of an act; empty if there are none."""
    kind, act = ACTS[name]
    act(kind())  # This run makes all late imports.
    # CPython itself crashes if it sets a context's variable without memory for value and token,
    # and never ends if it has no memory for the number of an instruction for a handler in Python.
    goes_on = not name.endswith(
        (": use", ": budgeted", ": arrays", ": refused", ": lend", ": send", ": wait in a loop")
    )
    return try_all(name, lambda n: n + 1) or (try_all(name, lambda _: 0) if goes_on else "")


def main() -> None:
    """Print the faults, one line for each act."""
    for name in sys.argv[1:] or ACTS:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(100)
            trouble = try_act(name)
            if trouble:
                print(trouble, flush=True)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if status:
            print(f"{name}: ended with status {status}")


if __name__ == "__main__":
    main()
