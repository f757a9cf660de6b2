"""A pytest plugin for ``numpy_suites.py``: runs a suite on a pool and counts outcomes.

The environment sets it: ``NUMPOOL_WAY`` is "default", "install" or "use", and ``NUMPOOL_REPORT`` is
the file to write.
"""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import numpool


class Report:
    """Counts outcomes, and names the tests that failed and the one that runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the test in a file, in case this process crashes."""
        self.path.with_suffix(".running").write_text(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.counts["failed"] += 1
            self.failures.append(report.nodeid)
        elif hasattr(report, "wasxfail"):
            self.counts["xfailed"] += 1
        elif report.skipped or report.when == "call":
            self.counts[report.outcome] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.counts["failed"] += 1
            self.failures.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Write the figures."""
        pool = numpool.default_pool()
        pool.check()
        figures: dict[str, Any] = {
            **self.counts,
            "failures": self.failures,
            "requests": pool.stats().total_blocks,
            "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        self.path.write_text(json.dumps(figures))


class Allocator:
    """Sets NumPy's allocator for the session."""

    def __init__(self, way: str) -> None:
        self.block: AbstractContextManager[object] = nullcontext()
        if way == "install":
            numpool.install()
        elif way == "use":
            self.block = numpool.use(numpool.default_pool())
        elif way != "default":
            raise pytest.UsageError(f"NUMPOOL_WAY is {way}: it must be default, install or use")
        self.block.__enter__()

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        self.block.__exit__(None, None, None)


def pytest_configure(config: pytest.Config) -> None:
    """Begin before pytest collects tests."""
    config.pluginmanager.register(Allocator(os.environ["NUMPOOL_WAY"]))
    config.pluginmanager.register(Report(Path(os.environ["NUMPOOL_REPORT"])))
