"""An arena, and families of arenas, in several threads."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np

import numpool


def test_threads_share_an_arena_and_resets_hit_no_live_block(arena: numpool.Arena) -> None:
    wrong: list[object] = []
    stop = threading.Event()

    def work(mark: int) -> None:
        rng = random.Random(mark)
        with numpool.use(arena):
            for _ in range(1500):
                size = int(2 ** rng.uniform(0, 16))
                array = np.full(size, mark, "u1")
                buffer = arena.acquire(size)
                try:
                    view = buffer.array()
                    view[:] = mark
                    if not (view == mark).all():
                        wrong.append(mark)
                except ValueError:  # Another thread reset the arena between the two.
                    view = None
                if not (array == mark).all():
                    wrong.append(mark)
                del array, view, buffer

    def reset() -> None:
        while not stop.is_set():
            try:
                arena.reset()
            except BufferError:  # noqa: PERF203 - as long as it takes
                arena.check()

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    resetting = threading.Thread(target=reset)
    for thread in (*threads, resetting):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    resetting.join()
    assert wrong == []
    arena.reset()
    assert arena.stats().blocks == 0


def test_threads_make_and_end_families() -> None:
    parent = numpool.Arena()
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(400):
                try:
                    child = numpool.Arena(parent=parent)
                    child.defer(len, ())
                    child.acquire(100).array()[:] = 1
                    grandchild = numpool.Arena(parent=child)
                    array = grandchild.zeros(10)
                    if rng.random() < 0.3:
                        parent.reset()
                    del array
                    if rng.random() < 0.5:
                        child.close()
                except (BufferError, ValueError):  # noqa: PERF203 - others end it
                    pass
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    gc.collect()
    parent.close()
