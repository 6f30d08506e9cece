"""What an ablation would compute: how much is known, stored, and shared between its cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from task2sim.ablation.cells import Cell, Plan
from task2sim.ablation.database import DATABASE, FAILED, FINISHED, PLANNED, AblationDatabase
from task2sim.ablation.running import RUNS, ablation_folder, check_same_base, is_finished
from task2sim.components import close_components
from task2sim.explain import foresee
from task2sim.progress import report_progress
from task2sim.store import Store, hash_key
from task2sim.study import check_study, run_folder


@attrs.frozen
class Amount:
    """How much there is of one kind of work in the cells that are to run.

    Attributes:
        known: How many different ones are known in advance.
        stored: How many of these the store has, or does not need.
        shared: How many of these are made by rows above.
        further: How many more there may be at most, which depend on scores to come.
    """

    known: int = 0
    stored: int = 0
    shared: int = 0
    further: int = 0

    @property
    def to_do(self) -> int:
        """How many are known and left for these cells."""
        return self.known - self.stored - self.shared

    def as_dict(self) -> dict[str, int]:
        """As plain data."""
        return {**attrs.asdict(self), "to_do": self.to_do}


@attrs.frozen
class RowCost:
    """What a row would take.

    Attributes:
        row: Its name.
        cells: How many cells it has.
        finished: How many of these are finished.
        failed: How many have failed, and only run with ``--retry``.
        lookups: On a reward table, how many settings its searches look up at most.
        renders: Datasets.
        pretrainings: Pre-trained networks.
    """

    row: str
    cells: int
    finished: int
    failed: int
    lookups: int
    renders: Amount
    pretrainings: Amount


@attrs.frozen
class Cost:
    """What an ablation would take.

    Attributes:
        name: The ablation's name.
        on_table: Whether its scores are looked up in a table.
        rows: Each row.
        total: All of them together; what rows share counts once.
    """

    name: str
    on_table: bool
    rows: tuple[RowCost, ...]
    total: RowCost

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""

        def plain(row: RowCost) -> dict[str, Any]:
            amounts = {"renders": row.renders.as_dict(), "pretrainings": row.pretrainings.as_dict()}
            shown = {**attrs.asdict(row), **amounts}
            for key in amounts if self.on_table else ("lookups",):
                del shown[key]
            return shown

        total = plain(self.total)
        del total["row"]
        return {"name": self.name, "rows": [plain(row) for row in self.rows], "total": total}


def ablation_cost(plan: Plan, ablations: Path, store: Store, retry: bool = False) -> Cost:
    """Say what a run of an ablation would compute; computes nothing of it.

    Args:
        plan: What the ablation asks for.
        ablations: The folder that holds the folders of ablations.
        store: What all cells share.
        retry: Whether cells that failed before would run again.

    Raises:
        Task2SimError: a study could not run, or the folder can't be used.
    """
    folder = ablation_folder(plan, ablations)
    states = _states(plan, folder)
    work = _Union(store)
    rows = []
    done = 0
    on_table = plan.base.study.rewards is not None
    try:
        for row in plan.rows:
            cells = [cell for cell in plan.cells if cell.row == row]
            finished = [cell for cell in cells if states[cell.name] == FINISHED]
            failed = [cell for cell in cells if states[cell.name] == FAILED]
            left = [cell for cell in cells if states[cell.name] == PLANNED or (retry and cell in failed)]
            lookups = sum(cell.file.study.pretrainings for cell in left if cell.file.study.rewards is not None)
            renders, pretrainings = work.add(cell for cell in left if cell.file.study.rewards is None)
            rows.append(RowCost(row.name, len(cells), len(finished), len(failed), lookups, renders, pretrainings))
            done += len(cells)
            report_progress("explain", done, len(plan.cells), "cells")
    finally:
        close_components()
    renders, pretrainings = work.total()
    total = RowCost(
        "all rows",
        sum(row.cells for row in rows),
        sum(row.finished for row in rows),
        sum(row.failed for row in rows),
        sum(row.lookups for row in rows),
        renders,
        pretrainings,
    )
    return Cost(plan.file.config.name, on_table, tuple(rows), total)


def _states(plan: Plan, folder: Path) -> dict[str, str]:
    """The state of each cell, as the study that it is now."""
    known: dict[tuple[str, str], str] = {}
    if (folder / DATABASE).is_file():
        database = AblationDatabase(folder / DATABASE)
        try:
            check_same_base(plan, database, folder)
            rows = database.query("SELECT cell, run, state FROM cells")
        finally:
            database.close()
        known = {(row["cell"], row["run"]): row["state"] for row in rows}
    states = {}
    for cell in plan.cells:
        run = run_folder(cell.file, folder / RUNS)
        states[cell.name] = known.get((cell.name, f"{RUNS}/{run.name}"), PLANNED)
        if states[cell.name] == PLANNED and is_finished(run):
            states[cell.name] = FINISHED
    return states


class _Union:
    """The work of several cells, each piece once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: dict[str, set[str]] = {"datasets": set(), "backbones": set()}
        self.stored: dict[str, set[str]] = {"datasets": set(), "backbones": set()}
        self.further = 0

    def add(self, cells: Iterable[Cell]) -> tuple[Amount, Amount]:
        """Count the work of a row: datasets, and backbones."""
        keys: dict[str, set[str]] = {"datasets": set(), "backbones": set()}
        missing: dict[str, set[str]] = {"datasets": set(), "backbones": set()}
        further = 0
        for cell in cells:
            foreseen = foresee(cell.file, check_study(cell.file), self.store)
            work = foreseen.work
            further += foreseen.further_pretrainings
            keys["datasets"].update(work.datasets)
            keys["backbones"].update(work.backbones)
            for kind, datas in work.missing().items():
                if kind in missing:
                    missing[kind].update(map(hash_key, datas))
        self.further += further
        amounts = []
        for kind in keys:
            of_kind = keys[kind]
            shared = (missing[kind] & self.seen[kind]) - self.stored[kind]
            amounts.append(Amount(len(of_kind), len(of_kind - missing[kind]), len(shared), further))
            self.seen[kind] |= of_kind
            self.stored[kind] |= of_kind - missing[kind]
        return amounts[0], amounts[1]

    def total(self) -> tuple[Amount, Amount]:
        """All that was added."""
        datasets, backbones = (
            Amount(len(self.seen[kind]), len(self.stored[kind]), 0, self.further) for kind in self.seen
        )
        return datasets, backbones
