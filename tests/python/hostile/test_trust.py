"""Python code reaches and changes objects that numpool uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Attack = Callable[[str], list[str]]


def test_objects_from_the_collector_can_be_replaced(attack: Attack) -> None:
    lines = attack("""
        gc.get_objects = lambda *_, **__: [None, object(), 7] * 100
        gc.get_referents = gc.get_referrers = gc.get_objects
        arena = numpool.Arena()
        array = arena.empty((3, 4))
        print(error_of(arena.reset))
    """)
    assert lines[0].startswith("BufferError: Arena: 1 block is still in use by arrays or views: ")
    assert lines[0].endswith("(3, 4) float64 of 96 bytes; drop them before reset()")


def test_lists_that_the_collector_shows_can_be_emptied_while_they_are_filled(
    attack: Attack,
) -> None:
    assert (
        attack("""
        pool = numpool.SlabPool()
        def empty_lists(phase, _):
            for one in gc.get_objects():
                if type(one) is list and one and type(one[0]) is numpool.Buffer:
                    one.clear()
        gc.callbacks.append(empty_lists)
        gc.set_threshold(1)
        for _ in range(20):
            pool.acquire_many(64, 50)
            numpool.FixedPool(64, 50).acquire_many(50)
            list(numpool.HandlePool({64: 4}))
            pool.stats()
        gc.callbacks.clear()
        pool.check()
    """)
        == []
    )


@pytest.mark.parametrize("holder", ["()", "(1,)[1:]"])
def test_an_empty_tuple_has_no_first_item_to_count(attack: Attack, holder: str) -> None:
    assert attack(f"""
        from numpool import _core
        print(error_of(_core._references, {holder}))
    """) == ["IndexError: the tuple is empty: it has no first item"]


def test_an_exporter_of_unpickled_bytes_may_do_anything(attack: Attack) -> None:
    assert attack("""
        import pickle
        data = bytearray(b"0123456789")
        class Bytes(bytearray):
            pass
        one = Bytes(b"0123456789")
        buffer = numpool._core._buffer_on(one)
        print(error_of(one.append, 1), bytes(buffer))
        buffer.release()
        one.append(1)
    """) == ["BufferError: Existing exports of data: object cannot be re-sized b'0123456789'"]


def test_init_may_drop_the_pool_whose_block_it_builds(attack: Attack) -> None:
    assert attack("""
        class Init:
            def __call__(self, view):
                self.__dict__.clear()
                state.clear()
                gc.collect()
                view[:] = bytes(len(view))
        from numpool._core import _Request
        state = {}
        state["pool"] = numpool.FixedPool(64, 1, init=Init())
        request = _Request(state["pool"], lambda: True)
        print(len(request.collect()))
    """) == ["64"]
