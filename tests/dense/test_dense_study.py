"""From one end to the other: masks out of a simulator, a task out of masks, a study on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from task2sim import TaskError
from task2sim.cli import app
from task2sim.config import load_study
from task2sim.store import Store
from task2sim.study import check_study, run_study

STUDIO = {"type": "studio", "resolution": 32, "categories": ["mug", "vase", "teapot"], "device": "cpu"}
NETWORK = {"depths": [1, 1], "widths": [8, 16], "stem_width": 8, "image_size": 32, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    exporter = "{type: segmentation-masks, of: instance}"
    words = ["generate", str(folder / "things"), "--images", "18", "--exporter", exporter]
    words += ["--store", str(folder / "store")]
    for key in ("resolution=32", "categories=[mug, vase, teapot]", "device=cpu"):
        words += ["--set", f"simulator.{key}"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder


def study(folder: Path, **changes: Any) -> Any:
    data: dict[str, Any] = {
        "name": "dense",
        "tasks": {
            "sources": [{"type": "dense-folder", "path": str(folder / "things"), "image_size": 32}],
            "seen": ["things"],
        },
        "embedder": "pixel-statistics",
        "policy": "random",
        "simulator": STUDIO,
        "trainer": {"type": "segmentation", **NETWORK},
        "evaluator": "mean-iou",
        "executor": {"type": "local", "workers": 1},
        "observers": [],
        "images": 8,
        "pretrainings": 1,
        "comparison": {"seeds": 1, "random": 0},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(data | changes))
    return load_study(str(folder / "study.yaml"))


@pytest.mark.parametrize(
    ("trainer", "evaluator"), [("segmentation", "mean-iou"), ("detection", "mean-average-precision")]
)
def test_a_study_learns_from_dense_scores(exported: Path, trainer: str, evaluator: str) -> None:
    chosen = study(exported, trainer={"type": trainer, **NETWORK}, evaluator=evaluator)
    run = run_study(chosen, exported / trainer, Store(exported / "store"))
    trials = run.results.query("SELECT * FROM trials")
    assert {row["phase"] for row in trials} >= {"search", "comparison"}
    assert len(list((exported / "store" / "tasks").iterdir())) == 1


def test_a_task_without_masks_is_refused_before_anything_is_rendered(exported: Path) -> None:
    tasks = {"sources": [{"type": "packaged", "images": 12, "image_size": 16}], "seen": ["digits"]}
    with pytest.raises(TaskError, match="task 'digits' has no category masks"):
        check_study(study(exported, tasks=tasks))
