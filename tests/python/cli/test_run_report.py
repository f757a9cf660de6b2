"""The summary of a run, with made-up figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from numpool.cli.run_report import render
from numpool.cli.run_summary import RunSummary, SizeFigures, advice

MIB = 1 << 20
GIB = 1 << 30

SUMMARY = RunSummary(
    program=["simulation.py", "--steps", "100"],
    seconds=83.4,
    pool="slab",
    installed=True,
    total_bytes=12 * GIB,
    total_blocks=123_456,
    reused=123_000,
    failures=0,
    limit=None,
    live=5 * MIB,
    peak_live=200 * MIB,
    peak_held=210 * MIB,
    rounded=3 * MIB,
    cached=9 * MIB,
    peak_resident=300 * MIB,
    page_faults=54_321,
    major_page_faults=12,
    tune_malloc=False,
    forked=0,
    children_peak_resident=0,
    own_pool="",
    sizes=[
        SizeFigures(16, 50_000, 8 * 50_000, 50_000),
        SizeFigures(64, 50_000, 60 * 50_000, 49_900),
        SizeFigures(512, 20_000, 20_000 * 500, 19_990),
        SizeFigures(65536, 1000, 60_000 * 1000, 900),
        SizeFigures(0, 2456, 11 * GIB, 2210),
    ],
)


def shown(summary: RunSummary) -> str:
    return render(summary, terminal=False)


def test_the_summary_shows_every_figure() -> None:
    assert [line.rstrip() for line in shown(SUMMARY).splitlines()] == [
        "──────────────────── numpool run simulation.py --steps 100 ─────────────────────",
        "run time         1 min 23 s                             peak live      200 MiB",
        "NumPy asked for  12 GiB in 123,456 blocks               live at end    5 MiB",
        "reused           99.6 % of the blocks                   peak held      210 MiB",
        "page faults      54,321 (12 from disk)                  peak resident  300 MiB",
        "                                                        rounding       3 MiB",
        "                                                        cached at end  9 MiB",
        "",
        "block size                              blocks  asked for  reused",
        "up to 64 bytes   ━━━━━━━━━━━━━━━━━━━━  100,000   3.24 MiB  99.9 %",
        "up to 512 bytes  ━━━━                   20,000   9.54 MiB  99.9 %",
        "up to 64 KiB                             1,000   57.2 MiB  90.0 %",
        "above 64 KiB                             2,456     11 GiB  90.0 %",
    ]


@pytest.mark.parametrize(
    "summary",
    [
        SUMMARY,
        replace(SUMMARY, program=["x" * 500]),
        replace(SUMMARY, program=["-c", "first\nsecond"]),
        replace(
            SUMMARY,
            seconds=1e6,
            total_bytes=1023 << 40,
            total_blocks=10**12,
            peak_live=1023 << 40,
            limit=1023 << 30,
            failures=10**9,
            page_faults=10**10,
            major_page_faults=10**7,
            sizes=[
                SizeFigures(0, 10**11, 1023 << 40, 10**10),
                SizeFigures(512, 10**12, 1023 << 40, 10**10),
            ],
        ),
        replace(SUMMARY, installed=False, total_blocks=0, sizes=[]),
    ],
    ids=["usual", "long", "lines", "huge", "none"],
)
def test_it_fits_80_columns_and_cuts_no_figure(summary: RunSummary) -> None:
    text = shown(summary)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text.partition("\n")[2]
    assert text.endswith("\n")


def test_a_program_without_numpy_has_no_figures_of_it() -> None:
    text = shown(replace(SUMMARY, installed=False, total_blocks=0, sizes=[]))
    assert "The program did not import NumPy, so it did not use the pool." in text
    assert "NumPy asked for" not in text


def test_the_summary_says_that_numpy_did_not_use_the_pool() -> None:
    text = shown(replace(SUMMARY, total_bytes=0, total_blocks=0, reused=0, sizes=[]))
    assert "NumPy did not use this pool: the program makes no arrays" in text
    assert "none of the blocks" in text


def test_a_program_whose_only_request_was_refused_asked_for_something() -> None:
    nothing = replace(SUMMARY, total_bytes=0, total_blocks=0, reused=0, sizes=[])
    text = shown(replace(nothing, failures=1, limit=1024))
    assert "The limit of 1 KiB refused 1 request" in text
    assert "NumPy asked this pool for nothing" not in text


def test_arrays_that_were_shared_have_a_line() -> None:
    shared = replace(SUMMARY, shared=12_345, shared_bytes=3 * GIB)
    assert "sent by sharing  3 GiB in 12,345 arrays  " in shown(shared)
    assert "sent by sharing  3 GiB in 1 array  " in shown(replace(shared, shared=1))
    assert advice(shared) is None
    assert advice(replace(SUMMARY, shared=0)) == (
        "No array was sent by sharing: the program passes no array of 64 KiB or more to other "
        "processes through multiprocessing or joblib."
    )


def test_a_good_run_gets_no_advice() -> None:
    assert advice(SUMMARY) is None


def test_a_limit_that_refused_gives_advice_to_raise_it() -> None:
    assert advice(replace(SUMMARY, limit=2 * GIB, failures=3)) == (
        "The limit of 2 GiB refused 3 requests: raise --limit, or expect MemoryError."
    )


def test_many_page_faults_outside_numpys_arrays_give_advice_on_malloc() -> None:
    churning = replace(SUMMARY, page_faults=1_000_000)
    assert advice(churning) == (
        "Page faults brought in 3.81 GiB, 13 times the program's peak: try --tune-malloc, for "
        "memory outside NumPy's arrays."
    )
    assert advice(replace(churning, tune_malloc=True)) is None


@pytest.mark.parametrize(
    ("reused", "text"), [(0, "0.0 %"), (1, "0.1 %"), (999, "99.9 %"), (1000, "100 %")]
)
def test_only_the_whole_is_a_hundred_per_cent(reused: int, text: str) -> None:
    assert f"{text} of the blocks" in shown(replace(SUMMARY, total_blocks=1000, reused=reused))
    assert "99.9 %" in shown(replace(SUMMARY, total_blocks=10**6, reused=10**6 - 1))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.123, "0.12 s"), (60, "1 min 0 s"), (3725, "1 h 2 min 5 s")]
)
def test_a_duration_is_readable(seconds: float, text: str) -> None:
    assert f"run time         {text}" in shown(replace(SUMMARY, seconds=seconds))


def test_the_summary_says_that_it_leaves_out_other_processes() -> None:
    nothing = replace(SUMMARY, total_bytes=0, total_blocks=0, reused=0, sizes=[])
    assert advice(replace(nothing, forked=1)) == (
        "The program forked 1 process: these figures do not include its children."
    )
    forked = replace(nothing, forked=1200, children_peak_resident=70 * MIB)
    assert advice(forked) == (
        "The program forked 1,200 processes, of which one held 70 MiB: these figures do "
        "not include its children."
    )
    assert advice(replace(SUMMARY, children_peak_resident=70 * MIB)) == (
        "The program started other processes, of which one held 70 MiB: these figures do "
        "not include them."
    )
    assert advice(replace(forked, installed=False)) == (
        "This process did not import NumPy. The program forked 1,200 processes, of which one held "
        "70 MiB: these figures do not include its children."
    )


def test_a_pool_of_the_programs_own_is_named() -> None:
    nothing = replace(
        SUMMARY, total_bytes=0, total_blocks=0, reused=0, sizes=[], own_pool="<SlabPool 'x'>"
    )
    assert advice(nothing) == (
        "At the end NumPy allocated from <SlabPool 'x'>, which the program installed: these "
        "figures do not include that pool."
    )


def test_memory_far_beyond_the_limit_is_explained() -> None:
    assert advice(replace(SUMMARY, limit=20 * MIB)) == (
        "The process held 300 MiB at its peak: --limit bounds NumPy's arrays, but not the "
        "memory of Python and its libraries."
    )
    assert advice(replace(SUMMARY, limit=250 * MIB)) is None
    refused = replace(SUMMARY, limit=20 * MIB, failures=1)
    assert shown(refused).count("\n\n") == 3
    assert "refused 1 request: raise --limit" in shown(refused)
    assert "--limit bounds NumPy's arrays" in shown(refused)
