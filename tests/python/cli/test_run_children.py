"""Processes that a program under ``numpool run`` starts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, str], str]

CHILD = """
import multiprocessing, sys
import numpy as np
import numpool

class Thing:
    pass

def work(thing):
    return type(thing) is Thing, str(numpool.current()), float(np.ones(1000).sum())

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        for done in pool.map(work, [Thing(), Thing()]):
            print(done)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("option", ["--children", "--no-children"])
def test_workers_have_the_pool_with_children(
    numpool_run: Run, write: Write, method: str, option: str
) -> None:
    done = numpool_run(option, write("program.py", CHILD), method)
    assert done.returncode == 0
    inherits = option == "--children" or method == "fork"
    assert done.stdout.count("(True, ") == 2
    assert done.stdout.count("<SlabPool 'run': ") == (2 if inherits else 0)
    assert done.stderr.count("run time") == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_do_the_same_as_under_python(same: Run, write: Write, method: str) -> None:
    program = CHILD.replace("str(numpool.current())", "sys.argv, sys.path")
    same(write("program.py", program), method)


def test_started_programs_have_the_pool_with_children(numpool_run: Run, write: Write) -> None:
    write("child.py", "import numpy, numpool; print(numpool.current())")
    program = write(
        "program.py", "import subprocess, sys; subprocess.run([sys.executable, 'child.py'])"
    )
    assert "'run'" in numpool_run("--children", program).stdout
    assert numpool_run(program).stdout == "None\n"


def test_the_environment_has_the_settings_only_with_children(
    numpool_run: Run, write: Write
) -> None:
    program = write("program.py", "import os; print('NUMPOOL_RUN' in os.environ)")
    assert numpool_run(program).stdout == "False\n"
    assert numpool_run("--children", program).stdout == "True\n"


def test_a_forked_child_shows_no_summary(numpool_run: Run, write: Write, tmp_path: Path) -> None:
    program = "import os, numpy\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nnumpy.ones(pid > 0)"
    done = numpool_run("--json", "figures.json", write("program.py", program))
    assert done.stderr.count("run time") == 1
    assert json.loads((tmp_path / "figures.json").read_text())["program"] == ["program.py"]


FORKS = """
import os, sys
import numpy as np
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        np.ones(10**6)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_the_summary_mentions_children(numpool_run: Run, write: Write) -> None:
    text = " ".join(numpool_run(write("program.py", FORKS)).stderr.split())
    assert "The program forked 2 processes, of which one held " in text
    assert "these figures do not include its children." in text
    assert "makes no arrays" not in text
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"
    text = " ".join(numpool_run(write("program.py", program)).stderr.split())
    assert "This process did not import NumPy. The program started other processes" in text


def test_a_pool_that_the_program_installs_itself_is_named(numpool_run: Run) -> None:
    code = "import numpool, numpy; numpool.install(numpool.SlabPool(name='own')); numpy.ones(9)"
    text = " ".join(numpool_run("-c", code).stderr.split())
    assert "At the end NumPy allocated from <SlabPool 'own': " in text


def test_a_run_in_a_run_is_a_run_of_its_own(numpool_run: Run, write: Write) -> None:
    inner = [sys.executable, "-m", "numpool", "run", "--limit", "1MiB", "child.py"]
    write("child.py", "import numpy, numpool, os; print(numpool.current(), os.environ.keys())")
    program = write("program.py", f"import subprocess; subprocess.run({inner!r})")
    for option in ("--children", "--no-children"):
        done = numpool_run(option, program)
        assert "of 1 MiB in use" in done.stdout
        assert "NUMPOOL_RUN" not in done.stdout
        assert done.stderr.count("run time") == 2
