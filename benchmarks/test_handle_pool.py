"""The cost of a handle in Python, beside tables that a program may write itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property

from races import race
from test_fixed_pool import thousand_times
from turns import Contender

import numpool


class ListTable:
    """A list of objects with versions, and a list of free places, without a lock."""

    def __init__(self, blocks: int, size: int) -> None:
        self.objects = [bytearray(size) for _ in range(blocks)]
        self.versions = [0] * blocks
        self.places = list(range(blocks))

    def alloc(self) -> int:
        place = self.places.pop()
        return self.versions[place] << 24 | place

    def __getitem__(self, handle: int) -> bytearray:
        if self.versions[handle & 0xFFFFFF] != handle >> 24:
            raise KeyError(handle)
        return self.objects[handle & 0xFFFFFF]

    def free(self, handle: int) -> None:
        place = handle & 0xFFFFFF
        if self.versions[place] != handle >> 24:
            raise KeyError(handle)
        self.versions[place] += 1
        self.places.append(place)


class Tables:
    """Tables with one live handle each, made at their first use."""

    def __init__(self) -> None:
        self.numbers: Iterator[int] = itertools.count(1)

    @cached_property
    def pool(self) -> numpool.HandlePool:
        return numpool.HandlePool({64: 1000})

    @cached_property
    def handle(self) -> int:
        return self.pool.alloc(64)

    @cached_property
    def lists(self) -> ListTable:
        return ListTable(1000, 64)

    @cached_property
    def place(self) -> int:
        return self.lists.alloc()

    @cached_property
    def objects(self) -> dict[int, bytearray]:
        return {0: bytearray(64)}


PAIRS = {
    "HandlePool": "pool.free(pool.alloc(64))",
    "dict of bytearrays": "key = next(numbers); objects[key] = bytearray(64); del objects[key]",
    "lists with versions": "lists.free(lists.alloc())",
}
LOOKUPS = {
    "HandlePool": "pool[handle]",
    "dict, memoryview": "memoryview(objects[0])",
    "lists, memoryview": "memoryview(lists[place])",
    "dict": "objects[0]",
}


@race("1000 x alloc and free of 64 bytes by handle", PAIRS, reference="dict of bytearrays")
def test_alloc_and_free(contender: str) -> Contender:
    return Contender(thousand_times(PAIRS[contender], Tables()))


@race("1000 x find 64 bytes by handle", LOOKUPS, reference="dict, memoryview")
def test_find(contender: str) -> Contender:
    return Contender(thousand_times(LOOKUPS[contender], Tables()))
