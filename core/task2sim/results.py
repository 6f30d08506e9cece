"""results.sqlite: every number of a run, in tables that other tools can read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from task2sim.errors import StoreError

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY, position INTEGER, role TEXT NOT NULL CHECK (role IN ('seen', 'unseen')), domain TEXT,
    classes INTEGER, train INTEGER, val INTEGER, test INTEGER, fingerprint TEXT
);
CREATE TABLE IF NOT EXISTS parameters (
    name TEXT PRIMARY KEY, position INTEGER, type TEXT NOT NULL, choices TEXT NOT NULL, low REAL,
    high REAL, description TEXT
);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, label TEXT NOT NULL, choices TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    phase TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL, round INTEGER, position INTEGER,
    split TEXT NOT NULL, dataset TEXT NOT NULL, backbone TEXT NOT NULL, images INTEGER NOT NULL,
    render_seconds REAL NOT NULL, pretrain_seconds REAL NOT NULL, score_seconds REAL NOT NULL,
    PRIMARY KEY (phase, setting, replicate)
);
CREATE TABLE IF NOT EXISTS scores (
    phase TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL, task TEXT NOT NULL, split TEXT NOT NULL,
    value REAL NOT NULL, metric TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (phase, setting, replicate, task)
);
CREATE TABLE IF NOT EXISTS embeddings (
    task TEXT PRIMARY KEY, dimension INTEGER NOT NULL, vector BLOB NOT NULL, method TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS distances (
    first TEXT NOT NULL, second TEXT NOT NULL, distance REAL NOT NULL, PRIMARY KEY (first, second)
);
CREATE TABLE IF NOT EXISTS predictions (task TEXT PRIMARY KEY, setting TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS probabilities (
    task TEXT NOT NULL, parameter TEXT NOT NULL, choice TEXT NOT NULL, probability REAL NOT NULL,
    PRIMARY KEY (task, parameter, choice)
);
CREATE TABLE IF NOT EXISTS expectations (
    task TEXT NOT NULL, parameter TEXT NOT NULL, choice TEXT NOT NULL, score REAL NOT NULL,
    PRIMARY KEY (task, parameter, choice)
);
CREATE TABLE IF NOT EXISTS comparison (
    method TEXT NOT NULL, position INTEGER, task TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL,
    PRIMARY KEY (method, task, setting, replicate)
);
CREATE TABLE IF NOT EXISTS stages (name TEXT PRIMARY KEY, position INTEGER, seconds REAL NOT NULL);
"""

UNTRAINED = "untrained"
"""Stands in place of a setting's key for backbones that were not trained."""


class Results:
    """The results of one run, kept in one SQLite file.

    Rows are written as soon as their numbers exist. A run that is taken up begins them anew, from what the store has,
    and so leaves what an undisturbed one leaves.

    Args:
        path: The file; it is made if it is missing.

    Raises:
        StoreError: the file can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._writable = False
        if not self.query("SELECT 1 FROM sqlite_master WHERE name = 'stages'"):
            with self._database() as database:
                database.executescript(SCHEMA)

    @contextmanager
    def _database(self, writing: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self.path, timeout=60)
                self._connection.row_factory = sqlite3.Row
            if writing and not self._writable:
                # Not for readers: they may have no right to write here.
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._writable = True
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise StoreError(
                f"can't use the results: {error}",
                place=str(self.path),
                mend="remove this file and run the study again; the store has what was finished",
            ) from error

    def put(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of a table, in place of those with the same key.

        Args:
            table: One of the tables of `SCHEMA`.
            rows: For each row, its columns; all rows have the same. Lists and mappings become JSON.
        """
        if not rows:
            return
        columns = list(rows[0])
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._database() as database:
            database.executemany(
                f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})",
                [[_plain(row[column]) for column in columns] for row in rows],
            )

    def clear(self, *tables: str) -> None:
        """Remove all rows of these tables, or of all."""
        with self._database() as database:
            every = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for table in tables or [row["name"] for row in every]:
                database.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """Leave a single file that can be read where nothing can be written; using the results opens it again."""
        if self._connection is not None:
            if self._writable:
                # While somebody else reads, the log stays beside the file; the last one to leave takes it away.
                with contextlib.suppress(sqlite3.OperationalError):
                    self._connection.execute("PRAGMA journal_mode=DELETE")
            self._connection.close()
            self._connection, self._writable = None, False

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a SELECT, each as a dictionary."""
        with self._database(writing=False) as database:
            return [dict(row) for row in database.execute(sql, parameters)]

    def fact(self, name: str) -> str:
        """One of the facts about the run, such as ``"study"``; empty if it is unknown."""
        rows = self.query("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0]["value"]) if rows else ""


def _plain(value: Any) -> Any:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(dict(value) if isinstance(value, Mapping) else list(value))
    return value
