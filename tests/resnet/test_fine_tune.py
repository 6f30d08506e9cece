from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from task2sim import Backbone, PluginError, Task, TaskError
from task2sim.progress import Progress, progress_listener
from task2sim_resnet.fine_tune import FineTune


def _fine_tune(**changes) -> FineTune:
    return FineTune(
        FineTune.Config(**{"epochs": 2, "batch_size": 10, "learning_rate": 5e-3, "device": "cpu"} | changes)
    )


@pytest.fixture
def backbone(small_trainer, new_folder):
    return small_trainer().untrained(3, new_folder())


def test_it_trains_all_weights_on_the_training_images(backbone, task):
    score = _fine_tune(epochs=20).score(backbone, task, "test", 0)
    assert score.value > 0.8
    assert (score.metric, score.count) == ("accuracy", 12)


def test_the_same_seed_gives_the_same_outputs_whatever_the_global_seed(backbone, task, monkeypatch):
    import torch

    from task2sim_resnet import training

    outputs = []
    predict = training.predict
    monkeypatch.setattr(training, "predict", lambda *args: outputs.append(predict(*args)) or outputs[-1])
    for global_seed, seed in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(global_seed)
        _fine_tune().score(backbone, task, "val", seed)
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


def test_backbone_and_global_state_are_left_as_they_were(backbone, task, global_state):
    files = {path.name: path.read_bytes() for path in backbone.folder.iterdir()}
    features, before = backbone.features(task.val.images), global_state()
    _fine_tune().score(backbone, task, "val", 0)
    assert global_state() == before
    assert {path.name: path.read_bytes() for path in backbone.folder.iterdir()} == files
    np.testing.assert_array_equal(backbone.features(task.val.images), features)


def test_it_starts_from_the_backbones_weights(small_trainer, new_folder, task):
    # With a rate of next to nothing only the starting point decides.
    barely = _fine_tune(learning_rate=1e-12, epochs=1)
    from task2sim_resnet import training

    outputs = []
    predict = training.predict
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "predict", lambda *args: outputs.append(predict(*args)) or outputs[-1])
        for seed in (3, 4):
            barely.score(small_trainer().untrained(seed, new_folder()), task, "val", 0)
    assert not np.allclose(outputs[0], outputs[1], atol=1e-3)


def test_progress_is_reported_by_epoch(backbone, task):
    heard: list[Progress] = []
    with progress_listener(heard.append):
        _fine_tune(epochs=2).score(backbone, task, "val", 0)
    assert heard == [Progress("fine-tune", done, 2, "epochs") for done in range(3)]


def test_a_backbone_of_another_trainer_is_refused(tmp_path: Path, task):
    class Elsewhere(Backbone):
        folder = tmp_path

        def features(self, images):
            return np.zeros((len(images), 1), np.float32)

    with pytest.raises(PluginError, match=r"can only train backbones of trainer 'resnet'.*choose that trainer"):
        _fine_tune().score(Elsewhere(), task, "val", 0)


def test_a_class_without_training_images_is_an_error(task):
    lacking = Task("lacking", (*task.classes, "lion"), train=task.train, val=task.val, test=task.test)
    with pytest.raises(TaskError, match="no training images of 1 of 4 classes: lion"):
        _fine_tune().check(lacking)
    _fine_tune().check(task)
