"""A task as the look of its images, without any network."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import Backbone, ComponentConfig, Task, TaskEmbedder, TaskEmbedding, fingerprint_libraries
from task2sim.tasks import Images
from task2sim_baselines.moments import frechet_distance, task_moments

YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""Rows that give Y, Cb and Cr of JPEG (ITU-T T.871) from sRGB values; Cb and Cr are 0 for greys."""

COLOUR_LEVELS = 4
"""Bins of each channel in the histogram of colours."""

DIRECTIONS = 8
"""Bins of edge directions, over half a turn."""

OCTAVES = 6
"""Bands of spatial frequency."""


class PixelStatistics(TaskEmbedder):
    """Embeds a task as the mean and the standard deviation, over training images, of what `describe` says of each.

    It sees colours, contrast, edges and coarseness, but no content: what a task's *look* alone tells about it.
    """

    class Config(ComponentConfig):
        """How closely it looks."""

        images: Annotated[int, Field(ge=2, description="training images looked at, as many of each class")] = 400

    def __init__(self, config: Config) -> None:
        self._config = config

    def fingerprint(self) -> str:
        """The version of the library that computes."""
        return fingerprint_libraries("numpy")

    def embed(self, task: Task, seed: int, probe: Backbone | None = None) -> TaskEmbedding:
        """Embed a task; float32 vector of shape (174,): means of `describe`'s 87 columns, then deviations."""
        vector = task_moments(task, self._config.images, seed, describe)
        return TaskEmbedding(
            task.name, vector, method={"embedder": "pixel-statistics", "images": self._config.images}
        )

    def distance(self, first: TaskEmbedding, second: TaskEmbedding) -> float:
        """The Fréchet distance of the statistics, taken as independent normal variables; >= 0."""
        return frechet_distance(first, second)


def describe(images: Images) -> NDArray[np.float64]:
    """Describe images of any size, each for itself, in numbers that do not depend on the size much.

    Args:
        images: uint8 array of shape (N, height, width, 3), sRGB.

    Returns:
        float64 array of shape (N, 87), in four blocks of comparable size:

        - 9 colour moments (`colour_moments`), in [-0.5, 1];
        - 64 shares of colours (`colour_histogram`);
        - 8 shares of edge directions (`edge_directions`);
        - 6 shares of spatial frequencies (`frequency_bands`).

        Shares are given by their square roots, in [0, 1]: the Euclidean distance of two such blocks is a Hellinger
        distance times the square root of 2, so rare colours count as much as common ones. They are zero for images
        without edges or without structure.
    """
    colours = images.astype(np.float64) / 255 @ YCBCR.T
    luma = colours[..., 0]
    return np.concatenate(
        [colour_moments(colours), colour_histogram(images), edge_directions(luma), frequency_bands(luma)], axis=1
    )


def colour_moments(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean, standard deviation and skewness of Y, Cb and Cr over an image's pixels.

    Skewness is the cube root of the third central moment, in the unit of the others (Stricker and Orengo, "Similarity
    of color images", SPIE 1995).

    Args:
        colours: Array of shape (N, height, width, 3).

    Returns:
        Array of shape (N, 9): three means, three deviations, three skewnesses.
    """
    mean = colours.mean(axis=(1, 2))
    centred = colours - mean[:, None, None]
    return np.concatenate(
        [mean, np.sqrt((centred**2).mean(axis=(1, 2))), np.cbrt((centred**3).mean(axis=(1, 2)))], axis=1
    )


def colour_histogram(images: Images) -> NDArray[np.float64]:
    """Root share of pixels in each of 4 x 4 x 4 boxes of sRGB (Swain and Ballard, "Color indexing", IJCV 1991).

    Args:
        images: uint8 array of shape (N, height, width, 3).

    Returns:
        Array of shape (N, 64); blue changes fastest.
    """
    levels = images // (256 // COLOUR_LEVELS)
    boxes = (levels[..., 0] * COLOUR_LEVELS + levels[..., 1]) * COLOUR_LEVELS + levels[..., 2]
    return _root_shares(boxes, np.ones(boxes.shape), COLOUR_LEVELS**3)


def edge_directions(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root share of the gradient in each of eight directions.

    Each pixel votes with the length of its gradient, as in histograms of oriented gradients (Dalal and Triggs, CVPR
    2005), here over the whole image. Opposite directions are one.

    Args:
        luma: Array of shape (N, height, width).

    Returns:
        Array of shape (N, 8); the first bin is centred on horizontal gradients, so on vertical edges.
    """
    padded = np.pad(luma, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across, down = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    bins = np.rint(np.arctan2(down, across) * DIRECTIONS / np.pi).astype(np.int64) % DIRECTIONS
    return _root_shares(bins, np.hypot(across, down), DIRECTIONS)


def frequency_bands(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root share of the spectrum's power in each octave of spatial frequency (see Torralba and Oliva, 2003).

    The first band is below 2 cycles over the shorter side, the next from 2 to 4, and so on; the last is from 32. An
    image of 64 pixels has nearly nothing in the last.

    Args:
        luma: Array of shape (N, height, width).

    Returns:
        Array of shape (N, 6).
    """
    height, width = luma.shape[1:]
    # Without a window the jump from one border to the opposite one would fill the spectrum.
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    mean = (luma * window).sum(axis=(1, 2)) / window.sum()
    power = np.abs(np.fft.fft2((luma - mean[:, None, None]) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * min(height, width)
    bands = np.clip(np.log2(np.maximum(frequency, 1.0)), 0, OCTAVES - 1).astype(np.int64)
    return _root_shares(np.broadcast_to(bands, luma.shape), power, OCTAVES)


def _root_shares(bins: NDArray[np.integer], votes: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Square roots of each bin's share of an image's votes; zero where the votes are no more than rounding."""
    images = len(bins)
    offset = bins.reshape(images, -1).astype(np.int64) + count * np.arange(images)[:, None]
    sums = np.bincount(offset.ravel(), votes.reshape(-1), minlength=count * images).reshape(images, count)
    total = sums.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(sums, total, out=np.zeros_like(sums), where=total > 1e-9)
    return np.sqrt(shares)
