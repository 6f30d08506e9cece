"""Run folders: everything one study leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import yaml
from numpy.typing import NDArray

from task2sim.errors import StoreError
from task2sim.interfaces import PolicyState
from task2sim.interpolation import escape
from task2sim.learned import CONFIG, POLICY
from task2sim.parameters import ParameterSpace
from task2sim.results import Results
from task2sim.store import META, Store, writing
from task2sim.study_file import StudyConfig

PROVENANCE = "provenance.json"
RESULTS = "results.sqlite"


@attrs.frozen(eq=False)
class Run:
    """A run folder.

    Attributes:
        folder: Holds ``config.resolved.yaml``, ``provenance.json``, ``results.sqlite``, ``policy/``, ``probe/`` and
            ``backbones/``.
        study: The study, complete.
        results: Its results.
        store: The store it uses.
    """

    folder: Path
    study: StudyConfig
    results: Results
    store: Store

    @classmethod
    def open(cls, folder: Path, store: Store) -> Run:
        """Open an existing run folder.

        Raises:
            StoreError: it is no run folder.
            ConfigError: a plugin it used is gone or has changed its keys.
        """
        from task2sim.config import load_study

        for name in (CONFIG, RESULTS):
            if not (folder / name).is_file():
                raise StoreError(
                    f"this is no run folder: {name} is missing", place=str(folder), mend="name a folder in runs/"
                )
        study = load_study(str(folder / CONFIG)).study
        return cls(folder, study, Results(folder / RESULTS), store)

    def write_config(self) -> None:
        """Write the complete study; it runs again to the same results."""
        data = escape(self.study.model_dump(mode="json"))
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        title = "# The whole study, with every default filled in; task2sim run takes this file."
        write_whole(self.folder / CONFIG, f"{title}\n{text}")

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write what the run was made with."""
        write_whole(self.folder / PROVENANCE, json.dumps(provenance, indent=2))

    def provenance(self) -> dict[str, Any]:
        """What the run was made with."""
        data: dict[str, Any] = json.loads((self.folder / PROVENANCE).read_text())
        return data

    def embeddings(self) -> dict[str, NDArray[np.float32]]:
        """The embedding of each task, float32 of shape (D,)."""
        rows = self.results.query("SELECT task, vector FROM embeddings ORDER BY rowid")
        return {row["task"]: np.frombuffer(row["vector"], dtype=np.float32) for row in rows}

    def keep_backbone(self, source: Path, name: str) -> None:
        """Copy a backbone's folder into the run folder, as ``name``; a copy that is there already stays."""
        target = self.folder / name
        if (target / META).is_file() and (target / META).read_bytes() == (source / META).read_bytes():
            return
        with self._replacing(target) as partial:
            for path in sorted(source.rglob("*")):
                copy = partial / path.relative_to(source)
                if path.is_dir():
                    copy.mkdir()
                else:
                    shutil.copyfile(path, copy)

    def save_policy(self, state: PolicyState, space: ParameterSpace) -> None:
        """Save what the policy has learned, without pickles."""
        from safetensors.numpy import save_file

        with self._replacing(self.folder / POLICY) as folder:
            arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
            save_file(arrays, folder / "state.safetensors")
            listed = None if space.settings is None else [setting.as_dict() for setting in space.settings]
            data = {"space": space.describe(), "settings": listed, "data": dict(state.data)}
            (folder / "state.json").write_text(json.dumps(data, indent=1))

    @contextmanager
    def _replacing(self, target: Path) -> Iterator[Path]:
        """A folder to fill that takes the place of `target` at the end of the block, whole or not at all."""
        partial = target.with_name(f".{target.name}.partial")
        with writing(target):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            shutil.rmtree(target, ignore_errors=True)
            partial.replace(target)


def write_whole(path: Path, text: str) -> None:
    """Write a file, whole or not at all.

    Raises:
        StoreError: it can't be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    with writing(path):
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
