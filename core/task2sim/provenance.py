"""What a run was made with, so that someone else can make it again."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from task2sim.registry import CORE_DISTRIBUTION, PluginEntry, core_version


def gather(plugins: Iterable[PluginEntry]) -> dict[str, Any]:
    """Versions, platform and source state, as plain data.

    Args:
        plugins: The plugins that take part.
    """
    return {
        "task2sim": core_version(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpus": available_cpus(),
        "plugins": {f"{entry.kind}/{entry.name}": entry.origin for entry in plugins},
        "libraries": dict(_library_versions()),
        "git": _git_state(Path(__file__).parent),
    }


def available_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _library_versions() -> dict[str, str]:
    versions = {}
    for text in metadata.requires(CORE_DISTRIBUTION) or ():
        name = Requirement(text).name
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache  # what was imported is the source as it was at first
def _git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the source, and whether files differ from it; None outside a checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An installed package inside somebody's repository is not that repository's code.
    if git("ls-files", "--error-unmatch", __file__) is None:
        return None
    return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
