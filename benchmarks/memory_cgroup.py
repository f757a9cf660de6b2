"""Runs a command in a control group whose memory is limited, as a container's is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class NoGroups(Exception):
    """This process may not make such groups. The text says why."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    seconds: float
    code: int
    printed: str
    errors: str
    peak: int
    """The most memory of the group, in bytes, with the pages of files that it used."""

    @property
    def killed(self) -> bool:
        """Whether the system killed it."""
        return self.code in (-signal.SIGKILL, 128 + signal.SIGKILL)


@dataclass(frozen=True)
class Kind:
    """Where groups of one version of the interface are, and what their files are called."""

    parent: Path
    limit: str
    peak: str
    swap: str


def kind_here() -> Kind:
    """The kind of group that this process can make."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            parent = ROOT / "memory" / path.lstrip("/")
            return Kind(
                parent,
                "memory.limit_in_bytes",
                "memory.max_usage_in_bytes",
                "memory.memsw.limit_in_bytes",
            )
    with suppress(OSError):
        if "memory" in (ROOT / "cgroup.subtree_control").read_text().split():
            return Kind(ROOT, "memory.max", "memory.peak", "memory.swap.max")
    raise NoGroups("the memory controller of control groups is not enabled here")


@contextmanager
def group_of(memory: int) -> Iterator[tuple[Kind, Path]]:
    """A new group with this limit, which goes at the end."""
    kind = kind_here()
    group = kind.parent / f"numpool-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise NoGroups(f"a control group cannot be made: {error}") from None
    try:
        try:
            (group / kind.limit).write_text(str(memory))
        except OSError as error:
            raise NoGroups(f"a control group cannot be limited: {error}") from None
        with suppress(OSError):
            (group / kind.swap).write_text("0" if kind.swap == "memory.swap.max" else str(memory))
        yield kind, group
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)


def run(command: Sequence[str], memory: int, *, seconds: float = 600) -> Outcome:
    """Run the command in a new group with this limit."""
    enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    with group_of(memory) as (kind, group):
        start = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", enter, str(group), *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        passed = time.monotonic() - start
        peak = 0
        with suppress(OSError):
            peak = int((group / kind.peak).read_text())
        return Outcome(passed, done.returncode, done.stdout, done.stderr, peak)
