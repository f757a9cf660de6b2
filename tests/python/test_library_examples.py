"""The examples for other libraries print what they promise, where the library is installed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples/libraries"
PRINTED = {
    "pillow": (
        "PIL",
        """\
the image shows the array's memory: True
decoded into the pool: True (480, 640)
""",
    ),
    "pyarrow": (
        "pyarrow",
        """\
the column has the array's memory: True
and so has the array that it becomes: True
an Arrow buffer on a Buffer: True 1048576
Arrow keeps the blocks: 2
until they are not used any more: 0
""",
    ),
    "opencv": (
        "cv2",
        """\
results are in the pool: True True
dst= uses the array that it gets: True
""",
    ),
    "h5py": (
        "h5py",
        """\
a new array is in the pool: True
read_direct fills the array that it gets: True
""",
    ),
    "zarr": (
        "zarr",
        """\
read into the pool: True 1500000
after install: True
""",
    ),
    "numba": (
        "numba",
        """\
the result is in the pool: True [1. 2. 3.]
an array that compiled code makes: None
""",
    ),
    "torch": (
        "torch",
        """\
the tensor has the array's memory: True 1.0
and so has the array that it becomes: True
a tensor on a Buffer, by DLPack: True 4096
blocks in use at the end: 0
""",
    ),
    "dask": (
        "distributed",
        """\
(1000000.0, 'dask worker')
Unable to allocate 1.49 GiB for an array with shape (200000000,) and data type float64
N in the process, 0 bytes of 819 MiB in arrays, N cached, 0 bytes managed by Dask
N in the process, 0 bytes of 819 MiB in arrays, N cached, 0 bytes managed by Dask
""",
    ),
}


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == {f"with_{name}" for name in PRINTED}


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_shows_memory_that_is_shared_or_pooled(name: str) -> None:
    library, printed = PRINTED[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"with_{name}.py"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = re.compile(r"[\d.]+ (?:[KM]iB|bytes)(?= in the process| cached)")
    assert figures.sub("N", done.stdout) == printed, done.stderr
