"""Task2Vec as a study uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import task2sim_task2vec.embedder as module
from task2sim import Backbone, ImageSet, Task, TaskEmbedding, TaskError, spawn_generator
from task2sim.progress import Progress, progress_listener
from task2sim.tasks import Images
from task2sim_task2vec.embedder import Task2Vec, balanced_sample, balancing_weights


class Folder(Backbone):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def features(self, images: Images) -> np.ndarray:
        raise NotImplementedError


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    from transformers import ResNetConfig, ResNetModel

    folder = tmp_path_factory.mktemp("probe")
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ResNetModel(config).save_pretrained(folder)
    described = {"mean": [0.5] * 3, "std": [0.25] * 3, "image_size": 24}
    (folder / "backbone.json").write_text(json.dumps(described))
    return Folder(folder)


def stripes(name: str, seed: int, across: bool, count: int = 60) -> Task:
    """Stripes of three widths, along or across, with noise: three classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    positions = np.arange(20)
    images = np.empty((count, 20, 20, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        wave = np.sin((positions + generator.uniform(0, 20)) * (0.4 + 0.5 * label))
        plane = np.broadcast_to(wave, (20, 20)) if across else np.add.outer(np.sign(wave), np.sign(wave)) / 2
        colour = np.array([1.0, 1.0, 1.0]) if across else np.array([1.0, 0.3, 0.0])
        noisy = 128 + 80 * plane[..., None] * colour + generator.normal(0, 10, (20, 20, 3))
        image[:] = np.clip(noisy, 0, 255)
    part = ImageSet(images, labels)
    return Task(name, ("thin", "middle", "thick"), part, part, part)


def embedder(**config: object) -> Task2Vec:
    return Task2Vec(Task2Vec.Config(**config))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


ESTIMATORS = ("monte-carlo", "variational")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_two_halves_of_a_task_are_nearer_than_another_task(estimator: str, probe: Folder) -> None:
    one, half, other = (
        embedder(estimator=estimator).embed(task, 0, probe).vector
        for task in (stripes("a", 1, True), stripes("b", 2, True), stripes("c", 3, False))
    )
    assert cosine(one, half) > cosine(one, other) + 0.05
    assert cosine(one, half) > cosine(half, other) + 0.05


def test_distances_are_the_papers() -> None:
    def of(*values: float) -> TaskEmbedding:
        return TaskEmbedding("t", np.array(values, np.float32))

    task2vec = embedder()
    assert task2vec.distance(of(1, 2, 0), of(1, 2, 0)) == pytest.approx(0)
    assert task2vec.distance(of(1, 0), of(0, 1)) == pytest.approx(1)
    assert task2vec.distance(of(0, 0), of(0, 0)) == 1
    # Worked by hand: (3, 1) and (1, 1) become (3/4, 1/2) and (1/4, 1/2).
    expected = 1 - (3 / 16 + 1 / 4) / np.sqrt((9 / 16 + 1 / 4) * (1 / 16 + 1 / 4))
    assert task2vec.distance(of(3, 1), of(1, 1)) == pytest.approx(expected)
    assert task2vec.distance(of(1, 1), of(3, 1)) == pytest.approx(expected)
    # A filter with large values counts no more than another.
    assert task2vec.distance(of(300, 1), of(100, 1)) == pytest.approx(expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_number_for_each_filter(estimator: str, probe: Folder) -> None:
    embedding = embedder(estimator=estimator).embed(stripes("a", 1, True), 0, probe)
    # Stem; two layers of stage one; two layers and the shortcut of stage two: each a convolution and a norm.
    assert embedding.vector.shape == (2 * (8 + 2 * 8 + 3 * 16),)
    assert embedding.vector.dtype == np.float32
    assert (embedding.vector >= 0).all()
    assert embedding.task == "a"
    method = json.loads(json.dumps(dict(embedding.method)))
    assert (method["embedder"], method["estimator"]) == ("task2vec", estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_seed_decides_and_global_generators_stay_untouched(estimator: str, probe: Folder) -> None:
    task = stripes("a", 1, True)
    torch.manual_seed(3)
    before = torch.random.get_rng_state().clone(), repr(np.random.get_state()), torch.get_num_threads()  # noqa: NPY002
    one, same, other = (
        embedder(images=30, estimator=estimator).embed(task, seed, probe).vector for seed in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1:] == (repr(np.random.get_state()), torch.get_num_threads())  # noqa: NPY002


def test_a_probe_named_in_the_configuration_is_the_same_probe(probe: Folder) -> None:
    named = embedder(probe=str(probe.folder))
    assert not named.needs_probe
    assert embedder().needs_probe
    task = stripes("a", 1, True, 30)
    one, other = named.embed(task, 0), embedder().embed(task, 0, probe)
    assert np.array_equal(one.vector, other.vector)
    assert one.method == other.method


@pytest.mark.parametrize(("estimator", "total"), [("monte-carlo", 120), ("variational", 180)])
def test_progress_runs_to_its_end(estimator: str, total: int, probe: Folder) -> None:
    seen: list[Progress] = []
    with progress_listener(seen.append):
        embedder(estimator=estimator, label_draws=2).embed(stripes("a", 1, True), 0, probe)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert {(p.stage, p.total) for p in seen} == {("embed", total)}
    assert seen[-1].done == total
    assert len(seen) > 3


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_classes_count_the_same_however_many_images_they_have(estimator: str, probe: Folder) -> None:
    """Images of one class five times over: the embedding is that of the balanced task but for chance."""
    balanced = stripes("a", 1, True, 90)
    part = balanced.train
    positions = np.concatenate([np.arange(90), *[np.flatnonzero(part.labels == 0)] * 4])
    crowded = Task("a", balanced.classes, part.take(positions), balanced.val, balanced.test)
    config = {"estimator": estimator, "label_draws": 4}
    one, same = (embedder(**config).embed(balanced, seed, probe).vector for seed in (0, 1))
    other = embedder(**config).embed(crowded, 0, probe).vector
    chance = 1 - cosine(one, same)
    assert 1 - cosine(one, other) < 3 * chance + 0.01


def test_batches_do_not_change_the_embedding(probe: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    task = stripes("a", 1, True)
    one = embedder().embed(task, 0, probe).vector
    monkeypatch.setattr(module, "BATCH_PIXELS", 7 * 24**2)
    np.testing.assert_allclose(embedder().embed(task, 0, probe).vector, one, rtol=1e-3, atol=1e-9)


def test_weights_balance_the_classes() -> None:
    labels = np.array([0, 0, 0, 2, 2, 5])
    weights = balancing_weights(labels)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1)
    assert [weights[labels == label].sum() for label in (0, 2, 5)] == pytest.approx([2, 2, 2])


def with_labels(labels: list[int], classes: int) -> Task:
    part = ImageSet(np.zeros((len(labels), 4, 4, 3), np.uint8), np.array(labels))
    return Task("tiny", tuple(f"class{i}" for i in range(classes)), part, part, part)


def test_the_sample_is_balanced() -> None:
    task = with_labels([0] * 50 + [1] * 20 + [2] * 3, 3)
    chosen = balanced_sample(task, 23, spawn_generator(0, "test"))
    assert np.bincount(task.train.labels[chosen]).tolist() == [10, 10, 3]
    assert len(np.unique(chosen)) == 23
    assert len(balanced_sample(task, 4, spawn_generator(0, "test"))) == 6
    assert len(balanced_sample(task, 1000, spawn_generator(0, "test"))) == 73


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [([0, 0, 1, 1], 3, "class 'class2' of task 'tiny' has no training images"), ([0, 1, 2], 3, "too few")],
)
def test_tasks_too_small_are_refused(labels: list[int], classes: int, message: str, probe: Folder) -> None:
    with pytest.raises(TaskError, match=message):
        embedder().embed(with_labels(labels, classes), 0, probe)


def test_probes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    task = stripes("a", 1, True, 30)
    with pytest.raises(TaskError, match="no probe"):
        embedder().embed(task, 0)
    with pytest.raises(TaskError, match="can't load the probe network") as told:
        embedder(probe=str(tmp_path)).embed(task, 0)
    assert told.value.place == str(tmp_path)
    from transformers import BertConfig, BertModel

    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    ).save_pretrained(tmp_path)
    with pytest.raises(TaskError, match="does not take images"):
        embedder(probe=str(tmp_path)).embed(task, 0)


@pytest.mark.parametrize("shade", [0, 17, 255])
def test_images_a_probe_sees_nothing_in_are_refused(shade: int, probe: Folder) -> None:
    part = ImageSet(np.full((20, 9, 9, 3), shade, np.uint8), np.array([0, 1] * 10))
    with pytest.raises(TaskError, match=r"sees nothing in task 'flat'.*same for all images"):
        embedder().embed(Task("flat", ("a", "b"), part, part, part), 0, probe)


def spoiled(probe: Folder, folder: Path, value: float) -> Folder:
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "backbone.json"):
        (folder / name).write_text((probe.folder / name).read_text())
    weights = load_file(probe.folder / "model.safetensors")
    weights["encoder.stages.1.layers.0.layer.1.normalization.weight"][:] = value
    weights["encoder.stages.1.layers.0.shortcut.normalization.weight"][:] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return Folder(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_probe_with_dead_or_absurd_weights_is_refused(
    value: float, estimator: str, probe: Folder, tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match="sees nothing in task 'a'"):
        embedder(estimator=estimator).embed(stripes("a", 1, True), 0, spoiled(probe, tmp_path, value))


def noise(labels: list[int], classes: int, grey: bool = False) -> Task:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (len(labels), 16, 16, 1 if grey else 3), np.uint8)
    part = ImageSet(np.broadcast_to(images, (len(labels), 16, 16, 3)), np.array(labels))
    return Task("noise", tuple(f"class{i}" for i in range(classes)), part, part, part)


@pytest.mark.parametrize(
    "task",
    [
        noise([0] * 30 + [1] * 9 + [2], 3),
        noise([0, 0, 1, 1], 2),
        noise(2 * list(range(300)), 300),
        noise([0, 1] * 20, 2, grey=True),
    ],
    ids=["one image of a class", "the smallest task", "300 classes", "grey"],
)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_odd_tasks_are_embedded(task: Task, estimator: str, probe: Folder) -> None:
    vector = embedder(estimator=estimator).embed(task, 0, probe).vector
    assert np.isfinite(vector).all()
    assert vector.any()
