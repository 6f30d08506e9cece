"""What comes with task2sim keeps the promises that are asked of others; so does the toy of the documentation."""

from __future__ import annotations

import importlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from task2sim.conformance import check_component, checks_of
from task2sim.conformance.running import make_subject, run_check
from task2sim.conformance.specimens import SPACE, SpecimenTrainer, pictures, reward, specimen_embeddings
from task2sim.registry import installed_plugins

SMALL = {"depths": [1, 1], "widths": [8, 16], "image_size": 16, "epochs": 1}

# What is checked, with which keys, and what is known to fail.
HOUSE: dict[tuple[str, str], tuple[dict[str, Any], dict[str, str]]] = {
    ("tasks", "packaged"): ({"images": 12, "image_size": 16}, {}),
    ("tasks", "folder"): ({"path": "photos", "image_size": 16}, {}),
    ("tasks", "dense-folder"): ({"path": "masked", "image_size": 16}, {}),
    ("tasks", "arrays"): ({"path": "arrays.npz"}, {}),
    ("tasks", "huggingface"): ({"path": "photos", "image_size": 16}, {}),
    ("embedders", "task2vec"): ({"images": 12}, {}),
    ("embedders", "feature-statistics"): ({}, {}),
    ("embedders", "pixel-statistics"): ({}, {}),
    ("embedders", "one-hot"): ({}, {}),
    ("policies", "task2sim"): ({"replay": 1, "hidden": 8}, {}),
    ("policies", "surrogate"): ({}, {}),
    ("policies", "nearest-task"): ({}, {}),
    ("policies", "best-fixed"): ({}, {}),
    ("policies", "exhaustive"): ({}, {}),
    ("policies", "optuna"): ({"sampler": "random"}, {}),
    ("policies", "random"): ({}, {}),
    ("policies", "fixed"): ({}, {}),
    ("policies", "domain-randomisation"): ({}, {}),
    ("simulators", "studio"): ({"resolution": 16, "categories": ["mug", "vase", "teapot"], "device": "cpu"}, {}),
    ("trainers", "resnet"): (SMALL, {}),
    ("trainers", "segmentation"): (SMALL, {}),
    ("trainers", "detection"): (SMALL, {}),
    ("evaluators", "knn"): ({}, {}),
    ("evaluators", "linear-probe"): ({}, {}),
    ("evaluators", "fine-tune"): ({"epochs": 4}, {}),
    ("evaluators", "mean-iou"): ({}, {}),
    ("evaluators", "mean-average-precision"): ({"epochs": 30}, {}),
    ("rewards", "table"): ({"path": "table"}, {}),
    ("exporters", "image-folder"): ({}, {}),
    ("exporters", "coco"): ({}, {}),
    ("exporters", "segmentation-masks"): ({"of": "instance"}, {}),
    ("exporters", "webdataset"): ({"images_per_shard": 5}, {}),
    ("exporters", "huggingface"): ({"images_per_shard": 5}, {}),
    ("executors", "local"): ({"workers": 1}, {}),
    ("observers", "report"): ({}, {}),
    ("observers", "tensorboard"): ({}, {}),
    ("observers", "mlflow"): ({}, {}),
}


# What comes with extras.
NEEDED = {"huggingface": ["datasets"], "tensorboard": ["tensorboard"], "mlflow": ["mlflow", "sqlalchemy"]}

# Ten seconds each on one core; the others of their kinds are checked every time.
LONG = {("embedders", "task2vec"), ("evaluators", "fine-tune"), ("tasks", "packaged"), ("tasks", "huggingface")}


@pytest.fixture(scope="module", autouse=True)
def _files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The current folder, with what sources of tasks and scores read."""
    folder = tmp_path_factory.mktemp("house")
    images, labels = pictures(36, (16, 16), seed=3)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / "photos" / "abc"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "photos" / "abc"[label] / f"{number}.png")
    for part in ("images", "masks"):
        (folder / "masked" / part).mkdir(parents=True)
    (folder / "masked" / "classes.json").write_text('["background", "a", "b", "c"]')
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[2:12, 4:14] = label + 1
        Image.fromarray(image).save(folder / "masked" / "images" / f"{number:06d}.png")
        Image.fromarray(mask).save(folder / "masked" / "masks" / f"{number:06d}.png")
    split = np.arange(36) // 24
    np.savez(folder / "arrays.npz", images=images, labels=labels, split=split, classes=np.array(list("abc")))
    settings = list(SPACE.enumerate())[:20]
    embeddings = specimen_embeddings()
    scores = {name: [reward(name, setting) for setting in settings] for name in embeddings}
    table = {
        "format": "task2sim table",
        "version": 1,
        "metric": "accuracy",
        "source": {"run": "house"},
        "parameters": SPACE.describe(),
        "settings": [setting.as_dict() for setting in settings],
        "tasks": list(embeddings),
        "scores": {"val": scores, "test": scores},
    }
    (folder / "table").mkdir()
    (folder / "table" / "table.json").write_text(json.dumps(table))
    np.savez(folder / "table" / "embeddings.npz", **{name: e.vector for name, e in embeddings.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


def small_resnet() -> Any:
    from task2sim_resnet.trainer import ResNetTrainer

    return ResNetTrainer(ResNetTrainer.Config(**SMALL))  # type: ignore[arg-type]


def test_everything_is_checked() -> None:
    ours = {(entry.kind, entry.name) for entry in installed_plugins() if entry.distribution == "task2sim"}
    # These have tests of their own: with a build, with a cluster, with weights.
    elsewhere = {("simulators", "threedworld"), ("executors", "ray"), ("trainers", "pretrained")}
    assert {*HOUSE, *elsewhere} == ours


@pytest.mark.parametrize(("kind", "name"), HOUSE)
def test_the_house_keeps_its_promises(kind: str, name: str) -> None:
    if (kind, name) in LONG and not os.environ.get("TASK2SIM_ALL_CHECKS"):
        pytest.skip("it takes long: set TASK2SIM_ALL_CHECKS=1")
    for module in NEEDED.get(name, ()):
        pytest.importorskip(module)
    config, expected = HOUSE[kind, name]
    specimen = partial(SpecimenTrainer, SpecimenTrainer.Config())
    trainer = small_resnet if name in ("task2vec", "fine-tune") else specimen
    report = check_component(kind, name, config=config, trainer=trainer, quick=True, expected_failures=expected)
    assert [(outcome.check.name, outcome.reason) for outcome in report.failures] == []
    assert {outcome.check.name for outcome in report.outcomes if outcome.expected} == set(expected)


@pytest.mark.parametrize("promise", ["results-in-order", "errors-arrive", "progress-arrives"])
def test_so_do_its_worker_processes(promise: str) -> None:
    subject = make_subject("executor", "local", {"workers": 2})
    (check,) = [check for check in checks_of("executor") if check.name == promise]
    assert run_check(check, subject).verdict == "pass"


def test_the_toy_of_the_documentation_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "toy_simulator")
    report = check_component("simulator", importlib.import_module("toy_stripes").Stripes, quick=True)
    assert [(outcome.check.name, outcome.reason) for outcome in report.failures] == []
