"""Versions of plugins whose code may change without a new version: those that somebody is working on."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from task2sim.registry import CORE_DISTRIBUTION, PluginEntry


@functools.cache
def version_of_sources(entry: PluginEntry) -> str:
    """A plugin's version as keys of the store hold it.

    That of its distribution; for one that is installed as it lies (``pip install -e``), or named in
    ``TASK2SIM_PLUGINS``, a digest of its package's Python files follows: what was made before an edit is not taken
    for what would be made after it.

    Args:
        entry: The plugin.

    Returns:
        Such as ``0.1.0`` or ``0.1.0+4f1c0a9be2d3``.
    """
    if not (entry.is_in_development or _is_editable(entry.distribution)):
        return entry.version
    digest = hashlib.sha256()
    for file in _files(entry.target.partition(":")[0].partition(".")[0]):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return f"{entry.version}+{digest.hexdigest()[:12]}"


def _is_editable(distribution: str) -> bool:
    """Whether pip installed a distribution as it lies (PEP 610); task2sim's own changes have a version."""
    if distribution == CORE_DISTRIBUTION:
        return False
    try:
        told = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
        return bool(told.get("dir_info", {}).get("editable"))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return False


def _files(module: str) -> Iterator[Path]:
    """The Python files of a top-level module, in an order that does not depend on the machine."""
    spec = util.find_spec(module)
    if spec is None:
        return
    if spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            yield from sorted(Path(folder).rglob("*.py"))
    elif spec.origin:
        yield Path(spec.origin)
