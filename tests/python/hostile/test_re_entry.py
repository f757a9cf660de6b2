"""Arguments whose own code changes the object that is read, or makes it a second time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Attack = Callable[[str], list[str]]

AGAIN = "was called again by one of its own arguments: the object stays as that call made it"


@pytest.mark.parametrize(
    ("name", "outer", "inner"),
    [
        ("FixedPool", "Evil(4096), 2", "64, 4"),
        ("SlabPool", "limit=Evil(1 << 30)", ""),
        ("Arena", "Evil(1 << 20)", ""),
        ("BuddyPool", "Evil(1 << 20)", "1 << 20"),
        ("HandlePool", "{Evil(64): 4}", "{64: 4}"),
        ("ReservePool", "backing, Evil(64), 2", "backing, 64, 2"),
        ("Budget", "Evil(64)", "64"),
        ("Pages", "node=Evil(0)", ""),
    ],
)
def test_an_argument_cannot_make_the_object_a_second_time(
    attack: Attack, name: str, outer: str, inner: str
) -> None:
    lines = attack(f"""
        backing = numpool.SlabPool()
        class Evil:
            def __init__(self, value):
                self.value = value
            def __index__(self):
                made.__init__({inner})
                return self.value
        made = numpool.{name}.__new__(numpool.{name})
        print(error_of(made.__init__, {outer}))
        print(type(made).__name__, bool(repr(made)))
        del made
    """)
    assert lines == [f"RuntimeError: {name}.__init__() {AGAIN}", f"{name} True"]


def test_a_size_may_change_the_dict_that_it_is_read_from(attack: Attack) -> None:
    lines = attack("""
        class Evil:
            def __init__(self, value):
                self.value = value
            def __index__(self):
                sizes.clear()
                sizes.update((object(), object()) for _ in range(1000))
                return self.value
        sizes = {Evil(64 << i): Evil(i + 1) for i in range(5)}
        print(numpool.HandlePool(sizes).sizes)
    """)
    assert lines == ["{64: 1, 128: 2, 256: 3, 512: 4, 1024: 5}"]


def test_a_size_may_change_the_list_that_it_is_read_from(attack: Attack) -> None:
    assert attack("""
        class Evil:
            def __index__(self):
                classes.clear()
                return 64
        classes = [Evil() for _ in range(50)]
        pool = numpool.SlabPool(classes=classes)
        pool.acquire(64)
        pool.check()
        print(classes)
    """) == ["[]"]


def test_init_called_again_changes_nothing(attack: Attack) -> None:
    assert (
        attack("""
        for made, arguments in makers().items():
            pool = made(*arguments)
            before = repr(pool)
            pool.__init__(*arguments)
            assert repr(pool) == before
            del pool
    """)
        == []
    )


def test_a_size_may_close_the_pool_that_reads_it(attack: Attack) -> None:
    lines = attack("""
        class Evil:
            def __init__(self, act):
                self.act = act
            def __index__(self):
                self.act()
                return 64
        pool = numpool.SlabPool()
        print(error_of(pool.acquire, Evil(pool.close)))
        pool = numpool.SlabPool()
        buffer = pool.acquire(64)
        print(error_of(pool.reallocate, buffer, Evil(buffer.release)))
        print(error_of(buffer.array, "u1", Evil(buffer.release)))
        table = numpool.HandlePool({64: 4})
        handle = table.alloc(64)
        class Key(int):
            pass
        print(error_of(table.alloc, Evil(table.close)))
        arena = numpool.Arena()
        print(error_of(arena.acquire, Evil(arena.close)))
    """)
    closed = "is closed and takes no more requests"
    released = "ValueError: this buffer was released: acquire another one from its pool"
    assert lines == [
        f"PoolClosed: SlabPool {closed}",
        released,
        released,
        f"PoolClosed: HandlePool {closed}",
        f"PoolClosed: Arena {closed}",
    ]
