from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import ImageSet, Task
from task2sim_baselines.pixel_statistics import (
    PixelStatistics,
    colour_histogram,
    colour_moments,
    describe,
    edge_directions,
    frequency_bands,
)

BLOCKS = {"moments": slice(0, 9), "colours": slice(9, 73), "edges": slice(73, 81), "frequencies": slice(81, 87)}


def grating(angle: float, cycles: float, side: int = 64) -> np.ndarray:
    """Luma that varies along a direction (0: from left to right), `cycles` times over the image."""
    y, x = np.mgrid[0:side, 0:side] / side
    return 0.5 + 0.4 * np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))


def noise(count: int, seed: int = 0, shape: tuple[int, int] = (12, 10)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape, 3), dtype=np.uint8)


def task(images: np.ndarray, labels: np.ndarray, name: str = "t") -> Task:
    part = ImageSet(images, labels)
    return Task(name, ("a", "b"), part, part, part)


def embedder(**config: object) -> PixelStatistics:
    return PixelStatistics(PixelStatistics.Config(**config))


def test_vector_is_of_the_same_length_for_images_of_every_size() -> None:
    for shape in ((1, 1), (1, 7), (2, 2), (8, 8), (33, 20)):
        embedding = embedder().embed(task(noise(4, shape=shape), np.arange(4) % 2), 0)
        assert embedding.vector.shape == (174,)
        assert embedding.vector.dtype == np.float32
        assert np.isfinite(embedding.vector).all()


@given(seed=st.integers(0, 99))
def test_order_of_images_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    images, labels = noise(20, seed), generator.integers(0, 2, 20)
    order = generator.permutation(20)
    first, second = (
        embedder().embed(one, seed) for one in (task(images, labels), task(images[order], labels[order]))
    )
    np.testing.assert_allclose(first.vector, second.vector, atol=1e-6)
    assert embedder().distance(first, second) < 1e-5


@given(seed=st.integers(0, 99), count=st.integers(1, 5))
def test_each_image_is_described_for_itself_and_in_range(seed: int, count: int) -> None:
    images = noise(count, seed)
    images[0] //= 40
    rows = describe(images)
    for number in range(count):
        np.testing.assert_allclose(describe(images[number : number + 1])[0], rows[number], atol=1e-9)
    assert (rows >= -0.5).all()
    assert (rows <= 1).all()
    for block in ("colours", "edges", "frequencies"):
        np.testing.assert_allclose((rows[:, BLOCKS[block]] ** 2).sum(axis=1), 1)


def test_an_image_of_one_colour() -> None:
    row = describe(np.full((1, 9, 9, 3), (255, 0, 0), np.uint8))[0]
    np.testing.assert_allclose(row[:3], [0.299, -0.168736, 0.5])
    np.testing.assert_allclose(row[3:9], 0, atol=1e-4)
    assert row[BLOCKS["colours"]][3 * 16] == 1
    assert not row[73:].any()


def test_colour_moments() -> None:
    pixels = np.array([0.0, 0.0, 0.0, 1.0])[:, None] * np.array([1.0, 0.0, -1.0])
    moments = colour_moments(pixels.reshape(1, 2, 2, 3))[0].reshape(3, 3)
    np.testing.assert_allclose(moments[0], [0.25, 0, -0.25])
    np.testing.assert_allclose(moments[1], [np.sqrt(3 / 16), 0, np.sqrt(3 / 16)])
    skewness = np.cbrt((3 * -(0.25**3) + 0.75**3) / 4)
    np.testing.assert_allclose(moments[2], [skewness, 0, -skewness])


def test_colour_histogram() -> None:
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, 0, 0] = (63, 64, 255)
    shares = colour_histogram(images)[0] ** 2
    assert shares[0 * 16 + 1 * 4 + 3] == pytest.approx(0.25)
    assert shares[0] == pytest.approx(0.75)


@pytest.mark.parametrize("eighth", range(8))
def test_edge_directions(eighth: int) -> None:
    row = edge_directions(grating(eighth * np.pi / 8, 4)[None])[0]
    assert row.argmax() == eighth
    half_turned = edge_directions(grating(eighth * np.pi / 8 + np.pi, 4)[None])[0]
    np.testing.assert_allclose(half_turned, row, atol=0.05)


@pytest.mark.parametrize(("cycles", "band"), [(1, 0), (3, 1), (6, 2), (12, 3), (24, 4)])
def test_frequency_bands(cycles: int, band: int) -> None:
    for angle in (0.0, 1.0):
        assert frequency_bands(grating(angle, cycles)[None])[0].argmax() == band
    # The same picture at twice the size.
    twice = frequency_bands(grating(0, cycles, 128)[None])[0]
    np.testing.assert_allclose(twice, frequency_bands(grating(0, cycles)[None])[0], atol=0.1)


def test_finer_than_32_cycles() -> None:
    assert frequency_bands(grating(0, 50, 128)[None])[0].argmax() == 5


def test_tasks_that_look_alike_are_near() -> None:
    def drawn(name: str, seed: int, cycles: float, tint: tuple[float, ...]) -> Task:
        generator = np.random.default_rng(seed)
        images = np.stack([grating(generator.uniform(0, 3), cycles, 32) for _ in range(30)])[..., None] * tint
        return task((255 * images).astype(np.uint8), np.arange(30) % 2, name)

    one, alike, coarse, red = (
        embedder().embed(drawn(*arguments), 0)
        for arguments in (
            ("a", 1, 6, (1, 1, 1)),
            ("b", 2, 6, (1, 1, 1)),
            ("c", 3, 1, (1, 1, 1)),
            ("d", 4, 6, (1, 0.2, 0.2)),
        )
    )
    distance = embedder().distance
    assert distance(one, alike) < 0.5 * min(distance(one, coarse), distance(one, red))
    assert distance(one, one) == 0


def test_no_global_random_numbers() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    images, labels = noise(30), np.arange(30) % 2
    first, again = (embedder(images=10).embed(task(images, labels), 5).vector for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert "numpy" in embedder().fingerprint()
