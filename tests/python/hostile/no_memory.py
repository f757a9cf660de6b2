"""The program of test_no_memory.py: public operations while Python gets no memory.

Each act runs in a child process of its own, so that a crash is told by the act's name. There it
runs again and again: with no memory from the nth request of Python's on, or with one request
refused, for every n until it needs no more.
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
    """What went wrong; "" where memory was missing, None where the act needed no more."""
    wrong = None
    _testcapi.set_nomemory(first, last)
    try:
        act(pool)
    except MemoryError:
        wrong = ""
    except BaseException as error:  # noqa: BLE001 - told by the act's name
        _testcapi.remove_mem_hooks()
        wrong = f"{type(error).__name__}: {error}"
    _testcapi.remove_mem_hooks()
    return wrong


def try_all(name: str, last_of: Callable[[int], int]) -> str:
    """What went wrong in an act with requests refused from the nth to some last one, for every n.

    Empty where nothing did, thirty times in a row without a MemoryError.
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
    """What went wrong in an act; empty where nothing did."""
    kind, act = ACTS[name]
    act(kind())  # What is imported late is there from now on.
    # CPython itself crashes where it sets a context's variable without memory for value and token,
    # and never ends where the number of an instruction, for a handler in Python, finds none.
    goes_on = not name.endswith(
        (": use", ": arrays", ": refused", ": lend", ": send", ": wait in a loop")
    )
    return try_all(name, lambda n: n + 1) or (try_all(name, lambda _: 0) if goes_on else "")


def main() -> None:
    """Print what went wrong, a line for each act."""
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
