"""Prints the machine and the versions first, and makes contenders take turns."""

from __future__ import annotations

from race_plugin import (
    pytest_addoption,
    pytest_configure,
    pytest_pyfunc_call,
    pytest_runtestloop,
    pytest_terminal_summary,
)
from surroundings import where

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_runtestloop",
    "pytest_terminal_summary",
]


def pytest_report_header() -> list[str]:
    return where().splitlines()
