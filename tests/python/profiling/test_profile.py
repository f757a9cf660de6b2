"""A profile names the lines that hold memory."""

from __future__ import annotations

import gc
import inspect
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numpool
from numpool import _core

MIB = 1 << 20


def line_of(function: Callable[..., Any], text: str) -> int:
    """The number of the line of this function that has this text."""
    source, first = inspect.getsourcelines(function)
    [place] = [i for i, line in enumerate(source) if text in line]
    return first + place


def found(p: numpool.profile, line: int) -> numpool.ProfileLine:
    [one] = [one for one in p.top(1000, by="total") if (one.file, one.line) == (__file__, line)]
    return one


def test_a_profile_names_the_line_of_an_array_with_its_bytes() -> None:
    with numpool.profile() as p:
        alone = np.ones(MIB)
    [one] = p.top()
    function = test_a_profile_names_the_line_of_an_array_with_its_bytes
    here = line_of(function, "alone = np.ones(MIB)\n")
    assert (one.file, one.line) == (__file__, here)
    assert one.function == function.__name__
    assert one.live == one.peak == one.total == alone.nbytes
    assert (one.count, one.temporaries, one.lifetime) == (1, 0, 0.0)
    assert (p.live, p.peak, p.total, p.count) == (alone.nbytes,) * 3 + (1,)
    assert p.seconds > 0


def test_every_line_that_holds_a_twentieth_is_right_within_a_twentieth() -> None:
    sizes = {"tiny": 60, "small": 500, "medium": 5_000, "large": 200_000}
    counts = {"tiny": 40_000, "small": 8_000, "medium": 600, "large": 20}
    kept: dict[str, list[Any]] = {}

    def make() -> None:
        kept["tiny"] = [np.empty(60) for _ in range(40_000)]
        kept["small"] = [np.empty(500) for _ in range(8_000)]
        kept["medium"] = [np.empty(5_000) for _ in range(600)]
        kept["large"] = [np.empty(200_000) for _ in range(20)]

    with numpool.profile("4KiB", seed=1) as p:
        make()
        for name in kept:
            del kept[name][::2]
    exact = {name: 8 * size * counts[name] for name, size in sizes.items()}
    assert p.total == pytest.approx(sum(exact.values()), rel=0.03)
    for name, size in exact.items():
        assert size > sum(exact.values()) / 20
        one = found(p, line_of(make, f'"{name}"'))
        assert one.peak == pytest.approx(size, rel=0.05), name
        assert one.total == pytest.approx(size, rel=0.05), name
        assert one.count == pytest.approx(counts[name], rel=0.05), name
        assert one.live == pytest.approx(size / 2, rel=0.07), name


def test_arrays_that_end_within_their_statement_are_temporaries() -> None:
    def work(a: np.ndarray[Any, Any]) -> float:
        total = 0.0
        for _ in range(4):
            b = np.sqrt(a)
            total += float(np.abs(a).sum())
            c = np.negative(a)
            del c
        return total + float(b[0])

    a = np.ones(MIB)
    with numpool.profile() as p:
        work(a)
    sums = found(p, line_of(work, "np.abs"))
    assert sums.temporaries == 4 * a.nbytes
    assert sums.temporary_count == 4
    assert 0 < sums.lifetime < 10
    assert found(p, line_of(work, "np.sqrt")).temporaries == 0
    assert found(p, line_of(work, "np.negative")).temporaries == 0
    assert [one.line for one in p.top(by="temporaries")] == [sums.line]


def test_a_generator_is_named_by_the_line_in_it() -> None:
    def parts() -> Any:
        for _ in range(3):
            yield np.ones(MIB)

    with numpool.profile() as p:
        kept = list(parts())
    assert found(p, line_of(parts, "yield")).live == sum(one.nbytes for one in kept)


def test_threads_are_included() -> None:
    kept: list[Any] = []

    def work() -> None:
        kept.append(np.ones(MIB))

    with numpool.profile() as p:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert found(p, line_of(work, "np.ones")).live == 4 * 8 * MIB


