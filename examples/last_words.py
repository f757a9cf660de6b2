"""A journal that is written even after other code has taken all memory of a pool."""

import threading

import numpool

slabs = numpool.SlabPool(limit="4MiB", name="all there is")
journal = numpool.ReservePool(slabs, "64KiB", reserve=2, name="journal")
print(journal)

hoard = []
while (buffer := slabs.try_acquire("64KiB")) is not None:
    hoard.append(buffer)
print(slabs)

lines: list[bytes] = []


def write(number: int) -> None:
    """Wait for a block of the reserve if no other is free."""
    with journal.acquire(timeout=None) as page, memoryview(page) as text:
        line = b"entry %d" % number
        text[: len(line)] = line
        lines.append(bytes(text[: len(line)]))


threads = [threading.Thread(target=write, args=(number,)) for number in range(50)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stats = journal.stats()
print(f"{len(lines)} entries through {journal.reserve} blocks, {stats.failures} failures")
print(journal)
