"""All files that name the version and the license of the project agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import numpool

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "field"),
    [("CITATION.cff", r"^version: (.+)$"), ("pyproject.toml", r'^version = "(.+)"$')],
    ids=["citation", "project"],
)
def test_each_file_names_the_version_that_is_installed(file: str, field: str) -> None:
    assert re.findall(field, (ROOT / file).read_text(), re.MULTILINE) == [numpool.__version__]


def test_the_citation_names_the_license_of_the_package() -> None:
    license_of = r'^license(?: =|:) "?([\w.-]+)"?$'
    files = [(ROOT / file).read_text() for file in ("CITATION.cff", "pyproject.toml")]
    citation, project = (re.findall(license_of, text, re.MULTILINE) for text in files)
    assert citation == project == ["BSD-3-Clause"]
