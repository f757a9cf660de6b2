"""The help of the package, and the memory that tracemalloc finds."""

from __future__ import annotations

import doctest
import pydoc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numpool


def test_the_packages_help_begins_with_three_examples_that_run() -> None:
    assert numpool.__doc__ is not None
    examples = doctest.DocTestParser().get_doctest(numpool.__doc__, {}, "numpool", None, None)
    texts = [one.source for one in examples.examples]
    for start in ("slabs = numpool.install()", "pool = numpool.FixedPool", "bounded = numpool.Sl"):
        assert any(text.startswith(start) for text in texts)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = doctest.DocTestRunner(optionflags=options).run(examples)
    assert (done.failed, done.attempted) == (0, len(texts))
    # They come before the first list.
    assert numpool.__doc__.rindex(">>>") < numpool.__doc__.index("Which pool:")


def test_the_packages_help_names_each_pool_and_fits_a_terminal() -> None:
    page = numpool.__doc__ or ""
    for name in numpool.__all__:
        if name.endswith("Pool") and name != "Pool":
            assert name in page
    assert max(map(len, page.splitlines())) <= 100


def test_one_way_to_the_pool_of_an_array_is_the_one_to_use() -> None:
    assert "This is the function to use" in pydoc.render_doc(numpool.owner)
    assert "else use owner()" in pydoc.render_doc(numpool.pool_of)


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


NBYTES = 3 << 20


def of_use(slabs: numpool.SlabPool) -> Any:
    with numpool.use(slabs):
        return np.empty(NBYTES, "u1")


PLACES: dict[str, tuple[Callable[[numpool.SlabPool], Any], int]] = {
    "use": (of_use, np.lib.tracemalloc_domain),
    "empty": (lambda slabs: slabs.empty(NBYTES, "u1"), np.lib.tracemalloc_domain),
    "an arena's empty": (
        lambda slabs: numpool.Arena(source=slabs).empty(NBYTES, "u1"),
        np.lib.tracemalloc_domain,
    ),
    "a buffer": (lambda slabs: slabs.acquire(NBYTES), numpool.tracemalloc_domain),
    "an array on a buffer": (
        lambda slabs: slabs.acquire(NBYTES).array("f4"),
        numpool.tracemalloc_domain,
    ),
}


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize(("make", "domain"), PLACES.values(), ids=PLACES)
def test_tracemalloc_finds_pooled_memory_where_people_look(
    slabs: numpool.SlabPool, make: Callable[[numpool.SlabPool], Any], domain: int
) -> None:
    kept = make(slabs)
    snapshot = tracemalloc.take_snapshot()
    [found] = [trace for trace in snapshot.traces if trace.size == NBYTES]
    assert found.domain == domain
    assert found.traceback[-1].filename == __file__
    # The line appears in the usual table, without a filter.
    [largest, *_] = snapshot.statistics("lineno")
    assert largest.size >= NBYTES
    assert largest.traceback[0].filename == __file__
    assert tracemalloc.get_traced_memory()[0] >= NBYTES
    del kept
    assert tracemalloc.get_traced_memory()[0] < NBYTES
