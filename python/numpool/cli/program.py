"""``numpool run`` inside the program: installs the pool, and shows a summary at the end.

`startup/sitecustomize.py` calls it. Until the program has ended, it imports only modules that NumPy
has imported already.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpool

_installed: list[numpool.SlabPool] = []


def install(
    settings: str, when_imported: Callable[[Iterable[str], Callable[[], None]], None]
) -> None:
    """Let NumPy allocate from a pool with these settings, and share if they say so."""
    given: dict[str, Any] = ast.literal_eval(settings)
    if given["share"]:

        def begin_to_share() -> None:
            from numpool.cli import sharing

            sharing.begin(when_imported, given["share"], given["wipe"])

        when_imported(["multiprocessing"], begin_to_share)
    if given["pool"] == "none":
        return
    pool = numpool.SlabPool(
        limit=given["limit"],
        huge_pages=given["huge_pages"],
        decay=given["decay"],
        background=given["background"],
        wipe=given["wipe"],
        checks=given["checks"],
        name="run",
    )
    # Without a fallback to another allocator, so that the limit holds.
    if given["spill"] is None:
        numpool.install(pool, fallback=None, tune_malloc=given["tune_malloc"])
    else:
        numpool.install(
            pool,
            tune_malloc=given["tune_malloc"],
            spill=given["spill"],
            spill_limit=given["spill_limit"],
        )
    _installed.append(pool)
    if given["sample"]:
        numpool._core._profile_begin(given["sample"], time.time_ns())


def finish(settings: str, outputs: dict[int, os.stat_result | None], forks: int) -> None:
    """Gather and show the summary, after the program has ended.

    `outputs` has the status of standard output and standard error at the program's start.
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
    elif summary.leaks is not None:
        from numpool.cli import run_report

        show(run_report.render_leaks(summary.leaks, terminal=is_terminal()), 2, outputs)
    elif isinstance(getattr(sys, "last_value", None), MemoryError):
        for sentence in run_summary.refusals(summary):
            show(f"numpool: {sentence}\n", 2, outputs)
    if interrupted:
        end_by_interrupt()


def end_by_interrupt() -> None:
    """Make Python end by SIGINT, as it does after an uncaught KeyboardInterrupt.

    Python has a flag for that, and each `exec` clears it; dataclasses call `exec`. An `exec` that
    ends with a KeyboardInterrupt sets the flag again.
    """
    with suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def flush_output() -> None:
    """Flush the program's output before the summary. Python later reports a failure itself."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def is_terminal() -> bool:
    """Whether the summary goes to a terminal."""
    try:
        return os.isatty(2)
    except OSError:
        return False


def show(text: str, number: int, outputs: dict[int, os.stat_result | None]) -> None:
    """Write to standard output or error (1 or 2), if it is the same file as at the start.

    The program may have opened another file under this number.
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
