"""A million records of 48 bytes: the memory and the time that each takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markdown import table

from claims import Claim

if TYPE_CHECKING:
    from contenders import Contenders

SIZE = 48
BYTEARRAYS, ARRAYS = "a list of bytearrays", "a list of arrays"
LABELS = {"numpool": "a list of arrays, on the pool"}
BUFFERS, HANDLES = "a list of Buffers", "HandlePool, handles in an array"
LIMIT = "one array of all"


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def bytearrays(count: int) -> list[Any]:
    return [bytearray(SIZE) for _ in range(count)]


def arrays(count: int) -> list[Any]:
    return [np.zeros(SIZE, np.uint8) for _ in range(count)]


def buffers(count: int) -> list[Any]:
    import numpool

    pool = numpool.FixedPool(SIZE, count)
    records = [pool.acquire() for _ in range(count)]
    for record in records:
        memoryview(record)[:] = bytes(SIZE)
    return records


def handles(count: int) -> list[Any]:
    import numpool

    pool = numpool.HandlePool({SIZE: count})
    table_of = np.fromiter((pool.alloc(SIZE) for _ in range(count)), np.int64, count)
    for handle in table_of.tolist():
        pool[handle][:] = bytes(SIZE)
    return [pool, table_of]


def one_array(count: int) -> list[Any]:
    records = np.zeros((count, SIZE), np.uint8)
    records[:] = 0
    return [records]


WAYS: dict[str, Callable[[int], list[Any]]] = {
    BYTEARRAYS: bytearrays,
    ARRAYS: arrays,
    "numpool": arrays,
    BUFFERS: buffers,
    HANDLES: handles,
    LIMIT: one_array,
}


def run(contender: str, count: float) -> list[float]:
    """Bytes a record; seconds to make all records, and to free all of them."""
    make = WAYS[contender]
    make(10)
    gc.disable()
    before = resident()
    start = time.perf_counter()
    records = make(int(count))
    made = time.perf_counter() - start
    taken = resident() - before
    start = time.perf_counter()
    records.clear()
    return [taken / count, made, time.perf_counter() - start]


def measured(all_of: Contenders) -> str:
    rows = []
    for name in all_of.names:
        size, made, freed = (all_of.seconds(name, "small_records", i).median for i in range(3))
        rows.append(
            [
                LABELS.get(name, name),
                f"{size:.1f}",
                f"{SIZE / size:.0%}",
                f"{1000 * made:.0f}",
                f"{1000 * freed:.1f}",
            ]
        )
    head = ["records of 48 bytes", "bytes a record", "of it data", "made, ms", "freed, ms"]
    sizes = {name: all_of.seconds(name, "small_records").median for name in all_of.names}
    return table(head, rows) + (
        f"Of the memory that handles take, {sizes[BYTEARRAYS] / sizes[HANDLES]:.1f} times as large "
        "a share is data as with bytearrays, and the pool frees them in one operation."
    )


CLAIM = Claim(
    title="A million small records",
    claimed=(
        "memory utilisation +25 %; no metadata per block; "
        "thousands of objects released in one operation"
    ),
    contenders=tuple(WAYS),
    amount=1_000_000,
    run=run,
    measured=measured,
    why="""\
malloc adds 8 bytes to each block and rounds to 16; a pool of equal blocks adds nothing. A Python
object for each record costs more than both: a bytearray takes 57 bytes, and arrays and Buffers are
objects, too, on the pool or not. The claim is true if the program keeps no object for each record:
with handles, 8 bytes in an array and a version in the pool; or with one array of all records, which
is best if records do not come and go.""",
)
