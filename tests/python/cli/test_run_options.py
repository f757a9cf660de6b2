"""The options of ``numpool run``."""

from __future__ import annotations

import importlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import numpool
from numpool.cli import COMMANDS, main, run

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, str], str]

POOL = "import numpy, numpool; pool = numpool.current(); print(pool)"


def test_the_pool_is_numpys_allocator(numpool_run: Run) -> None:
    code = "import numpy, numpool; print(numpool.pool_of(numpy.ones(10)) is numpool.current())"
    done = numpool_run("-c", code)
    assert (done.stdout, done.returncode) == ("True\n", 0)


def test_the_pool_serves_numpy_that_was_imported_before_the_program(
    numpool_run: Run, write: Write
) -> None:
    write("other/sitecustomize.py", "import numpy")
    done = numpool_run("-c", POOL, environment={"PYTHONPATH": "other"})
    assert done.stdout.startswith("<SlabPool 'run'")
    # `site` imports this module at the start. Some systems' Pythons have one of their own.
    code = f"""
import importlib.util, os, sys, numpy
sys.modules.pop("sitecustomize", None)
theirs = importlib.util.find_spec("sitecustomize")
os.environ["NUMPOOL_RUN"] = "0 alone " + repr({{"pool": "slab", "limit": None,
    "huge_pages": True, "decay": 1.0, "background": False, "wipe": False, "checks": False,
    "tune_malloc": False, "spill": None, "share": None, "sample": None}})
os.environ["PYTHONPATH"] = ""
sys.path.insert(0, {str(run.STARTUP)!r})
try:
    import sitecustomize
except ImportError as error:
    print(error.name, theirs is None)
else:
    print(sitecustomize.__name__, sitecustomize.__file__ == theirs.origin)
import numpool
print(numpool.current())
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("sitecustomize True\n<SlabPool 'run'")


def test_a_limit_is_one(numpool_run: Run, write: Write) -> None:
    program = """
import numpy
a = numpy.ones(100_000)
try:
    numpy.ones(1_000_000)
except MemoryError as error:
    print("MemoryError")
"""
    done = numpool_run("--limit", "2MiB", write("program.py", program))
    assert done.stdout == "MemoryError\n"
    assert "limit            2 MiB" in done.stderr
    assert "The limit of 2 MiB refused 1 request: raise --limit" in done.stderr


def test_a_limit_may_be_a_share_of_the_memory(numpool_run: Run) -> None:
    code = "import numpy, numpool; print(numpool.current().stats().limit)"
    expected = numpool.memory_limit() // 2
    assert abs(int(numpool_run("--limit", "50%", "-c", code).stdout) - expected) <= 1


def test_wiping_zeroes_freed_memory(numpool_run: Run) -> None:
    code = """
import numpy as np
a = np.full(1000, 7, "u1")
address = a.ctypes.data
del a
b = np.empty(1000, "u1")
print(b.ctypes.data == address, b.any())
"""
    assert numpool_run("--wipe", "-c", code).stdout == "True False\n"
    assert numpool_run("-c", code).stdout == "True True\n"


def test_a_background_thread_gives_back_the_memory_of_an_idle_program(numpool_run: Run) -> None:
    code = """
import numpy as np, numpool, time
a = np.ones(10**7)
del a
time.sleep(1)
print(numpool.current().stats().cached > 10**7)
"""
    kept = numpool_run("--decay", "0.1", "-c", code).stdout
    given = numpool_run("--decay", "0.1", "--background", "-c", code).stdout
    assert (kept, given) == ("True\n", "False\n")


def test_options_may_come_from_the_environment(numpool_run: Run) -> None:
    settings = {"NUMPOOL_LIMIT": "3MiB", "NUMPOOL_QUIET": "yes", "NUMPOOL_CHILDREN": "off"}
    done = numpool_run("-c", POOL, environment=settings)
    assert "of 3 MiB in use" in done.stdout
    assert done.stderr == ""
    done = numpool_run("--limit", "4MiB", "--no-quiet", "-c", POOL, environment=settings)
    assert "of 4 MiB in use" in done.stdout
    assert "run time" in done.stderr


def test_figures_are_written_as_json(numpool_run: Run, write: Write, tmp_path: Path) -> None:
    program = "import os, numpy\nos.chdir('/')\nfor _ in range(10): numpy.ones(1000)"
    arguments = ["--quiet", "--json", "figures.json", write("program.py", program), "argument"]
    assert numpool_run(*arguments).stderr == ""
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["program"] == ["program.py", "argument"]
    assert figures["installed"] is True
    assert figures["numpool"] == numpool.__version__
    [one] = [size for size in figures["sizes"] if size["block_size"] == 8192]
    assert one["total_blocks"] == 10
    # With NumPy 1, no array reaches the end of its block.
    assert one["total_bytes"] == 80000 + 10 * np.__version__.startswith("1.")
    assert figures["total_bytes"] >= 80000
    assert figures["peak_held"] >= figures["peak_live"] > 8000
    assert "already there" in numpool_run(*arguments).stderr
    assert numpool_run("--force", *arguments).returncode == 0


def test_a_summary_that_cannot_be_written_is_reported(
    numpool_run: Run, write: Write, tmp_path: Path
) -> None:
    program = write("program.py", "import shutil, os; shutil.rmtree('folder')")
    (tmp_path / "folder").mkdir()
    done = numpool_run("--quiet", "--json", "folder/x", program)
    assert done.returncode == 0
    assert done.stderr.startswith("numpool: the summary was not written: [Errno 2] No such file")


SILENT = {
    "closed": "import os; os.close(2)",
    "another file": "import os; os.close(2); assert os.open('own', os.O_CREAT | os.O_RDWR) == 2",
    "a daemon's": "import os; os.dup2(os.open('/dev/null', os.O_RDWR), 2)",
}


@pytest.mark.parametrize("code", SILENT.values(), ids=SILENT)
def test_a_closed_standard_error_gets_no_summary(
    numpool_run: Run, write: Write, tmp_path: Path, code: str
) -> None:
    done = numpool_run("--json", "figures.json", write("program.py", code))
    assert (done.stderr, done.returncode) == ("", 0)
    assert (tmp_path / "figures.json").exists()
    own = tmp_path / "own"
    assert not own.exists() or own.read_text() == ""


def test_the_summary_comes_after_the_programs_last_output(numpool_run: Run, write: Write) -> None:
    program = """
