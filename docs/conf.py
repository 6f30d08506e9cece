"""How Sphinx builds these pages: ``sphinx-build -W -b html docs docs/_build/html``."""

from importlib import metadata

project = "task2sim"
author = "the task2sim contributors"
release = metadata.version("task2sim")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"task2sim {release}"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# A name in single backticks becomes a link where these pages describe it, and code where they do not.
default_role = "py:obj"
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# The attrs classes describe their fields in the docstring; without this each would be listed a second time.
napoleon_use_ivar = True
# "Returns" says what comes back in prose; its type stands in the signature.
napoleon_use_rtype = False
