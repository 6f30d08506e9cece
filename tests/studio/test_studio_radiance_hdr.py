"""The reader of Radiance pictures."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim_studio.radiance_hdr import read_radiance

HEADER = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n"


def encoded(pixels):
    """Run-length encode uint8 (height, width, 4): a run where four or more are equal, else literals."""
    out = bytearray()
    height, width, _ = pixels.shape
    for row in range(height):
        out += bytes((2, 2, width >> 8, width & 255))
        for channel in range(4):
            line, at = pixels[row, :, channel], 0
            while at < width:
                end = at
                while end < width and end - at < 127 and line[end] == line[at]:
                    end += 1
                if end - at >= 4:
                    out += bytes((128 + end - at, line[at]))
                    at = end
                else:
                    count = min(3, width - at)
                    out += bytes((count, *line[at : at + count].tolist()))
                    at += count
    return bytes(out)


@pytest.fixture
def pixels():
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (5, 40, 4), dtype=np.uint8)
    picture[1:3, 4:30] = 77
    picture[4, :, 3] = 0
    return picture


def value(pixels):
    scale = np.where(pixels[..., 3:] > 0, np.exp2(pixels[..., 3:].astype(float) - 136), 0)
    return pixels[..., :3] * scale


@pytest.mark.parametrize("coding", ["flat", "runs"])
def test_both_codings_are_read(tmp_path, pixels, coding):
    body = pixels.tobytes() if coding == "flat" else encoded(pixels)
    (tmp_path / "a.hdr").write_bytes(HEADER + b"-Y 5 +X 40\n" + body)
    picture = read_radiance(tmp_path / "a.hdr")
    assert picture.dtype == np.float32
    assert np.allclose(picture, value(pixels), rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "doesn't begin"),
        (b"PNG and so on", "doesn't begin"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "header has no end"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\nabcd", "XYZ"),
        (HEADER + b"+X 4 -Y 2\n", "size line"),
        (HEADER + b"-Y 0 +X 4\n", "out of range"),
        (HEADER + b"-Y 4 +X 4\nshort", "end early"),
        (HEADER + b"-Y 1 +X 16\n\x02\x02\x00\x10\x90", "end early"),
        (HEADER + b"-Y 1 +X 16\n\x02\x02\x00\x10\xa0\x01", "longer than its scanline"),
        (HEADER + b"-Y 2 +X 16\n" + b"\x02\x02\x00\x10" + b"\x90\x01" * 4 + b"zz", "scanline 1"),
    ],
)
def test_damage_is_named(tmp_path, data, message):
    (tmp_path / "bad.hdr").write_bytes(data)
    with pytest.raises(ConfigError, match=message) as caught:
        read_radiance(tmp_path / "bad.hdr")
    assert caught.value.place.endswith("bad.hdr")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="can't read"):
        read_radiance(tmp_path / "absent.hdr")


@given(st.binary(max_size=200))
def test_no_body_does_more_than_raise(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("hdr") / "any.hdr"
    path.write_bytes(HEADER + b"-Y 2 +X 16\n" + body)
    with contextlib.suppress(ConfigError):
        assert read_radiance(path).shape == (2, 16, 3)
