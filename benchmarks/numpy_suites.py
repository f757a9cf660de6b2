"""Runs the test suites of NumPy, SciPy or pandas on the pool, and on default NumPy beside it.

    python benchmarks/numpy_suites.py --part          # tests that allocate most; a few minutes
    python benchmarks/numpy_suites.py                 # all of NumPy's packages
    python benchmarks/numpy_suites.py --suite scipy

It prints the totals side by side. It ends with an error if a test fails on the pool that passes
with default NumPy. Arguments after ``--`` go to pytest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

from surroundings import where

CORE = "numpy._core" if version("numpy") >= "2" else "numpy.core"
WAYS = ["default", "install", "use"]

NUMPY = ["_core", "lib", "ma", "linalg", "fft", "random", "polynomial"]
SUITES = {
    "numpy": [f"numpy.{package}" for package in NUMPY],
    "scipy": ["scipy"],
    "pandas": ["pandas"],
}
# The tests that allocate, resize, view and cast most, and those of the allocator itself.
PARTS = {
    "numpy": [
        *(
            f"numpy._core.tests.test_{topic}"
            for topic in ("indexing", "mem_policy", "multiarray", "nditer", "regression")
        ),
        "numpy.lib.tests.test_function_base",
        "numpy.ma",
        "numpy.fft",
    ],
    "scipy": [
        "scipy.ndimage",
        "scipy.sparse.tests.test_base",
        "scipy.signal.tests.test_signaltools",
    ],
    "pandas": ["pandas.tests.frame", "pandas.tests.groupby"],
}


@dataclass
class Run:
    """The outcome of one suite with one allocator."""

    way: str
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    xfailed: int = 0
    requests: int = 0
    peak_rss: int = 0
    failures: list[str] = field(default_factory=list)
    ending: str = ""

    @property
    def unfinished(self) -> bool:
        return bool(self.ending)

    @property
    def row(self) -> str:
        return (
            f"| {self.way} | {self.passed} | {self.failed} | {self.skipped} | {self.xfailed} "
            f"| {self.requests} | {self.peak_rss >> 20} | {self.seconds:.0f} |{self.ending}"
        )


HEADER = (
    "| allocator | passed | failed | skipped | expected to fail | requests to the pool "
    "| peak MiB | seconds |\n| --- |" + " --- |" * 7
)


def run(way: str, modules: list[str], extra: list[str], directory: Path) -> Run:
    """Run the modules' tests in a process of their own."""
    report = directory / f"{way}.json"
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest"]
    # Use only these settings: a project around the working directory may have its own.
    command += ["-c", os.devnull, "--rootdir", str(directory), "-p", "no:cacheprovider"]
    command += ["-p", "suite_plugin", "-q", "--tb=short", "--pyargs", *modules, *extra]
    environment = {
        # Tests that need more memory than this are skipped with each allocator.
        "NPY_AVAILABLE_MEM": "4 GB",
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "NUMPOOL_WAY": way,
        "NUMPOOL_REPORT": str(report),
    }
    log = directory / f"{way}.log"
    start = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=directory, env=environment, stdout=output, stderr=output, check=False
        )
    result = Run(way, seconds=time.monotonic() - start)
    if report.exists():
        vars(result).update(json.loads(report.read_text()))
    # 0 and 1: all tests ran, and all passed or some did not.
    if done.returncode not in (0, 1) or not report.exists():
        result.ending = f" {how(done.returncode)} at {running(report)}; see {log}"
    return result


def here(modules: list[str]) -> list[str]:
    """The modules that the installed version has, by its names for them."""
    renamed = [name.replace("numpy._core", CORE) for name in modules]
    return [name for name in renamed if importlib.util.find_spec(name) is not None]


def how(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def running(report: Path) -> str:
    at = report.with_suffix(".running")
    return at.read_text() if at.exists() else "its start"


def own_failures(runs: list[Run]) -> list[str]:
    """The tests that fail with NumPy's own allocator, if that was run."""
    return [name for one in runs if one.way == "default" for name in one.failures]


def new_failures(runs: list[Run]) -> list[tuple[str, str]]:
    """The tests that fail only with another allocator."""
    known = set(own_failures(runs))
    return [(one.way, name) for one in runs for name in one.failures if name not in known]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", choices=SUITES, default="numpy", help="whose tests; numpy's")
    parser.add_argument("--part", action="store_true", help="a part that takes a few minutes")
    parser.add_argument("--modules", nargs="+", metavar="NAME", help="these modules instead")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="default: all three")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="ways that run at once; default: 1"
    )
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep the logs here")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    modules = options.modules or here((PARTS if options.part else SUITES)[options.suite])
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        print(where(), end="\n\n")
        print(HEADER, flush=True)
        runs = []
        with ThreadPoolExecutor(options.jobs) as pool:
            work = partial(
                run, modules=modules, extra=options.pytest, directory=directory.resolve()
            )
            for one in pool.map(work, options.ways):
                runs.append(one)
                print(one.row, flush=True)
    for name in own_failures(runs):
        print(f"by default, too: {name}")
    worse = new_failures(runs)
    for way, name in worse:
        print(f"only with {way}: {name}")
    return 1 if worse or any(one.unfinished for one in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
