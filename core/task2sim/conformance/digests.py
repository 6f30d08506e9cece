"""One text for whatever a component gives, so that two results can be compared bit by bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np


def digest(value: Any) -> str:
    """A hexadecimal hash of arrays, attrs values, mappings, sequences and plain data, with types and shapes."""
    sha = hashlib.sha256()
    _add(sha, value)
    return sha.hexdigest()


def _add(sha: Any, value: Any) -> None:
    if isinstance(value, (np.ndarray, np.generic)):
        sha.update(f"array {value.dtype} {value.shape}".encode())
        sha.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        sha.update(f"mapping {len(value)}".encode())
        for key in sorted(value, key=str):
            _add(sha, key)
            _add(sha, value[key])
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        sha.update(f"sequence {len(value)}".encode())
        for item in value:
            _add(sha, item)
    elif attrs.has(type(value)):
        sha.update(type(value).__name__.encode())
        for field in attrs.fields(type(value)):
            _add(sha, getattr(value, field.name))
    else:
        sha.update(f"{type(value).__name__} {value!r}".encode())


def folder_digest(folder: Path) -> dict[str, str]:
    """A hash of each file in a folder and those below it, by its path there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
