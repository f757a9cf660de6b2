"""A program under ``numpool run`` behaves as it does under Python."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipapp
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numpool.cli.run import STARTUP

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, str], str]

TELL = """
import atexit, os, sys
main = sys.modules["__main__"]
print(main is sys.modules[__name__], main.__dict__ is globals())
for name, value in sorted(globals().items()):
    print(name, type(value) if name == "__loader__" else value)
print(sys.argv, sys.orig_argv[1:], sys.path, sys.flags, sys.warnoptions, sys._xoptions)
print(sorted(os.environ.items()), os.getcwd())
print(sorted(sys.modules), sorted(sys.path_importer_cache))
print(sys.stdin.read(), sys.stdout, sys.stderr)
depth, frame = 0, sys._getframe()
while frame:
    depth, frame = depth + 1, frame.f_back
print(depth)
"""


def test_a_script_sees_the_same_as_under_python(same: Run, write: Write) -> None:
    same(write("program.py", TELL), "one", "--two", "-3", "")
    same(write("folder/program.py", TELL), input="text\n")
    same("folder/../program.py")


def test_code_sees_the_same_as_under_python(same: Run) -> None:
    same("-c", TELL, "one", "--help")
    same("-u", "-W", "ignore", "-Xutf8", "-c", TELL)


def test_a_module_sees_the_same_as_under_python(same: Run, write: Write) -> None:
    write("package/__init__.py", "print(__name__)")
    write("package/__main__.py", TELL)
    write("package/part.py", TELL)
    same("-m", "package", "-m", "x")
    same("-mpackage.part")
    same("-bm", "package.part", input="text")


def test_a_folder_and_an_archive_see_the_same_as_under_python(
    same: Run, write: Write, tmp_path: Path
) -> None:
    write("app/__main__.py", TELL)
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    same("app", "one")
    same("app.pyz", "one")


def test_standard_input_sees_the_same_as_under_python(same: Run) -> None:
    same("-", "one", input=TELL.replace("sys.stdin.read()", "None"))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 brought safe_path")
def test_a_safe_path_stays_safe(same: Run, write: Write) -> None:
    program = write("program.py", TELL)
    same("-P", program)
    same(program, environment={"PYTHONSAFEPATH": "1"})


@pytest.mark.parametrize("path", [None, "", "other", f"other{os.pathsep}", "/nowhere:other"])
def test_the_program_sees_only_the_users_pythonpath(
    same: Run, write: Write, path: str | None
) -> None:
    write("other/module.py", "")
    same(write("program.py", TELL), environment={} if path is None else {"PYTHONPATH": path})


def test_the_users_own_sitecustomize_is_run(same: Run, numpool_run: Run, write: Write) -> None:
    write("other/sitecustomize.py", "import sys; sys.seen = __name__, __file__, sys.path[:]")
    program = write("program.py", TELL + "print(sys.seen, sys.modules.get('sitecustomize'))")
    same(program, environment={"PYTHONPATH": "other"})
    write("other/sitecustomize.py", "import sys; sys.seen = 0; import nowhere")
    done = numpool_run(program, environment={"PYTHONPATH": "other"})
    assert done.returncode == 0
    # Once from the Python that runs numpool, and once from the one that runs the program.
    assert done.stderr.count("Error in sitecustomize") == 2


ENDS = {
    "a number": "raise SystemExit(3)",
    "a text": "import sys; sys.exit('that is it')",
    "nothing": "import sys; sys.exit()",
    "an object": "import sys; sys.exit([1, 2])",
    "a huge number": "import sys; sys.exit(2**70)",
    "an error": "def f(): 1 / 0\nf()",
    "an error with a cause": "try: 1 / 0\nexcept Exception as e: raise ValueError('x') from e",
    "an error while importing": "import nowhere",
    "a group": "raise BaseException('base')",
    "a syntax error": "x = = 1",
    "an assertion": "assert False, 'no'",
    "os._exit": "import os; print('x', flush=True); os._exit(7)",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "an abort": "import os; os.abort()",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "too deep a recursion": "def f(n): print(n); f(n + 1)\nf(0)",
    "an error in a hook": "import sys; sys.excepthook = lambda *e: print('hook', e[1])\n1 / 0",
    "an error at exit": "import atexit; atexit.register(lambda: 1 / 0)",
    "what atexit does": "import atexit; atexit.register(print, 'last'); print('first')",
    "a thread": "import threading, time\n"
    "def f(): time.sleep(0.2); print('thread')\nthreading.Thread(target=f).start()",
    "a thread's error": "import threading\ndef f(): 1 / 0\nthreading.Thread(target=f).start()",
    "a closed stdout": "import sys; print('x'); sys.stdout.close()",
    "a closed descriptor": "import os; print('x'); os.close(1)",
    "no stdout": "import sys; sys.stdout = None; sys.stderr = None",
    "a fork": "import os, sys; pid = os.fork()\nif pid: os.waitpid(pid, 0)\nsys.exit(4)",
    "an exec": "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(5)'])",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_a_program_ends_as_under_python(same: Run, write: Write, code: str) -> None:
    same(write("program.py", code))


def test_python_itself_reports_a_program_that_it_cannot_run(same: Run, write: Write) -> None:
    assert same("nowhere.py").returncode == 2
    assert same("-m", "nowhere").returncode == 1
    assert same("-m", "json.nowhere").returncode == 1
    assert same(".").returncode == 1


def test_a_traceback_has_no_frames_of_numpool(same: Run, write: Write) -> None:
    same(write("program.py", "import numpy\ndef f(): numpy.zeros(-1)\nf()"))
    write("broken/numpy/__init__.py", "def f(): raise ValueError('no')\nf()")
    same("-c", "import numpy", environment={"PYTHONPATH": "broken"})
    write("broken/numpy/__init__.py", "import nowhere")
    same("-c", "import numpy", environment={"PYTHONPATH": "broken"})


def test_numpy_is_imported_as_without_numpool(same: Run, write: Write) -> None:
    program = """
