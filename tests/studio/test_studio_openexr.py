"""OpenEXR panoramas: what they hold, and one clear line for each that is no good."""

from __future__ import annotations

import re

import numpy as np
import pytest

from task2sim import ConfigError
from task2sim_studio.environments import FolderEnvironments
from task2sim_studio.openexr_file import read_openexr

OpenEXR = pytest.importorskip("OpenEXR")


def write(path, channels):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))
    return path


def picture(height=8, width=16, dtype="float32"):
    return np.random.default_rng(0).random((height, width, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_colours_come_back(tmp_path, dtype):
    light = picture(dtype=dtype)
    assert np.array_equal(read_openexr(write(tmp_path / "a.exr", {"RGB": light})), light.astype(np.float32))
    apart = {name: np.ascontiguousarray(light[..., k]) for k, name in enumerate("RGB")}
    assert np.array_equal(read_openexr(write(tmp_path / "b.exr", apart)), light.astype(np.float32))
    alpha = np.concatenate([light, np.ones_like(light[..., :1])], axis=-1)
    assert np.array_equal(read_openexr(write(tmp_path / "c.exr", {"RGBA": alpha})), light.astype(np.float32))


def test_luminance_is_grey_and_negative_light_is_none(tmp_path):
    grey = picture()[..., 0] - 0.5
    read = read_openexr(write(tmp_path / "grey.exr", {"Y": np.ascontiguousarray(grey)}))
    assert np.array_equal(read, np.repeat(np.maximum(grey, 0.0)[..., None], 3, axis=-1))


def not_finite(path):
    light = picture()
    light[3, 4, 1] = np.nan
    write(path, {"RGB": light})


def cut_short(path):
    write(path, {"RGB": picture(64, 128)})
    path.write_bytes(path.read_bytes()[:900])


BAD = {
    "text": (lambda path: path.write_text("no picture"), "no usable OpenEXR"),
    "empty": (lambda path: path.write_bytes(b""), "no usable OpenEXR"),
    "cut short": (cut_short, "no usable OpenEXR"),
    "not finite": (not_finite, "not finite"),
    "depth alone": (lambda path: write(path, {"Z": np.ascontiguousarray(picture()[..., 0])}), "channels Z, not R"),
    "square": (lambda path: write(path, {"RGB": picture(16, 16)}), "16 x 16 pixels is not equirectangular"),
    "a folder": (lambda path: path.mkdir(), "can't read the panorama"),
}


@pytest.mark.parametrize("damage", BAD)
def test_bad_files_are_named_in_one_line(tmp_path, capfd, damage):
    spoil, reason = BAD[damage]
    spoil(tmp_path / "sky.exr")
    with pytest.raises(ConfigError, match=reason) as caught:
        FolderEnvironments(tmp_path).load("sky", 64)
    assert re.search(r"sky\.exr", str(caught.value))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_both_formats_lie_side_by_side(tmp_path):
    write(tmp_path / "dawn.exr", {"RGB": picture()})
    (tmp_path / "noon.hdr").write_bytes(
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 4\n" + bytes([128, 128, 128, 129] * 8)
    )
    environments = FolderEnvironments(tmp_path)
    assert environments.names == ("dawn", "noon")
    assert all(np.isfinite(environments.load(name, 64).texels).all() for name in environments.names)
    assert not environments.skies
    (tmp_path / "noon.exr").write_bytes(b"")
    with pytest.raises(ConfigError, match="two panoramas are called 'noon'"):
        FolderEnvironments(tmp_path)


def test_pictures_too_large_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("task2sim_studio.openexr_file._MOST_PIXELS", 100)
    with pytest.raises(ConfigError, match="16 x 8 pixels"):
        read_openexr(write(tmp_path / "big.exr", {"RGB": picture()}))
