"""``numpool.budget``: a limit on the arrays that a block of code makes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, SupportsIndex

from numpool import _core
from numpool._core import Pool
from numpool._numpy import Block


class budget(Block):
    """A limit on the arrays that are made inside: in a ``with`` block or a function.

    Each block, and each call of a decorated function, has a ``Budget`` of its own: ``as`` gives it.
    Its arrays count while they live, also after the block, and the budget lives as long as they do.
    A request beyond the limit raises MemoryError; no other pool serves it.

    The arrays come from ``source``; by default from the pool that NumPy allocates from where the
    block begins, or else from the default pool. A budget inside of another counts against both, and
    against all that are around them. The arguments are those of ``Budget``.

    Like ``use``, it holds for a context: for this thread and the functions that it calls, or for
    this asyncio task and the tasks that it starts meanwhile. A thread that runs in a copy of the
    context counts, too: ``asyncio.to_thread`` does that, and ``contextvars.copy_context().run``. A
    ``use`` inside of the block leaves the budget: write ``budget(limit, source=pool)`` instead.

    If ``on_soft`` raised and that refused no array, the end of the block raises its error.
    """

    def __init__(
        self,
        limit: SupportsIndex | str | None,
        *,
        soft: SupportsIndex | str | None = None,
        on_soft: Callable[[], object] | None = None,
        source: Pool | None = None,
        name: str = "",
    ) -> None:
        given = {"soft": soft, "on_soft": on_soft, "source": source, "name": name}
        _core._check_budget(limit, **given)
        self._limit = limit
        self._name = name
        super().__init__(functools.partial(_core._budget_here, limit, **given))

    if TYPE_CHECKING:  # The base class makes the Budget: in C, so that no signal comes between.

        def __enter__(self) -> _core.Budget: ...

    def __repr__(self) -> str:
        name = f", name={self._name!r}" if self._name else ""
        return f"numpool.budget({self._limit!r}{name})"
