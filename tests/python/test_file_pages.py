"""Pages(file=...) keep a pool's blocks in an unlinked file: what it takes, and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 1 << 20

POOLS: dict[str, Callable[[numpool.Pages], Any]] = {
    "SlabPool": lambda pages: numpool.SlabPool(source=pages).acquire(3 * MIB),
    "SlabPool, a small block": lambda pages: numpool.SlabPool(source=pages).acquire(100),
    "FixedPool": lambda pages: numpool.FixedPool(4096, 4, source=pages).acquire(),
    "BuddyPool": lambda pages: numpool.BuddyPool(MIB, source=pages).acquire(100),
    "Arena": lambda pages: numpool.Arena(source=pages).acquire(100),
}


@pytest.mark.parametrize("acquire", POOLS.values(), ids=POOLS)
def test_each_pool_can_lie_in_a_file(
    acquire: Callable[[numpool.Pages], numpool.Buffer], disk: Path
) -> None:
    buffer = acquire(numpool.Pages(file=disk))
    memoryview(buffer)[:] = b"\x07" * buffer.nbytes
    assert bytes(buffer) == b"\x07" * buffer.nbytes
    assert buffer.pool is not None
    assert buffer.pool.stats().in_file >= buffer.nbytes
    assert list(disk.iterdir()) == []
    buffer.pool.check()


def test_the_file_grows_with_arrays_and_shrinks_when_they_go(disk: Path) -> None:
    pool = numpool.SlabPool(source=numpool.Pages(file=disk))
    assert pool.stats().in_file == 0
    arrays = [pool.empty(8 * MIB, np.uint8) for _ in range(4)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert 32 * MIB <= pool.stats().in_file < 34 * MIB
    assert "in its file" in pool.summary()
    del arrays[1:3]
    assert 16 * MIB <= pool.stats().in_file < 18 * MIB
    assert [int(array[-1]) for array in arrays] == [0, 3]
    arrays.clear()
    del array
    assert pool.stats().in_file == 0
    assert pool.zeros(40 * MIB, np.uint8)[::4096].max() == 0
    pool.check()


def test_a_pool_in_memory_has_nothing_in_a_file() -> None:
    pool = numpool.SlabPool()
    array = pool.ones(MIB)
    assert pool.stats().in_file == 0
    assert "file" not in pool.summary()
    del array


def test_several_pools_share_a_file_and_outlive_its_pages(disk: Path) -> None:
    pages = numpool.Pages(file=disk)
    pools = [numpool.SlabPool(source=pages) for _ in range(2)]
    assert repr(pages) == f"<numpool.Pages: in a file in {disk}>"
    del pages
    arrays = [pool.full(MIB, number) for number, pool in enumerate(pools)]
    del pools
    assert [array.sum() for array in arrays] == [0, MIB]


def test_a_block_in_a_file_is_reallocated_with_its_contents(disk: Path) -> None:
    pool = numpool.SlabPool(source=numpool.Pages(file=disk))
    buffer = pool.acquire(MIB)
    memoryview(buffer)[:] = b"\x05" * MIB
    for size in (9 * MIB, 70 * MIB, 2 * MIB, 1000):
        buffer = pool.reallocate(buffer, size)
        assert bytes(memoryview(buffer)[:1000]) == b"\x05" * 1000
        assert pool.stats().in_file < size + 2 * MIB
    pool.check()


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A path with a file."""
    path = tmp_path / "file"
    path.write_text("text")
    return path


def test_a_folder_that_is_missing_or_is_a_file_is_refused(tmp_path: Path, taken: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        numpool.Pages(file=tmp_path / "nowhere")
    assert missing.value.filename == str(tmp_path / "nowhere")
    assert missing.value.strerror == "there is no such folder: make it, or name another one"
    with pytest.raises(NotADirectoryError, match="not a folder: name the folder in which the file"):
        numpool.Pages(file=taken)


READ_ONLY = """
import os, sys
import numpool
if os.getuid() == 0:
    os.setuid(65534)
try:
    numpool.Pages(file=sys.argv[1])
except PermissionError as error:
    print(error)
"""


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "[Errno 13] this folder takes no new file: change its permissions, or name another one: "
        f"{str(folder)!r}\n"
    )


def test_a_folder_in_memory_is_refused_unless_it_is_forced() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("this machine has no /dev/shm")
    with pytest.raises(ValueError, match="'/dev/shm', a tmpfs, which keeps files in memory"):
        numpool.Pages(file="/dev/shm")
    array = numpool.SlabPool(source=numpool.Pages(file="/dev/shm", force=True)).ones(MIB)
    assert array.sum() == MIB


