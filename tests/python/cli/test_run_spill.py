"""``numpool run --spill``: arrays beyond the limit lie in a file, and the summary says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

FILLS = """
import numpy as np
arrays = [np.full(1 << 19, float(number)) for number in range(16)]
print(sum(float(array.sum()) for array in arrays) / (1 << 19))
"""


def test_a_program_that_needs_more_than_its_limit_ends_with_the_right_result(
    numpool_run: Run, disk: Path
) -> None:
    done = numpool_run("--limit", "16MiB", "--spill", str(disk), "-c", FILLS)
    assert (done.returncode, done.stdout) == (0, "120.0\n")
    said = " ".join(done.stderr.split())
    assert re.search(r"The limit of 16 MiB sent 13 large blocks \(52 MiB\) to the file in ", said)
    assert re.search(r"peak in file 5\d(\.\d)? MiB", said)
    assert re.search(r"disk reads \d", said)
    assert re.search(r"disk writes \d", said)
    assert "MemoryError" not in said
    assert list(disk.iterdir()) == []


def test_the_figures_of_the_file_are_in_the_json(numpool_run: Run, disk: Path) -> None:
    done = numpool_run(
        "--quiet", "--limit=16MiB", f"--spill={disk}", "--spill-limit=128MiB", "--json", "-", "-c",
        FILLS,
    )  # fmt: skip
    figures = json.loads(done.stdout.partition("\n")[2])
    spill = figures["spill"]
    assert spill["folder"] == str(disk)
    assert spill["limit"] == 128 << 20
    assert spill["blocks"] == 13
    assert spill["total_bytes"] == 52 << 20
    assert 44 << 20 <= spill["live"] <= spill["peak"] <= 60 << 20
    assert spill["refused"] == 0
    assert spill["written"] >= 0


def test_what_the_file_refuses_is_said(numpool_run: Run, disk: Path) -> None:
    options = ("--limit", "16MiB", "--spill", str(disk), "--spill-limit", "8MiB")
    done = numpool_run(*options, "-c", FILLS)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "--spill-limit 8 MiB refused 1 request: make room, or expect MemoryError." in said
    quiet = numpool_run("--quiet", *options, "-c", FILLS)
    assert quiet.stderr.endswith(
        "numpool: --spill-limit 8 MiB refused 1 request: make room, or expect MemoryError.\n"
    )


def test_small_arrays_beyond_the_limit_are_named_in_the_summary(
    numpool_run: Run, disk: Path
) -> None:
    code = "import numpy as np; a = [np.ones(4000) for _ in range(1000)]"
    done = numpool_run("--quiet", "--limit", "16MiB", "--spill", str(disk), "-c", code)
    assert done.stderr.endswith(
        "numpool: The limit refused 1 request of 64 KiB or less, which do not go to the file: "
        "raise --limit, or expect MemoryError.\n"
    )


def test_a_run_that_stays_within_its_limit_says_that_nothing_was_spilled(
    numpool_run: Run, disk: Path
) -> None:
    done = numpool_run("--limit", "1GiB", "--spill", str(disk), "-c", FILLS)
    said = " ".join(done.stderr.split())
    assert "Nothing went to the file in" in said
    assert "the limit of 1 GiB refused nothing." in said


def test_bad_folders_and_options_are_refused_before_the_program_starts(
    numpool_run: Run, tmp_path: Path, disk: Path
) -> None:
    def error(*options: str) -> str:
        done = numpool_run(*options, "-c", "print('started')")
        assert (done.returncode, done.stdout) == (2, "")
        return str(done.stderr)

    missing = tmp_path / "nowhere"
    assert error("--limit", "1GiB", "--spill", str(missing)) == (
        "numpool run: --spill: [Errno 2] there is no such folder: make it, or name another one: "
        f"'{missing}'\n"
    )
    assert "a tmpfs, which keeps files in memory" in error("--limit", "9MiB", "--spill", "/dev/shm")
    assert "give --limit, too, such as --limit 50%" in error("--spill", str(disk))
    assert "name a folder with --spill" in error("--spill-limit", "1GiB")
    assert "no limit: a pool needs at least a byte" in error("--spill-limit", "0")
    assert "--spill has no effect with --pool none" in error("--pool", "none", "--spill", str(disk))


def test_a_relative_folder_is_the_one_at_the_start(
    numpool_run: Run, disk: Path, write: Callable[[str, str], str]
) -> None:
    program = "import os; os.chdir('/')\n" + FILLS
    name = write("moves.py", program)
    done = numpool_run("--quiet", "--limit", "16MiB", "--spill", "disk", name, cwd=disk.parent)
    assert (done.returncode, done.stdout) == (0, "120.0\n")


def test_workers_of_a_program_spill_to_files_of_their_own(
    numpool_run: Run, disk: Path, write: Callable[[str, str], str]
) -> None:
    program = """
import multiprocessing
import numpy as np

def work(number):
    arrays = [np.full(1 << 19, float(number)) for _ in range(8)]
    return sum(float(array.mean()) for array in arrays)

if __name__ == "__main__":
    kept = [np.ones(1 << 19) for _ in range(8)]
    with multiprocessing.get_context("fork").Pool(2) as workers:
        print(sum(workers.map(work, range(6))), sum(float(one.mean()) for one in kept))
"""
    name = write("workers.py", program)
    done = numpool_run("--quiet", "--limit", "16MiB", "--spill", str(disk), name)
    assert (done.stdout, done.stderr) == ("120.0 8.0\n", "")
