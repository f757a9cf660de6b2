"""``numpool run --sample`` names the lines that hold memory and make temporaries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

EXAMPLE = Path(__file__).parents[3] / "examples" / "three_faults.py"


def lines_of_faults() -> dict[int, int]:
    """The line of each fault that the example announces in a comment."""
    lines = EXAMPLE.read_text().splitlines()
    return {
        fault: number
        for number, line in enumerate(lines, 1)
        for fault in (1, 2, 3)
        if f"# {fault}: " in line
    }


def test_the_summary_names_three_planted_faults_by_line(numpool_run: Run) -> None:
    faults = lines_of_faults()
    done = numpool_run("--sample", "256KiB", str(EXAMPLE))
    assert done.returncode == 0, done.stderr
    report = " ".join(done.stderr.split())  # A long path takes two lines.
    holders, _, temporaries = report.partition("arrays that ended within their own statement")
    assert f"three_faults.py:{faults[1]} in smooth" in holders
    assert f"three_faults.py:{faults[3]} in header" in holders
    assert f"three_faults.py:{faults[2]} in brightness" in temporaries


def test_json_has_the_lines_with_their_bytes_and_shares(numpool_run: Run) -> None:
    faults = lines_of_faults()
    done = numpool_run("--sample", "256KiB", "--json", "-", "--quiet", str(EXAMPLE))
    figures = json.loads(done.stdout[done.stdout.index("{") :])["sampled"]
    assert figures["sample"] == 256 << 10
    assert figures["samples"] >= 122
    cache, header, *_ = figures["holders"]
    assert (cache["file"], cache["line"], cache["function"]) == (str(EXAMPLE), faults[1], "smooth")
    assert cache["size"] == 60 * 1_600_000
    assert header["size"] == 2 * 16_000_000
    assert cache["share"] == pytest.approx(0.74, abs=0.01)
    [sums] = figures["temporaries"]
    assert (sums["line"], sums["size"]) == (faults[2], 60 * 1_600_000)


def test_without_the_option_there_is_no_profile(numpool_run: Run) -> None:
    program = "import numpy; from numpool import _core; print(_core._profile_runs())"
    assert numpool_run("--quiet", "-c", program).stdout == "False\n"
    assert numpool_run("--quiet", "--sample", "off", "-c", program).stdout == "False\n"
    assert numpool_run("--quiet", "--sample", "1MiB", "-c", program).stdout == "True\n"


def test_a_program_without_large_arrays_says_that_nothing_was_sampled(numpool_run: Run) -> None:
    done = numpool_run("--sample", "64GiB", "-c", "import numpy; numpy.ones(10)")
    assert "No array was sampled: there is a sample each 64 GiB." in done.stderr


def test_code_without_a_line_is_native(numpool_run: Run, tmp_path: Path) -> None:
    done = numpool_run("--sample", "1KiB", "-c", "import numpy; a = numpy.ones(1000)")
    assert "<string>:1 in <module>" in done.stderr


def test_bad_values_are_refused(numpool_run: Run) -> None:
    done = numpool_run("--sample", "lots", "-c", "pass")
    assert done.returncode == 2
    assert done.stderr.startswith("numpool run: argument --sample: size: 'lots' is not a size: ")
    assert done.stderr.endswith("; give the distance of samples, like 512KiB, or off\n")
    done = numpool_run("--sample", "1MiB", "--pool", "none", "-c", "pass")
    assert done.stderr == (
        "numpool run: --sample has no effect with --pool none, which keeps NumPy's own allocator: "
        "leave one of the two out\n"
    )
    done = numpool_run("--compare", "--sample", "1MiB", "-c", "pass")
    assert done.stderr == (
        "numpool run: --compare measures time, and --sample costs time: leave it out\n"
    )
