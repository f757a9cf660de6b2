"""Wrong options, variables and programs of ``numpool run`` are named."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from numpool import _core
from numpool.cli import huge_pages, run

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, str], str]


WRONG = {
    ("--limit", "many"): "argument --limit: size: 'many' is not a size: write a number of bytes",
    ("--limit", "0"): "argument --limit: '0' is no limit: a pool needs at least a byte",
    ("--decay", "-1"): "'-1' is not a number of seconds: give a number from 0 on, like 0.5",
    ("--decay", "nan"): "'nan' is not a number of seconds: give a number from 0 on, like 0.5",
    (
        "--compare",
        "--rounds",
        "0",
    ): "argument --rounds: 0 rounds are too few: give a number from 3 on",
    ("--compare", "--rounds", "-1"): "argument --rounds: -1 rounds are too few: give a number from",
    ("--compare", "--rounds", "x"): "argument --rounds: 'x' is no number of rounds: give a number",
    ("--rounds", "3"): "--rounds says how often --compare runs the program: give --compare, too",
    ("--checks", "abort"): "--checks takes its value after '=': write --checks=abort (it takes "
    "raise, abort, guard, guard:N, off), or only --checks for raise",
    ("--quiet", "json.tool", "-x"): "there is no file json.tool: did you mean "
    "'numpool run --quiet -m json.tool -x program.py'?",
    ("-u", "program"): "there is no file program: did you mean 'numpool run -u program.py "
    "program.py'?",
    ("--huge-pages", "1"): "argument --huge-pages: '1' is not one of on, off, auto",
    ("--pool", "fixed"): "argument --pool: 'fixed' is not one of slab, none",
    ("--zzz",): "unrecognized arguments: --zzz; see numpool run --help",
    ("--lmit", "1MiB"): "unrecognized arguments: --lmit: did you mean --limit?",
    ("--jsn=x",): "unrecognized arguments: --jsn=x: did you mean --json?",
    ("--lim", "1MiB"): "unrecognized arguments: --lim: did you mean --limit?",
    ("--quiet", "python"): "PROGRAM is what you would write after 'python': did you mean "
    "'numpool run --quiet program.py'?",
    ("/usr/bin/python3.11",): "did you mean 'numpool run program.py'?",
    ("--limit",): "argument --limit: expected one argument",
    ("--json", "."): "is a folder: name a file in it",
    ("--json", "nowhere/x"): "there is no folder ",
    ("--json", "there"): "there is already there: name another file, or overwrite it with --force",
    ("-I",): "with Python's -I, numpool cannot install its pool: leave -I out, or call "
    "numpool.install() in the program itself",
    ("-uEB",): "with Python's -E, numpool",
    ("-W", "error", "-S"): "with Python's -S, numpool",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_option_is_named_before_the_program_runs(
    numpool_run: Run, write: Write, arguments: tuple[str, ...]
) -> None:
    write("there", "kept")
    program = () if arguments == ("--limit",) else (write("program.py", "print('it ran')"),)
    done = numpool_run(*arguments, *program)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr.startswith("numpool run: ")
    assert done.stderr.count("\n") == 1
    assert WRONG[arguments] in done.stderr


def test_a_wrong_variable_is_named(numpool_run: Run) -> None:
    done = numpool_run("-c", "", environment={"NUMPOOL_WIPE": "maybe"})
    assert done.returncode == 2
    assert done.stderr == (
        "numpool run: environment variable NUMPOOL_WIPE: 'maybe' is neither on nor off: give 1, "
        "on, yes, true or 0, off, no, false\n"
    )


def test_a_variable_that_is_probably_misspelt_is_named(numpool_run: Run) -> None:
    done = numpool_run(
        "--quiet", "-c", "", environment={"NUMPOOL_LIMT": "1GiB", "NUMPOOL_OTHER": "x"}
    )
    assert done.returncode == 0
    assert done.stderr == (
        "numpool run: warning: NUMPOOL_LIMT stands for no option: did you mean NUMPOOL_LIMIT?\n"
    )
    # That of another run around this one.
    assert numpool_run("--quiet", "-c", "", environment={"NUMPOOL_RUN": "0 alone {}"}).stderr == ""


PARSES = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--limit")
parser.add_argument("--tune-malloc", action="store_true")
print(parser.parse_args().limit)
"""


def test_an_option_that_went_to_a_program_that_does_not_know_it_is_named(
    numpool_run: Run, write: Write
) -> None:
    program = write("plain.py", "import sys; print(len(sys.argv))")
    hint = "numpool's options stand before the program."
    shown = " ".join(numpool_run(program, "--limit", "2GiB", "--tune-malloc").stderr.split())
    assert (
        f"--limit and --tune-malloc went to the program, which does not mention them: {hint}"
    ) in shown
    shown = " ".join(numpool_run("-c", "pass", "--quiet").stderr.split())
    assert f"--quiet went to the program, which does not mention it: {hint}" in shown
    assert hint not in numpool_run("--quiet", program, "--limit=2GiB").stderr


def test_a_programs_own_options_are_not_taken_for_numpools(numpool_run: Run, write: Write) -> None:
    own = write("own.py", PARSES)
    write("their/cli.py", PARSES)
    imports = write("imports.py", "import sys; sys.path.append('their'); import cli")
    for program in (own, imports):
        done = numpool_run(program, "--limit", "7", "--tune-malloc")
        assert done.stdout == "7\n"
        assert "went to the program" not in " ".join(done.stderr.split())
    for kind in (["-m", "this"], ["-", "--json"]):
        assert "went to the program" not in numpool_run(*kind, "--limit", input="").stderr


def test_a_program_that_is_not_there_is_named_without_a_summary(
    numpool_run: Run, write: Write
) -> None:
    done = numpool_run("nowhere.py")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "can't open file" in done.stderr
    done = numpool_run("-m", "nowhere.deep")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("No module named 'nowhere')")
    assert "run time" not in done.stderr
    write("here/__init__.py", "")
    write("here/deep.py", "")
    for program in (["-m", "here.deep"], ["-m", "json.tool", "--help"], ["-uW", "error", "-c", ""]):
        assert "run time" in numpool_run(*program).stderr


def test_a_program_must_be_named(numpool_run: Run) -> None:
    done = numpool_run("--quiet")
    assert done.returncode == 2
    assert "name a program: a script, -m MODULE, -c CODE or - for standard input" in done.stderr


def test_huge_pages_that_the_system_does_not_have_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    monkeypatch.setattr(huge_pages, "TRANSPARENT", tmp_path)
    with pytest.raises(SystemExit):
        run.main(["--huge-pages", "on", "-c", ""])
    assert (
        f"this system offers none. Set {tmp_path}/enabled to always or madvise"
        in capsys.readouterr().err
    )


def test_a_malloc_that_is_not_glibcs_is_not_tuned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def keep_heap() -> None:
        raise ValueError("malloc is another's")

    monkeypatch.setattr(_core, "_keep_heap", keep_heap)
    with pytest.raises(SystemExit):
        run.main(["--tune-malloc", "-c", ""])
    assert "--tune-malloc: malloc is another's" in capsys.readouterr().err
