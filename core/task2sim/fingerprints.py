"""For components whose results depend on what lies outside their configuration: files, and libraries."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path


def fingerprint_folder(folder: Path) -> str:
    """A hexadecimal hash of the names and contents of all files in a folder and those below it.

    Moving the folder does not change it; hidden files do not count. A folder that is missing counts as empty:
    whoever reads it says so. A single file counts by its contents alone.
    """
    digest = hashlib.sha256()
    if folder.is_file():
        with folder.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            digest.update(relative.as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def fingerprint_libraries(*distributions: str) -> str:
    """Names and versions of libraries whose next release may compute something else; none is imported."""
    return " ".join(f"{name} {metadata.version(name)}" for name in distributions)
