from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from task2sim import Backbone, ImageSet, Task, TaskError
from task2sim_baselines.feature_statistics import FeatureStatistics


class MeanColours(Backbone):
    """Features: one more than the image's mean colour."""

    def __init__(self, folder: Path, scale: float = 1.0) -> None:
        self.folder, self.scale = folder, scale
        (folder / "model.safetensors").write_bytes(b"weights %f" % scale)

    def features(self, images: np.ndarray) -> np.ndarray:
        return np.float32(self.scale) * (1 + images.mean(axis=(1, 2), dtype=np.float32))


def of_values(*values: int, labels: tuple[int, ...] | None = None) -> Task:
    images = np.array(values, np.uint8)[:, None, None, None] * np.array([1, 0, 2], np.uint8) * np.ones((4, 5, 1))
    part = ImageSet(images.astype(np.uint8), np.array(labels or np.arange(len(values)) % 2))
    return Task("t", ("a", "b"), part, part, part)


def embedder(**config: object) -> FeatureStatistics:
    return FeatureStatistics(FeatureStatistics.Config(**config))


def test_means_then_deviations(tmp_path: Path) -> None:
    embedding = embedder().embed(of_values(10, 20, 30, 40), 0, MeanColours(tmp_path))
    deviation = np.std([10, 20, 30, 40])
    np.testing.assert_allclose(embedding.vector, [26, 1, 51, deviation, 0, 2 * deviation], rtol=1e-6)
    assert embedding.vector.dtype == np.float32
    assert embedding.task == "t"
    assert embedder().needs_probe


def test_classes_count_alike(tmp_path: Path) -> None:
    embedding = embedder().embed(of_values(10, 10, 10, 40, labels=(0, 0, 0, 1)), 0, MeanColours(tmp_path))
    assert embedding.vector[0] == pytest.approx(26)


def test_classes_are_sampled_evenly(tmp_path: Path) -> None:
    task = of_values(*[10] * 50, 40, 42, labels=(*[0] * 50, 1, 1))
    for seed in range(3):
        embedding = embedder(images=4).embed(task, seed, MeanColours(tmp_path))
        assert embedding.vector[0] == pytest.approx(1 + (10 + 41) / 2)


def test_only_training_images_are_looked_at(tmp_path: Path) -> None:
    one, other = of_values(1, 2, 3), of_values(4, 5, 6)
    mixed = Task("t", ("a", "b"), one.train, other.val, other.test)
    first, second = (embedder().embed(task, 0, MeanColours(tmp_path)) for task in (one, mixed))
    np.testing.assert_array_equal(first.vector, second.vector)


def test_method_tells_probes_apart(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    probes = [MeanColours(folder, scale) for folder, scale in zip(folders, (1, 1, 2), strict=True)]
    (folders[1] / "backbone.json").write_text('{"seconds": 3}')
    first, same, other = (embedder().embed(of_values(1, 2), 0, probe) for probe in probes)
    assert first.method == same.method != other.method


def test_distance_is_that_of_means_and_deviations(tmp_path: Path) -> None:
    probe = MeanColours(tmp_path)
    near, far = (
        embedder().distance(*(embedder().embed(of_values(*values), 0, probe) for values in pair))
        for pair in (((10, 20), (10, 21)), ((10, 20), (100, 110)))
    )
    assert far == pytest.approx(90 * np.sqrt(1 + 4))
    assert near < far


def test_what_can_not_be_embedded(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no probe"):
        embedder().embed(of_values(1, 2), 0)
    with pytest.raises(TaskError, match="of task 't' are not finite"):
        embedder().embed(of_values(1, 2), 0, MeanColours(tmp_path, np.inf))
