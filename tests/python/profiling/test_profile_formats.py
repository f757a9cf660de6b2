"""Other tools read a profile."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpool

SIZE = 8 << 20


@pytest.fixture
def made() -> numpool.profile:
    """A profile with two lines: one holds an array, the other held one before."""

    def outer() -> Any:
        return np.ones(1 << 20)

    with numpool.profile() as p, numpool.phase("load; all"):
        kept = outer()
        np.ones(1 << 20).sum()
    assert kept.nbytes == SIZE
    return p


def test_json_has_lines_stacks_and_phases(made: numpool.profile, tmp_path: Path) -> None:
    made.save(tmp_path / "profile.json")
    figures = json.loads((tmp_path / "profile.json").read_text())
    assert (figures["live"], figures["peak"], figures["total"]) == (SIZE, 2 * SIZE, 2 * SIZE)
    assert (figures["count"], figures["samples"], figures["lost"]) == (2, 2, 0)
    assert [one["peak"] for one in figures["lines"]] == [SIZE, SIZE]
    [phase] = figures["phases"]
    assert (phase["name"], phase["peak"], phase["total"]) == ("load; all", 2 * SIZE, 2 * SIZE)
    for stack in figures["stacks"]:
        frames = [figures["frames"][number] for number in stack["frames"]]
        assert __file__ in {frame["file"] for frame in frames}


def test_csv_has_a_row_for_each_line(made: numpool.profile, tmp_path: Path) -> None:
    made.save(tmp_path / "profile.csv")
    with (tmp_path / "profile.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {__file__}
    assert sorted(int(row["live"]) for row in rows) == [0, SIZE]
    assert [int(row["peak"]) for row in rows] == [SIZE, SIZE]


@pytest.mark.parametrize("name", ["stacks.txt", "stacks.collapsed"])
def test_collapsed_stacks_begin_with_the_outermost(
    made: numpool.profile, tmp_path: Path, name: str
) -> None:
    made.save(tmp_path / name)
    rows = (tmp_path / name).read_text().splitlines()
    assert [int(row.rpartition(" ")[2]) for row in rows] == [SIZE, SIZE]
    [outer] = [row for row in rows if "outer" in row]
    frames = outer.rpartition(" ")[0].split(";")
    places = [i for i, frame in enumerate(frames) if __file__ in frame]
    assert "outer" in frames[places[-1]]
    assert "made" in frames[places[-2]]


def test_speedscope_has_two_profiles_of_weighted_stacks(
    made: numpool.profile, tmp_path: Path
) -> None:
    made.save(tmp_path / "profile.speedscope.json")
    figures = json.loads((tmp_path / "profile.speedscope.json").read_text())
    frames = figures["shared"]["frames"]
    for profile in figures["profiles"]:
        assert profile["type"] == "sampled"
        assert profile["unit"] == "bytes"
        assert profile["endValue"] == sum(profile["weights"]) == 2 * SIZE
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(frames[number]["name"] for stack in profile["samples"] for number in stack)


def test_pprof_reads_back(made: numpool.profile, tmp_path: Path) -> None:
    made.save(tmp_path / "profile.pb.gz")
    fields = parse(gzip.decompress((tmp_path / "profile.pb.gz").read_bytes()))
    strings = [text.decode() for text in fields[6]]
    assert strings[0] == ""
    types = [parse(one) for one in fields[1]]
    names = [(strings[one[1][0]], strings[one[2][0]]) for one in types]
    assert names == [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
        ("peak_space", "bytes"),
    ]
    samples = [parse(one) for one in fields[2]]
    values = sorted(unpacked(one[2][0]) for one in samples)
    assert values == [[1, SIZE, 0, 0, SIZE], [1, SIZE, 1, SIZE, SIZE]]
    functions = {parse(one)[1][0]: parse(one) for one in fields[5]}
    locations = {parse(one)[1][0]: parse(one) for one in fields[4]}
    for sample in samples:
        files = set()
        for number in unpacked(sample[1][0]):
            [line] = locations[number][4]
            function = functions[parse(line)[1][0]]
            files.add(strings[function[4][0]])
        assert __file__ in files
    assert fields[12] == [512 << 10]
    assert strings[fields[14][0]] == "peak_space"


def parse(message: bytes) -> dict[int, list[Any]]:
    """The fields of a protocol buffer: numbers and bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, at = varint(message, at)
        values = fields.setdefault(key >> 3, [])
        if key & 7 == 2:
            values.append(message[at : at + number])
            at += number
        else:
            assert key & 7 == 0
            values.append(number)
    return fields


def varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def unpacked(content: bytes) -> list[int]:
    numbers = []
    at = 0
    while at < len(content):
        number, at = varint(content, at)
        numbers.append(number)
    return numbers


def test_an_unknown_format_is_refused_before_anything_is_written(
    made: numpool.profile, tmp_path: Path
) -> None:
    message = (
        "^'profile.png' does not say the format: let the name end in .json, .csv, .collapsed, "
        ".txt, .pb.gz or .speedscope.json$"
    )
    with pytest.raises(ValueError, match=message):
        made.save(tmp_path / "profile.png")
    assert list(tmp_path.iterdir()) == []
