"""The extensions in examples/ are built and run, and older and newer headers get what they need."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/extensions"
COMPILERS = {".c": os.environ.get("CC", "cc"), ".cpp": os.environ.get("CXX", "c++")}
STANDARDS = {".c": "-std=c99", ".cpp": "-std=c++17"}
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers")

pytestmark = pytest.mark.skipif(
    any(shutil.which(compiler) is None for compiler in COMPILERS.values()),
    reason="there is no compiler",
)


def built(source: Path, folder: Path, *flags: str) -> Path:
    """The extension, built as the page in docs/ builds it, with warnings as errors."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    extension = folder / f"{source.stem}{suffix}"
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{numpool.get_include()}"]
    command = [COMPILERS[source.suffix], STANDARDS[source.suffix], "-O1", "-shared", "-fPIC"]
    done = subprocess.run(
        [*command, *flags, *includes, source, "-o", extension],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(done.stderr, pytrace=False)
    return extension


def imported(extension: Path) -> Any:
    spec = importlib.util.spec_from_file_location("squares", extension)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built_example(kind: str, folder: Path) -> Path:
    source = EXAMPLES / f"squares.{kind}"
    if kind == "cpp":
        pybind11 = pytest.importorskip("pybind11")
        return built(source, folder, *WARNINGS, f"-I{pybind11.get_include()}")
    if kind == "pyx":
        cython = pytest.importorskip("Cython.Compiler.Main", reason="Cython is not installed")
        cython.compile_single(
            str(source), cython.CompilationOptions(output_file=str(folder / "squares.c")), None
        )
        return built(folder / "squares.c", folder)
    return built(source, folder, *WARNINGS)


@pytest.mark.parametrize("kind", ["c", "cpp", "pyx"])
def test_an_example_returns_arrays_that_own_a_pools_blocks(kind: str, tmp_path: Path) -> None:
    squares = imported(built_example(kind, tmp_path)).squares
    pool = numpool.SlabPool(limit="1MiB", name="squares")
    array = squares(1000, pool)
    assert np.array_equal(array, np.arange(1000.0) ** 2)
    assert numpool.owner(array) is pool
    assert numpool.owner(squares(10)) is numpool.default_pool()
    with pytest.raises(numpool.PoolExhausted, match="'squares': 8000000 bytes"):
        squares(1_000_000, pool)
    with pytest.raises(TypeError, match="pool must be a pool of numpool or None, not str"):
        squares(1, "pool")
    for count in (-1, sys.maxsize):
        with pytest.raises(ValueError, match=f"no pool has room for {count} numbers"):
            squares(count, pool)
    del array
    assert pool.stats().blocks == 0
    pool.check()


def with_header_of_version(version: int, folder: Path) -> Path:
    """The example in C, built with a header that says that it has this version."""
    header = Path(numpool.get_include()) / "numpool/c_api.h"
    (folder / "numpool").mkdir()
    text, count = re.subn(
        r"(#define NUMPOOL_C_API_VERSION) \d+", rf"\1 {version}", header.read_text()
    )
    assert count == 1
    (folder / "numpool/c_api.h").write_text(text)
    return built(EXAMPLES / "squares.c", folder, f"-I{folder}")


@pytest.mark.parametrize(
    ("version", "advice"),
    [(99, "install a newer numpool"), (0, "build it with this numpool's header")],
    ids=["newer", "too old"],
)
def test_an_extension_for_another_version_is_refused(
    version: int, advice: str, tmp_path: Path
) -> None:
    extension = with_header_of_version(version, tmp_path)
    with pytest.raises(ImportError) as caught:
        imported(extension)
    assert str(caught.value) == (
        f"this extension was built for version {version} of numpool's C API, and numpool "
        f"{numpool.__version__} serves versions 1 to 1: {advice}"
    )
