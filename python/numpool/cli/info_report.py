"""What this machine offers, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from numpool import format_size
from numpool.cli.huge_pages import HugePages
from numpool.cli.machine import Machine, Memory


def report(machine: Machine) -> RenderableType:
    """All facts as pairs, and the hints below."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, text in lines(machine):
        table.add_row(name, text)
    hints = [Text(f"hint: {hint}", style="yellow") for hint in machine.hints]
    return Group(table, *([Text(), *hints] if hints else []))


def lines(machine: Machine) -> Iterator[tuple[str, str]]:
    """Each fact with its name."""
    versions = machine.versions
    yield "numpool", f"{versions.numpool}, built by {versions.compiler}"
    yield "Python", f"{versions.python}, {versions.gil}"
    yield "NumPy", versions.numpy
    yield "system", f"{versions.kernel}, {versions.libc}"
    yield "processor", f"{machine.processor}, {machine.cores} core{'s' * (machine.cores != 1)}"
    yield "pages", format_size(machine.page_size)
    yield "huge pages", huge_pages(machine.huge_pages)
    yield "reserved ones", reserved(machine.huge_pages)
    yield "memory", memory(machine.memory)
    yield "limits", limits(machine.memory)
    yield "malloc", ", ".join(machine.preloaded) or "glibc's, nothing preloaded"
    yield "NumPy's data from", machine.pool or f"its own allocator ({machine.numpy_allocator})"


def huge_pages(pages: HugePages) -> str:
    """The settings, and whether they work."""
    if pages.mode == "never":
        return "off"
    scope = "for all memory" if pages.mode == "always" else "for programs that ask"
    given = "given when asked" if pages.given else "but none given when asked"
    return f"{format_size(pages.size)} {scope} ({pages.mode}, defrag {pages.defrag}), {given}"


def reserved(pages: HugePages) -> str:
    """Reserved huge pages."""
    some = [
        f"{one.free} of {one.total} of {format_size(one.size)} free"
        for one in pages.reserved
        if one.total
    ]
    return ", ".join(some) or "none"


def memory(memory: Memory) -> str:
    """How much memory there is."""
    return (
        f"{format_size(memory.total)}, {format_size(memory.available)} available; this process "
        f"may use {format_size(memory.usable)}"
    )


def limits(memory: Memory) -> str:
    """The limits of this process."""
    bounds = [
        f"{name} {format_size(size)}"
        for name, size in (
            ("addresses", memory.address_limit),
            ("data", memory.data_limit),
            ("locked", memory.locked_limit),
        )
        if size is not None
    ]
    if memory.usable < memory.total:
        bounds.insert(0, f"memory {format_size(memory.usable)}")
    return f"{', '.join(bounds) or 'none'}; overcommit {memory.overcommit}"
