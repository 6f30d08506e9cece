"""Rows in one SQLite file, in tables that other tools can read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from task2sim.errors import StoreError


class Database:
    """Tables kept in one SQLite file.

    Args:
        path: The file; it is made if it is missing.

    Raises:
        StoreError: the file can't be used.
    """

    schema: ClassVar[str]
    """Statements that make the tables."""

    last_table: ClassVar[str]
    """The table that is made last: if it is there, all are."""

    noun: ClassVar[str]
    """What the tables hold, for messages."""

    mend: ClassVar[str]
    """What to do about a file that can't be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._writable = False
        self._open_transaction = False
        if not self.query("SELECT 1 FROM sqlite_master WHERE name = ?", (self.last_table,)):
            with self._database() as database:
                database.executescript(self.schema)

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
            if self._open_transaction:
                yield self._connection
            else:
                with self._connection:
                    yield self._connection
        except sqlite3.Error as error:
            raise StoreError(f"can't use the {self.noun}: {error}", place=str(self.path), mend=self.mend) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written in this block is there as a whole or not at all; it is also much faster than row by row."""
        if self._open_transaction:
            yield
            return
        with self._database():
            self._open_transaction = True
            try:
                yield
            finally:
                self._open_transaction = False

    def put(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of a table, in place of those with the same key.

        Args:
            table: One of the tables of the schema.
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

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Change rows by an UPDATE or DELETE."""
        with self._database() as database:
            database.execute(sql, parameters)

    def close(self) -> None:
        """Leave a single file that can be read where nothing can be written; using it opens it again."""
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
        """One of the facts, such as ``"task2sim"``; empty if it is unknown."""
        rows = self.query("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0]["value"]) if rows else ""

    def put_facts(self, facts: Mapping[str, Any]) -> None:
        """Write facts, in place of those with the same name."""
        self.put("facts", [{"name": name, "value": str(value)} for name, value in facts.items()])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return json.dumps(list(value)) if isinstance(value, list | tuple) else value
