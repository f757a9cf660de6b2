"""Runs a benchmark and keeps its report in results/: Markdown to read, JSON for programs.

    python benchmarks/record.py whole_programs python benchmarks/whole_programs.py --rounds 5
    python benchmarks/record.py compare build/benchmark/benchmarks/compare 9

Each file names the command, the machine and the versions. Nobody edits these files: run the
command again. A command that fails leaves them as they are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from markdown import is_row, table, tables
from surroundings import Bystanders, facts

RESULTS = Path(__file__).with_name("results")


def write(name: str, said: str, machine: dict[str, str], report: str) -> None:
    """Write results/NAME.md and NAME.json, or PATH.md and PATH.json; ``said`` is their origin."""
    place = RESULTS / name
    place.parent.mkdir(exist_ok=True)
    body = report.strip()
    if not any(map(is_row, body.splitlines())):
        body = f"```text\n{body}\n```"
    head = table(["where", ""], [list(fact) for fact in machine.items()])
    place.with_suffix(".md").write_text(f"# {place.name}\n\n{said}\n\n{head}\n{body}\n")
    kept = {"said": said, "machine": machine, "tables": tables(report), "report": report.strip()}
    place.with_suffix(".json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def written_by(command: str) -> str:
    return f"Written by `{command}`. Do not edit it: run the command again."


def here(others: float) -> dict[str, str]:
    """The facts of this machine, and the share of its processors that other programs took."""
    return {**facts(), "other programs": f"{others:.0%} of the processors' time"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="the name of the files in results/, without an ending")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the benchmark and its options")
    options = parser.parse_args()
    if not options.command:
        parser.error("which command? For example: record.py compare build/…/compare")
    bystanders = Bystanders()
    done = subprocess.run(options.command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode == 0:
        own = ["python", "benchmarks/record.py", options.name, *options.command]
        write(options.name, written_by(shlex.join(own)), here(bystanders.share()), done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
