"""How Sphinx builds the site; ``python docs/build.py`` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpool

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "numpool"
author = "the numpool developers"
copyright = author
release = version = numpool.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "command_help", "docstrings", "public_names"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True
# References to names of other projects are not resolved, so the build needs no network.
nitpick_ignore_regex = [("py:.*", r"(?!numpool\.).*"), ("py:.*", r"numpool\._objects\._Object")]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "numpool"
html_static_path = ["_static"]
html_css_files = ["numpool.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "github-dark"
