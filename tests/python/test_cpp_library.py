"""numpool for C++: each way to it builds the example, which runs; nothing private is installed."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import shutil
import subprocess
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import numpool
from numpool import _core

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/cpp"
BUILD = ROOT / "build/pytest"
COMPILER = os.environ.get("CXX", "c++")
PRINTED = """\
numpool {}: 4000000 bytes in 'frames'
SlabPool 'frames': 400000000 bytes (381 MiB) requested, 3.88 MiB of a limit of 64 MiB in use; \
that is more than the limit: raise the limit
no second buffer
"""

needs_compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason=f"there is no C++ compiler {COMPILER}"
)


def run(*command: str | Path, **variables: str) -> str:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}", pytrace=False)
    return done.stdout


def printed_by_example(sources: Path, build: Path, *options: str) -> str:
    run("cmake", "-G", "Ninja", "-S", sources, "-B", build, *options)
    run("cmake", "--build", build, "--target", "frames")
    return run(build / "frames")


def ninja(build: Path) -> str:
    return (build / "build.ninja").read_text()


def version() -> str:
    """What headers know of the version: no suffix of a prerelease."""
    [found] = re.findall(r"^\d+\.\d+\.\d+", numpool.__version__)
    return str(found)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cmake --install` puts into a fresh folder; built where the tests of the core are."""
    folder = tmp_path_factory.mktemp("installed")
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("cmake", "-S", ROOT, "--preset", "debug", "-B", BUILD, "-D", "NUMPOOL_WERROR=OFF")
        run("cmake", "--build", BUILD, "--target", "numpool")
        run("cmake", "--install", BUILD, "--prefix", folder)
    return folder


@needs_compiler
def test_find_package_finds_an_installation(installed: Path, tmp_path: Path) -> None:
    prefix = f"-DCMAKE_PREFIX_PATH={installed}"
    assert printed_by_example(EXAMPLE, tmp_path, prefix) == PRINTED.format(version())


@needs_compiler
def test_find_package_finds_the_python_package(tmp_path: Path) -> None:
    [entry] = entry_points(group="cmake.prefix", name="numpool")
    # In an editable install the package's files lie beside the extension.
    assert importlib.import_module(entry.value) is numpool
    prefix = f"-DCMAKE_PREFIX_PATH={Path(_core.__file__).parent}"
    assert printed_by_example(EXAMPLE, tmp_path, prefix) == PRINTED.format(version())


@needs_compiler
def test_another_minor_version_is_refused(installed: Path, tmp_path: Path) -> None:
    sources = Path(shutil.copytree(EXAMPLE, tmp_path / "sources"))
    lists = sources / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("numpool 0.1", "numpool 0.9"))
    done = subprocess.run(
        ["cmake", "-S", sources, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'compatible with requested version "0.9"' in " ".join(done.stderr.split())


@needs_compiler
def test_fetch_content_and_add_subdirectory_build_it(tmp_path: Path) -> None:
    sources = Path(shutil.copytree(EXAMPLE, tmp_path / "sources"))
    lists = sources / "CMakeLists.txt"
    fetch = f"""include(FetchContent)
FetchContent_Declare(numpool SOURCE_DIR {ROOT})
FetchContent_MakeAvailable(numpool)"""
    lists.write_text(lists.read_text().replace("find_package(numpool 0.1 REQUIRED)", fetch))
    build = tmp_path / "build"
    assert printed_by_example(sources, build) == PRINTED.format(version())
    # The consumer sees the public headers alone, and installs nothing of numpool's.
    [rule] = re.findall(r"^build \S+frames\.cpp\.o:.*?\n\n", ninja(build), re.DOTALL | re.MULTILINE)
    assert "numpool-build/include" in rule
    assert f"{ROOT}/src" not in rule
    run("cmake", "--install", build, "--prefix", tmp_path / "installed")
    assert not (tmp_path / "installed").exists()


@needs_compiler
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="there is no pkg-config")
def test_pkg_config_finds_an_installation(installed: Path, tmp_path: Path) -> None:
    [file] = installed.rglob("numpool.pc")
    flags = run("pkg-config", "--cflags", "--libs", "numpool", PKG_CONFIG_PATH=str(file.parent))
    program = tmp_path / "frames"
    run(COMPILER, "-std=c++20", EXAMPLE / "frames.cpp", "-o", program, *flags.split())
    assert run(program) == PRINTED.format(version())


PUBLIC = {
    "base/error.hpp",
    "memory_resource.hpp",
    "numpool.hpp",
    "pools.hpp",
    "threads/lifecycle/pool_figures.hpp",
    "version.hpp",
}


def test_the_package_has_the_public_headers_alone() -> None:
    headers = Path(numpool.get_include()) / "numpool"
    assert {path.relative_to(headers).as_posix() for path in headers.rglob("*.hpp")} == PUBLIC
    assert (Path(numpool.get_cmake_dir()) / "numpoolConfig.cmake").is_file()


def test_public_headers_include_public_headers_alone() -> None:
    headers = Path(numpool.get_include()) / "numpool"
    included = {
        name.removeprefix("numpool/")
        for header in headers.rglob("*.hpp")
        for name in re.findall(r'^#include ["<]([^">]+\.hpp)', header.read_text(), re.MULTILINE)
    }
    assert included <= PUBLIC


def test_a_build_without_headers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "__file__", str(tmp_path / "_core.so"))
    for function in (numpool.get_include, numpool.get_cmake_dir):
        with pytest.raises(FileNotFoundError, match="was built without what C\\+\\+ needs: there"):
            function()
