"""``numpool info`` gathers facts of this machine, and shows made-up machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import numpool
from numpool.cli import huge_pages, machine
from numpool.cli.console import render
from numpool.cli.huge_pages import HugePages, ReservedPages
from numpool.cli.info_report import report
from numpool.cli.machine import Machine, Memory, Versions

Run = Callable[..., "subprocess.CompletedProcess[str]"]

GIB = 1 << 30
VERSIONS = Versions(
    "1.2.3", "GCC 14", "CPython 3.14.1", "free-threaded", "2.5.0", "glibc 2.40", "Linux 6.18"
)
HUGE = HugePages("madvise", "madvise", 2 << 20, True, [ReservedPages(2 << 20, 0, 0)])
MEMORY = Memory(64 * GIB, 32 * GIB, 64 * GIB, None, None, None, "heuristic")
MACHINE = Machine(
    VERSIONS, "Some Processor", 8, 4096, HUGE, MEMORY, "default_allocator", None, [], []
)


def shown(figures: Machine, width: int = 80) -> list[str]:
    return [line.rstrip() for line in render(report(figures), width=width).splitlines()]


def test_a_machine_is_shown_in_80_columns() -> None:
    assert shown(MACHINE) == [
        "numpool            1.2.3, built by GCC 14",
        "Python             CPython 3.14.1, free-threaded",
        "NumPy              2.5.0",
        "system             Linux 6.18, glibc 2.40",
        "processor          Some Processor, 8 cores",
        "pages              4 KiB",
        "huge pages         2 MiB for programs that ask (madvise, defrag madvise), given",
        "                   when asked",
        "reserved ones      none",
        "memory             64 GiB, 32 GiB available; this process may use 64 GiB",
        "limits             none; overcommit heuristic",
        "malloc             glibc's, nothing preloaded",
        "NumPy's data from  its own allocator (default_allocator)",
    ]
    assert (
        "huge pages         2 MiB for programs that ask (madvise, defrag madvise), given when asked"
        in (shown(MACHINE, 120))
    )


def test_limits_and_reserved_pages_are_shown() -> None:
    bounded = replace(
        MACHINE,
        memory=Memory(64 * GIB, 32 * GIB, GIB, 2 * GIB, 3 * GIB, 8 << 20, "never"),
        huge_pages=replace(HUGE, mode="always", given=False, reserved=[ReservedPages(GIB, 4, 3)]),
        pool="<SlabPool>",
        preloaded=["/lib/libjemalloc.so.2"],
    )
    text = "\n".join(shown(bounded, 120))
    assert "limits             memory 1 GiB, addresses 2 GiB, data 3 GiB, locked 8 MiB;" in text
    assert "overcommit never" in text
    assert "reserved ones      3 of 4 of 1 GiB free" in text
    assert "2 MiB for all memory (always, defrag madvise), but none given when asked" in text
    assert "malloc             /lib/libjemalloc.so.2" in text
    assert "NumPy's data from  <SlabPool>" in text
    off = replace(MACHINE, huge_pages=replace(HUGE, mode="never", given=None))
    assert "huge pages         off" in shown(off)


def test_hints_follow_the_machine() -> None:
    assert machine.hints(VERSIONS, MEMORY, HUGE, []) == []
    [hint] = machine.hints(VERSIONS, MEMORY, replace(HUGE, mode="never", given=None), [])
    assert "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" in hint
    [hint] = machine.hints(VERSIONS, MEMORY, replace(HUGE, given=False), [])
    assert "gave none in a trial" in hint
    [hint] = machine.hints(replace(VERSIONS, kernel="Linux 5.4.0-100"), MEMORY, HUGE, [])
    assert "can't move pages between addresses" in hint
    [hint] = machine.hints(VERSIONS, MEMORY, HUGE, ["/lib/libmimalloc.so"])
    assert hint == "malloc comes from libmimalloc.so: --tune-malloc needs glibc's malloc."
    [hint] = machine.hints(VERSIONS, replace(MEMORY, address_limit=GIB), HUGE, [])
    assert "RLIMIT_AS bounds addresses" in hint
    [hint] = machine.hints(
        replace(VERSIONS, gil="free-threaded, but the GIL is on"), MEMORY, HUGE, []
    )
    assert "-X gil=0 keeps it off" in hint
    assert "hint: Huge pages are off." in "\n".join(
        shown(replace(MACHINE, hints=["Huge pages are off."]))
    )


def test_preloaded_allocators_are_found_by_their_files() -> None:
    maps = (
        "7f00-7f01 r-xp 00000000 00:01 5   /usr/lib/x86_64/libjemalloc.so.2\n"
        "7f01-7f02 r--p 00000000 00:01 5   /usr/lib/x86_64/libjemalloc.so.2\n"
        "7f03-7f04 r-xp 00000000 00:01 6   /usr/lib/libc.so.6\n"
        "7f05-7f06 rw-p 00000000 00:00 0 \n"
    )
    assert machine.preloaded_allocators(maps) == ["/usr/lib/x86_64/libjemalloc.so.2"]


def test_the_processor_is_named() -> None:
    assert machine.processor("vendor_id : X\nmodel name\t: Fast One\n") == "Fast One"
    assert machine.processor("") != ""


def test_huge_pages_are_read_from_the_mapping_at_an_address() -> None:
    smaps = (
        "1000-2000 rw-p 00000000 00:00 0 \nSize: 4 kB\nAnonHugePages:      4 kB\n"
        "2000-9000 rw-p 00000000 00:00 0 \nSize: 8 kB\nAnonHugePages:   2048 kB\n"
    )
    assert huge_pages.huge_bytes_at(0x1FFF, smaps) == 4096
    assert huge_pages.huge_bytes_at(0x2000, smaps) == 2 << 20
    assert huge_pages.huge_bytes_at(0x9000, smaps) == 0


def test_settings_are_read_from_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "TRANSPARENT", tmp_path)
    monkeypatch.setattr(huge_pages, "RESERVED", tmp_path)
    assert huge_pages.look_at_huge_pages() == HugePages("never", "never", 0, None, [])
    assert not huge_pages.offered()
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    (tmp_path / "defrag").write_text("always defer [defer+madvise] madvise never\n")
    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    for size, total in (("1048576", "2"), ("2048", "3")):
        folder = tmp_path / f"hugepages-{size}kB"
        folder.mkdir()
        (folder / "nr_hugepages").write_text(total)
        (folder / "free_hugepages").write_text("1")
    assert huge_pages.look_at_huge_pages() == HugePages(
        "never",
        "defer+madvise",
        2 << 20,
        None,
        [ReservedPages(2 << 20, 3, 1), ReservedPages(GIB, 2, 1)],
    )


def test_this_machine_is_gathered() -> None:
    here = machine.gather()
    assert here.versions.numpy == np.__version__
    assert here.versions.numpool == numpool.__version__
    assert here.versions.compiler.startswith(("GCC", "Clang"))
    assert here.memory.usable == numpool.memory_limit()
    assert 0 < here.memory.available <= here.memory.total
    assert here.page_size == 4096
    assert here.pool is None
    assert here.cores >= 1
    assert max(len(line) for line in shown(here)) <= 80


def info(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "numpool", "info", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_shows_or_writes_it(tmp_path: Path) -> None:
    assert "NumPy's data from  its own allocator" in info().stdout
    printed = json.loads(info("--json", "-").stdout)
    assert printed["page_size"] == 4096
    file = tmp_path / "info.json"
    assert info("--json", str(file)).returncode == 0
    assert json.loads(file.read_text())["versions"] == printed["versions"]
    refused = info("--json", str(file))
    assert refused.returncode == 2
    assert "is already there" in refused.stderr
    assert "unrecognized arguments: more" in info("more").stderr


def test_it_shows_the_pool_that_a_run_installed(numpool_run: Run) -> None:
    assert "NumPy's data from  <SlabPool 'run': " in numpool_run("-m", "numpool", "info").stdout
