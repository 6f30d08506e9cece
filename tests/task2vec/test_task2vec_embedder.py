"""Task2Vec as a study uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from task2sim import Backbone, ImageSet, Task, TaskEmbedding, TaskError, spawn_generator
from task2sim.progress import Progress, progress_listener
from task2sim.tasks import Images
from task2sim_task2vec.embedder import Task2Vec, balanced_sample


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


def test_two_halves_of_a_task_are_nearer_than_another_task(probe: Folder) -> None:
    one, half, other = (
        embedder().embed(task, 0, probe).vector
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


def test_one_number_for_each_filter(probe: Folder) -> None:
    embedding = embedder().embed(stripes("a", 1, True), 0, probe)
    # Stem; two layers of stage one; two layers and the shortcut of stage two: each a convolution and a norm.
    assert embedding.vector.shape == (2 * (8 + 2 * 8 + 3 * 16),)
    assert embedding.vector.dtype == np.float32
    assert (embedding.vector >= 0).all()
    assert embedding.task == "a"
    assert json.loads(json.dumps(dict(embedding.method)))["embedder"] == "task2vec"


def test_the_seed_decides_and_global_generators_stay_untouched(probe: Folder) -> None:
    task = stripes("a", 1, True)
    torch.manual_seed(3)
    before = torch.random.get_rng_state().clone(), repr(np.random.get_state()), torch.get_num_threads()  # noqa: NPY002
    one, same, other = (embedder(images=30).embed(task, seed, probe).vector for seed in (0, 0, 1))
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


def test_progress_runs_to_its_end(probe: Folder) -> None:
    seen: list[Progress] = []
    with progress_listener(seen.append):
        embedder().embed(stripes("a", 1, True), 0, probe)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert {(p.stage, p.total) for p in seen} == {("embed", 120)}
    assert seen[-1].done == 120


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


def test_images_a_probe_sees_nothing_in_are_refused(probe: Folder) -> None:
    with pytest.raises(TaskError, match="sees nothing"):
        embedder().embed(with_labels([0, 1] * 10, 2), 0, probe)
