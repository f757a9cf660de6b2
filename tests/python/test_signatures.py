"""The signatures that inspect, help() and IPython show, and the errors of wrong calls."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numpool

SIGNATURES = {
    numpool.FixedPool: "(block_size, blocks, *, max_blocks='blocks', align=None, init=None, "
    "wipe=False, huge_pages=True, source=None, name='', checks=None)",
    numpool.SlabPool: "(*, limit=None, cache=None, huge_pages=True, decay=1.0, background=False, "
    "wipe=False, classes=None, name='', checks=None, source=None)",
    numpool.Arena: "(chunk_size='64KiB', parent=None, *, source=None, name='')",
    numpool.BuddyPool: "(capacity, min_block=4096, *, source=None, name='', checks=None)",
    numpool.HandlePool: "(sizes, *, name='')",
    numpool.ReservePool: "(pool, nbytes, reserve, *, name='')",
    numpool.Budget: "(limit, *, soft=None, on_soft=None, source=None, name='')",
    numpool.Pages: "(*, populated=False, locked=False, node=None, huge=False, file=None, "
    "force=False)",
}


@pytest.mark.parametrize(("cls", "signature"), SIGNATURES.items(), ids=lambda one: str(one))
def test_a_class_shows_its_parameters(cls: Any, signature: str) -> None:
    assert str(inspect.signature(cls)) == signature
    assert "\n--\n" not in cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")


def public(cls: Any) -> Iterator[Any]:
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        shown = not name.startswith("_") or name in ("__init__", "__enter__", "__exit__")
        if shown and callable(getattr(cls, name)) and not isinstance(member, type):
            yield getattr(cls, name)


CLASSES = [getattr(numpool, name) for name in numpool.__all__]
CLASSES = [one for one in CLASSES if isinstance(one, type) and not issubclass(one, Exception)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_class_and_method_has_a_signature_and_words(cls: Any) -> None:
    assert "Ellipsis" not in str(inspect.signature(cls))
    for method in public(cls):
        assert "Ellipsis" not in str(inspect.signature(method))
        assert "\n--\n" not in (method.__doc__ or "")
        assert method.__doc__ or method.__name__ == "__init__"


@pytest.mark.parametrize("name", [one for one in numpool.__all__ if one != "__version__"])
def test_each_function_has_a_signature(name: str) -> None:
    function = getattr(numpool, name)
    if callable(function) and not isinstance(function, type):
        assert "Ellipsis" not in str(inspect.signature(function))


def test_a_method_of_an_object_shows_its_remaining_parameters() -> None:
    pool = numpool.FixedPool(8, 2)
    assert str(inspect.signature(pool.owns)) == "(x, /)"
    assert str(inspect.signature(pool.acquire)) == "(*, timeout=0)"
    assert str(inspect.signature(numpool.Arena().defer)) == "(callback, /, *args, **kwargs)"


def test_a_subclass_shows_its_own_parameters() -> None:
    class Frames(numpool.FixedPool):
        def __init__(self, count: int) -> None:
            super().__init__(8, count)

    class Others(numpool.FixedPool):
        pass

    assert list(inspect.signature(Frames).parameters) == ["count"]
    assert list(inspect.signature(Others).parameters)[:2] == ["block_size", "blocks"]
    assert Frames(3).blocks == 3


ERRORS = {
    "FixedPool(4096)": "FixedPool() is missing 'blocks': call FixedPool(block_size, blocks, ...)",
    "FixedPool(blocks=3)": "FixedPool() is missing 'block_size': call FixedPool(block_size, "
    "blocks, ...)",
    "FixedPool()": "FixedPool() is missing 'block_size' and 'blocks': call FixedPool(block_size, "
    "blocks, ...)",
    "FixedPool(4096, 4, 8)": "FixedPool() takes 2 arguments without a name (block_size, blocks), "
    "and got 3: name what 8 is, as in FixedPool(..., max_blocks=8)",
    "SlabPool('2GiB')": "SlabPool() takes no argument without its name, and got 1: name what "
    "'2GiB' is, as in SlabPool(limit='2GiB')",
    "HandlePool({8: 1}, 'x' * 80)": "HandlePool() takes one argument without its name (sizes), and "
    "got 2: name what ... is, as in HandlePool(..., name=...)",
    "FixedPool(4096, block=4)": "FixedPool() takes no 'block': did you mean 'blocks'? It takes "
    "block_size, blocks, max_blocks, align, init, wipe, huge_pages, source, name, checks",
    "HandlePool({8: 1}, q=4)": "HandlePool() takes no 'q', but sizes, name",
    "FixedPool(4096, 4, blocks=4)": "FixedPool() got 'blocks' twice: by its place, and by its name",
    "FixedPool(8, 4, wipe='no')": "wipe must be True or False, not 'no'",
    "SlabPool().acquire(10, timeout=1)": "acquire() takes no 'timeout', since this pool never "
    "waits: catch PoolExhausted, or use a FixedPool or a ReservePool, which wait",
    "SlabPool().acquire(size=10)": "acquire() takes no 'size': call acquire(nbytes)",
    "SlabPool().acquire()": "acquire() takes one argument, nbytes, and got 0",
    "Arena().acquire(1, 2)": "acquire() takes one argument, nbytes, and got 2",
    "FixedPool(8, 4).acquire('4KiB')": "acquire() takes no size, since all blocks of this pool "
    "have one; for a timeout write acquire(timeout=...)",
    "SlabPool(decay='1s')": "decay must be a number of seconds, not str",
}


@pytest.mark.parametrize(("call", "text"), ERRORS.items(), ids=ERRORS)
def test_an_error_says_which_argument_is_wrong(call: str, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        eval(f"numpool.{call}", {"numpool": numpool})
    assert str(caught.value) == text


@pytest.mark.parametrize("value", [0, 1, None, "yes", [], 1.0, np.int64(1)], ids=repr)
def test_an_option_that_is_on_or_off_takes_no_other_value(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^wipe must be True or False, not "):
        numpool.FixedPool(8, 4, wipe=value)
    with pytest.raises(TypeError, match=r"^background must be True or False, not "):
        numpool.SlabPool(background=value)
    with pytest.raises(TypeError, match=r"^locked must be True or False, not "):
        numpool.Pages(locked=value)


def test_an_option_that_is_on_or_off_takes_numpy_s_bool() -> None:
    assert "populated" in repr(numpool.Pages(populated=np.True_))  # type: ignore[arg-type]
    assert "populated" not in repr(numpool.Pages(populated=np.False_))  # type: ignore[arg-type]


def test_what_only_numpool_makes_says_where_it_comes_from() -> None:
    class Mine(numpool.Pool):
        pass

    for make in (numpool.Pool, Mine):
        with pytest.raises(TypeError, match="make one of its kinds, a FixedPool, SlabPool"):
            make()
    with pytest.raises(TypeError, match="an ArenaMark is made by mark"):
        numpool.ArenaMark()


@pytest.mark.parametrize("thing", [numpool, *CLASSES], ids=lambda one: one.__name__)
def test_help_shows_no_class_of_another_project(thing: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(thing))
    for word in ("pybind11_object", "pybind11_type", "_OlderNames"):
        assert word not in shown
