from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task2sim import StoreError
from task2sim_resnet.trainer import ResNetTrainer


def _random_images(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    trainer = ResNetTrainer(ResNetTrainer.Config(widths=(8, 8, 16, 16), stem_width=8, image_size=32, device="cpu"))
    return trainer.untrained(3, tmp_path_factory.mktemp("backbone"))


@given(chosen=st.lists(st.integers(0, 79), min_size=1, max_size=80))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_depends_on_its_image_alone(backbone, chosen):
    images = _random_images(80)
    everything = backbone.features(images)
    np.testing.assert_allclose(backbone.features(images[chosen]), everything[chosen], rtol=1e-4, atol=1e-5)


def test_different_images_have_different_features(backbone):
    features = backbone.features(_random_images(5))
    assert features.dtype == np.float32
    assert features.shape == (5, 16)
    assert len(np.unique(features.round(4), axis=0)) == 5


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 20), (100, 150)])
def test_images_of_any_size_are_taken(backbone, height, width):
    assert np.isfinite(backbone.features(_random_images(3, height, width))).all()


def test_shrinking_averages_so_that_fine_noise_hardly_matters(backbone):
    smooth = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8)[:, None, None], (256, 256, 3))
    noise = np.random.default_rng(0).integers(-40, 40, smooth.shape)
    noisy = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    first, second = backbone.features(np.stack([smooth, noisy]))
    assert np.linalg.norm(first - second) < 0.2 * np.linalg.norm(first)


def test_no_images_have_no_features(backbone):
    assert backbone.features(_random_images(0)).shape == (0, 16)


def test_views_and_read_only_images_are_taken_without_a_warning(backbone, recwarn):
    import torch

    images = _random_images(4)
    expected = backbone.features(images)
    np.testing.assert_allclose(backbone.features(images[::-1]), expected[::-1], rtol=1e-4, atol=1e-5)
    images.flags.writeable = False
    torch.set_warn_always(True)
    try:
        np.testing.assert_array_equal(backbone.features(images), expected)
    finally:
        torch.set_warn_always(False)
    assert not recwarn.list


def test_the_folder_can_be_moved(backbone, tmp_path):
    moved = shutil.copytree(backbone.folder, tmp_path / "elsewhere")
    trainer = ResNetTrainer(ResNetTrainer.Config(device="cpu"))
    np.testing.assert_array_equal(
        trainer.load(moved).features(_random_images(4)), backbone.features(_random_images(4))
    )


def test_transformers_loads_the_folder_and_agrees(backbone, monkeypatch):
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification, ResNetModel

    images = _random_images(3, 48, 40)
    processor = AutoImageProcessor.from_pretrained(backbone.folder)
    inputs = processor(list(images), return_tensors="pt")
    model = ResNetModel.from_pretrained(backbone.folder).eval()
    with torch.inference_mode():
        features = model(**inputs).pooler_output.flatten(1).numpy()
    # Its processor rounds the resized pixels to whole numbers.
    np.testing.assert_allclose(features, backbone.features(images), rtol=0.05, atol=0.02)
    assert AutoModelForImageClassification.from_pretrained(backbone.folder).config.num_labels == 0


def test_loading_leaves_global_state_as_it_was(backbone, global_state):
    before = global_state()
    ResNetTrainer(ResNetTrainer.Config(device="cpu")).load(backbone.folder)
    assert global_state() == before


def test_a_folder_without_a_backbone_is_an_error(tmp_path):
    trainer = ResNetTrainer(ResNetTrainer.Config(device="cpu"))
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StoreError, match="there is no backbone here") as caught:
            trainer.load(folder)
        assert str(caught.value).startswith(str(folder))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("backbone.json", b"{"),
        ("backbone.json", b"[]"),
        ("backbone.json", b'{"format": 2}'),
        ("config.json", None),
        ("config.json", b"\xff"),
        ("config.json", b'{"depths": "many"}'),
        ("config.json", b'{"hidden_sizes": [8, 8, 16, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}'),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"0" * 1000),
    ],
)
def test_a_damaged_folder_is_an_error_in_one_line(backbone, tmp_path, name, content):
    folder = shutil.copytree(backbone.folder, tmp_path / "damaged")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match="the backbone is damaged") as caught:
        ResNetTrainer(ResNetTrainer.Config(device="cpu")).load(folder)
    assert "\n" not in str(caught.value)


def test_half_written_weights_are_an_error(backbone, tmp_path):
    folder = shutil.copytree(backbone.folder, tmp_path / "damaged")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(StoreError, match="the backbone is damaged"):
        ResNetTrainer(ResNetTrainer.Config(device="cpu")).load(folder)


def test_a_feature_map_tells_where_things_are(new_folder, small_trainer):
    backbone = small_trainer().untrained(5, new_folder())
    image = np.full((1, 32, 32, 3), 90, np.uint8)
    spot = image.copy()
    spot[0, 24:28, 4:8] = 250
    maps = backbone.feature_map(np.concatenate([image, spot]))
    assert maps.dtype == np.float32
    assert maps.shape == (2, 8 + 8 + 16 + 16, 8, 8)
    apart = np.abs(maps[1, :8] - maps[0, :8]).sum(axis=0)
    row, column = np.unravel_index(apart.argmax(), apart.shape)
    assert abs(row - 6) <= 1
    assert abs(column - 1) <= 1
    # The last stage, averaged, is what `features` gives; its single cell is everywhere the same.
    np.testing.assert_allclose(
        maps[:, -16:].mean(axis=(2, 3)), backbone.features(np.concatenate([image, spot])), rtol=1e-5
    )
