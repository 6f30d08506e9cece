"""The reward table: scores looked up in files."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from task2sim import (
    ComponentConfig,
    ParameterSetting,
    ParameterSpace,
    RewardTable,
    Score,
    TaskEmbedding,
    TaskError,
    not_in_key,
)
from task2sim_tables.contents import PUBLISHED_TABLE, TABLE, Contents, parse_table
from task2sim_tables.vectors import read_vectors


class Table(RewardTable):
    """Scores and embeddings from files, read when they are first asked for.

    It reads what ``task2sim table export`` writes (``table.json`` and ``embeddings.npz``), and the files that the
    authors of Task2Sim published (Mishra et al., CVPR 2022: ``reward_db.json`` and ``task_embeddings.npz``), whose
    percentages become fractions.
    """

    class Config(ComponentConfig):
        """Keys of the reward table ``table``."""

        path: Annotated[Path, not_in_key(description="The table, or the folder that holds it.")]
        embeddings: Annotated[
            Path | None, not_in_key(description="An .npz file, one array a task, in place of the table's own.")
        ] = None

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """Hashes of the table and of the embeddings."""
        named = self._config.embeddings is not None
        vectors = self._packed_vectors if named or self._embeddings_file.exists() else b""
        return " ".join(hashlib.sha256(data).hexdigest() for data in (self._text, vectors))

    @property
    def parameter_space(self) -> ParameterSpace:
        """The parameters, with the table's settings listed unless these are all combinations."""
        return self._contents.space

    def names(self) -> tuple[str, ...]:
        """Names of the tasks in the table, in its order."""
        return self._contents.tasks

    def embedding(self, name: str) -> TaskEmbedding:
        """The embedding of a task; its method is the hash of the file it comes from.

        Raises:
            TaskError: there is none, or it does not go together with those of the other tasks.
        """
        self._check_task(name)
        if name not in self._vectors:
            raise TaskError(
                f"there is no embedding of task {name!r}",
                place=str(self._embeddings_file),
                mend="add an array of this name, or leave the task out of the study",
            )
        method = {"embeddings": hashlib.sha256(self._packed_vectors).hexdigest()}
        return TaskEmbedding(name, self._vectors[name], method)

    def score(self, name: str, setting: ParameterSetting, split: str) -> Score:
        """A known score; its count of images is 0, since tables don't tell.

        Raises:
            TaskError: there is no such task.
            ParameterError: there is no such setting.
        """
        self._check_task(name)
        contents = self._contents
        row = contents.rows.get(setting)
        if row is None:
            row = contents.rows[contents.space.setting(setting)]
        scores = contents.scores.get(split, contents.scores["val"])
        return Score(scores[name][row], contents.metric, 0)

    @cached_property
    def _file(self) -> Path:
        path = self._config.path.expanduser()
        if not path.is_dir():
            return path
        files = [path / name for name in (TABLE, PUBLISHED_TABLE) if (path / name).exists()]
        if len(files) != 1:
            names = f"{TABLE} {'and' if files else 'or'} {PUBLISHED_TABLE}"
            raise TaskError(
                f"this folder holds {'both' if files else 'no'} {names}", place=str(path), mend="correct 'path'"
            )
        return files[0]

    @cached_property
    def _text(self) -> bytes:
        return _read(self._file, "correct 'path'")

    @cached_property
    def _contents(self) -> Contents:
        return parse_table(self._text, self._file)

    @property
    def _embeddings_file(self) -> Path:
        if self._config.embeddings is not None:
            return self._config.embeddings.expanduser()
        return self._file.with_name(self._contents.embeddings)

    @cached_property
    def _packed_vectors(self) -> bytes:
        mend = "correct 'embeddings'" if self._config.embeddings is not None else "put it there, or set 'embeddings'"
        return _read(self._embeddings_file, mend)

    @cached_property
    def _vectors(self) -> dict[str, NDArray[np.float32]]:
        return read_vectors(self._packed_vectors, self._contents.tasks, self._embeddings_file)

    def _check_task(self, name: str) -> None:
        if name not in self._contents.scores["val"]:
            raise TaskError(
                f"there is no task {name!r}",
                place=str(self._file),
                mend=f"choose among {', '.join(self._contents.tasks)}",
            )


def _read(file: Path, mend: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise TaskError("there is no such file", place=str(file), mend=mend) from error
    except OSError as error:
        raise TaskError(f"can't read the file: {error.strerror or error}", place=str(file), mend=mend) from error
