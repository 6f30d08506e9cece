"""Backgrounds and materials, in Mitsuba's words."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from task2sim import Material, spawn_generator

BACKGROUNDS = {  # linear RGB of the zenith, the horizon, the hills and the ground
    "overcast": ((0.45, 0.5, 0.55), (0.7, 0.7, 0.7), (0.3, 0.33, 0.33), (0.25, 0.23, 0.2)),
    "meadow": ((0.1, 0.25, 0.7), (0.6, 0.75, 0.9), (0.1, 0.25, 0.08), (0.15, 0.3, 0.06)),
    "desert": ((0.15, 0.3, 0.7), (0.8, 0.75, 0.65), (0.5, 0.25, 0.12), (0.6, 0.42, 0.22)),
    "sunset": ((0.1, 0.1, 0.3), (0.9, 0.4, 0.15), (0.08, 0.05, 0.06), (0.12, 0.08, 0.06)),
    "snow": ((0.3, 0.45, 0.7), (0.75, 0.8, 0.85), (0.6, 0.65, 0.75), (0.8, 0.82, 0.85)),
    "night": ((0.01, 0.01, 0.04), (0.05, 0.06, 0.12), (0.01, 0.01, 0.02), (0.02, 0.03, 0.03)),
}


@functools.cache
def panorama(name: str) -> NDArray[np.float32]:
    """A sky above a line of hills and patchy ground: linear RGB of shape (64, 128, 3), the zenith in the top row."""
    generator = spawn_generator(0, "mitsuba-things", f"background {name}")
    zenith, horizon, hills, ground = np.array(BACKGROUNDS[name])
    height = np.linspace(1.0, -1.0, 64)[:, None]  # as a share of the way to the zenith
    around = np.linspace(0.0, 2.0 * np.pi, 128, endpoint=False)

    def waves(low: int, high: int) -> NDArray[np.float64]:
        """Noise of so many waves around the horizon, roughly in [-1, 1]."""
        count = np.arange(low, high)
        phases = generator.uniform(0.0, 2.0 * np.pi, len(count))
        noise: NDArray[np.float64] = 2.0 * np.sin(np.outer(around, count) + phases).mean(axis=1)
        return noise

    sky = horizon + (zenith - horizon) * np.clip(height, 0.0, 1.0)[..., None] ** 0.5
    sky = sky * (1.0 + 0.15 * np.sin(12.0 * height + 3.0 * waves(2, 6)))[..., None]  # wisps of cloud
    earth = ground * (1.0 + 0.3 * np.sin(25.0 * height**2 + 3.0 * waves(3, 9)))[..., None]
    picture = np.where((height > 0.0)[..., None], sky, earth)
    in_hills = (height > 0.0) & (height < 0.1 + 0.08 * waves(3, 12))
    return np.asarray(np.where(in_hills[..., None], hills, picture), dtype=np.float32)


MATERIALS = ("paint", "metal", "chalk", "checks")


def surface(material: Material) -> dict[str, Any]:
    """Mitsuba's description of a material; the seed gives colours and roughness."""
    u = np.random.default_rng(material.seed).random(7)
    colour, other = ({"type": "rgb", "value": (0.05 + 0.8 * c).tolist()} for c in (u[:3], u[3:6]))
    match material.name:
        case "metal":
            return {"type": "principled", "base_color": colour, "metallic": 1.0, "roughness": 0.2 + 0.4 * u[6]}
        case "chalk":
            return {"type": "diffuse", "reflectance": colour}
        case "checks":
            return {"type": "diffuse", "reflectance": {"type": "checkerboard", "color0": colour, "color1": other}}
    return {"type": "principled", "base_color": colour, "roughness": 0.15 + 0.6 * u[6]}
