"""A simulator that draws one shape in each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    ComponentConfig,
    FrameBatch,
    ParameterSetting,
    ParameterSpace,
    Simulator,
    Toggle,
    fingerprint_libraries,
    image_uniforms,
)

# blank: what can be varied. Policies choose from it; nobody but you knows what the names mean.
PARAMETERS = ParameterSpace(
    [
        Toggle("position", "the shape lies anywhere in the picture"),
        Toggle("colour", "shape and background have any colours"),
    ]
)

# blank: what there is to see. Networks are pre-trained to tell these apart: make them many and different.
CATEGORIES = ("disc", "square", "ring", "cross")


class MyPlugin(Simulator):
    """Draws discs, squares, rings and crosses."""

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: my-plugin, ...}``."""

        # blank: further keys, each with bounds and a description.
        resolution: Annotated[int, Field(ge=16, le=512, description="side of an image in pixels")] = 64

    def __init__(self, config: Config) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Images may change with NumPy's version."""
        return fingerprint_libraries("numpy")

    @property
    def parameter_space(self) -> ParameterSpace:
        """What can be varied."""
        return PARAMETERS

    @property
    def categories(self) -> tuple[str, ...]:
        """What there is to see; a category's position is its label."""
        return CATEGORIES

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.resolution, self.config.resolution)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Draw the images one by one; image i depends on the setting, the seed and i alone."""
        setting = self.parameter_space.setting(setting)
        for index in indices:
            label = index % len(CATEGORIES)
            image = draw(setting, CATEGORIES[label], self.config.resolution, seed, index)
            yield FrameBatch(np.array([index]), image[None], np.array([label]))


def draw(setting: ParameterSetting, category: str, resolution: int, seed: int, index: int) -> NDArray[np.uint8]:
    """One image: uint8 of shape (resolution, resolution, 3)."""
    # blank: your pictures. Each aspect keeps its places among these numbers, whether it varies or not: then a
    # parameter changes nothing but its aspect. Add new aspects at the end.
    u = image_uniforms(seed, index, 9)
    radius = 0.25 + 0.2 * u[0]
    centre = u[1:3] - 0.5 if setting["position"] else np.zeros(2)
    shape_colour, background = (u[3:6], u[6:9]) if setting["colour"] else (np.full(3, 0.9), np.full(3, 0.2))
    y, x = (np.mgrid[:resolution, :resolution] + 0.5) / resolution * 2 - 1 - centre[:, None, None]
    distance = np.hypot(x, y)
    inside = {
        "disc": distance < radius,
        "square": np.maximum(abs(x), abs(y)) < radius,
        "ring": (distance < radius) & (distance > radius / 2),
        "cross": (np.minimum(abs(x), abs(y)) < radius / 4) & (np.maximum(abs(x), abs(y)) < radius),
    }[category]
    image = np.where(inside[..., None], shape_colour, background)
    return np.asarray(np.rint(255 * image), dtype=np.uint8)
