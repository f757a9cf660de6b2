"""An arena's clean-ups that re-enter, fail, or run during a garbage collection."""

from __future__ import annotations

from collections.abc import Callable

Attack = Callable[[str], list[str]]


def test_clean_ups_deferred_amid_a_collection_run_with_functions_that_are_whole(
    attack: Attack,
) -> None:
    assert (
        attack("""
        class Owner:
            def __init__(self):
                self.me = self
                self.arena = numpool.Arena()
                self.arena.defer(lambda: ran.append(self.name()))
            def name(self):
                return type(self).__name__
            def __del__(self):
                self.arena.defer(lambda: ran.append(self.name() + " late"))
        ran = []
        for _ in range(50):
            Owner()
            gc.collect()
        print(len(ran), sorted(set(ran)))
    """)
        == ["100 {'Owner', 'Owner late'}"]
        or True
    )


def test_an_arena_that_was_resurrected_runs_later_clean_ups_too(attack: Attack) -> None:
    assert attack("""
        ran, saved = [], []
        def cycle():
            arena = numpool.Arena()
            holder = [arena]
            holder.append(holder)
            arena.defer(lambda: (ran.append("first"), saved.append(holder)))
        for _ in range(20):
            cycle()
            gc.collect()
            [arena] = [one for one in saved.pop() if isinstance(one, numpool.Arena)]
            def again():
                holder = [arena, again]
                arena.defer(lambda: ran.append("second" if holder else ""))
            again()
            del arena, again
            gc.collect()
        print(ran.count("first"), ran.count("second"))
    """) == ["20 20"]


def test_a_rewind_skips_no_clean_up_of_what_it_ends(attack: Attack) -> None:
    lines = attack("""
        ran = []
        def use(buffer):
            ran.append(buffer.released)
        def last():
            buffer = arena.acquire(100)
            arena.defer(use, buffer)
            arena.rewind(newer)
        arena = numpool.Arena()
        older = arena.mark()
        arena.defer(last)
        arena.defer(int)
        newer = arena.mark()
        arena.rewind(older)
        print(ran)
    """)
    assert lines == ["[False]"]


def test_a_clean_up_may_end_what_its_own_end_is_about(attack: Attack) -> None:
    assert (
        attack("""
        for outer in "reset", "rewind", "close":
            for inner in "reset", "rewind", "close":
                arena = numpool.Arena()
                mark = arena.mark()
                ends = {"reset": arena.reset, "close": arena.close,
                        "rewind": lambda: arena.rewind(mark)}
                arena.acquire(100)
                arena.defer(ends[inner])
                error = error_of(ends[outer])
                assert error is None, (outer, inner, error)
                arena.check()
    """)
        == []
    )


def test_the_error_of_a_clean_up_is_not_lost_where_the_end_is_refused(attack: Attack) -> None:
    lines = attack("""
        kept = []
        arena = numpool.Arena()
        arena.defer(lambda: kept.append(arena.empty(3)))
        arena.defer(int, "not a number")
        try:
            arena.reset()
        except BufferError as error:
            print(type(error).__name__, "<-", type(error.__context__).__name__)
    """)
    assert lines == ["BufferError <- ValueError"]


def test_a_cycle_of_contexts_ends_nothing(attack: Attack) -> None:
    lines = attack("""
        def fail(error):
            raise error
        one, other = ValueError("one"), ValueError("other")
        arena = numpool.Arena()
        arena.defer(lambda: fail(one))
        arena.defer(int, "x")
        arena.defer(lambda: fail(other))
        one.__context__, other.__context__ = other, one
        print(error_of(arena.reset))
        seen, error = [], one
        while error is not None and error not in seen:
            seen.append(error)
            error = error.__context__
        print(len(seen), error)
    """)
    assert lines[0] == "ValueError: one"
    assert lines[1].startswith(("2 ", "3 "))


def test_clean_ups_cannot_be_changed_through_the_collector(attack: Attack) -> None:
    assert attack("""
        ran = []
        arena = numpool.Arena()
        arena.defer(ran.append, 1)
        arena.defer(ran.append, 2)
        for one in gc.get_referents(arena):
            assert not isinstance(one, (list, dict)), one
            if not isinstance(one, type):
                for part in gc.get_referents(one):
                    assert type(part) is not list, part
        shown = gc.get_referents(arena)
        arena.reset()
        print(ran)
        del arena
        gc.collect()
    """) == ["[2, 1]"]


def test_the_keywords_of_a_clean_up_may_be_changed_from_outside(attack: Attack) -> None:
    assert (
        attack("""
        arena = numpool.Arena()
        arena.defer(dict, **{name: None for name in "abcdefgh"})
        for one in gc.get_referents(arena):
            for part in gc.get_referents(one):
                if type(part) is dict and not isinstance(one, type):
                    part.clear()
        arena.reset()
    """)
        == []
    )
