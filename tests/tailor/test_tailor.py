from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from task2sim import ConfigError, StoreError, TaskError
from task2sim.learned import Learned
from task2sim_tailor.tailor import LEARNED, prepare_folder, tailor_study

SMALL = (
    "images=24",
    "trainer.epochs=1",
    "trainer.widths=[8, 8, 8, 8]",
    "simulator.categories=[mug, teapot, vase]",
    "simulator.resolution=32",
    "trainer.image_size=32",
)

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of noise, told apart by their colour."""
    folder = tmp_path_factory.mktemp("my photos") / "noise"
    generator = np.random.default_rng(0)
    for label, name in enumerate(("red", "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(15):
            pixels = generator.integers(0, 160, (24, 24, 3), dtype=np.uint8)
            pixels[..., 2 * label] += 90
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def tailor(tmp_path_factory: pytest.TempPathFactory) -> Command:
    root = tmp_path_factory.mktemp("tailor")

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        overrides = [text for key in SMALL for text in ("--set", key)]
        return subprocess.run(
            [sys.executable, "-m", "task2sim", "tailor", *map(str, arguments), *overrides],
            cwd=root,
            env={**os.environ, "TASK2SIM_STORE": str(root / "store"), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def test_one_command_makes_a_backbone(photos: Path, tailor: Command, tmp_path: Path) -> None:
    out = tmp_path / "backbone"
    done = tailor(photos, "--out", out)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "backbone.json", "report.html", "run"} <= names
    assert "chosen for these pictures" in done.stdout
    for method in ("surrogate", "varied", "backbone"):
        assert method in done.stdout
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(out)
    assert model.config.num_labels == 3

    # The same command again goes on from what is there, and ends with the same backbone.
    before = (out / "model.safetensors").read_bytes()
    again = tailor(photos, "--out", out)
    assert again.returncode == 0, again.stderr
    assert (out / "model.safetensors").read_bytes() == before
    assert not [path for path in out.iterdir() if path.name.endswith(".partial")]


def test_what_ships_is_small_and_knows_the_eight_parameters() -> None:
    size = sum(path.stat().st_size for path in LEARNED.rglob("*") if path.is_file())
    assert size < 12e6
    learned = Learned.open(LEARNED)
    assert len(learned.space) == 8
    assert learned.probe().is_dir()
    assert learned.study.policy.name == "surrogate"
    # Its own study says nothing about the machine it was learned on.
    assert "/" not in json.dumps(learned.study.model_dump(mode="json")["tasks"]["seen"])


def test_the_shipped_policy_chooses_different_settings_for_different_tasks() -> None:
    import numpy as np

    from task2sim import TaskEmbedding

    learned = Learned.open(LEARNED)
    policy = learned.policy()
    vectors = [array for array in learned.state.arrays.values() if array.ndim == 2 and array.shape[1] > 1000]
    assert vectors
    settings = {policy.predict(TaskEmbedding("x", np.asarray(row, np.float32))).setting for row in vectors[0]}
    assert len(settings) > 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: None, TaskError, "photos"),
        (lambda p: p.mkdir(), TaskError, "photos"),
        (lambda p: (p / "only").mkdir(parents=True), TaskError, "photos"),
        (lambda p: p.write_text("x"), TaskError, "photos"),
    ],
    ids=["missing", "empty", "one class", "a file"],
)
def test_a_folder_that_is_no_task(
    make: Callable[[Path], object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "photos")
    with pytest.raises(error, match=message):
        tailor_study(tmp_path / "photos")


def test_a_wrong_override(photos: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set imges=3: imges: unknown key; did you mean 'images'\?"):
        tailor_study(photos, ["imges=3"])


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear diary")
    with pytest.raises(StoreError, match=r"holds other things, such as 'letter.txt'; name a new or empty folder"):
        prepare_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    prepare_folder(tmp_path / "new")
    prepare_folder(tmp_path / "new")