def test_a_line_in_numpy_stands_for_the_line_that_called_it() -> None:
    a = np.ones(MIB)
    with numpool.profile() as p:
        np.var(a)
    assert {one.file for one in p.top()} == {__file__}


def test_the_functions_of_pools_and_use_are_included() -> None:
    pool = numpool.SlabPool()
    other = numpool.use(pool)
    with numpool.profile() as p:
        direct = pool.empty(MIB)
        with other:
            used = np.empty(MIB)
        with numpool.use(numpool.default_pool()):
            default = np.empty(MIB)
    assert p.live == direct.nbytes + used.nbytes + default.nbytes


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("wipe", [True, False])
def test_every_kind_of_slab_pool_can_serve(checks: bool, wipe: bool) -> None:
    pool = numpool.SlabPool(checks=checks, wipe=wipe)
    numpool.install(pool)
    with numpool.profile(1) as p:
        kept = [np.ones(n) for n in (1, 100, 10_000, MIB)]
        grown = np.ones(10)
        grown.resize(100_000, refcheck=False)
        assert p.live == 8 * (1 + 100 + 10_000 + MIB + 100_000)
        assert all((one == 1).all() for one in kept)
        assert grown.sum() == 10
        del kept, grown
        gc.collect()
        assert p.live == 0
    numpool.uninstall()
    pool.check()


def test_a_profile_leaves_the_installed_pool_as_it_was() -> None:
    assert numpool.current() is None
    with numpool.profile():
        assert numpool.current() is numpool.default_pool()
    assert numpool.current() is None
    pool = numpool.install(numpool.SlabPool())
    with numpool.profile():
        assert numpool.current() is pool
    assert numpool.current() is pool


def test_what_ends_after_the_profile_stays_in_its_figures() -> None:
    with numpool.profile() as p:
        kept = np.ones(MIB)
    size = kept.nbytes
    del kept
    assert p.live == size
    with p:
        assert p.live == p.total == 0
    assert p.total == 0


def test_a_profile_ends_with_an_exception() -> None:
    p = numpool.profile()

    def fail() -> None:
        with p:
            np.ones(MIB)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert p.total == 8 * MIB
    assert not _core._profile_runs()


def test_a_second_profile_is_refused() -> None:
    message = (
        "^a profile runs already, and a process has one at a time: end that one first, or run the "
        "program without --sample$"
    )
    with numpool.profile() as p:
        with pytest.raises(RuntimeError, match=message):
            numpool.profile().__enter__()
        kept = np.ones(MIB)
    assert p.total == kept.nbytes


def test_a_profile_that_has_not_run_says_so() -> None:
    p = numpool.profile("1MiB")
    message = "^this profile has not run yet: begin it with 'with numpool.profile\\(\\) as p:'$"
    with pytest.raises(RuntimeError, match=message):
        p.top()
    assert repr(p) == "<profile, not begun: a sample each 1 MiB>"


def test_the_repr_has_the_main_figures() -> None:
    with numpool.profile() as p:
        kept = np.ones(MIB)
        assert repr(p) == "<profile, runs: 8 MiB at the peak, 8 MiB in 1 block, 1 sample>"
    assert repr(p) == "<profile, ended: 8 MiB at the peak, 8 MiB in 1 block, 1 sample>"
    assert kept.size == MIB


def test_equal_seeds_sample_the_same_requests() -> None:
    def samples(seed: int) -> list[tuple[int, int]]:
        with numpool.profile("64KiB", seed=seed) as p:
            for _ in range(5_000):
                np.empty(100)
        return [(one.total, one.count) for one in p.top(by="total")]

    assert samples(3) == samples(3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_goes_on_with_the_profile() -> None:
    with numpool.profile() as p:
        kept = np.ones(MIB)
        child = os.fork()
        if child == 0:
            own = np.ones(MIB)
            right = p.live == kept.nbytes + own.nbytes and len(p.top()) == 2
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert p.live == kept.nbytes
