from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import numpy as np
import pydantic
import pytest

from task2sim import ConfigError, StoreError
from task2sim.progress import Progress, progress_listener
from task2sim_resnet.trainer import ResNetTrainer


@pytest.mark.parametrize(
    ("values", "place", "words"),
    [
        ({"depths": [1, 1, 1]}, "widths", "4 widths for 3 depths"),
        ({"widths": [8, 16]}, "widths", "2 widths for 4 depths"),
        ({"layer_type": "bottleneck", "widths": [8, 8, 8, 10]}, "layer_type", "multiples of 4"),
        ({"layer_type": "wide"}, "layer_type", "basic"),
        ({"depths": [0, 1, 1, 1]}, "depths", "greater than or equal to 1"),
        ({"epochs": 0}, "epochs", "greater than or equal to 1"),
        ({"batch_size": 1}, "batch_size", "greater than or equal to 2"),
        ({"image_size": 8}, "image_size", "greater than or equal to 16"),
        ({"learning_rate": 0}, "learning_rate", "greater than 0"),
        ({"pretrained": True}, "pretrained", "unknown key"),
        ({"batch_size": 7, "processes": 4}, "processes", "4 processes can't divide batches of 7 images"),
    ],
)
def test_a_wrong_configuration_names_its_key(values, place, words):
    with pytest.raises(pydantic.ValidationError) as caught:
        ResNetTrainer.Config(**values)
    (error,) = caught.value.errors()
    assert error["loc"][0] == place
    assert words in error["msg"]


def test_device_threads_and_library_versions_are_part_of_the_key():
    fields = ResNetTrainer.Config.model_fields
    assert fields["device"].json_schema_extra is None
    assert fields["threads"].json_schema_extra is None
    fingerprint = ResNetTrainer(ResNetTrainer.Config()).fingerprint()
    assert f"torch {importlib.metadata.version('torch')}" in fingerprint


