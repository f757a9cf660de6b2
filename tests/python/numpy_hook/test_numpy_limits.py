"""A limit holds: a request beyond it raises MemoryError, and no other pool serves it."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool

MIB = 1 << 20


def bounded_slabs() -> numpool.SlabPool:
    return numpool.SlabPool(limit="8MiB", name="bounded")


# Pools that are bounded by a limit: their own, or that of the pool that they draw on.
BOUNDED: dict[str, Callable[[], Any]] = {
    "SlabPool": bounded_slabs,
    "Arena on a SlabPool": lambda: numpool.Arena("64KiB", source=bounded_slabs()),
    "FixedPool that may grow, on a SlabPool": lambda: numpool.FixedPool(
        MIB, 1, max_blocks=None, source=bounded_slabs()
    ),
}
# Pools that are bounded by their kind: by block size, by number of blocks, or by their region.
OF_A_KIND: dict[str, Callable[[], Any]] = {
    "FixedPool": lambda: numpool.FixedPool(MIB, 4),
    "BuddyPool": lambda: numpool.BuddyPool("4MiB"),
}
bounded = pytest.mark.parametrize("make", BOUNDED.values(), ids=BOUNDED)
of_a_kind = pytest.mark.parametrize("make", OF_A_KIND.values(), ids=OF_A_KIND)


def arrays_until_refused(most: int = 16) -> list[Any]:
    """Make arrays of 1 MiB until NumPy raises MemoryError."""
    arrays: list[Any] = []
    try:
        while len(arrays) < most:
            arrays.append(np.empty(MIB, np.uint8))
    except MemoryError:
        return arrays
    raise AssertionError("nothing was refused")


@bounded
def test_use_raises_memory_error_beyond_the_limit(make: Callable[[], Any]) -> None:
    pool = make()
    with numpool.use(pool):
        arrays = arrays_until_refused()
        assert {numpool.pool_of(array) for array in arrays} == {pool}
        assert 4 <= len(arrays) <= 8
        del arrays[:]
        # Released memory can be used again.
        assert numpool.pool_of(np.empty(MIB, np.uint8)) is pool


@bounded
def test_install_raises_memory_error_beyond_the_limit(make: Callable[[], Any]) -> None:
    pool = make()
    numpool.install(pool)
    try:
        arrays = arrays_until_refused()
    finally:
        numpool.uninstall()
    assert {numpool.pool_of(array) for array in arrays} == {pool}
    assert 4 <= len(arrays) <= 8


def test_a_resize_beyond_the_limit_changes_nothing() -> None:
    pool = bounded_slabs()
    with numpool.use(pool):
        array = np.arange(1000)
    with pytest.raises(MemoryError):
        array.resize(2 * MIB, refcheck=False)
    assert array.sum() == 499500
    assert numpool.pool_of(array) is pool


def test_the_limit_holds_for_zeroed_arrays_too() -> None:
    with numpool.use(bounded_slabs()), pytest.raises(MemoryError):
        np.zeros(9 * MIB, np.uint8)


@bounded
def test_a_fallback_that_was_named_serves_beyond_the_limit(make: Callable[[], Any]) -> None:
    pool = make()
    named = numpool.default_pool()
    with numpool.use(pool, fallback=named):
        arrays = [np.empty(MIB, np.uint8) for _ in range(16)]
    assert {numpool.pool_of(array) for array in arrays} == {pool, named}


def test_an_installed_pool_with_a_named_fallback_is_another_than_without() -> None:
    pool = bounded_slabs()
    numpool.install(pool)
    numpool.install(pool, fallback=numpool.default_pool())
    beyond = np.empty(9 * MIB, np.uint8)
    numpool.install(pool)
    refused = False
    try:
        np.empty(9 * MIB, np.uint8)
    except MemoryError:
        refused = True
    numpool.uninstall()
    assert refused
    assert numpool.pool_of(beyond) is numpool.default_pool()


@of_a_kind
def test_the_default_pool_serves_what_a_pool_cannot_by_its_kind(
    make: Callable[[], Any],
) -> None:
    pool = make()
    with numpool.use(pool):
        arrays = [np.empty(MIB, np.uint8) for _ in range(5)]
        large = np.empty(5 * MIB, np.uint8)
    assert [numpool.pool_of(array) for array in arrays] == [pool] * 4 + [numpool.default_pool()]
    assert numpool.pool_of(large) is numpool.default_pool()


@pytest.mark.parametrize(
    "make", [*BOUNDED.values(), *OF_A_KIND.values()], ids=[*BOUNDED, *OF_A_KIND]
)
def test_the_default_pool_serves_requests_to_a_closed_pool(make: Callable[[], Any]) -> None:
    pool = make()
    with numpool.use(pool):
        pool.close()
        assert numpool.pool_of(np.empty(MIB, np.uint8)) is numpool.default_pool()


BEYOND = """
import numpy
try:
    numpy.ones(9 << 20, numpy.uint8)
except MemoryError as error:
    print(error)
"""


def test_a_program_beyond_its_limit_gets_a_memory_error(printed_by: Callable[..., str]) -> None:
    program = f"""
