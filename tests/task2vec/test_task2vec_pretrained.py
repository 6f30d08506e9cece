"""The trainer that brings weights from real photos."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from task2sim import RenderedDataset, StoreError, TaskError
from task2sim.conformance import conformance
from task2sim.conformance.specimens import make_dataset, pictures
from task2sim_task2vec.pretrained import Pretrained

PHOTOS = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)


@functools.cache
def saved_network() -> Path:
    """A small network as somebody else saved it."""
    from transformers import ResNetConfig, ResNetModel

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
        ResNetModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3})
    )
    return folder


def make_trainer() -> Pretrained:
    return Pretrained(Pretrained.Config(weights=str(saved_network())))


@pytest.fixture
def weights() -> Path:
    return saved_network()


@pytest.fixture
def trainer() -> Pretrained:
    return make_trainer()


@pytest.fixture
def dataset(tmp_path: Path) -> RenderedDataset:
    (tmp_path / "dataset").mkdir()
    return make_dataset(tmp_path / "dataset", *pictures(12, (16, 16), 0))


def test_its_features_are_those_of_the_network(
    trainer: Pretrained, weights: Path, dataset: RenderedDataset, tmp_path: Path
) -> None:
    from transformers import ResNetModel

    network = ResNetModel.from_pretrained(weights).eval()
    (tmp_path / "a").mkdir()
    features = trainer.pretrain(dataset, 0, tmp_path / "a").features(PHOTOS)
    inputs = torch.nn.functional.interpolate(
        torch.from_numpy(PHOTOS).permute(0, 3, 1, 2) / 255, (32, 32), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        expected = network((inputs - 0.5) / 0.25).pooler_output.flatten(1).numpy()
    assert features.shape == (3, 8)
    assert features == pytest.approx(expected, abs=1e-5)


def test_neither_dataset_nor_seed_change_it_and_weights_travel(
    trainer: Pretrained, dataset: RenderedDataset, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        trainer.pretrain(dataset, seed, tmp_path / name)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    shutil.move(tmp_path / "a", tmp_path / "c")
    assert np.array_equal(
        trainer.load(tmp_path / "c").features(PHOTOS), trainer.load(tmp_path / "b").features(PHOTOS)
    )
    assert trainer.load(tmp_path / "b").features(PHOTOS[:0]).shape == (0, 8)


def test_untrained_weights_follow_from_the_seed(trainer: Pretrained, tmp_path: Path) -> None:
    state = torch.random.get_rng_state().clone()
    seen = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        seen.append(trainer.untrained(seed, tmp_path / name).features(PHOTOS))
    assert np.array_equal(seen[0], seen[1])
    assert not np.allclose(seen[0], seen[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_input_may_have_another_size(weights: Path, dataset: RenderedDataset, tmp_path: Path) -> None:
    from task2sim_task2vec.pretrained import PretrainedBackbone

    (tmp_path / "a").mkdir()
    sized = Pretrained(Pretrained.Config(weights=str(weights), image_size=48))
    backbone = sized.pretrain(dataset, 0, tmp_path / "a")
    assert isinstance(backbone, PretrainedBackbone)
    assert backbone._probe.pixels(PHOTOS).shape == (3, 3, 48, 48)
    assert np.array_equal(backbone.features(PHOTOS), sized.load(tmp_path / "a").features(PHOTOS))


def test_a_row_depends_on_its_image_alone(trainer: Pretrained, dataset: RenderedDataset, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    backbone = trainer.pretrain(dataset, 0, tmp_path / "a")
    many = np.random.default_rng(1).integers(0, 256, (37, 24, 24, 3), dtype=np.uint8)
    assert np.array_equal(backbone.features(many)[20:21], backbone.features(many[20:21]))


def test_other_weights_are_another_trainer(trainer: Pretrained, weights: Path, tmp_path: Path) -> None:
    before = trainer.fingerprint()
    copy = tmp_path / "copy"
    shutil.copytree(weights, copy)
    other = Pretrained(Pretrained.Config(weights=str(copy)))
    assert other.fingerprint() == before
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert other.fingerprint() != before


def test_damage_is_noticed(trainer: Pretrained, dataset: RenderedDataset, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    with pytest.raises(StoreError, match="there is no backbone here"):
        trainer.load(folder)
    trainer.pretrain(dataset, 0, folder)
    manifest = json.loads((folder / "backbone.json").read_text())
    (folder / "backbone.json").write_text(json.dumps({**manifest, "fingerprint": "0" * 16}))
    with pytest.raises(StoreError, match="its weights are not those that were saved; remove this folder"):
        trainer.load(folder)
    (folder / "model.safetensors").write_bytes(b"no")
    with pytest.raises(StoreError, match="the backbone is damaged"):
        trainer.load(folder)


def test_weights_that_are_not_there(tmp_path: Path, dataset: RenderedDataset) -> None:
    (tmp_path / "a").mkdir()
    missing = Pretrained(Pretrained.Config(weights=str(tmp_path / "nowhere")))
    with pytest.raises(TaskError, match="nowhere"):
        missing.pretrain(dataset, 0, tmp_path / "a")
    with pytest.raises(TaskError, match="nowhere"):
        missing.untrained(0, tmp_path / "a")


@conformance("trainer", factory=make_trainer, quick=True)
def test_conformance() -> None:
    """It keeps the promises of a trainer."""
