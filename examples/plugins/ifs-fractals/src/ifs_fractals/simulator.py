"""The plugin: draws a category's fractal under the parameters that a policy has chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from task2sim import (
    Choice,
    ComponentConfig,
    FrameBatch,
    Interval,
    ParameterSetting,
    ParameterSpace,
    Simulator,
    Toggle,
    fingerprint_libraries,
    image_uniforms,
)

from ifs_fractals.systems import BURN_IN, MOST_MAPS, STEPS, Floats, attractor, category

PARAMETERS = ParameterSpace(
    [
        Toggle("rotation", "the fractal is turned by any angle, and may be mirrored"),
        Toggle("placement", "the fractal is smaller or larger and lies elsewhere in the picture"),
        Toggle("colour", "each map of the system has a colour of its own"),
        Toggle("background", "a gradient between two dark colours in place of black"),
        Choice("strokes", ("points", "patches", "density"), description="what the fractal's points leave behind"),
        Interval("variation", 0.0, 0.4, description="share by which coefficients differ from the category's"),
    ]
)

# Each aspect reads its own places of an image's random numbers, so that a parameter changes nothing but its aspect.
_ROTATION = slice(0, 2)
_PLACEMENT = slice(2, 5)
_COLOUR = slice(5, 5 + 3 * MOST_MAPS)
_BACKGROUND = slice(_COLOUR.stop, _COLOUR.stop + 7)
_PATCH = slice(_BACKGROUND.stop, _BACKGROUND.stop + 9)
_VARIATION = slice(_PATCH.stop, _PATCH.stop + 6 * MOST_MAPS)
_WALK = _VARIATION.stop


class Fractals(Simulator):
    """Draws fractals; a category is an iterated function system."""

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: fractals, ...}``."""

        resolution: Annotated[int, Field(ge=16, le=512, description="side of an image in pixels")] = 64
        categories: Annotated[int, Field(ge=2, le=1000, description="how many iterated function systems")] = 24

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Results change with NumPy's."""
        return fingerprint_libraries("numpy")

    @property
    def parameter_space(self) -> ParameterSpace:
        """Four switches, a choice and a number."""
        return PARAMETERS

    @property
    def categories(self) -> tuple[str, ...]:
        """Fractals have no names."""
        return tuple(f"fractal {number:03d}" for number in range(self.config.categories))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.resolution, self.config.resolution)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Draw the images one by one."""
        setting = self.parameter_space.setting(setting)
        for index in indices:
            label = index % self.config.categories
            image = draw(setting, label, self.config.resolution, seed, index)
            yield FrameBatch(np.array([index]), image[None], np.array([label]))


def draw(setting: ParameterSetting, label: int, size: int, seed: int, index: int) -> NDArray[np.uint8]:
    """One image, uint8 of shape (size, size, 3)."""
    walkers = size * size // 16  # two points a pixel
    u = image_uniforms(seed, index, _WALK + (BURN_IN + STEPS) * walkers)
    factors = 1.0 + float(setting["variation"]) * (2.0 * u[_VARIATION].reshape(MOST_MAPS, 6) - 1.0)
    points, maps = attractor(category(label).varied(factors), u[_WALK:].reshape(-1, walkers))
    if setting["rotation"]:
        points = points @ _turn(*u[_ROTATION])
    scale, centre = 0.8, np.zeros(2)
    if setting["placement"]:
        across, up, growth = u[_PLACEMENT]
        scale, centre = 0.5 + 0.5 * growth, 0.6 * np.array([across, up]) - 0.3
    column, row = np.floor(size / 2 * (1.0 + scale * points + centre)).astype(int).T
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
    cells, maps = (row * size + column)[inside], maps[inside]

    colours = 0.3 + 0.7 * u[_COLOUR].reshape(-1, 3) if setting["colour"] else np.full((MOST_MAPS, 3), 0.9)
    layers = [
        np.ones(len(cells)),
        *colours[maps].T,
    ]  # points in a pixel, and sums of their colours
    count, *sums = (np.bincount(cells, layer, size * size).astype(float).reshape(size, size) for layer in layers)
    if setting["strokes"] == "patches":
        count, *sums = (_stamped(layer, u[_PATCH].reshape(3, 3) < 0.5) for layer in (count, *sums))
    cover = np.log1p(count) / np.log1p(count.max()) if setting["strokes"] == "density" else np.minimum(count, 1.0)
    colour = np.stack(sums, axis=-1) / np.maximum(count, 1.0)[..., None]
    ground = _gradient(size, u[_BACKGROUND]) if setting["background"] else np.zeros((size, size, 3))
    picture = cover[..., None] * colour + (1.0 - cover[..., None]) * ground
    return np.asarray(np.rint(255 * picture), dtype=np.uint8)


def _turn(angle: float, mirrored: float) -> Floats:
    sine, cosine = np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)
    return np.array([[cosine, sine], [-sine, cosine]]) * ([1.0, -1.0] if mirrored < 0.5 else [1.0, 1.0])


def _stamped(layer: Floats, pattern: NDArray[np.bool_]) -> Floats:
    """The layer with each point replaced by a pattern of three by three pixels; its middle is always set."""
    padded = np.pad(layer, 1)
    height, width = layer.shape
    shifts = [(r, c) for r in range(3) for c in range(3) if pattern[r, c] or r == c == 1]
    total: Floats = np.sum([padded[r : r + height, c : c + width] for r, c in shifts], axis=0)
    return total


def _gradient(size: int, u: Floats) -> Floats:
    x, y = np.meshgrid(*[np.linspace(-0.7, 0.7, size)] * 2)
    share = 0.5 + 0.5 * (x * np.cos(2 * np.pi * u[6]) + y * np.sin(2 * np.pi * u[6]))
    shaded: Floats = 0.5 * (share[..., None] * u[:3] + (1.0 - share[..., None]) * u[3:6])
    return shaded
