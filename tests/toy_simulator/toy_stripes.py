"""A whole simulator plugin: stripes in eight directions, with two parameters of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from task2sim import (
    ComponentConfig,
    FrameBatch,
    Interval,
    ParameterSetting,
    ParameterSpace,
    Simulator,
    Toggle,
    image_uniforms,
)


class Stripes(Simulator):
    """Renders stripes; the direction is the category."""

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: stripes, ...}``."""

        size: Annotated[int, Field(ge=8, le=512, description="side of an image in pixels")] = 32

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def parameter_space(self) -> ParameterSpace:
        """Its own parameters, in place of the paper's eight."""
        return ParameterSpace(
            [Toggle("colour", "stripes of a random colour"), Interval("noise", 0.0, 0.5, description="grain")]
        )

    @property
    def categories(self) -> tuple[str, ...]:
        """The eight directions."""
        return tuple(f"{180 * k // 8} degrees" for k in range(8))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.size, self.config.size)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        """Draw stripes, one image at a time."""
        setting = self.parameter_space.setting(setting)
        size = self.config.size
        y, x = np.mgrid[0:size, 0:size] / size
        for index in indices:
            u = image_uniforms(seed, index, 5 + size * size)
            label = index % 8
            angle = np.pi * label / 8
            wave = 0.5 + 0.5 * np.sin(2 * np.pi * (3 + 5 * u[0]) * (x * np.cos(angle) + y * np.sin(angle)) + 6 * u[1])
            wave = wave + float(setting["noise"]) * (u[5:].reshape(size, size) - 0.5)
            colour = u[2:5] if setting["colour"] else np.ones(3)
            rgb = (255 * np.clip(wave[..., None] * colour, 0, 1)).astype(np.uint8)
            yield FrameBatch(np.array([index]), rgb[None], np.array([label]))