import runpy, sys
sys.argv = ["numpool", "run", "--quiet", "--limit", "8MiB", "-c", {BEYOND!r}]
runpy.run_module("numpool", run_name="__main__")
"""
    assert printed_by(program).startswith("Unable to allocate 9.00 MiB")


def refusals_in(error: BaseException) -> list[str]:
    """The text that numpool added to an error: in a note, or before Python 3.11 in a cause.

    Without the note that lists arrays.
    """
    notes: list[str] = getattr(error, "__notes__", [])
    if isinstance(error.__cause__, numpool.PoolExhausted):
        notes = [*notes, f"numpool: {error.__cause__}".partition("\n")[0]]
    assert all(note.startswith("numpool: ") for note in notes)
    texts = [note.removeprefix("numpool: ") for note in notes]
    return [text for text in texts if not text.startswith("the largest arrays")]


def error_of(function: Callable[[], object]) -> MemoryError:
    """The error of the function, with NumPy on bounded slabs."""
    with pytest.raises(MemoryError, match="Unable to allocate") as caught:
        numpool.use(bounded_slabs())(function)()
    return caught.value


def test_an_error_that_leaves_a_block_names_the_pool_and_its_limit() -> None:
    def fill() -> None:
        kept = np.ones(MIB // 2)
        np.ones(3 * MIB)
        del kept

    [text] = refusals_in(error_of(fill))
    assert text == (
        "SlabPool 'bounded': 25165824 bytes (24 MiB) requested, 4.06 MiB of a limit of 8 MiB in "
        "use; that is more than the limit: raise the limit"
    )


def test_the_figures_are_those_of_the_refusal_not_of_the_end() -> None:
    def fill() -> None:
        arrays = [np.empty(MIB, "u1") for _ in range(5)]
        try:
            np.empty(4 * MIB, "u1")
        finally:
            arrays.clear()

    [text] = refusals_in(error_of(fill))
    assert "5.31 MiB of a limit of 8 MiB in use; release blocks or raise the limit" in text


def test_an_error_keeps_its_own_context_and_cause() -> None:
    def in_a_handler() -> None:
        try:
            raise LookupError("first")
        except LookupError:
            np.ones(3 * MIB)

    def with_a_cause() -> None:
        try:
            np.ones(3 * MIB)
        except MemoryError as error:
            raise error from LookupError("its cause")

    shown = "".join(traceback.format_exception(error_of(in_a_handler)))
    assert "LookupError: first" in shown
    assert "SlabPool 'bounded': 25165824 bytes (24 MiB) requested" in shown
    assert isinstance(error_of(with_a_cause).__cause__, LookupError)


def test_a_pool_of_equal_blocks_says_why_it_could_not_serve() -> None:
    pool = numpool.FixedPool(MIB, 1, name="frames")

    @numpool.use(pool, fallback=None)
    def make(nbytes: int) -> object:
        return np.empty(nbytes, "u1")

    with pytest.raises(MemoryError) as caught:
        make(2 * MIB)
    assert refusals_in(caught.value) == [
        "FixedPool 'frames': 2 MiB requested; its blocks are of 1 MiB"
    ]
    kept = make(MIB)
    with pytest.raises(MemoryError) as caught:
        make(MIB)
    [text] = refusals_in(caught.value)
    assert text == (
        "FixedPool 'frames': 1 MiB requested; its only block is in use: drop an array or a buffer "
        "that has one"
    )
    del kept


def test_other_errors_get_no_note() -> None:
    for error in (MemoryError("of its own"), LookupError()):
        with pytest.raises(type(error)) as caught, numpool.use(bounded_slabs()):
            raise error
        assert refusals_in(caught.value) == []


INSTALLED = """
import numpy as np, numpool, sys
def refusals(error):
    if sys.version_info >= (3, 11):
        return getattr(error, "__notes__", [])
    return [f"numpool: {error.__cause__}"] if error.__cause__ else []
def hook(kind, error, traceback):
    print(kind.__name__, refusals(error))
sys.excepthook = hook
numpool.install()
assert sys.excepthook is hook
for _ in range(2):
    numpool.install(numpool.SlabPool(limit="8MiB", name="bounded"))
sys.excepthook(LookupError, LookupError(), None)
sys.excepthook(MemoryError, MemoryError(), None)
try:
    np.ones(3 << 20)
except MemoryError as error:
    sys.excepthook(type(error), error, None)
"""


def test_an_uncaught_error_names_the_pool_and_its_limit(printed_by: Callable[[str], str]) -> None:
    lines = printed_by(INSTALLED).splitlines()
    assert lines[:2] == ["LookupError []", "MemoryError []"]
    assert lines[2].startswith(
        "MemoryError [\"numpool: SlabPool 'bounded': 25165824 bytes (24 MiB) requested, 0 b"
    )
    assert lines[3:] == []


IN_A_THREAD = """
import numpy as np, numpool, threading
numpool.install(numpool.SlabPool(limit="8MiB", name="bounded"))
for function in (lambda: np.ones(3 << 20), lambda: [][0]):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
"""


def test_an_uncaught_error_of_a_thread_says_whose_limit_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_THREAD], capture_output=True, text=True, check=True
    )
    assert done.stderr.count("SlabPool 'bounded': 25165824 bytes (24 MiB) requested, 0 byt") == 1
    assert done.stderr.count("Exception in thread") == 2
    assert "IndexError" in done.stderr


def test_an_exit_that_is_called_by_hand_takes_any_arguments() -> None:
    using = numpool.use(bounded_slabs())
    using.__enter__()
    with pytest.raises(MemoryError):
        np.ones(3 * MIB)
    using.__exit__(MemoryError, MemoryError, None)
