"""ablation.sqlite: every number of an ablation, copied from its runs, so that reports need nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from task2sim.database import Database
from task2sim.errors import StoreError

DATABASE = "ablation.sqlite"
"""The file's name in an ablation's folder, which is recognised by it."""

POLICY_METHOD = ""
"""Stands for the policy in table ``scores``: which one it is may differ from row to row."""

PLANNED, FINISHED, FAILED = "planned", "finished", "failed"
"""What state a cell may be in."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS factors (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS levels (
    factor TEXT NOT NULL, label TEXT NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (factor, label)
);
CREATE TABLE IF NOT EXISTS rows (
    row TEXT PRIMARY KEY, position INTEGER NOT NULL, levels TEXT NOT NULL, planned INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS cells (
    cell TEXT PRIMARY KEY, row TEXT NOT NULL, seed INTEGER NOT NULL, position INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'finished', 'failed')), error TEXT, run TEXT, versions TEXT,
    pretrainings INTEGER, rendered INTEGER, pretrained INTEGER, wall_seconds REAL, work_seconds REAL
);
CREATE TABLE IF NOT EXISTS tasks (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, role TEXT NOT NULL CHECK (role IN ('seen', 'unseen'))
);
CREATE TABLE IF NOT EXISTS scores (
    cell TEXT NOT NULL, method TEXT NOT NULL, task TEXT NOT NULL, role TEXT NOT NULL, value REAL NOT NULL,
    deviation REAL, count INTEGER NOT NULL, PRIMARY KEY (cell, method, task)
);
CREATE TABLE IF NOT EXISTS search (
    cell TEXT NOT NULL, number INTEGER NOT NULL, task TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (cell, number, task)
);
CREATE TABLE IF NOT EXISTS settings (setting TEXT PRIMARY KEY, label TEXT NOT NULL, choices TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    cell TEXT NOT NULL, phase TEXT NOT NULL, setting TEXT NOT NULL, replicate TEXT NOT NULL, task TEXT NOT NULL,
    split TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (cell, phase, setting, replicate, task)
);
CREATE TABLE IF NOT EXISTS predictions (
    cell TEXT NOT NULL, task TEXT NOT NULL, setting TEXT NOT NULL, PRIMARY KEY (cell, task)
);
"""

OF_A_CELL = ("scores", "search", "trials", "predictions")
"""The tables whose rows belong to one cell."""


class AblationDatabase(Database):
    """The numbers of one ablation.

    Args:
        path: The file; it is made if it is missing.

    Raises:
        StoreError: the file can't be used.
    """

    schema = SCHEMA
    last_table = "predictions"
    noun = "ablation's numbers"
    mend = "remove this file and run the ablation again; finished runs are read, not computed, again"

    @classmethod
    def open(cls, folder: Path) -> AblationDatabase:
        """The numbers of an ablation's folder.

        Raises:
            StoreError: it is no such folder.
        """
        if not (folder / DATABASE).is_file():
            raise StoreError(
                f"this is no ablation's folder: {DATABASE} is missing",
                place=str(folder),
                mend="name a folder in ablations/",
            )
        return cls(folder / DATABASE)

    def planned_cells(self) -> list[dict[str, Any]]:
        """The cells that the ablation's file asks for, in order; those of rows it no longer has are left out."""
        return self.query(
            "SELECT cells.* FROM cells JOIN rows ON rows.row = cells.row WHERE rows.planned = 1"
            " ORDER BY cells.position"
        )

    def forget_numbers(self, cell: str) -> None:
        """Remove what a cell has measured."""
        with self.transaction():
            for table in OF_A_CELL:
                self.execute(f"DELETE FROM {table} WHERE cell = ?", (cell,))


@attrs.frozen
class Ablation:
    """An ablation's folder.

    Attributes:
        folder: Holds ``ablation.resolved.yaml``, ``ablation.sqlite``, ``provenance.json`` and ``runs/``.
        database: Its numbers.
    """

    folder: Path
    database: AblationDatabase

    @property
    def failed(self) -> dict[str, str]:
        """The cells that failed, and why."""
        return {row["cell"]: row["error"] for row in self.database.planned_cells() if row["state"] == FAILED}

    def means(self) -> list[dict[str, Any]]:
        """For each row, by the role of tasks, what the policy reached on average; ``n`` counts task-seed pairs."""
        found = self.database.query(
            "SELECT cells.row, scores.role, AVG(scores.value) AS mean, COUNT(*) AS n FROM scores"
            " JOIN cells ON cells.cell = scores.cell WHERE scores.method = ? AND cells.state = ?"
            " GROUP BY cells.row, scores.role",
            (POLICY_METHOD, FINISHED),
        )
        known = {(row["row"], row["role"]): {"mean": row["mean"], "n": row["n"]} for row in found}
        rows = self.database.query("SELECT row FROM rows WHERE planned = 1 ORDER BY position")
        roles = [row["role"] for row in self.database.query("SELECT role FROM tasks GROUP BY role ORDER BY role")]
        nothing = {"mean": None, "n": 0}
        return [{"row": r["row"], **{role: known.get((r["row"], role), nothing) for role in roles}} for r in rows]