def test_a_folder_may_vanish_while_its_file_is_in_use(disk: Path) -> None:
    folder = disk / "folder"
    folder.mkdir()
    pool = numpool.SlabPool(source=numpool.Pages(file=folder))
    array = pool.ones(MIB)
    shutil.rmtree(folder)
    more = pool.full(2 * MIB, 2.0)
    assert array.sum() + more.sum() == 5 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    image, folder = tmp_path / "image", tmp_path / "small"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    make, mount = shutil.which("mkfs.ext4", path="/sbin:/usr/sbin:/bin"), shutil.which("mount")
    if make is None or mount is None or os.getuid() != 0:
        pytest.skip("only root can mount a small file system here")
    subprocess.run([make, "-q", "-m", "0", image], check=True)
    mounted = subprocess.run([mount, "-o", "loop", image, folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        # Lazily, because a traceback may still hold the pool.
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_an_error_before_anything_is_lost(small_disk: Path) -> None:
    pool = numpool.SlabPool(source=numpool.Pages(file=small_disk), name="scratch")
    arrays: list[Any] = []

    def make_for_ever() -> None:
        while True:
            arrays.append(pool.full(MIB, len(arrays)))

    with pytest.raises(MemoryError) as full:
        make_for_ever()
    left = r"the disk has only .+ left in '.*small': make room there, or name another folder"
    full.match(rf"SlabPool 'scratch': 8388608 bytes \(8 MiB\) requested, .+ in use; {left}")
    assert 4 <= len(arrays) <= 8
    os.sync()
    assert [float(array.mean()) for array in arrays] == list(range(len(arrays)))
    arrays.pop()
    arrays.append(pool.full(MIB, 9.0))
    assert arrays[-1].mean() == 9
    arrays.clear()
    pool.check()
    assert pool.stats().in_file < MIB  # A slab for the values is left.


CRASHES = """
import os, sys, signal
import numpool
array = numpool.SlabPool(source=numpool.Pages(file=sys.argv[1])).ones(1 << 20)
print(os.listdir(sys.argv[1]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_on_the_disk_after_a_crash(disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, str(disk)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "[]\n")
    assert list(disk.iterdir()) == []


TWO = """
import sys
import numpool
pool = numpool.SlabPool(source=numpool.Pages(file=sys.argv[1]))
number = int(sys.argv[2])
for _ in range(20):
    arrays = [pool.full(1 << 18, number) for _ in range(8)]
    assert all((array == number).all() for array in arrays)
"""


def test_two_programs_may_use_one_folder(disk: Path) -> None:
    programs = [
        subprocess.Popen([sys.executable, "-c", TWO, str(disk), str(number)]) for number in (1, 2)
    ]
    assert [program.wait(60) for program in programs] == [0, 0]


def test_other_options_do_not_go_with_a_file(disk: Path) -> None:
    for options in ({"populated": True}, {"locked": True}, {"huge": True}, {"node": 0}):
        with pytest.raises(ValueError, match="pages of a file come and go as the system likes"):
            numpool.Pages(file=disk, **options)
    with pytest.raises(ValueError, match="force is for a file on a tmpfs: name its folder with"):
        numpool.Pages(force=True)
    with pytest.raises(ValueError, match="file is a path that is not UTF-8"):
        numpool.Pages(file=b"/tmp/\xff")


def test_a_slab_pool_takes_no_other_source(slabs: numpool.SlabPool) -> None:
    with pytest.raises(TypeError, match=r"source must be Pages\(file=\.{3}\) or None, not Slab"):
        numpool.SlabPool(source=slabs)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"source is <numpool\.Pages: as they come>, but"):
        numpool.SlabPool(source=numpool.Pages())


FORKS = """
import os, sys
import numpy as np
import numpool

def in_child(act):
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

pool = numpool.SlabPool(source=numpool.Pages(file=sys.argv[1]), name="scratch")
array = pool.ones(1 << 20)

def act():
    assert array.sum() == 1 << 20
    array[:] = 7  # It is the child's own from here on.
    assert array.sum() == 7 << 20
    assert pool.closed
    try:
        pool.empty(10)
    except numpool.PoolClosed as error:
        print(error, flush=True)
    own = numpool.SlabPool(source=numpool.Pages(file=sys.argv[1])).full(1 << 20, 3.0)
    assert own.sum() == 3 << 20

in_child(act)
assert array.sum() == 1 << 20 and not pool.closed
del array
in_child(lambda: None)
assert pool.stats().in_file < 1 << 20
array = pool.full(1 << 20, 2.0)
in_child(lambda: globals().pop("array"))  # The child frees its view, and the parent keeps its own.
assert array.sum() == 2 << 20
pool.check()
"""


def test_a_forked_child_has_its_own_copy_of_what_it_writes(disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(disk)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "SlabPool 'scratch' is closed and takes no more requests\n"
