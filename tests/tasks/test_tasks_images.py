from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from task2sim import TaskError
from task2sim_tasks.images import read_image, square, squares

FORMATS = ["png", "jpeg", "bmp", "gif", "webp", "tiff"]


def picture(width: int = 80, height: int = 60) -> Image.Image:
    """Noise, so that no format compresses it to nothing."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", FORMATS)
def test_reads_every_format(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind}"
    Image.new("RGB", (40, 20), (200, 30, 60)).save(file)
    image = read_image(file, 16)
    assert image.shape == (16, 16, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - (200, 30, 60)).max() <= 6


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.6])
def test_truncated_file_is_named(tmp_path: Path, kind: str, kept: float) -> None:
    whole = io.BytesIO()
    picture().save(whole, format=kind)
    file = tmp_path / f"broken.{kind}"
    file.write_bytes(whole.getvalue()[: int(kept * len(whole.getvalue()))])
    with pytest.raises(TaskError, match="can't read the image") as caught:
        read_image(file, 16)
    assert caught.value.place == str(file)
    assert caught.value.mend
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="No such file"):
        read_image(tmp_path / "none.png", 16)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_exif_orientation(tmp_path: Path, kind: str) -> None:
    array = np.zeros((32, 32, 3), dtype=np.uint8)
    array[:16] = 255  # white above black
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(array).save(tmp_path / f"a.{kind}", exif=exif)
    image = read_image(tmp_path / f"a.{kind}", 32)
    assert image[:12].max() < 40
    assert image[20:].min() > 215


def test_large_jpeg_is_like_the_same_png(tmp_path: Path) -> None:
    large = picture(300, 225).resize((1200, 900), Image.Resampling.BICUBIC)
    large.save(tmp_path / "a.jpg", quality=95)
    large.save(tmp_path / "a.png")
    difference = read_image(tmp_path / "a.jpg", 256).astype(int) - read_image(tmp_path / "a.png", 256)
    assert np.abs(difference).mean() < 12


def test_transparency_is_white() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 255, 0))
    image.paste((0, 0, 255, 255), (0, 0, 4, 8))
    pixels = square(image, 8)
    assert (pixels[:, :4] == (0, 0, 255)).all()
    assert (pixels[:, 4:] == 255).all()


def test_transparent_palette_entry(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 4, 8))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = read_image(tmp_path / "a.png", 8)
    assert (pixels[:, :4] == (200, 100, 50)).all()
    assert (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled(tmp_path: Path, kind: str) -> None:
    array = np.full((8, 8), 257 * 250, dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / f"a.{kind}")
    assert (read_image(tmp_path / f"a.{kind}", 8) == 250).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    pixels = square(Image.new("L", (10, 12), 255).convert("RGB").convert(mode), 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.min() >= 250


@pytest.mark.parametrize("array", [np.zeros((8, 8), np.float32), np.full((8, 8), 70000, np.int32)])
def test_unknown_range_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(tmp_path / "a.tiff")
    with pytest.raises(TaskError, match=r"a\.tiff: can't read the image: its pixels"):
        read_image(tmp_path / "a.tiff", 8)


def test_middle_is_kept() -> None:
    array = np.zeros((10, 30, 3), dtype=np.uint8)
    array[:, 10:20] = 255
    assert (square(Image.fromarray(array), 10) == 255).all()


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(8, 24), level=st.integers(0, 255))
def test_flat_pictures_stay_flat(width: int, height: int, size: int, level: int) -> None:
    result = squares(np.full((2, height, width), level, dtype=np.uint8), size)
    assert result.shape == (2, size, size, 3)
    assert (result == level).all()
