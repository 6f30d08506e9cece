"""The store: whatever costs time, kept under the hash of what determines it.

Datasets, backbones, embeddings and tasks are folders that are written aside and renamed into place, so a killed run
never leaves a half that looks whole. Scores are rows of one SQLite file. Several studies may use a store at once: a
lock for each key makes the second wait for the first instead of working twice; locks end with their process.

Where several machines work together, the store is behind a URL, and each machine's folder is a cache of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from task2sim.errors import StoreError
from task2sim.interfaces import Score, TaskEmbedding
from task2sim.registry import disk_error
from task2sim.remote import RemoteStore, is_url
from task2sim.tasks import MASKS, ImageSet, Task

ENVIRONMENT = "TASK2SIM_STORE"
META = "key.json"


def default_store() -> str:
    """Where the store lies unless someone says otherwise: ``$TASK2SIM_STORE``, or ``~/.cache/task2sim``."""
    return os.environ.get(ENVIRONMENT) or str(Path.home() / ".cache" / "task2sim")


def _cache_of(url: str) -> Path:
    """This machine's folder for what it fetches from a store behind a URL, and sends there."""
    return Path.home() / ".cache" / "task2sim" / "remote" / hash_key(url.rstrip("/"))


def hash_key(data: Any) -> str:
    """A hexadecimal hash of plain data, the same in every process.

    Args:
        data: What determines a result; whatever JSON can hold.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what the operating system says inside the block into one clear line.

    Args:
        place: What is written, if the error does not say.

    Raises:
        StoreError: the disk is full, or can't be written.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, str(place)) or StoreError(
            f"can't write here: {error.strerror or error}",
            place=str(error.filename or place),
            mend=f"choose another folder, as with --runs, --ablations, --out, --store or {ENVIRONMENT}",
        ) from error


class Store:
    """A folder of results.

    Args:
        root: The folder, which is made if it is missing; or an fsspec URL, for several machines.

    Attributes:
        root: The folder; of a store behind a URL this machine's cache of it.

    Raises:
        StoreError: the folder can't be made or written, or the URL can't be used.
    """

    def __init__(self, root: Path | str) -> None:
        self._remote = RemoteStore(str(root)) if is_url(str(root)) else None
        self.root = (Path(root).expanduser() if self._remote is None else _cache_of(self._remote.url)).absolute()
        self._connection: sqlite3.Connection | None = None
        with writing(self.root):
            for name in ("datasets", "backbones", "embeddings", "tasks", "partial", "locks"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        with self._database() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, value REAL NOT NULL, metric TEXT NOT NULL,"
                " count INTEGER NOT NULL, determined_by TEXT NOT NULL)"
            )
            database.execute("CREATE TABLE IF NOT EXISTS times (key TEXT PRIMARY KEY, seconds REAL NOT NULL)")

    @property
    def address(self) -> str:
        """What another process must be given to open this store: its URL, or its folder."""
        return str(self.root) if self._remote is None else self._remote.url

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL, so that other machines reach it."""
        return self._remote is not None

    # --- folders ---

    def path(self, kind: str, key: str) -> Path:
        """Where the artefact of this key lies, or would lie; it is fetched if it is elsewhere."""
        final = self.root / kind / key
        if self._remote is not None and not (final / META).is_file():
            with writing(final), self._lock(kind, key):
                self._fetch(kind, key)
        return final

    def has(self, kind: str, key: str) -> bool:
        """Whether the artefact is there, whole."""
        if self._remote is not None:
            return self._remote.has(kind, key)
        return (self.root / kind / key / META).is_file()

    def _lock(self, kind: str, key: str) -> FileLock:
        return FileLock(self.root / "locks" / f"{kind}-{key}.lock")

    def _fetch(self, kind: str, key: str) -> bool:
        """Get an artefact from behind the URL, if it is there; the caller holds the lock."""
        final = self.root / kind / key
        if self._remote is None or (final / META).is_file():
            return (final / META).is_file()
        arriving = self.root / "partial" / f"fetch-{kind}-{key}"
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir()
        if not self._remote.fetch(kind, key, arriving):
            arriving.rmdir()
            return False
        shutil.rmtree(final, ignore_errors=True)
        arriving.replace(final)
        return True

    @staticmethod
    def key(folder: Path) -> str:
        """The key of an artefact, wherever its folder lies now: runs keep copies.

        Raises:
            StoreError: the folder is none.
        """
        try:
            return hash_key(json.loads((folder / META).read_text()))
        except (OSError, ValueError) as error:
            raise StoreError(f"{META} is missing or broken", place=str(folder), mend="name another run") from error

    def artefact(self, kind: str, determined_by: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """The folder of an artefact, made now if it is not there.

        Args:
            kind: ``"datasets"``, ``"backbones"``, ``"embeddings"`` or ``"tasks"``.
            determined_by: What determines the artefact; its hash is the key.
            make: Fills the folder it is given. What an earlier, killed call left there may be taken up.

        Returns:
            The finished folder.

        Raises:
            StoreError: the store can't be written.
        """
        key = hash_key(determined_by)
        final = self.root / kind / key
        if (final / META).is_file() and self.has(kind, key):
            return final
        with writing(final), self._lock(kind, key):
            if not ((final / META).is_file() or self._fetch(kind, key)):
                partial = self.root / "partial" / f"{kind}-{key}"
                partial.mkdir(exist_ok=True)
                make(partial)
                (partial / META).write_text(json.dumps(determined_by, indent=1, sort_keys=True))
                if final.exists():  # without its key.json it is not whole
                    shutil.rmtree(final)
                partial.replace(final)
            if self._remote is not None and not self._remote.has(kind, key):
                self._remote.push(kind, key, determined_by, final)
        return final

    def determined(self, kind: str) -> Iterator[dict[str, Any]]:
        """What determines each artefact that is there, or each score with kind ``"scores"``, in no order."""
        if self._remote is not None:
            yield from (data["determined_by"] for data in self._remote.read_all(kind))
            return
        if kind == "scores":
            with self._database() as database:
                texts = [row[0] for row in database.execute("SELECT determined_by FROM scores")]
        else:
            texts = [path.read_text() for path in (self.root / kind).glob(f"*/{META}")]
        yield from map(json.loads, texts)

    # --- tasks and embeddings ---

    def put_task(self, task: Task) -> str:
        """Keep a task's images for worker processes; returns the task's fingerprint."""
        fingerprint = task.fingerprint

        def write(folder: Path) -> None:
            for split in ("train", "val", "test"):
                np.save(folder / f"{split}_images.npy", task.split(split).images, allow_pickle=False)
                np.save(folder / f"{split}_labels.npy", task.split(split).labels, allow_pickle=False)
                for mask in MASKS:
                    if (values := getattr(task.split(split), mask)) is not None:
                        np.save(folder / f"{split}_{mask}.npy", values, allow_pickle=False)
            meta = {"name": task.name, "classes": task.classes, "domain": task.domain}
            (folder / "task.json").write_text(json.dumps(meta))

        self.artefact("tasks", _task_key(task.name, fingerprint), write)
        return fingerprint

    def has_task(self, name: str, fingerprint: str) -> bool:
        """Whether a task was kept."""
        return self.has("tasks", hash_key(_task_key(name, fingerprint)))

    def get_task(self, name: str, fingerprint: str) -> Task:
        """A task that was kept; its images and masks are memory maps.

        Raises:
            StoreError: it was not kept, or on another machine.
        """
        folder = self.path("tasks", hash_key(_task_key(name, fingerprint)))
        if not (folder / META).is_file():
            raise StoreError(
                f"the store has no images of task {name!r}",
                place=self.address,
                mend="if this is a worker on another machine, name a store that all machines reach, by its URL",
            )
        meta = json.loads((folder / "task.json").read_text())
        parts = {
            split: ImageSet(
                np.load(folder / f"{split}_images.npy", mmap_mode="r", allow_pickle=False),
                np.load(folder / f"{split}_labels.npy", allow_pickle=False),
                **{
                    mask: np.load(folder / f"{split}_{mask}.npy", mmap_mode="r", allow_pickle=False)
                    for mask in MASKS
                    if (folder / f"{split}_{mask}.npy").exists()
                },
            )
            for split in ("train", "val", "test")
        }
        return Task(name=meta["name"], classes=tuple(meta["classes"]), domain=meta["domain"], **parts)

    def embedding(self, determined_by: Mapping[str, Any], make: Callable[[], TaskEmbedding]) -> TaskEmbedding:
        """An embedding, made now if it is not there."""

        def write(folder: Path) -> None:
            embedding = make()
            np.save(folder / "vector.npy", embedding.vector, allow_pickle=False)
            meta = {"task": embedding.task, "method": dict(embedding.method)}
            (folder / "embedding.json").write_text(json.dumps(meta))

        folder = self.artefact("embeddings", determined_by, write)
        meta = json.loads((folder / "embedding.json").read_text())
        return TaskEmbedding(meta["task"], np.load(folder / "vector.npy", allow_pickle=False), meta["method"])

    # --- scores ---

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self.root / "store.sqlite"
        try:
            if self._connection is None:
                # Workers and studies share the file: SQLite's locks keep them apart, and a write waits its turn.
                # Only the switch to WAL does not wait.
                with FileLock(self.root / "locks" / "store.lock"):
                    self._connection = sqlite3.connect(path, timeout=120)
                    self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise StoreError(
                f"can't use the store's database: {error}",
                place=str(path),
                mend=f"choose another store with --store or {ENVIRONMENT}",
            ) from error

    def scores(self, keys: Sequence[str]) -> dict[str, Score]:
        """The scores that are known among these keys."""
        found: dict[str, Score] = {}
        with self._database() as database:
            for start in range(0, len(keys), 500):
                chunk = list(keys[start : start + 500])
                marks = ",".join("?" * len(chunk))
                rows = database.execute(f"SELECT key, value, metric, count FROM scores WHERE key IN ({marks})", chunk)
                found.update({key: Score(value, metric, count) for key, value, metric, count in rows})
        for data in self._small_objects("scores", [key for key in keys if key not in found]):
            score = Score(data["value"], data["metric"], data["count"])
            found[self._keep_score(data["determined_by"], score)] = score
        return found

    def put_score(self, determined_by: Mapping[str, Any], score: Score) -> None:
        """Keep a score under the hash of what determines it."""
        key = self._keep_score(determined_by, score)
        if self._remote is not None:
            data = {"value": score.value, "metric": score.metric, "count": score.count}
            self._remote.write(f"scores/{key}.json", {**data, "determined_by": dict(determined_by)})

    def _keep_score(self, determined_by: Mapping[str, Any], score: Score) -> str:
        key = hash_key(determined_by)
        with self._database() as database:
            database.execute(
                "INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?)",
                (key, score.value, score.metric, score.count, json.dumps(determined_by)),
            )
        return key

    def put_seconds(self, key: str, seconds: float) -> None:
        """Keep how long an artefact or score took to make."""
        self._keep_seconds(key, seconds)
        if self._remote is not None:
            self._remote.write(f"times/{key}.json", {"key": key, "seconds": seconds})

    def _keep_seconds(self, key: str, seconds: float) -> None:
        with self._database() as database:
            database.execute("INSERT OR IGNORE INTO times VALUES (?, ?)", (key, seconds))

    def seconds(self, keys: Sequence[str]) -> float:
        """How long these artefacts and scores took to make, together; what is unknown counts nothing."""
        marks = ",".join("?" * len(keys))
        if self._remote is not None:
            with self._database() as database:
                known = {
                    row[0] for row in database.execute(f"SELECT key FROM times WHERE key IN ({marks})", list(keys))
                }
            for data in self._small_objects("times", [key for key in keys if key and key not in known]):
                self._keep_seconds(data["key"], data["seconds"])
        with self._database() as database:
            row = database.execute(f"SELECT TOTAL(seconds) FROM times WHERE key IN ({marks})", list(keys)).fetchone()
        return float(row[0])

    def _small_objects(self, kind: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """What is behind the URL of these keys; nothing of a store that is a folder."""
        if self._remote is None:
            return []
        found = self._remote.read([f"{kind}/{key}.json" for key in dict.fromkeys(keys)])
        return [data for data in found if data is not None]


def _task_key(name: str, fingerprint: str) -> dict[str, str]:
    return {"stage": "task", "name": name, "fingerprint": fingerprint}
