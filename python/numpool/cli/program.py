"""What ``numpool run`` does inside the program: it installs the pool, and sums up at the end.

Called by `startup/sitecustomize.py`. Until the program has ended this imports nothing that NumPy
has not imported.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from contextlib import suppress
from typing import Any

import numpool

_installed: list[numpool.SlabPool] = []


def install(settings: str) -> None:
    """Let NumPy allocate from a pool with these settings."""
    given: dict[str, Any] = ast.literal_eval(settings)
    if given["pool"] == "none":
        return
    pool = numpool.SlabPool(
        limit=given["limit"],
        huge_pages=given["huge_pages"],
        decay=given["decay"],
        background=given["background"],
        wipe=given["wipe"],
        name="run",
    )
    # Without another pool behind it, so that the limit is one.
    numpool.install(pool, fallback=None, tune_malloc=given["tune_malloc"])
    _installed.append(pool)


def finish(settings: str, outputs: dict[int, os.stat_result | None], forks: int) -> None:
    """Sum up, after all that the program does.

    `outputs` is what standard output and standard error were at its start; so often it has forked.
    """
    ended = time.monotonic()
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    given: dict[str, Any] = ast.literal_eval(settings)
    flush_output()
    from numpool.cli import run_summary

    summary = run_summary.gather(given, _installed[0] if _installed else None, ended, forks)
    try:
        if given["json"] == "-":
            show(run_summary.as_json(summary), 1, outputs)
        elif given["json"] is not None:
            run_summary.write(summary, given["json"])
    except OSError as error:
        show(f"numpool: the summary was not written: {error}\n", 2, outputs)
    if not given["quiet"]:
        from numpool.cli import run_report

        show(run_report.render(summary, terminal=is_terminal()), 2, outputs)
    elif summary.failures and isinstance(getattr(sys, "last_value", None), MemoryError):
        show(f"numpool: {run_summary.limit_refused(summary)}\n", 2, outputs)
    if interrupted:
        end_by_interrupt()


def end_by_interrupt() -> None:
    """Have Python end by SIGINT, as it does after a KeyboardInterrupt that nobody caught.

    It forgets what it had in mind when a text is executed, as every dataclass does that is defined;
    and remembers it when a text ends so.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def flush_output() -> None:
    """What the program printed comes first. Python flushes again, and complains where it fails."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def is_terminal() -> bool:
    """Whether the summary is going to a terminal."""
    try:
        return os.isatty(2)
    except OSError:
        return False


def show(text: str, number: int, outputs: dict[int, os.stat_result | None]) -> None:
    """Write to standard output or error, 1 or 2, if that is what it was at the start.

    The program may have put something else in its place, a file of its own at worst.
    """
    try:
        before, now = outputs[number], os.fstat(number)
        if before is None or (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
            return
        data = text.encode()
        while data:
            data = data[os.write(number, data) :]
    except OSError:
        return
