"""Gives Sphinx the signatures of the stubs, and turns tables in docstrings into parameters."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import numpool

# Names that only the stubs use, and what the site shows instead.
PLAIN = {
    "_Size": "int | str",
    "_Shape": "int | Sequence[int]",
    "_Exporter": "Any",
    "object": "Any",  # Sphinx would take it for Loan.object.
    "SupportsIndex": "int",
    "Self": "{owner}",
    "DTypeLike | None": "DTypeLike",
}
# Users get these from other calls, so the site shows no constructor.
MADE_ELSEWHERE = {"ClassStats", "Loan", "ObjectStats", "PoolStats"}
PARAMETER = re.compile(r"(\w+) {2,}(\S.*)")

_Functions = dict[str, ast.FunctionDef]


def read_stub() -> _Functions:
    """The functions and methods of ``_core.pyi``. Of overloads it has the last, the widest one."""
    tree = ast.parse(Path(numpool.__file__).with_name("_core.pyi").read_text())
    functions: _Functions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for base in map(ast.unparse, node.bases):
                inherited = [name for name in functions if name.startswith(f"{base}.")]
                for name in inherited:
                    functions[f"{node.name}.{name.partition('.')[2]}"] = functions[name]
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    functions[f"{node.name}.{member.name}"] = member
    return functions


STUB = read_stub()


def plain(node: ast.expr | None, owner: str) -> str:
    """An annotation in names that users know."""
    return plain_text("" if node is None else ast.unparse(node), owner)


def plain_text(text: str, owner: str) -> str:
    """The text with names that users know."""
    for word, meaning in PLAIN.items():
        text = re.sub(rf"\b{re.escape(word)}(?!\w)", meaning.format(owner=owner), text)
    return text.replace("int | int", "int")


def defaults_of(function: object) -> dict[str, str]:
    """The defaults in the signature of a compiled function, as text."""
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}
    given = {one.name: one.default for one in parameters if one.default is not one.empty}
    return {name: "..." if value is ... else repr(value) for name, value in given.items()}


def signature(function: ast.FunctionDef, owner: str, compiled: object) -> tuple[str, str]:
    """The arguments with their types and defaults, and the return type."""
    arguments = function.args
    defaults = defaults_of(compiled)
    own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    given = [*arguments.defaults, *arguments.kw_defaults]
    given = [None] * (len(own) - len(given)) + given
    for argument, default in zip(own, given, strict=True):
        if default is not None and ast.unparse(default) != "...":
            defaults[argument.arg] = ast.unparse(default)

    def shown(argument: ast.arg) -> str:
        kind = plain(argument.annotation, owner)
        text = f"{argument.arg}: {kind}" if kind else argument.arg
        return f"{text} = {defaults[argument.arg]}" if argument.arg in defaults else text

    positional = [shown(one) for one in arguments.posonlyargs]
    parts = [*positional, "/"] if positional else []
    parts += [shown(one) for one in arguments.args]
    if arguments.vararg:
        parts.append(f"*{shown(arguments.vararg)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [shown(one) for one in arguments.kwonlyargs]
    if arguments.kwarg:
        parts.append(f"**{shown(arguments.kwarg)}")
    if parts and parts[0].split(":")[0] == "self":
        del parts[0]
        if parts and parts[0] == "/":
            del parts[0]
    return f"({', '.join(parts)})", plain(function.returns, owner)


def set_signature(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, found: str, result: str
) -> tuple[str, str] | None:
    """The signature from the stub, or Sphinx's own for code in Python, in names that users know."""
    if found is None:  # Sphinx shows no signature here.
        return None
    name = name.removeprefix("numpool.")
    if name in MADE_ELSEWHERE:
        return "", ""
    owner = name.partition(".")[0]
    function = STUB.get(f"{name}.__init__" if what in ("class", "exception") else name)
    if function is None:
        return plain_text(found, owner), plain_text(result or "", owner)
    arguments, returned = signature(function, owner, documented)
    if what == "class":
        return ("", "") if returned == "NoReturn" else (arguments, "")
    return arguments, returned


def escaped(line: str) -> str:
    """Docstrings have no emphasis, so an asterisk outside a literal is only an asterisk."""
    parts = line.split("``")
    parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
    return "``".join(parts)


def set_parameters(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]
) -> None:
    """A docstring's table becomes a list of parameters, and a property begins with its type."""
    if what in ("property", "attribute") and lines:
        name = name.removeprefix("numpool.")
        getter = STUB.get(name)
        if getter is not None:
            lines[0] = f"``{plain(getter.returns, name.partition('.')[0])}``: {lines[0]}"
    field = "ivar" if name.removeprefix("numpool.") in MADE_ELSEWHERE else "param"
    result: list[str] = []
    column = 0
    for line in lines:
        found = PARAMETER.fullmatch(line)
        if found and (column or not result or not result[-1]):
            column = found.start(2)
            result.append(f":{field} {found[1]}: {found[2]}")
        elif column and line.startswith(" " * column):
            result.append(f"    {line[column:]}")
        else:
            column = 0
            result.append(line)
    lines[:] = [escaped(line) for line in result]


def find_public(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """An annotation names a class by its private module. The page shows its public name."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("numpool._"):
        return None
    public = f"numpool.{target.rpartition('.')[2]}"
    return env.domains.python_domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", public, node, content
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("autodoc-process-signature", set_signature)
    app.connect("autodoc-process-docstring", set_parameters)
    app.connect("missing-reference", find_public)
    return {"parallel_read_safe": True}
