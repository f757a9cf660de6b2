"""Runs the code blocks of one page in their order, and compares what they print.

``python page_runner.py PAGE.md``; the blocks of a page share a namespace and a folder.

``python``   is run; ``await`` works at its top level. With a ``:caption:`` it is a file of that
             name in the folder, for the commands that follow.
``text``     is the output of the ``python`` blocks since the last ``text`` block.
``pycon``    is a session: the code after ``>>>`` prints the lines that follow.
``console``  is a session in the shell: the command after ``$`` prints the lines that follow.
tables       whose columns begin with ``call`` and ``raises``: each call raises that error.

In an output, ``...`` matches any text. After the line ``<!-- figures vary -->``, a figure matches
any other figure. ``<!-- skip: next "reason" -->`` leaves a block out. Any other kind of block is an
error.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import difflib
import doctest
import inspect
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import SkipTest

from sybil import Document, Example, Region
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser, SkipParser

ROOT = Path(__file__).parents[3]
VARYING = "<!-- figures vary -->"
# A speed is in brackets if it may be chance.
FIGURE = re.compile(r"\(\d[\d.]*x\)|\d[\d.]*x|\d[\d.,]*(?: ?(?:[KMGT]iB|bytes|B|ns|µs|us|ms|s)\b)?")
TABLE = re.compile(r"^\| call \| raises \|.*\n\|[-| :]+\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \|")


def without_figures(text: str) -> str:
    """The text with one sign in place of each figure, and one space in place of each gap."""
    # Where memory is short, pages of programs come from the disk, and numpool run shows that.
    text = FIGURE.sub("0", text).replace(" (0 from disk)", "")
    return re.sub(r"[ ─━╸]+", " ", text)


def difference(example: Example, want: str, got: str) -> str | None:
    """The difference between a block and the printed output, or None."""
    if example.document.text[: example.start].rstrip().endswith(VARYING):
        want, got = without_figures(want), without_figures(got)
    if want.endswith("...\n"):  # It also matches no text at all.
        want = want[:-1]
    want, got = (re.sub(r" +$", "", text, flags=re.MULTILINE) for text in (want, got))
    if doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        return None
    lines = difflib.ndiff(want.splitlines(), got.splitlines())
    return "printed something else than is shown:\n" + "\n".join(lines)


class Page:
    """The state that the blocks of one page share: a namespace, a folder and a loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._printed = io.StringIO()
        self._loop = asyncio.new_event_loop()
        self._sessions = DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS))
        self._kinds: dict[str, Callable[[Example], str | None]] = {
            "python": self._run_python,
            "text": self._compare_text,
            "console": self._run_console,
        }

    def parse(self, document: Document) -> Iterable[Region]:
        """The page's blocks."""
        for lexer in CodeBlockParser("any").lexers:
            for region in lexer(document):
                yield from self._block(document, region)

    def _block(self, document: Document, region: Region) -> Iterator[Region]:
        kind = region.lexemes["arguments"]
        source = region.lexemes["source"]
        caption = region.lexemes.get("options", {}).get("caption")
        if kind.startswith("{"):  # A directive, not code.
            return
        if kind == "pycon":
            for session in self._sessions(source, document.path):
                session.adjust(region, source)
                yield session
            return
        region.parsed = source
        region.evaluator = self._kinds.get(kind, self._refuse)
        if caption is not None:
            region.parsed = (caption, source)
            region.evaluator = self._write_file
        yield region

    def _refuse(self, example: Example) -> str:
        kind = example.region.lexemes["arguments"]
        return f"nothing runs blocks of {kind!r}: skip it with a reason, or make it one of {KINDS}"

    def _write_file(self, example: Example) -> None:
        name, source = example.parsed
        (self._folder / name).write_text(source)

    def _run_python(self, example: Example) -> None:
        source = "\n" * example.line + example.parsed
        code = compile(source, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(self._printed):
            result = eval(code, example.namespace)
            if inspect.iscoroutine(result):
                self._loop.run_until_complete(result)

    def _compare_text(self, example: Example) -> str | None:
        got = self._printed.getvalue()
        self._printed.seek(0)
        self._printed.truncate()
        return difference(example, example.parsed, got)

    def _run_console(self, example: Example) -> str | None:
        commands = [line for line in example.parsed.splitlines() if line.startswith("$ ")]
        got = "".join(f"{line}\n{self._output_of(line[2:])}" for line in commands)
        return difference(example, example.parsed, got)

    def _output_of(self, command: str) -> str:
        tools = Path(sys.executable).parent
        plain = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command,
            shell=True,
            cwd=self._folder,
            env={**os.environ, **plain, "PATH": f"{tools}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        ).stdout

    def parse_tables(self, document: Document) -> Iterable[Region]:
        """The rows of the tables of errors."""
        for table in TABLE.finditer(document.text):
            start = table.start(1)
            for line in table.group(1).splitlines(keepends=True):
                row = ROW.match(line)
                if row is None:
                    raise ValueError(f"{document.path}: this row has no call and error: {line}")
                yield Region(start, start + len(line), row.groups(), self._compare_error)
                start += len(line)

    def _compare_error(self, example: Example) -> str | None:
        call, want = (cell.replace(r"\|", "|") for cell in example.parsed)
        try:
            exec(call, example.namespace)
        except Exception as error:  # noqa: BLE001 - which one is the question
            return difference(example, want, f"{type(error).__name__}: {error}")
        return f"{call} raised nothing"


KINDS = "python, text, pycon, console"


def parse_skips(document: Document) -> Iterable[Region]:
    """The blocks that are left out, each with its reason."""
    for region in SkipParser()(document):
        action, reason = region.parsed
        if action != "end" and not reason:
            raise ValueError(f"{document.path}: a skip needs a reason: skip: {action} 'why'")
        yield region


def run(path: Path, folder: Path) -> int:
    """Run the page, print each failure, and return the number of failures."""
    (folder / "examples").symlink_to(ROOT / "examples")
    page = Page(folder)
    document = Document.parse(str(path), page.parse, page.parse_tables, parse_skips)
    document.namespace["__name__"] = "__main__"
    failures = 0
    for example in document.examples():
        place = f"{path}:{example.line}"
        try:
            example.evaluate()
        except SkipTest as reason:
            print(f"{place}: skipped: {reason}")
        except AssertionError as error:
            failures += 1
            print(f"{place}: {error}")
        except BaseException:  # noqa: BLE001 - whatever a block raises is its failure
            failures += 1
            print(f"{place}: {traceback.format_exc()}")
    return failures


if __name__ == "__main__":
    page = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        sys.path.insert(0, scratch)
        sys.exit(1 if run(page, Path(scratch)) else 0)
