"""The READMEs are short, and their links lead to files and headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = ["README.md", "benchmarks/README.md"]
LINK = re.compile(r"\[[^]]*\]\((?!https?:)([^)#]*)#?([^)]*)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", SHORT)
def test_a_readme_has_at_most_150_lines(page: str) -> None:
    assert len((ROOT / page).read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", [*SHORT, "SECURITY.md"])
def test_the_links_of_a_readme_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = LINK.findall(text)
    assert links
    for file, heading in links:
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page} links to {file}, which does not exist"
        if heading:
            assert heading in anchors(target.read_text()), f"{page} links to {file}#{heading}"
