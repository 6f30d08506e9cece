"""A component whose module imports what takes long."""

from __future__ import annotations

import matplotlib  # noqa: F401
from bad_plugins import simulators


class Heavy(simulators.Good):
    """Draws nothing with matplotlib, but imports it."""
