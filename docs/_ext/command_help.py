"""``{command-help} NAME``: what ``numpool help NAME`` prints; ``{command-variables}``: a table."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from numpool.cli import COMMANDS


class CommandHelp(SphinxDirective):
    """The help of one command, or the list of commands."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run ``numpool help``, and show its output."""
        command = ["numpool", "help", *self.arguments]
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env={**os.environ, "COLUMNS": "84", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        text = f"$ {' '.join(command)}\n{done.stdout}"
        return [nodes.literal_block(text, text, language="console")]


class CommandVariables(SphinxDirective):
    """A row for each option that an environment variable can set, from the parsers of commands."""

    def run(self) -> list[nodes.Node]:
        """Write the table in Markdown."""
        lines = ["| variable | stands for | in |", "| --- | --- | --- |"]
        commands: dict[str, list[str]] = {}
        for command in COMMANDS:
            parser = importlib.import_module(f"numpool.cli.{command}").parser()
            for action in parser._actions:
                if action.option_strings and not isinstance(action, argparse._HelpAction):
                    commands.setdefault(action.option_strings[0], []).append(command)
        for option, users in sorted(commands.items()):
            variable = "NUMPOOL_" + option.strip("-").replace("-", "_").upper()
            lines.append(f"| `{variable}` | `{option}` | {', '.join(users)} |")
        container = nodes.container()
        self.state.nested_parse(StringList(lines), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("command-variables", CommandVariables)
    return {"parallel_read_safe": True}
