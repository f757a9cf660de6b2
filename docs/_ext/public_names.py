"""Warns of public names that the reference does not show. The build fails on a warning."""

from __future__ import annotations

from collections.abc import Iterator

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import numpool

logger = logging.getLogger(__name__)


def public_names() -> Iterator[str]:
    """The public names: names of the package, and attributes of its classes."""
    for name in numpool.__all__:
        if name == "__version__":
            continue
        yield f"numpool.{name}"
        value = getattr(numpool, name)
        if isinstance(value, type):
            fields = getattr(value, "__dataclass_fields__", {})
            for attribute in sorted({*vars(value), *fields}):
                if not attribute.startswith("_"):
                    yield f"numpool.{name}.{attribute}"


def warn_of_missing(app: Sphinx, env: BuildEnvironment) -> None:
    """Compare with what the pages describe."""
    shown = env.domains.python_domain.objects
    for name in public_names():
        if name not in shown:
            logger.warning("the reference does not show the public name %s", name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("env-check-consistency", warn_of_missing)
    return {"parallel_read_safe": True}
