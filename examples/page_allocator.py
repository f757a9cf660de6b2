"""A buddy page allocator: page frames of all sizes in one region, which merge again."""

import random

import numpool

PAGE = 4096
memory = numpool.BuddyPool("1MiB", min_block=PAGE, name="memory")


def show(what: str) -> None:
    """Print the free blocks by size, as /proc/buddyinfo does, and the fragmentation."""
    free = ", ".join(
        f"{count} x {numpool.format_size(size)}" for size, count in memory.free_blocks.items()
    )
    print(f"{what}: {free or 'nothing'} free, fragmentation {memory.fragmentation:.2f}")


show("at first")
kernel = memory.acquire(3 * PAGE)  # takes four pages: the next power of two
show("three pages out")

random.seed(1)
processes = [memory.acquire(random.choice([1, 1, 2, 4]) * PAGE) for _ in range(60)]
random.shuffle(processes)
for ended in processes[::2]:
    ended.release()
del processes[::2]
show("half of sixty gone")
try:
    memory.acquire("512KiB")
except numpool.PoolExhausted as error:
    print("refused:", error)

kernel = memory.reallocate(kernel, 4 * PAGE)  # fits where it is
print(f"the kernel's pages stay at their place: {kernel.nbytes} bytes")
for ended in processes:
    ended.release()
kernel.release()
show("all merged")
