"""One process a folder."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from task2sim.errors import StoreError


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from writing into a folder inside the block.

    The lock lies with temporary files, so the folder holds what it is to hold and nothing else.

    Raises:
        StoreError: another process writes into it.
    """
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:20]
    lock = FileLock(Path(tempfile.gettempdir()) / f"task2sim-{name}.lock", timeout=0, mode=0o666)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            "another process writes into this folder",
            place=str(folder),
            mend="wait until it has ended, or choose another folder",
        ) from None
    try:
        yield
    finally:
        lock.release()