def test_importing_the_components_imports_nothing_heavy():
    code = (
        "import sys, task2sim_resnet.trainer, task2sim_resnet.evaluators, task2sim_resnet.fine_tune,"
        " task2sim_resnet.commands;"
        "print(sorted({'torch', 'transformers', 'kornia', 'sklearn', 'scipy', 'accelerate'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_dataset, new_folder, small_trainer):
    import torch

    dataset, trainer = make_dataset(), small_trainer()
    folders = []
    for global_seed, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(global_seed)
        folders.append(trainer.pretrain(dataset, seed, new_folder()).folder)
    first, again, other = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert first == again
    assert first != other


def test_seed_zero_and_the_greatest_seed_work(new_folder, small_trainer):
    weights = {
        (small_trainer().untrained(seed, new_folder()).folder / "model.safetensors").read_bytes()
        for seed in (0, 1, 2**63 - 1)
    }
    assert len(weights) == 3


def test_global_state_is_left_as_it_was(make_dataset, new_folder, small_trainer, global_state):
    import torch

    torch.set_num_threads(1)
    before = global_state()
    trainer = small_trainer(threads=2)
    trainer.pretrain(make_dataset(), 5, new_folder())
    trainer.untrained(5, new_folder()).features(np.zeros((1, 32, 32, 3), np.uint8))
    assert global_state() == before


def test_training_and_features_are_computed_with_the_threads_of_the_configuration(
    make_dataset, new_folder, small_trainer, monkeypatch
):
    import torch

    from task2sim_training.preprocessing import Preprocessing

    threads = set()
    normalise = Preprocessing.normalise
    monkeypatch.setattr(
        Preprocessing, "normalise", lambda self, x: threads.add(torch.get_num_threads()) or normalise(self, x)
    )
    torch.set_num_threads(1)
    backbone = small_trainer(threads=2).pretrain(make_dataset(), 5, new_folder())
    assert threads == {2}
    threads.clear()
    backbone.features(np.zeros((1, 32, 32, 3), np.uint8))
    assert threads == {2}


def test_training_learns_to_tell_categories_apart(make_dataset, new_folder, small_trainer):
    backbone = small_trainer(epochs=12, learning_rate=5e-3).pretrain(make_dataset(90), 5, new_folder())
    assert backbone.manifest.accuracy > 0.8
    assert backbone.manifest.loss < 0.8
    assert backbone.manifest.categories == ("dark", "stripes", "chequers")
    assert (backbone.manifest.epochs, backbone.manifest.images, backbone.manifest.seed) == (12, 90, 5)
    assert backbone.manifest.feature_size == 16


def test_an_untrained_backbone_has_the_initial_weights_of_a_trained_one(make_dataset, new_folder, small_trainer):
    from safetensors.numpy import load_file

    trainer = small_trainer(learning_rate=1e-12, epochs=1)
    initial = load_file(trainer.untrained(5, new_folder()).folder / "model.safetensors")
    trained = load_file(trainer.pretrain(make_dataset(), 5, new_folder()).folder / "model.safetensors")
    learned = [name for name in initial if name.endswith(("weight", "bias"))]
    assert learned
    for name in learned:
        np.testing.assert_allclose(trained[name], initial[name], atol=1e-9)


def test_pretrain_returns_what_load_opens_and_prints_nothing(make_dataset, new_folder, small_trainer, task, capfd):
    trainer = small_trainer()
    backbone = trainer.pretrain(make_dataset(), 5, new_folder())
    opened = trainer.load(backbone.folder)
    assert opened.manifest == backbone.manifest
    np.testing.assert_array_equal(opened.features(task.val.images), backbone.features(task.val.images))
    assert capfd.readouterr() == ("", "")


def test_progress_is_reported_by_epoch(make_dataset, new_folder, small_trainer):
    heard: list[Progress] = []
    with progress_listener(heard.append):
        small_trainer(epochs=3).pretrain(make_dataset(), 5, new_folder())
    assert heard == [Progress("pretrain", done, 3, "epochs") for done in range(4)]


@pytest.mark.parametrize("count", [2, 3, 33])
def test_no_batch_is_too_small_to_be_normalised(count, make_dataset, new_folder, small_trainer):
    # At 16 pixels the last stage has a single position, so a batch of one image would be an error.
    trainer = small_trainer(image_size=16, batch_size=2, epochs=1)
    assert trainer.pretrain(make_dataset(count), 5, new_folder()).manifest.images == count


def test_every_image_is_seen_once_an_epoch(make_dataset, new_folder, small_trainer, monkeypatch):
    from task2sim_training.preprocessing import Preprocessing

    seen = []
    pixels = Preprocessing.pixels
    monkeypatch.setattr(
        Preprocessing, "pixels", lambda self, images, device: seen.append(images) or pixels(self, images, device)
    )
    dataset = make_dataset(41)
    small_trainer(epochs=1).pretrain(dataset, 5, new_folder())
    assert sorted(image.tobytes() for image in np.concatenate(seen)) == sorted(
        image.tobytes() for image in dataset.images
    )


def test_images_are_resized_to_what_the_network_sees(make_dataset, new_folder, small_trainer):
    backbone = small_trainer(epochs=1).pretrain(make_dataset(20, size=48), 5, new_folder())
    assert backbone.manifest.image_size == 32


def test_one_image_is_too_few(make_dataset, new_folder, small_trainer):
    with pytest.raises(ConfigError, match="can't pre-train on 1 images"):
        small_trainer().pretrain(make_dataset(1), 5, new_folder())


def test_a_training_that_diverges_says_so(make_dataset, new_folder, small_trainer):
    with pytest.raises(
        ConfigError, match=r"learning_rate: training diverged in epoch \d.*try a lower one than 1e\+30"
    ):
        small_trainer(learning_rate=1e30).pretrain(make_dataset(), 5, new_folder())


def test_the_device_is_found_and_recorded(make_dataset, new_folder, small_trainer, global_state):
    import torch

    before = global_state()
    backbone = small_trainer(device="auto", epochs=1).pretrain(make_dataset(), 5, new_folder())
    assert backbone.manifest.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert global_state() == before


def test_a_missing_device_is_an_error(new_folder, small_trainer):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ConfigError, match="no CUDA device"):
        small_trainer(device="cuda").untrained(5, new_folder())


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, small_trainer):
    with pytest.raises(StoreError, match="can't write the backbone"):
        small_trainer().untrained(5, tmp_path / "missing")


def test_several_processes_train_one_network(make_dataset, new_folder, small_trainer):
    dataset = make_dataset(90)
    trainer = small_trainer(epochs=12, learning_rate=5e-3, processes=2)
    backbone = trainer.pretrain(dataset, 5, new_folder())
    assert (backbone.manifest.processes, backbone.manifest.images) == (2, 90)
    assert backbone.manifest.accuracy > 0.8
    assert backbone.manifest.loss < 0.8
    again = trainer.pretrain(dataset, 5, new_folder())
    first, second = ((b.folder / "model.safetensors").read_bytes() for b in (backbone, again))
    assert first == second


def test_batches_too_small_to_be_divided_are_refused(make_dataset, new_folder, small_trainer):
    with pytest.raises(ConfigError, match=r"processes: 4 processes can't divide batches of 7 images.*choose fewer"):
        small_trainer(processes=4).pretrain(make_dataset(7), 5, new_folder())
