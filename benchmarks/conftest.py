"""The machine and the versions stand on top of each run."""

from __future__ import annotations

from surroundings import where


def pytest_report_header() -> list[str]:
    return where().splitlines()
