"""What took long to make, kept in the user's cache folder for the next process.

Entries are .npz files named by the hash of what they were made from. They are written beside and renamed into place,
so processes share them; one that can't be read is made anew, and a folder that can't be written is done without.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 4 * 2**30
"""When a kind of entries has grown beyond this, those that were not used for longest make room."""


def cache_folder(kind: str) -> Path:
    """Where entries of a kind lie: in TASK2SIM_CACHE, or else in ``task2sim`` in the user's cache folder."""
    given = os.environ.get("TASK2SIM_CACHE")
    if given:
        return Path(given) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "task2sim" / kind


def read_arrays(kind: str, key: str) -> dict[str, NDArray[Any]] | None:
    """Read an entry, unless it is not there or broken."""
    with contextlib.suppress(Exception):  # whatever is wrong with it: it can be made anew
        path = cache_folder(kind) / f"{key}.npz"
        with np.load(path, allow_pickle=False) as arrays:
            entry = dict(arrays)
        with contextlib.suppress(OSError):
            os.utime(path)
        return entry
    return None


def write_arrays(kind: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep an entry."""
    with contextlib.suppress(OSError, RuntimeError):  # there may be no home
        folder = cache_folder(kind)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as file:
            try:
                np.savez(file, **cast("dict[str, Any]", dict(arrays)))
                file.close()
                Path(file.name).replace(folder / f"{key}.npz")
            except BaseException:
                file.close()
                Path(file.name).unlink(missing_ok=True)
                raise
        _make_room(folder)


def _make_room(folder: Path) -> None:
    files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(folder))
    excess = sum(size for _, size, _ in files) - MOST_BYTES
    for _, size, path in files:
        if excess <= 0:
            break
        Path(path).unlink(missing_ok=True)
        excess -= size
