"""Allocators that take turns, each run in a new process.

``numpy_speed.py``, ``whole_programs.py`` and ``literature.py`` share this. A gain is a ratio to
default NumPy in the same round. Other allocators are preloaded if the system has them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from surroundings import Bystanders

WORKER = Path(__file__).with_name("speed_worker.py")
OURS = ["default", "numpool", "numpool, tune_malloc", "glibc, mallopt"]
LIBRARIES = ["mimalloc", "jemalloc", "tcmalloc"]


def preloadable() -> dict[str, Path]:
    """The allocators whose library this system has."""
    found = {}
    for name in LIBRARIES:
        file = f"lib{name}.so.*"
        folders = (Path("/usr").glob(f"{folder}/{file}") for folder in ("lib*", "lib*/*"))
        for library in sorted(chain.from_iterable(folders))[:1]:
            found[name] = library
    return found


@dataclass(frozen=True)
class Run:
    """One run of a contender: its seconds for each size, or for a whole program."""

    seconds: list[float]
    peak: int
    result: float = 0.0


class Ratio(NamedTuple):
    """A median, and half the width of the middle half of all rounds."""

    median: float
    spread: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ±{self.spread:.2f}"

    @classmethod
    def of(cls, values: Iterable[float]) -> Ratio:
        all_of = list(values)
        if len(all_of) == 1:
            return cls(all_of[0], 0.0)
        low, median, high = statistics.quantiles(all_of, n=4, method="inclusive")
        return cls(median, (high - low) / 2)


class Contenders:
    """Runs the contenders, and keeps their runs by work and by round."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.libraries = preloadable()
        self.names = list(names or [*OURS, *self.libraries])
        self.rounds: dict[str, list[dict[str, Run]]] = {}
        self.others: dict[str, list[float]] = {}

    def run(self, name: str, order: dict[str, object]) -> Run:
        # The threads of BLAS wait for each other, which would hide the cost of allocators.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        if name in self.libraries:
            environment["LD_PRELOAD"] = str(self.libraries[name])
        done = subprocess.run(
            [sys.executable, WORKER],
            input=json.dumps({"allocator": name, **order}),
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            check=True,
        )
        return Run(**json.loads(done.stdout))

    def round(self, work: str, **order: object) -> None:
        """Run all contenders, and begin with another one in each round."""
        done = self.rounds.setdefault(work, [])
        start = len(done) % len(self.names)
        bystanders = Bystanders()
        done.append(
            {
                name: self.run(name, {"work": work, **order})
                for name in self.names[start:] + self.names[:start]
            }
        )
        self.others.setdefault(work, []).append(bystanders.share())

    def seconds(self, name: str, work: str, place: int = 0) -> Ratio:
        return Ratio.of(one[name].seconds[place] for one in self.rounds[work])

    def gain(self, name: str, work: str, place: int = 0, over: str = "default") -> Ratio:
        """The other contender's time divided by this one's: above 1 is faster."""
        return Ratio.of(
            one[over].seconds[place] / one[name].seconds[place] for one in self.rounds[work]
        )

    def memory(self, name: str, work: str) -> float:
        """Its peak of resident memory divided by default's."""
        return statistics.median(one[name].peak / one["default"].peak for one in self.rounds[work])

    def share_of_others(self) -> float:
        """The share of the processors' time that other programs took."""
        return statistics.mean(share for shares in self.others.values() for share in shares)

    def save(self, file: Path, where: str) -> None:
        """Write all rounds to a file that ``load`` reads."""
        rounds = {
            work: [{name: asdict(run) for name, run in one.items()} for one in all_of]
            for work, all_of in self.rounds.items()
        }
        file.write_text(json.dumps({"where": where, "rounds": rounds, "others": self.others}))

    def load(self, file: Path, where: str) -> None:
        """Read the rounds of an earlier process on the same machine."""
        kept = json.loads(file.read_text())
        if kept["where"] != where:
            raise SystemExit(
                f"{file} is of another machine or versions:\n{kept['where']}\nnot\n{where}"
            )
        self.others = kept["others"]
        self.rounds = {
            work: [{name: Run(**run) for name, run in one.items()} for one in all_of]
            for work, all_of in kept["rounds"].items()
        }
