"""Surroundings: octahedral maps, harmonics, procedural skies and folders of panoramas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from task2sim import ConfigError
from task2sim_studio.environments import (
    FolderEnvironments,
    ProceduralEnvironments,
    directions,
    level_sizes,
    prefilter,
    solid_angles,
)
from task2sim_studio.skies import SKIES


def write_flat(path, picture):
    """Write float32 (height, width, 3) as an uncompressed Radiance picture."""
    height, width, _ = picture.shape
    largest = np.maximum(picture.max(axis=-1), 1e-30)
    mantissa, exponent = np.frexp(largest)
    bytes_ = np.zeros((height, width, 4), np.uint8)
    bytes_[..., :3] = picture * (mantissa * 256.0 / largest)[..., None]
    bytes_[..., 3] = exponent + 128
    path.write_bytes(
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + f"-Y {height} +X {width}\n".encode() + bytes_.tobytes()
    )


def test_directions_are_unit_vectors_that_cover_the_sphere():
    assert np.allclose(np.linalg.norm(directions(64), axis=-1), 1.0, atol=1e-5)
    assert solid_angles(64).sum() == pytest.approx(4 * math.pi, rel=1e-3)
    weighted = (directions(64) * solid_angles(64)[..., None]).sum(axis=(0, 1))
    assert np.abs(weighted).max() < 1e-3


def test_constant_surroundings_stay_constant_at_every_level():
    constant = prefilter(np.full((64, 64, 3), 0.7, dtype=np.float32))
    assert np.allclose(constant.texels, 0.7, atol=1e-4)
    assert np.allclose(constant.harmonics[0], 0.7, atol=1e-3)
    assert np.abs(constant.harmonics[1:]).max() < 0.01
    assert len(constant.texels) == sum((size + 2) ** 2 for size in level_sizes(64))


def test_harmonics_give_the_irradiance_of_a_bright_upper_half():
    radiance = np.where(directions(128)[..., 2:] > 0, 1.0, 0.0).astype(np.float32).repeat(3, axis=-1)
    h = prefilter(radiance).harmonics[:, 0]
    up, side, down = h[0] + h[2] + 2 * h[6], h[0] - h[6] + h[8], h[0] - h[2] + 2 * h[6]
    assert up == pytest.approx(1.0, abs=0.03)
    assert side == pytest.approx(0.5, abs=0.03)
    assert down == pytest.approx(0.0, abs=0.03)


def test_levels_keep_the_mean_radiance():
    rng = np.random.default_rng(0)
    radiance = rng.random((64, 64, 3)).astype(np.float32)
    texels = prefilter(radiance).texels
    start = 0
    for size in level_sizes(64):
        level = texels[start : start + (size + 2) ** 2].reshape(size + 2, size + 2, 3)[1:-1, 1:-1]
        mean = np.average(level, axis=(0, 1), weights=solid_angles(size))
        assert np.allclose(mean, 0.5, atol=0.05)
        start += (size + 2) ** 2


@pytest.mark.parametrize("name", list(SKIES))
def test_procedural_surroundings_are_finite_and_repeatable(name):
    source = ProceduralEnvironments()
    made = source.load(name, 64)
    assert np.isfinite(made.texels).all()
    assert (made.texels >= 0).all()
    assert made.texels.std() > 0.005
    again = source.load(name, 64)
    assert np.array_equal(again.texels, made.texels)
    assert np.array_equal(again.harmonics, made.harmonics)


def test_there_are_enough_surroundings_and_they_differ():
    names = ProceduralEnvironments().names
    assert len(names) >= 24
    assert names[0] == "clear-noon"
    means = [tuple(np.round(ProceduralEnvironments().load(name, 64).harmonics[0], 3)) for name in names]
    assert len(set(means)) == len(names)


def test_panoramas_keep_their_directions(tmp_path):
    picture = np.full((64, 128, 3), 0.2, dtype=np.float32)
    picture[:32] = (0.2, 0.3, 0.9)  # blue above
    picture[24:40, 60:68] = (4.0, 0.1, 0.1)  # red in the middle: +y
    picture[24:40, 92:100] = (0.1, 4.0, 0.1)  # green a quarter turn to the right: +x
    write_flat(tmp_path / "marks.hdr", picture)
    source = FolderEnvironments(tmp_path)
    assert source.names == ("marks",)
    size = 64
    level = source.load("marks", size).texels[: (size + 2) ** 2].reshape(size + 2, size + 2, 3)[1:-1, 1:-1]

    def towards(x, y, z):
        return level[np.unravel_index(np.argmax(directions(size) @ np.array([x, y, z])), (size, size))]

    assert towards(0, 1, 0).argmax() == 0
    assert towards(1, 0, 0).argmax() == 1
    assert towards(0, 0, 1).argmax() == 2
    assert np.ptp(towards(0, 0, -1)) < 0.02


def test_missing_and_empty_folders_are_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        FolderEnvironments(tmp_path / "absent")
    with pytest.raises(ConfigError, match=r"no .hdr or .exr file"):
        FolderEnvironments(tmp_path)
