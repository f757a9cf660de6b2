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


def test_the_help_says_how_owner_and_pool_of_differ() -> None:
    assert "pool_of() is the same, but refuses\n    addresses" in pydoc.render_doc(numpool.owner)
    assert "Like owner(), but only for an array" in pydoc.render_doc(numpool.pool_of)


def test_errors_and_reprs_show_the_public_names_of_classes() -> None:
    with pytest.raises(AttributeError, match=r"'numpool\.FixedPool' object has no attribute"):
        numpool.FixedPool(8, 1).alloc  # type: ignore[attr-defined]  # noqa: B018
    for name in numpool.__all__:
        if isinstance(one := getattr(numpool, name), type):
            assert one.__module__.partition(".")[0] == "numpool"
            assert "_core" not in repr(one)
    assert numpool.parse_size.__module__ == "numpool"


MISSING: dict[str, Callable[..., Any]] = {
    "use.__init__() missing 1 required positional argument: 'pool'": numpool.use,
    "ArrayPool.__init__() missing 1 required keyword-only argument: 'size'": (
        lambda: numpool.ArrayPool((3, 3))  # type: ignore[call-arg]
    ),
    "ObjectPool.__init__() missing 1 required keyword-only argument: 'size'": (
        lambda: numpool.ObjectPool(list)  # type: ignore[call-arg]
    ),
    'use() takes no limit: give it to a pool, as in use(SlabPool(limit="1GiB"))': (
        lambda: numpool.use(limit="1GiB")  # type: ignore[call-arg]
    ),
}


@pytest.mark.parametrize("text", MISSING)
def test_a_missing_argument_is_named(text: str) -> None:
    with pytest.raises(TypeError) as caught:
        MISSING[text]()
    assert str(caught.value) == text


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
