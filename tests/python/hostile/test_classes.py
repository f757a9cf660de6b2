"""Mixed classes, half-made objects and changed classes: CPython allows them, numpool must not."""

from __future__ import annotations

from collections.abc import Callable

Attack = Callable[[str], list[str]]


def test_no_class_has_two_pools_as_bases(attack: Attack) -> None:
    lines = attack("""
        import itertools
        errors = {error_of(type, "Both", pair, {}) for pair in itertools.permutations(makers(), 2)}
        print(*errors)
    """)
    assert lines == ["TypeError: multiple bases have instance lay-out conflict"]


def test_no_pool_becomes_one_of_another_class(attack: Attack) -> None:
    assert (
        attack("""
        import itertools
        plain = lambda base: base
        subclass = lambda base: type("Subclass", (base,), {})
        slotted = lambda base: type("Slotted", (base,), {"__slots__": ()})
        descriptor = object.__dict__["__class__"]
        for (one, arguments), (other, _) in itertools.permutations(makers().items(), 2):
            for derive, derive_other in itertools.product((plain, subclass, slotted), repeat=2):
                pool = derive(one)(*arguments)
                error = error_of(descriptor.__set__, pool, derive_other(other))
                assert error and error.startswith("TypeError"), (one, other, error)
    """)
        == []
    )


def test_no_other_object_becomes_one_of_another_class(attack: Attack) -> None:
    assert (
        attack("""
        import itertools
        from numpool import _core
        objects = [numpool.Pages(), numpool.Arena().mark(), _core._Count(), numpool.SlabPool()]
        for one, other in itertools.permutations(objects, 2):
            error = error_of(setattr, one, "__class__", type(other))
            assert error and error.startswith("TypeError"), (one, other, error)
    """)
        == []
    )


def test_a_subclass_can_still_become_another_of_the_same_pool(attack: Attack) -> None:
    assert attack("""
        class One(numpool.SlabPool): pass
        class Other(numpool.SlabPool): pass
        pool = One()
        pool.__class__ = Other
        print(type(pool).__name__, pool.acquire(10).nbytes)
    """) == ["Other 10"]


def test_any_use_of_a_half_made_object_raises(attack: Attack) -> None:
    assert attack("""
        from numpool import _core
        classes = [*makers(), numpool.Pool, numpool.Pages, numpool.ArenaMark, _core._Request]
        classes += [type("Subclass", (one,), {}) for one in makers()]
        for one in classes:
            half = one.__new__(one)
            gc.collect()
            for name in set(dir(one)) - {"__class__", "__init__", "__new__"}:
                for arguments in (), (1,), (1, 2), (half,):
                    error_of(lambda: getattr(half, name)(*arguments))
            gc.collect()
            del half
        pool = numpool.SlabPool.__new__(numpool.SlabPool)
        print(error_of(pool.acquire, 10))
    """) == ["TypeError: numpool.SlabPool.__init__() was not called on this object"]


def test_a_subclass_whose_init_never_calls_ours_is_collected_like_any_other(attack: Attack) -> None:
    lines = attack("""
        for base in makers():
            class Half(base):
                def __init__(self):
                    self.me = self
                    gc.collect()
            print(error_of(Half))
    """)
    assert len(lines) == 7
    assert all("__init__() must be called when overriding __init__" in line for line in lines)


def test_the_first_object_of_a_subclass_may_be_made_amid_collections(attack: Attack) -> None:
    assert (
        attack("""
        gc.set_threshold(1)
        kept = []
        for turn in range(30):
            for base, arguments in makers().items():
                one = type("Subclass", (base,), {})(*arguments)
                one.me = one
                kept.append([one])
            kept = kept[-5:]
    """)
        == []
    )


def test_the_base_of_all_our_classes_makes_no_objects(attack: Attack) -> None:
    lines = attack("""
        base = numpool.Pool.__mro__[-2]
        print(error_of(base))
        print(error_of(base.__new__, type("Mine", (base,), {})))
        print(error_of(base.__new__, numpool.SlabPool))
    """)
    refusal = "it is no class of numpool's"
    assert lines[:2] == [
        f"TypeError: cannot create objects of {name}: {refusal}" for name in ("Object", "Mine")
    ]


def test_pools_are_not_pickled_nor_copied_with_any_protocol(attack: Attack) -> None:
    lines = attack("""
        import copy, pickle
        errors = set()
        for one, arguments in makers().items():
            for cls in one, type("Subclass", (one,), {}):
                pool = cls(*arguments)
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                    errors.add(error_of(pickle.dumps, pool, protocol))
                errors |= {error_of(copy.copy, pool), error_of(copy.deepcopy, pool)}
        for other in numpool.Pages(), numpool.Arena().mark():
            errors |= {error_of(pickle.dumps, other, 0), error_of(copy.copy, other)}
        print(*sorted(errors), sep="\\n")
    """)
    names = "Arena ArenaMark BuddyPool Budget FixedPool HandlePool Pages ReservePool SlabPool"
    assert lines == [
        f"TypeError: cannot pickle or copy a {name}: it stands for memory of this process"
        for name in [*names.split(), "Subclass"]
    ]


def test_a_subclass_may_say_how_it_is_pickled(attack: Attack) -> None:
    assert attack("""
        import copy
        class Mine(numpool.SlabPool):
            def __reduce__(self):
                return Mine, ()
        print(type(copy.copy(Mine())).__name__)
    """) == ["Mine"]
