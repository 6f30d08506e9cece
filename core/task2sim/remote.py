"""Where a store's contents lie for several machines: an fsspec URL, such as ``s3://bucket/store`` or ``file:///nfs/store``.

Object stores have no rename. So the files of an artefact are written under a name that no one reads, and then a small
marker that names them; whoever sees the marker sees all of it. Scores and times are small objects of their own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from task2sim.errors import StoreError, Task2SimError

AT_ONCE = 16
"""Small objects that are read at the same time: each is a request that waits for an answer."""


def is_url(text: str) -> bool:
    """Whether this names a store by a URL, not by a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


class RemoteStore:
    """The contents of a store behind a URL.

    Args:
        url: An fsspec URL. Its protocol may need a package of its own, such as s3fs.

    Raises:
        StoreError: the protocol is unknown, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            from fsspec.asyn import AsyncFileSystem
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise StoreError(
                "a store behind a URL needs fsspec", place=url, mend='pip install "task2sim[ray]"'
            ) from error
        try:
            self._files, self._root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"can't open this store: {error}", place=url, mend="install what brings this protocol, or give a path"
            ) from error
        # Object stores have no folders, and would list a whole bucket to make one.
        self._has_folders = not isinstance(self._files, AsyncFileSystem)

    # --- artefacts ---

    def has(self, kind: str, key: str) -> bool:
        """Whether an artefact is there, whole."""
        return self._marker(kind, key) is not None

    def push(self, kind: str, key: str, determined_by: Mapping[str, Any], folder: Path) -> None:
        """Send a finished artefact there. Of two machines that do so at once one wins; no reader sees a mixture."""
        attempt = secrets.token_hex(8)
        sizes = {}
        with self._reaching():
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    name = path.relative_to(folder).as_posix()
                    sizes[name] = path.stat().st_size
                    self._make_parent(f"{self._root}/{kind}/{key}/{attempt}/{name}")
                    self._files.put_file(str(path), f"{self._root}/{kind}/{key}/{attempt}/{name}")
        marker = {"determined_by": dict(determined_by), "folder": attempt, "files": sizes}
        self.write(f"{kind}/{key}.json", marker)

    def fetch(self, kind: str, key: str, folder: Path) -> bool:
        """Fill an empty folder with an artefact; False if there is none.

        Raises:
            StoreError: a file is missing or has another size than it was sent with.
        """
        marker = self._marker(kind, key)
        if marker is None:
            return False
        for name, size in marker["files"].items():
            parts = PurePosixPath(name)
            if parts.is_absolute() or ".." in parts.parts:
                raise StoreError(f"{kind}/{key} names a file outside itself: {name!r}", place=self.url)
            path = folder / parts
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._reaching(f"{kind}/{key} lacks {name!r}"):
                self._files.get_file(f"{self._root}/{kind}/{key}/{marker['folder']}/{name}", str(path))
            if path.stat().st_size != size:
                raise StoreError(
                    f"{kind}/{key}: {name!r} has {path.stat().st_size} bytes, not {size}",
                    place=self.url,
                    mend=f"remove {kind}/{key}.json there, and it is made again",
                )
        return True

    def _marker(self, kind: str, key: str) -> dict[str, Any] | None:
        return self.read([f"{kind}/{key}.json"])[0]

    # --- small objects ---

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Write a small object."""
        path = f"{self._root}/{name}"
        with self._reaching():
            self._make_parent(path)
            self._files.pipe_file(path, json.dumps(data, sort_keys=True).encode())

    def read(self, names: Sequence[str]) -> list[dict[str, Any] | None]:
        """Read small objects; None for each that is not there."""
        if len(names) < 2:
            return [self._read(name) for name in names]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(self._read, names))

    def read_all(self, kind: str) -> Iterator[dict[str, Any]]:
        """Every small object in a folder: the markers of artefacts, or scores."""
        with self._reaching():
            self._files.invalidate_cache()  # others may have written
            try:
                paths = self._files.ls(f"{self._root}/{kind}", detail=False)
            except FileNotFoundError:
                return
        names = [f"{kind}/{str(path).rsplit('/', 1)[-1]}" for path in paths if str(path).endswith(".json")]
        yield from (data for data in self.read(names) if data is not None)

    def _read(self, name: str) -> dict[str, Any] | None:
        with self._reaching():
            try:
                data = json.loads(self._files.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None
            except ValueError:  # a file system may show it while it is being written
                return None
        return data if isinstance(data, dict) else None

    def _make_parent(self, path: str) -> None:
        if self._has_folders:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _reaching(self, what: str = "") -> Iterator[None]:
        """Turn whatever a file system raises into one clear line; each has errors of its own."""
        try:
            yield
        except Task2SimError:
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(
                f"can't use this store: {what + ': ' if what else ''}{text}",
                place=self.url,
                mend="see that this machine may read and write there, then start again; finished work is kept",
            ) from error