import importlib.util, sys
spec = importlib.util.find_spec("numpy")
print(spec, "numpy" in sys.modules)
import numpy
print(numpy.__spec__, numpy.__loader__, vars(numpy.__loader__), type(numpy.__loader__))
print(importlib.util.find_spec("numpy") is numpy.__spec__)
# NumPy 1's own C header looks for NumPy 2's modules first, and NumPy 1 has some for that.
looked_for = "numpy._core" if numpy.__version__[:2] == "1." else "none"
print(sorted(name for name in sys.modules if name.partition(".")[0] not in
    {*sys.stdlib_module_names, "numpool"} and not name.startswith(looked_for)))
"""
    same(write("program.py", program))


def test_numpy_reads_variables_that_the_program_set_before(same: Run, write: Write) -> None:
    program = "import os, sys; print('numpy' in sys.modules); os.environ['X'] = '1'; import numpy"
    assert same(write("program.py", program)).stdout == "False\n"


def test_numpy_that_failed_can_be_imported_again(numpool_run: Run, write: Write) -> None:
    write("once/numpy/__init__.py", "raise ValueError('once')")
    program = """
import sys
sys.path.insert(0, "once")
try:
    import numpy
except ValueError as error:
    print(error)
sys.path.remove("once")
sys.path_importer_cache.clear()
import numpy, numpool
print(numpool.current())
"""
    done = numpool_run(write("program.py", program))
    assert done.stdout.startswith("once\n<SlabPool 'run'")


def test_a_broken_pipe_fails_as_under_python(write: Write, tmp_path: Path) -> None:
    program = write("program.py", "print('x' * 10**6)")
    ends = []
    for command in (["-m", "numpool", "run", "--quiet"], []):
        process = subprocess.Popen(
            [sys.executable, *command, program],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        ends.append((process.stderr.read(), process.wait(60)))
        process.stderr.close()
    assert ends[0] == ends[1]
    assert "BrokenPipeError" in ends[0][0]


def test_ctrl_c_ends_it_as_it_ends_python(write: Write, tmp_path: Path) -> None:
    program = write("program.py", "import time; print('ready', flush=True); time.sleep(60)")
    ends = []
    for command in (["-m", "numpool", "run"], []):
        process = subprocess.Popen(
            [sys.executable, *command, program],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # If the process that started the tests ignores SIGINT, all its children do.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        ends.append((*process.communicate(timeout=60), process.returncode))
    ours, pythons = ends
    assert ours[2] == pythons[2] == -signal.SIGINT
    assert ours[1].startswith(pythons[1])
    assert "run time" in ours[1][len(pythons[1]) :]


def test_classes_of_main_can_be_pickled(same: Run, write: Write) -> None:
    program = """
import pickle
class Thing:
    def __eq__(self, other):
        return type(other) is Thing
data = pickle.dumps(Thing())
print(data, pickle.loads(data) == Thing(), Thing.__module__)
"""
    same(write("program.py", program))


def test_pytest_runs_a_package_as_without_numpool(numpool_run: Run, write: Write) -> None:
    write("thing/__init__.py", "import numpy\ndef f(n): return numpy.ones(n).sum()")
    write(
        "tests/test_thing.py",
        "import numpool, numpy, thing\n"
        "def test_sum(): assert thing.f(5) == 5\n"
        "def test_pool(): assert numpool.pool_of(numpy.ones(100)) is numpool.current()\n"
        "def test_failing(): assert thing.f(5) == 6\n",
    )
    done = numpool_run("--quiet", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "1 failed, 2 passed" in done.stdout
    assert "assert thing.f(5) == 6" in done.stdout
    assert (done.stderr, done.returncode) == ("", 1)


def test_pandas_computes_the_same(same: Run, write: Write) -> None:
    pytest.importorskip("pandas")
    program = """
import numpy as np, pandas as pd
frame = pd.DataFrame(np.arange(300000.0).reshape(-1, 3), columns=list("abc"))
frame["d"] = frame.a.rolling(50).mean() + frame.b * frame.c
print(frame.describe(), frame.groupby(frame.index % 7).sum())
"""
    same(write("program.py", program))


def test_scipy_computes_the_same(same: Run, write: Write) -> None:
    pytest.importorskip("scipy")
    program = """
import numpy as np
from scipy import linalg, ndimage, signal
rng = np.random.default_rng(1)
image = rng.random((300, 300))
print(ndimage.gaussian_filter(image, 2).sum(), signal.fftconvolve(image, image[:20, :20]).sum())
print(linalg.svdvals(image)[:5], linalg.solve(image, image[0])[:5])
"""
    same(write("program.py", program))


def test_the_example_of_the_readme_runs(numpool_run: Run) -> None:
    done = numpool_run(str(Path(__file__).parents[3] / "examples/gallery.py"))
    assert re.fullmatch(r"mean light 186\.0; \d+ megapixels a second\n", done.stdout)
    # NumPy 1 makes fewer temporaries in this program.
    asked = "24.7" if np.__version__.startswith("1.") else "34.1"
    assert f"NumPy asked for  {asked} GiB in " in done.stderr


def test_the_startup_module_does_nothing_elsewhere() -> None:
    code = f"import sys; sys.path.insert(0, {str(STARTUP)!r}); import sitecustomize, os; print(0)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
