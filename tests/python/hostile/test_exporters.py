"""Each consumer of buffers ends its use where docs/reference/exporters.md says so."""

from __future__ import annotations

import ctypes
import gc
import io
import mmap
import os
import pickle
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

BYTES = 4096
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "exporters.md"


def pyarrow_buffer(buffer: numpool.Buffer) -> object:
    return pytest.importorskip("pyarrow").py_buffer(buffer)


def pyarrow_reader(buffer: numpool.Buffer) -> object:
    return pytest.importorskip("pyarrow").BufferReader(buffer)


def pillow(buffer: numpool.Buffer) -> object:
    image = pytest.importorskip("PIL.Image")
    return image.frombuffer("L", (64, 64), buffer, "raw", "L", 0, 1)


def torch(buffer: numpool.Buffer) -> object:
    module = pytest.importorskip("torch")
    return module.frombuffer(buffer, dtype=module.uint8)


KEEPERS: dict[str, Callable[[Any], object]] = {
    "memoryview": memoryview,
    "array": lambda buffer: buffer.array("f4")[::2],
    "frombuffer": np.frombuffer,
    "asarray": np.asarray,
    "from_dlpack": np.from_dlpack,
    "ndarray on a memoryview": lambda buffer: np.ndarray(8, "u1", buffer=memoryview(buffer)),
    "ctypes": lambda buffer: (ctypes.c_char * 4).from_buffer(buffer),
    "PickleBuffer": pickle.PickleBuffer,
    "pyarrow.py_buffer": pyarrow_buffer,
    "pyarrow.BufferReader": pyarrow_reader,
    "Pillow": pillow,
    "PyTorch": torch,
}


@pytest.fixture
def buffer() -> Iterator[numpool.Buffer]:
    """A buffer. At the test's end its pool must have all its blocks again."""
    pool = numpool.SlabPool(name="read")
    buffer = pool.acquire(BYTES)
    memoryview(buffer)[:] = bytes(BYTES)
    yield buffer
    buffer.release()
    gc.collect()
    assert pool.stats().blocks == 0


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_release_refuses_until_a_consumer_that_keeps_the_bytes_is_gone(
    buffer: numpool.Buffer, keep: Callable[[Any], object]
) -> None:
    kept = keep(buffer)
    with pytest.raises(BufferError, match=r"buffer of SlabPool 'read' is still in use by 1 view"):
        buffer.release()
    del kept
    gc.collect()
    buffer.release()


def send(buffer: Any) -> None:
    one, other = socket.socketpair()
    with one, other:
        other.settimeout(10)
        one.send(buffer)


def receive(buffer: Any) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.send(b"x")
        other.recv_into(buffer)


def map_memory(buffer: Any) -> None:
    with mmap.mmap(-1, BYTES) as mapped:
        mapped.write(buffer)


def read_file(buffer: Any) -> None:
    with Path("/dev/zero").open("rb", buffering=0) as file:
        file.readinto(buffer)


def write_file(buffer: Any) -> None:
    with Path(os.devnull).open("wb", buffering=0) as file:
        file.write(buffer)


def opencv(buffer: Any) -> None:
    pytest.importorskip("cv2").blur(buffer.array("u1", (64, 64)), (3, 3))


def numba(buffer: Any) -> None:
    assert pytest.importorskip("numba").njit(lambda array: array.sum())(buffer.array()) == 0


def h5py(buffer: Any) -> None:
    module = pytest.importorskip("h5py")
    with module.File(io.BytesIO(), "w") as file:
        file.create_dataset("bytes", data=buffer.array())


USERS: dict[str, Callable[[Any], object]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "BytesIO": io.BytesIO,
    "struct.pack_into": lambda buffer: struct.pack_into("4s", buffer, 0, b"1234"),
    "struct.unpack_from": lambda buffer: struct.unpack_from("4s", buffer),
    "ctypes copy": lambda buffer: (ctypes.c_char * 4).from_buffer_copy(buffer),
    "socket.send": send,
    "socket.recv_into": receive,
    "mmap.write": map_memory,
    "file.readinto": read_file,
    "file.write": write_file,
    "OpenCV": opencv,
    "Numba": numba,
    "h5py": h5py,
}


@pytest.mark.parametrize("use", USERS.values(), ids=USERS)
def test_a_consumer_that_copies_is_done_when_its_call_ends(
    buffer: numpool.Buffer, use: Callable[[Any], object]
) -> None:
    use(buffer)
    gc.collect()
    buffer.release()


def test_only_numpys_ndarray_on_the_buffer_itself_pins_it() -> None:
    pool = numpool.SlabPool()
    buffer = pool.acquire(BYTES)
    array = np.ndarray(BYTES, "u1", buffer=buffer)
    del array
    with pytest.raises(BufferError, match=r"numpy.ndarray\(buffer=...\) was called"):
        buffer.release()
    del buffer
    assert pool.stats().blocks == 0


def test_the_table_names_every_consumer_that_is_tried_here() -> None:
    text = DOCUMENT.read_text()
    names = (
        "memoryview frombuffer asarray from_dlpack ctypes PickleBuffer py_buffer BufferReader PIL "
        "torch struct socket mmap readinto OpenCV Numba h5py bytearray BytesIO"
    )
    assert [name for name in names.split() if name not in text] == []
