"""Each bug that checks are to find, planted in a process of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

Child = Callable[..., "subprocess.CompletedProcess[str]"]

POOLS = {
    "slab": "numpool.SlabPool(name='test', checks=True)",
    "slab, wiped": "numpool.SlabPool(name='test', wipe=True, checks=True)",
    "fixed": "numpool.FixedPool(10, 4, name='test', checks=True)",
    "fixed, wiped": "numpool.FixedPool(10, 4, name='test', wipe=True, checks=True)",
    "fixed, aligned": "numpool.FixedPool(10, 4, align=4096, name='test', checks=True)",
    "buddy": "numpool.BuddyPool('1MiB', 64, name='test', checks=True)",
}
KINDS = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
# A write outside of a guarded block ends the process: test_guards.py has those bugs.
WITH_GUARDED = POOLS | {
    f"{kind}, guarded": pool.replace("True)", "'guard:1')") for kind, pool in POOLS.items()
}
ALL_KINDS = pytest.mark.parametrize("pool", WITH_GUARDED.values(), ids=WITH_GUARDED.keys())


def acquiring(pool: str) -> str:
    return "pool.acquire()" if "Fixed" in pool else "pool.acquire(10)"


def told(stderr: str) -> str:
    """The last error's text, without addresses."""
    text = stderr[stderr.rindex("numpool.CorruptionError: ") :]
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", text)


