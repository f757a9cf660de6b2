"""The cost of lending an object in Python, beside pools that a program may write itself."""

from __future__ import annotations

import queue
from collections import deque
from functools import cached_property
from typing import Any

import numpy as np
from races import race
from test_fixed_pool import thousand_times
from turns import Contender

import numpool


class Parser:
    """An object with a state, slow to build."""

    def __init__(self) -> None:
        self.table = {number: str(number) for number in range(1000)}
        self.words: list[str] = []

    def reset(self) -> None:
        self.words.clear()


class Parsers:
    """Ways to lend objects, each made at its first use."""

    built = Parser

    @cached_property
    def pool(self) -> numpool.ObjectPool[Parser]:
        return numpool.ObjectPool(Parser, Parser.reset, size=4)

    @cached_property
    def waiting(self) -> queue.LifoQueue[Parser]:
        waiting: queue.LifoQueue[Parser] = queue.LifoQueue()
        waiting.put(Parser())
        return waiting

    @cached_property
    def free(self) -> deque[Parser]:
        return deque([Parser()])


class Frames:
    """Ways to lend arrays, each made at its first use."""

    @cached_property
    def pool(self) -> numpool.ArrayPool:
        return numpool.ArrayPool((480, 640, 3), "u1", 0, size=4)

    @cached_property
    def free(self) -> deque[np.ndarray[Any, Any]]:
        return deque([np.zeros((480, 640, 3), "u1")])


OBJECTS = {
    "ObjectPool": "with pool.take() as x: pass",
    "queue.LifoQueue": "x = waiting.get(); x.reset(); waiting.put(x)",
    "list of free objects": "x = free.pop(); x.reset(); free.append(x)",
    "built each time": "x = built()",
}
ARRAYS = {
    "ArrayPool": "with pool.take() as x: pass",
    "list of free arrays": "x = free.pop(); x.fill(0); free.append(x)",
    "np.zeros, touched": "x = np.zeros((480, 640, 3), 'u1'); x.fill(0)",
}


@race("1000 x take and return a parser, reset", OBJECTS, reference="queue.LifoQueue")
def test_lend_an_object(contender: str) -> Contender:
    return Contender(thousand_times(OBJECTS[contender], Parsers()))


@race("1000 x take and return a frame of 900KiB, zeroed", ARRAYS, reference="list of free arrays")
def test_lend_an_array(contender: str) -> Contender:
    return Contender(thousand_times(ARRAYS[contender], Frames()))
