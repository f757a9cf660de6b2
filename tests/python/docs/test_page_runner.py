"""The runner of the documentation's blocks runs each block, and notices each difference."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunPage = Callable[[str], tuple[int, str]]
RUNNER = Path(__file__).with_name("page_runner.py")


@pytest.fixture
def run_page(tmp_path: Path) -> RunPage:
    """Runs a page, and returns the exit code and the report on its blocks."""

    def run(text: str) -> tuple[int, str]:
        page = tmp_path / "page.md"
        page.write_text(text)
        done = subprocess.run(
            [sys.executable, RUNNER, page], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


GOOD = """
```python
import asyncio, numpool
count = 3
await asyncio.sleep(0)
print("one", count)
```
```text
one 3
```
```pycon
>>> count + 1
4
>>> print("a", id(count))
a ...
```
```{code-block} python
:caption: program.py

import sys
print("hello", *sys.argv[1:])
```
```console
$ python program.py there
hello there
$ python program.py 64 KiB
hello ... KiB
...
```

<!-- figures vary -->
```console
$ python program.py 1.5 MiB in 22 s '(1.01x)' '(7 from disk)'
hello 7,300 KiB in 3 ms 2.5x
```

| call | raises |
| --- | --- |
| `numpool.parse_size("x")` | `ValueError: size: 'x' is not a size...` |

```{note}
A directive is not code.
```
"""


def test_a_page_with_the_right_output_passes(
    run_page: RunPage,
) -> None:
    assert run_page(GOOD) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "report"),
    [
        ("one 3\n```", "one 4\n```", "- one 4\n"),
        (">>> count + 1\n4", ">>> count + 1\n5", "Expected:\n    5\nGot:\n    4\n"),
        ("hello there", "hello you", "- hello you\n"),
        ("hello 7,300 KiB", "hullo 7,300 KiB", "- hullo 0"),
        ("<!-- figures vary -->", "", "- hello 7,300 KiB"),
        ("is not a size...", "is a size", "- ValueError: size: 'x' is a size"),
        ('numpool.parse_size("x")', 'numpool.parse_size("1")', "raised nothing"),
        ("count = 3", "count = 1 / 0", "ZeroDivisionError"),
        ("```{note}", "```sh", "nothing runs blocks of 'sh'"),
        ("```{note}", "```{code-block} rust", "nothing runs blocks of 'rust'"),
        ("```{note}", "<!-- skip: next -->\n```sh", "a skip needs a reason: skip: next"),
        ("| `numpool.parse", "| numpool.parse", "this row has no call and error"),
    ],
)
def test_a_page_with_another_output_fails(
    run_page: RunPage, right: str, wrong: str, report: str
) -> None:
    assert right in GOOD
    code, output = run_page(GOOD.replace(right, wrong))
    assert code == 1
    assert report in output


def test_a_skipped_block_is_listed_with_its_reason(
    run_page: RunPage,
) -> None:
    code, output = run_page('\n<!-- skip: next "it takes an hour" -->\n```sh\nmake all\n```\n')
    assert code == 0
    assert output.endswith("page.md:3: skipped: it takes an hour\n")
