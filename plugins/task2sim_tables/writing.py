"""Writing reward tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from task2sim import ParameterSetting, ParameterSpace, StoreError, TaskError
from task2sim_tables.contents import EMBEDDINGS, FORMAT, TABLE, VERSION, parse_table
from task2sim_tables.vectors import check_vectors, write_vectors


def write_table(
    folder: Path,
    space: ParameterSpace,
    settings: Sequence[ParameterSetting],
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    embeddings: Mapping[str, NDArray[np.float32]],
    source: Mapping[str, Any],
    metric: str,
) -> None:
    """Write a table that the reward table ``table`` reads.

    Args:
        folder: A new or empty folder, or one with a table, which is replaced. It appears whole or not at all.
        space: The parameters.
        settings: The settings there are scores of, each once.
        scores: For each split, ``"val"`` and perhaps ``"test"``, and each task, one number a setting.
        embeddings: For each task, float32 of shape (D,).
        source: Where the scores come from, as plain data.
        metric: What the scores measure. Accuracies are fractions in [0, 1].

    Raises:
        TaskError: the table is not complete.
        StoreError: the folder holds something else, or can't be written.
    """
    folder = folder.resolve()
    tasks = list(scores["val"])
    data = {
        "format": FORMAT,
        "version": VERSION,
        "metric": metric,
        "source": source,
        "parameters": space.describe(),
        "settings": [dict(setting) for setting in settings],
        "tasks": tasks,
        "scores": {
            split: {task: [float(value) for value in row] for task, row in rows.items()}
            for split, rows in scores.items()
        },
    }
    text = json.dumps(data, indent=1)
    # What is written can be read.
    parse_table(text.encode(), folder / TABLE)
    for task in tasks:
        if task not in embeddings:
            raise TaskError(f"there is no embedding of task {task!r}", place=str(folder / EMBEDDINGS))
    vectors = {task: embeddings[task] for task in tasks}
    check_vectors(vectors, folder / EMBEDDINGS)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        check_target(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / TABLE).write_text(text)
        write_vectors(vectors, partial / EMBEDDINGS)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StoreError(
            f"can't write the table: {error.strerror or error}",
            place=str(error.filename or folder),
            mend="choose another folder",
        ) from error


def check_target(folder: Path) -> None:
    """Refuse to write a table where something else lies.

    Raises:
        StoreError: the folder holds something but a table, or is a file.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StoreError("this is a file", place=str(folder), mend="name a new or empty folder")
    names = {entry.name for entry in folder.iterdir()}
    if names and not (names <= {TABLE, EMBEDDINGS} and _is_table(folder / TABLE)):
        raise StoreError(
            "the folder is not empty, and holds something besides a table",
            place=str(folder),
            mend="name a new or empty folder",
        )


def _is_table(file: Path) -> bool:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT
