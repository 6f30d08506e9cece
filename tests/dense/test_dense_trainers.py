from __future__ import annotations

import json

import attrs
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from task2sim import ConfigError, Progress, StoreError
from task2sim.progress import progress_listener
from task2sim_dense.centres import found_objects
from task2sim_dense.heads import mean_average_precision
from task2sim_dense.objects import objects_of


def test_layers_are_those_that_training_reads(trainer_of):
    assert trainer_of("segmentation").layers == {"category-mask"}
    assert trainer_of("detection").layers == {"instance-mask", "category-mask"}


def test_the_same_arguments_give_the_same_weights(name, make_dataset, new_folder, trainer_of):
    files = []
    for global_seed, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(global_seed)
        folder = trainer_of(name).pretrain(make_dataset(), seed, new_folder()).folder
        files.append((folder / "model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_an_untrained_backbone_has_the_initial_weights_of_a_trained_encoder(
    name, make_dataset, new_folder, trainer_of
):
    trainer = trainer_of(name, learning_rate=1e-12, epochs=1)
    initial = load_file(trainer.untrained(5, new_folder()).folder / "model.safetensors")
    trained = load_file(trainer.pretrain(make_dataset(), 5, new_folder()).folder / "model.safetensors")
    assert all(key.startswith("resnet.") for key in initial)
    assert any(key.startswith("decoder.") for key in trained)
    for key in initial:
        if key.endswith(("weight", "bias")):
            np.testing.assert_allclose(trained[key], initial[key], atol=1e-9)


def test_masks_teach_segmentation_which_pixels_are_whose(make_dataset, new_folder, trainer_of):
    dataset = make_dataset(64)
    backbone = trainer_of("segmentation", epochs=30, learning_rate=1e-2).pretrain(dataset, 5, new_folder())
    logits = torch.nn.functional.interpolate(
        torch.from_numpy(backbone.decode(dataset.images)), (32, 32), mode="bilinear"
    )
    right = (logits.argmax(1).numpy() == dataset.category_mask).mean()
    assert right > (dataset.category_mask == 0).mean() + 0.04  # what no training would reach


def test_masks_teach_detection_where_boxes_are(make_dataset, new_folder, trainer_of):
    dataset = make_dataset(64)
    truth = [objects_of(*masks) for masks in zip(dataset.instance_mask, dataset.category_mask, strict=True)]

    def precision(backbone) -> float:
        found = found_objects(torch.from_numpy(backbone.decode(dataset.images)))
        return mean_average_precision(found, truth, (32, 32), 2)

    short = precision(trainer_of("detection", epochs=1).pretrain(dataset, 5, new_folder()))
    long = precision(trainer_of("detection", epochs=40, learning_rate=1e-2).pretrain(dataset, 5, new_folder()))
    assert long > max(0.2, short + 0.1)


def test_other_masks_make_another_backbone(name, make_dataset, new_folder, trainer_of):
    dataset = make_dataset()
    other = attrs.evolve(
        dataset, category_mask=dataset.category_mask[:, ::-1], instance_mask=dataset.instance_mask[:, ::-1]
    )
    first, second = (
        trainer_of(name, epochs=1).pretrain(d, 5, new_folder()).features(dataset.images) for d in (dataset, other)
    )
    assert not np.array_equal(first, second)


def test_images_and_masks_of_another_size_are_resized(name, make_dataset, new_folder, trainer_of):
    backbone = trainer_of(name, epochs=1).pretrain(make_dataset(20, size=48), 5, new_folder())
    assert backbone.features(np.zeros((2, 48, 20, 3), np.uint8)).shape == (2, 16)
    assert backbone.feature_map(np.zeros((2, 48, 20, 3), np.uint8)).shape == (2, 48, 8, 8)


def test_features_are_the_mean_of_the_last_stage(name, make_dataset, new_folder, trainer_of):
    dataset = make_dataset()
    backbone = trainer_of(name, image_size=64, epochs=1).pretrain(dataset, 5, new_folder())
    maps = backbone.feature_map(dataset.images[:4])
    # Enlarging two by two cells bilinearly leaves their mean as it is.
    np.testing.assert_allclose(maps[:, -16:].mean(axis=(2, 3)), backbone.features(dataset.images[:4]), rtol=1e-4)


def test_a_place_of_the_feature_map_is_that_of_the_picture(name, new_folder, trainer_of):
    backbone = trainer_of(name).untrained(1, new_folder())
    image = np.full((1, 32, 32, 3), 90, np.uint8)
    spot = image.copy()
    spot[0, 24:28, 4:8] = 250
    apart = np.abs(backbone.feature_map(spot) - backbone.feature_map(image))[0, :8].sum(axis=0)
    row, column = np.unravel_index(apart.argmax(), apart.shape)
    assert abs(row - 6) <= 1
    assert abs(column - 1) <= 1


def test_load_gives_what_pretrain_gave_and_the_manifest_tells(name, make_dataset, new_folder, trainer_of, capfd):
    dataset, trainer = make_dataset(), trainer_of(name)
    backbone = trainer.pretrain(dataset, 5, new_folder())
    again = trainer.load(backbone.folder)
    np.testing.assert_array_equal(again.decode(dataset.images), backbone.decode(dataset.images))
    assert again.manifest == backbone.manifest
    assert (again.manifest.trained_by, again.manifest.categories) == (name, dataset.categories)
    assert (again.manifest.epochs, again.manifest.images, again.manifest.seed) == (2, 48, 5)
    assert capfd.readouterr() == ("", "")


def test_progress_is_reported_by_epoch(name, make_dataset, new_folder, trainer_of):
    heard: list[Progress] = []
    with progress_listener(heard.append):
        trainer_of(name).pretrain(make_dataset(), 5, new_folder())
    assert heard == [Progress("pretrain", done, 2, "epochs") for done in range(3)]


@pytest.mark.parametrize("count", [2, 3, 33])
def test_no_batch_is_too_small_to_be_normalised(name, count, make_dataset, new_folder, trainer_of):
    trainer = trainer_of(name, image_size=16, batch_size=2, epochs=1)
    assert trainer.pretrain(make_dataset(count), 5, new_folder()).manifest.images == count


def test_images_without_objects_do_no_harm(name, make_dataset, new_folder, trainer_of):
    dataset = make_dataset()
    empty = attrs.evolve(dataset, category_mask=0 * dataset.category_mask, instance_mask=0 * dataset.instance_mask)
    assert np.isfinite(trainer_of(name).pretrain(empty, 5, new_folder()).manifest.loss)


def test_a_dataset_without_masks_is_refused(name, make_dataset, new_folder, trainer_of):
    bare = attrs.evolve(make_dataset(), category_mask=None)
    with pytest.raises(ConfigError, match=r"the dataset holds no category-mask; render it anew"):
        trainer_of(name).pretrain(bare, 5, new_folder())


def test_one_image_is_too_few_and_divergence_is_told(name, make_dataset, new_folder, trainer_of):
    with pytest.raises(ConfigError, match="can't pre-train on 1 images"):
        trainer_of(name).pretrain(make_dataset(1), 5, new_folder())
    with pytest.raises(ConfigError, match=r"learning_rate: training diverged in epoch \d.*lower one than 1e\+30"):
        trainer_of(name, learning_rate=1e30).pretrain(make_dataset(), 5, new_folder())


def test_what_is_no_backbone_is_refused(name, new_folder, trainer_of):
    trainer = trainer_of(name)
    with pytest.raises(StoreError, match=r"dense\.json is missing"):
        trainer.load(new_folder())
    backbone = trainer.untrained(5, new_folder())
    with pytest.raises(StoreError, match="an untrained backbone has no decoder"):
        backbone.decode(np.zeros((1, 32, 32, 3), np.uint8))
    weights = (backbone.folder / "model.safetensors").read_bytes()
    (backbone.folder / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(StoreError, match="the backbone is damaged"):
        trainer.load(backbone.folder)
    (backbone.folder / "model.safetensors").write_bytes(weights)
    text = json.loads((backbone.folder / "dense.json").read_text()) | {"format": 2}
    (backbone.folder / "dense.json").write_text(json.dumps(text))
    with pytest.raises(StoreError, match="the backbone is damaged"):
        trainer.load(backbone.folder)


def test_global_state_is_left_as_it_was(name, make_dataset, new_folder, trainer_of):
    torch.set_num_threads(1)
    before = torch.get_rng_state().tolist(), torch.get_num_threads(), torch.backends.cudnn.deterministic
    trainer = trainer_of(name, threads=2)
    trainer.pretrain(make_dataset(4), 5, new_folder()).features(np.zeros((1, 32, 32, 3), np.uint8))
    assert (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.backends.cudnn.deterministic) == before


def test_widths_must_fit(trainer_of):
    with pytest.raises(ValueError, match="3 widths for 4 depths"):
        trainer_of("detection", widths=(8, 8, 8))
    with pytest.raises(ValueError, match="multiples of 4"):
        trainer_of("segmentation", widths=(8, 8, 8, 10), layer_type="bottleneck")


def test_several_processes_train_one_network(name, make_dataset, new_folder, trainer_of):
    dataset = make_dataset()
    together = trainer_of(name, epochs=8, processes=2).pretrain(dataset, 5, new_folder())
    alone = trainer_of(name, epochs=8).pretrain(dataset, 5, new_folder())
    assert (together.manifest.processes, alone.manifest.processes) == (2, 1)
    assert together.manifest.loss == pytest.approx(alone.manifest.loss, rel=0.3)
    assert not np.array_equal(together.features(dataset.images), alone.features(dataset.images))