import atexit, logging, sys, threading, time
def work():
    time.sleep(0.2)
    print("thread", file=sys.stderr)
threading.Thread(target=work).start()
atexit.register(print, "at exit", file=sys.stderr)
print("end", file=sys.stderr)
"""
    done = numpool_run(write("program.py", program))
    assert done.stderr.startswith("end\nthread\nat exit\n───")


def test_the_programs_modules_do_not_hide_modules_of_the_summary(
    numpool_run: Run, write: Write
) -> None:
    for name in ("rich", "json", "dataclasses", "shlex"):
        write(f"folder/{name}.py", f"print('{name} of the program')")
    done = numpool_run(write("folder/program.py", "print('done')"))
    assert done.stdout == "done\n"
    assert "run time" in done.stderr


def on_terminal(*command: str, **environment: str) -> str:
    """The output of the command on a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            read = os.read(master, 4096)
        except OSError:
            break
        shown += read
    os.close(master)
    assert process.wait(60) == 0
    return shown.decode()


def test_colours_need_a_terminal_and_no_color_switches_them_off(numpool_run: Run) -> None:
    command = [sys.executable, "-m", "numpool", "run", "-c", "pass"]
    assert "\x1b[" not in numpool_run("-c", "pass").stderr
    assert "\x1b[" in on_terminal(*command)
    # Bold is not a colour.
    assert "\x1b[3" not in on_terminal(*command, NO_COLOR="1")


def test_every_option_has_help(numpool_run: Run) -> None:
    shown = numpool_run("--help").stdout
    for action in run.parser()._actions:
        assert action.help
        assert action.option_strings[-1] in shown


def numpool_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "numpool", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_line_introduces_itself() -> None:
    assert numpool_command("--version").stdout == f"numpool {numpool.__version__}\n"
    overview = numpool_command("help").stdout
    assert "run a Python program with the pool as NumPy's allocator" in overview
    assert numpool_command().stdout == overview
    assert numpool_command("help", "run").stdout == numpool_command("run", "--help").stdout
    assert "usage: numpool run [options] PROGRAM" in numpool_command("run", "-h").stdout


NO_COMMANDS = {
    ("walk",): "there is no command 'walk'; there are run, bench, info and help",
    (
        "rum",
        "x.py",
    ): "there is no command 'rum': did you mean 'run'? There are run, bench, info and help",
    ("leaky.py", "--fast"): "there is no command 'leaky.py': did you mean 'numpool run leaky.py "
    "--fast'?",
    ("-m", "pytest"): "there is no command '-m': did you mean 'numpool run -m pytest'?",
    ("/tmp",): "there is no command '/tmp': did you mean 'numpool run /tmp'?",
}


@pytest.mark.parametrize("arguments", NO_COMMANDS, ids=" ".join)
def test_a_command_that_does_not_exist_is_named(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().err == f"numpool: {NO_COMMANDS[arguments]}\n"


def test_a_program_named_python_is_run(numpool_run: Run, write: Write) -> None:
    write("python", "print('it ran')")
    assert numpool_run("--quiet", "python").stdout == "it ran\n"


def test_json_figures_can_go_to_standard_output(numpool_run: Run, write: Write) -> None:
    program = write("program.py", "print('before', flush=True); import numpy; numpy.ones(1000)")
    done = numpool_run("--quiet", "--json", "-", program)
    assert done.stderr == ""
    first, _, rest = done.stdout.partition("\n")
    assert first == "before"
    assert json.loads(rest)["program"] == ["program.py"]


def test_a_limit_that_refused_is_reported_with_quiet_too(numpool_run: Run, write: Write) -> None:
    program = write("program.py", "import numpy; numpy.ones(1_000_000)")
    done = numpool_run("--quiet", "--limit", "2MiB", program)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "numpool: The limit of 2 MiB refused 1 request: raise --limit, or expect MemoryError.\n"
    )
    program = "try:\n    import numpy; numpy.ones(1_000_000)\nexcept MemoryError: pass"
    assert numpool_run("--quiet", "--limit", "2MiB", write("program.py", program)).stderr == ""


def test_importing_numpool_loads_no_part_of_the_command_line() -> None:
    code = """
import sys, numpy
before = set(sys.modules)
import numpool
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("rich", "numpool.cli", "importlib.metadata", "asyncio", "json"):
        assert f"'{name}'" not in done.stdout


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, command: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = importlib.import_module(f"numpool.cli.{command}").parser().format_help()
    assert max(map(len, text.splitlines())) <= int(columns)
    # Paragraphs are filled, so some line comes near the width.
    assert max(map(len, text.splitlines())) > int(columns) - 15