@KINDS
@pytest.mark.parametrize(
    ("place", "where"),
    [
        (10, "a write past a block: byte 10 is 0x41"),
        (73, "a write past a block: byte 73 is 0x41"),
        (-1, "a write before a block: byte -1 is 0x41"),
        (-64, "a write before a block: byte -64 is 0x41"),
    ],
)
def test_a_write_outside_of_a_block_is_found_at_its_release(
    child: Child, pool: str, place: int, where: str
) -> None:
    done = child(f"""
pool = {pool}
def take():
    return {acquiring(pool)}
block = take()
write(block.address + {place})
block.release()
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    text = told(done.stderr)
    assert f"'test': {where} (a block of 10 bytes at 0x…)\n" in text
    lines = r"acquired \S*program.py:4 in take\n  released \S*program.py:7 in <module>\n$"
    assert re.search(lines, text)
    assert 'program.py", line 7' in done.stderr


@ALL_KINDS
def test_a_write_inside_of_a_block_is_none(child: Child, pool: str) -> None:
    done = child(f"""
pool = {pool}
for _ in range(3):
    block = {acquiring(pool)}
    for place in range(10):
        write(block.address + place, place)
    assert bytes(block) == bytes(range(10))
    pool.check()
    block.release()
pool.trim()
pool.check()
print(pool.stats().blocks, pool.stats().live_bytes)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 0\n", "")


@KINDS
@pytest.mark.parametrize("then", ["pool.check()", "pool.trim()", "pool.close()", ""])
def test_a_write_after_the_release_is_found(child: Child, pool: str, then: str) -> None:
    done = child(f"""
pool = {pool}
block = {acquiring(pool)}
address = block.address
block.release()
write(address + 3)
{then}
""")
    text = "a write to a block after its release: byte 3 is 0x41 (a block of 10 bytes at "
    assert f"'test': {text}" in done.stderr
    assert re.search(r"acquired \S*program.py:3 in <module>\n", done.stderr)
    assert re.search(r"released \S*program.py:5 in <module>\n", done.stderr)
    if then:
        assert done.returncode == 1
        assert "numpool.CorruptionError" in done.stderr
    else:
        assert "numpool: at exit: " in done.stderr


def test_a_write_after_the_release_is_found_where_init_wrote_the_contents(child: Child) -> None:
    done = child("""
def init(view):
    view[:] = bytes(range(10))
pool = numpool.FixedPool(10, 2, init=init, name="test", checks=True)
for _ in range(3):
    block = pool.acquire()
    assert bytes(block) == bytes(range(10))
    address = block.address
    block.release()
write(address + 3)
pool.check()
""")
    assert done.returncode == 1
    assert "FixedPool 'test': a write to a block after its release (a block of" in done.stderr


def test_a_write_after_the_release_is_found_when_the_block_leaves_the_quarantine(
    child: Child,
) -> None:
    done = child("""
pool = numpool.SlabPool(name="test", checks=True)
block = pool.acquire(10)
address = block.address
block.release()
write(address + 9)
for _ in range(20):
    pool.acquire("4MiB").release()
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a write to a block after its release: byte 9 is 0x41" in done.stderr


def test_the_bug_of_an_array_is_found_when_it_goes(child: Child) -> None:
    done = child("""
pool = numpool.SlabPool(name="test", checks=True)
def make():
    with numpool.use(pool):
        return np.ones(10, "u1")
def drop():
    a = make()
    write(a.ctypes.data + 10)
drop()
sum(range(10))
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SlabPool 'test': a write past a block: byte 10 is 0x41" in done.stderr
    assert re.search(r"acquired \S*program.py:5 in make\n", done.stderr)


@ALL_KINDS
def test_a_second_release_is_found(child: Child, pool: str) -> None:
    done = child(f"""
pool = {pool}
address = acquire(pool, 10)
free(pool, address, 10)
free(pool, address, 10)
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'test': a second release of a block (a block of 10 bytes at" in done.stderr
    assert re.search(r"acquired \S*program.py:3 in <module>\n", done.stderr) or re.search(
        r"acquired \S*bugs.py:\d+ in acquire\n", done.stderr
    )


@ALL_KINDS
@pytest.mark.parametrize("place", [3, -16, 10, 70])
def test_the_release_of_an_address_inside_of_a_block_is_found(
    child: Child, pool: str, place: int
) -> None:
    done = child(f"""
pool = {pool}
address = acquire(pool, 10)
free(pool, address + {place})
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(
        rf"'test': a release of 0x\w+, which is byte {place} of a block \(a block of 10 bytes",
        done.stderr,
    )


@ALL_KINDS
def test_the_release_of_a_foreign_address_is_found(child: Child, pool: str) -> None:
    done = child(f"""
pool = {pool}
other = ctypes.create_string_buffer(100)
free(pool, ctypes.addressof(other))
print("not reached")
""")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"'test': a release of 0x\w+, which is no block of this pool", done.stderr)


@KINDS
def test_checks_may_end_the_process_at_once(child: Child, pool: str) -> None:
    done = child(f"""
pool = {pool.replace("checks=True", 'checks="abort"')}
block = {acquiring(pool)}
write(block.address + 10)
try:
    block.release()
finally:
    print("not reached")
""")
    assert (done.returncode, done.stdout) == (-6, "")
    assert re.match(
        r"numpool: \w+ 'test': a write past a block: byte 10 is 0x41 \(a block of 10 bytes at \w+\)"
        r"\n  acquired \S*program.py:3 in <module>\n  released \S*program.py:6 in <module>\n$",
        done.stderr,
    )


def test_what_is_found_in_a_thread_is_raised_in_the_main_thread(child: Child) -> None:
    done = child("""
import threading
pool = numpool.SlabPool(name="test", checks=True)
def work():
    block = pool.acquire(10)
    write(block.address + 10)
    block.release()
thread = threading.Thread(target=work)
try:
    thread.start()
    thread.join()
    sum(range(10))
except numpool.CorruptionError as error:
    print("work" in str(error))
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_native_code_without_the_gil_has_no_line(child: Child) -> None:
    done = child("""
pool = numpool.SlabPool(name="test", checks=True)
f = functions_of(pool)
call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(f.malloc)
address = call(f.context, 10)
[one] = pool.live()
print(one.size, one.line, one.address == address)
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "10 None True\n", "")
