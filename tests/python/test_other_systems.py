"""On systems where numpool cannot work, its build and its import say so in one sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import numpool

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "cmake/check_system.cmake"
HERE = {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SIZEOF_VOID_P": "8"}


def cmake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cmake", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def checked(**other: str) -> subprocess.CompletedProcess[str]:
    """Run only the check of the build, for a system that differs from this one."""
    definitions = [f"-D{name}={value}" for name, value in {**HERE, **other}.items()]
    return cmake(*definitions, "-P", CHECK)


@pytest.mark.parametrize(
    ("other", "refusal"),
    [
        ({"CMAKE_SYSTEM_NAME": "Darwin"}, "numpool needs Linux: this build is for Darwin."),
        (
            {"CMAKE_SIZEOF_VOID_P": "4"},
            "numpool needs a 64-bit system: this build is for 32 bits.",
        ),
        ({"Python_INTERPRETER_ID": "PyPy"}, "numpool needs CPython: this build is for PyPy."),
    ],
    ids=["another system", "32 bits", "PyPy"],
)
def test_the_build_refuses_in_one_sentence(other: dict[str, str], refusal: str) -> None:
    done = checked(**other)
    assert done.returncode != 0
    assert refusal in done.stderr


@pytest.mark.parametrize("python", ["Python", "Anaconda"])
def test_the_build_goes_on_where_numpool_works(python: str) -> None:
    done = checked(Python_INTERPRETER_ID=python)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_build_makes_this_check(tmp_path: Path) -> None:
    # A library, because this compiler cannot link programs for another system.
    library = "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"
    done = cmake("-S", ROOT, "-B", tmp_path, "-DCMAKE_SYSTEM_NAME=Generic", library)
    assert done.returncode != 0
    assert "numpool needs Linux: this build is for Generic." in done.stderr


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
{pretence}
try:
    import numpool
except ImportError as error:
    print(error)
"""


def without_extension(folder: Path) -> Path:
    """A copy of the installed package, without its extension."""
    package = Path(numpool.__file__).parent
    ignored = shutil.ignore_patterns("_core*.so")
    return Path(shutil.copytree(package, folder / "numpool", ignore=ignored))


def refusal_of(package: Path, pretence: str = "") -> str:
    program = PROGRAM.format(folder=str(package.parent), pretence=pretence)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("pretence", "reason"),
    [
        ("sys.platform = 'darwin'", "numpool needs Linux: this is darwin"),
        ("sys.maxsize = 2**31 - 1", "numpool needs a 64-bit Python: this one has 32 bits"),
        ("sys.implementation.name = 'pypy'", "numpool needs CPython: this is pypy"),
        (
            "",
            (
                "numpool's extension is missing for Python {}.{}: install numpool with this "
                "Python's pip instead of importing its sources"
            ),
        ),
    ],
    ids=["another system", "32 bits", "PyPy", "sources alone"],
)
def test_an_import_without_the_extension_says_why(
    tmp_path: Path, pretence: str, reason: str
) -> None:
    package = without_extension(tmp_path)
    assert refusal_of(package, pretence) == reason.format(*sys.version_info)


def test_an_extension_that_is_there_keeps_its_own_error(tmp_path: Path) -> None:
    package = without_extension(tmp_path)
    (package / "_core.py").write_text("import package_that_nobody_has")
    assert refusal_of(package) == "No module named 'package_that_nobody_has'"
