"""A pool's figures for people: as a text to print, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

from numpool._core import Pool, format_size
from numpool._objects import ObjectPool, ObjectStats
from numpool._stats import ClassStats, PoolStats


class _Sizes(NamedTuple):
    """A table with a row for each block size."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


_NO_SIZES = _Sizes((), [])


def text_of(one: Pool | ObjectPool[Any] | PoolStats | ObjectStats) -> str:
    """The ``summary`` of a pool, or of its statistics."""
    return _text(*_parts(one))


def html_of(one: Pool | ObjectPool[Any] | PoolStats | ObjectStats) -> str:
    """The ``_repr_html_`` of a pool, or of its statistics."""
    return _html(*_parts(one))


def _parts(
    one: Pool | ObjectPool[Any] | PoolStats | ObjectStats,
) -> tuple[str, list[tuple[str, str]], _Sizes]:
    if isinstance(one, PoolStats):
        return type(one).__name__, [*_pairs(one)], _by_size(one)
    if isinstance(one, ObjectStats):
        return type(one).__name__, [*_object_pairs(one)], _NO_SIZES
    return _title(one), *_parts(one.stats())[1:]


def _text(title: str, pairs: list[tuple[str, str]], sizes: _Sizes) -> str:
    width = max(len(name) for name, _ in pairs)
    lines = [title, *(f"  {name:<{width}}  {text}" for name, text in pairs)]
    if sizes.rows:
        widths = [max(map(len, column)) for column in zip(sizes.head, *sizes.rows, strict=True)]
        lines.append("")
        for row in (sizes.head, *sizes.rows):
            cells = (f"{cell:>{wide}}" for cell, wide in zip(row, widths, strict=True))
            lines.append("  " + "  ".join(cells))
    return "\n".join(lines)


def _html(title: str, pairs: list[tuple[str, str]], sizes: _Sizes) -> str:
    parts = [f"<b>{escape(title)}</b>", "<table>"]
    parts += [f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in pairs]
    parts.append("</table>")
    if sizes.rows:
        parts.append("<table><tr>" + "".join(f"<th>{one}</th>" for one in sizes.head) + "</tr>")
        for row in sizes.rows:
            parts.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
        parts.append("</table>")
    return "\n".join(parts)


def _title(pool: Pool | ObjectPool[Any]) -> str:
    kind = type(pool).__name__
    title = f"{kind} {pool.name!r}" if pool.name else kind
    return f"{title}, closed" if pool.closed else title


def _pairs(stats: PoolStats) -> Iterator[tuple[str, str]]:
    """The name and the text of each figure."""
    limit = "" if stats.limit is None else f" of a limit of {format_size(stats.limit)}"
    yield "in use", f"{format_size(stats.in_use)}{limit}, in {_count(stats.blocks, 'block')}"
    yield "asked for", f"{format_size(stats.live_bytes)} of that; the rest is rounding"
    yield "peak in use", format_size(stats.peak)
    yield "held", f"{format_size(stats.committed)}, of which {format_size(stats.cached)} unused"
    yield "peak held", format_size(stats.peak_committed)
    if stats.in_file:
        yield "in its file", format_size(stats.in_file)
    yield "so far", f"{_count(stats.total_blocks, 'block')} of {format_size(stats.total_bytes)}"
    of_the_blocks = " of the blocks" if stats.total_blocks else ""
    yield "reused", _share(stats.reused, stats.total_blocks) + of_the_blocks
    yield "waited, refused", f"{stats.waits:,}, {stats.failures:,}"


def _object_pairs(stats: ObjectStats) -> Iterator[tuple[str, str]]:
    """The name and the text of each figure of a pool of objects."""
    yield "lent", f"{stats.taken} of at most {_count(stats.size, 'object')}"
    yield "peak lent", str(stats.peak)
    yield "idle", str(stats.idle)
    yield "loans so far", f"{stats.takes:,}"
    yield "built", f"{stats.built:,}"
    yield "not lent again", f"{stats.kept:,} still in use, {stats.dropped:,} not restored"
    yield "waited, refused", f"{stats.waits:,}, {stats.failures:,}"


def _by_size(stats: PoolStats) -> _Sizes:
    """A row for each size that was used."""
    spans = (stats.spans,) if stats.spans is not None and stats.spans.total_blocks else ()
    return _Sizes(
        ("block size", "live blocks", "in use", "unused", "blocks so far", "reused"),
        [_row(one) for one in (*stats.classes, *spans)],
    )


def _row(one: ClassStats) -> tuple[str, ...]:
    return (
        format_size(one.block_size) if one.block_size else "larger",
        f"{one.blocks:,}",
        format_size(one.in_use),
        format_size(one.cached),
        f"{one.total_blocks:,}",
        _share(one.reused, one.total_blocks),
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none yet"
