"""What each procedural material looks like: from names and seeds to the numbers that the kernels read."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim_studio.mesh import MATERIALS

Range: TypeAlias = tuple[float, float]
Triple: TypeAlias = tuple[float, float, float]


@attrs.frozen
class Palette:
    """The range of looks of one material; a seed picks one point of it.

    Attributes:
        hue: Of the first colour, in turns.
        saturation: Of the first colour.
        value: Of the first colour, as displayed (sRGB).
        second: Factors that turn the first colour into the second, per channel; None draws a second colour.
        third: Linear RGB of the third colour (mortar, crystals); None draws one.
        metals: Choose the first colour from `METALS` instead.
        coarse: Frequencies of the large noise along the object's axes.
        fine: Frequencies of the small noise.
        scale: Repeats of the pattern across the object.
        roughness: Of the surface.
        metalness: Of the surface.
        opacity: Share of the light that does not come through.
    """

    hue: Range = (0.0, 1.0)
    saturation: Range = (0.35, 0.85)
    value: Range = (0.45, 0.95)
    second: Triple | None = None
    third: Triple | None = None
    metals: bool = False
    coarse: Triple = (0.0, 0.0, 0.0)
    fine: Triple = (0.0, 0.0, 0.0)
    scale: Range = (4.0, 8.0)
    roughness: Range = (0.4, 0.7)
    metalness: float = 0.0
    opacity: float = 1.0


PALETTES = {
    "plastic": Palette(roughness=(0.22, 0.5)),
    "ceramic": Palette(
        saturation=(0.05, 0.65),
        value=(0.65, 0.97),
        third=(0.12, 0.08, 0.05),
        coarse=(5, 5, 5),
        fine=(28, 28, 28),
        roughness=(0.12, 0.28),
    ),
    "wood": Palette(
        hue=(0.055, 0.1),
        saturation=(0.4, 0.68),
        value=(0.55, 0.88),
        second=(0.5, 0.4, 0.32),
        coarse=(2.5, 2.5, 0.8),
        fine=(30, 30, 2.5),
        scale=(9.0, 18.0),
        roughness=(0.4, 0.65),
    ),
    "bark": Palette(
        hue=(0.05, 0.1),
        saturation=(0.2, 0.5),
        value=(0.4, 0.7),
        second=(0.25, 0.22, 0.2),
        coarse=(11, 11, 2.5),
        fine=(34, 34, 16),
        roughness=(0.85, 1.0),
    ),
    "marble": Palette(
        hue=(0.0, 1.0),
        saturation=(0.02, 0.22),
        value=(0.78, 0.97),
        second=(0.3, 0.32, 0.34),
        coarse=(2.2, 2.2, 2.2),
        fine=(9, 9, 9),
        scale=(4.0, 9.0),
        roughness=(0.12, 0.3),
    ),
    "granite": Palette(
        saturation=(0.05, 0.35),
        value=(0.5, 0.85),
        second=(0.45, 0.45, 0.48),
        third=(0.05, 0.05, 0.055),
        coarse=(20, 20, 20),
        fine=(32, 32, 32),
        roughness=(0.25, 0.5),
    ),
    "brick": Palette(
        hue=(-0.015, 0.07),
        saturation=(0.45, 0.72),
        value=(0.5, 0.8),
        second=(0.6, 0.52, 0.5),
        third=(0.5, 0.47, 0.43),
        fine=(26, 26, 26),
        scale=(4.0, 7.0),
        roughness=(0.85, 0.98),
    ),
    "tiles": Palette(
        saturation=(0.15, 0.75),
        value=(0.55, 0.95),
        third=(0.42, 0.41, 0.38),
        scale=(5.0, 10.0),
        roughness=(0.12, 0.3),
    ),
    "fabric": Palette(
        saturation=(0.25, 0.8),
        value=(0.35, 0.9),
        fine=(22, 22, 22),
        scale=(3.0, 6.0),
        roughness=(0.85, 1.0),
    ),
    "knit": Palette(
        saturation=(0.25, 0.75),
        value=(0.5, 0.92),
        second=(0.35, 0.33, 0.33),
        fine=(40, 40, 40),
        scale=(8.0, 13.0),
        roughness=(0.9, 1.0),
    ),
    "leather": Palette(
        hue=(-0.02, 0.1),
        saturation=(0.3, 0.75),
        value=(0.22, 0.65),
        second=(0.55, 0.5, 0.48),
        coarse=(7, 7, 7),
        fine=(36, 36, 36),
        roughness=(0.35, 0.55),
    ),
    "metal": Palette(
        metals=True,
        second=(0.7, 0.7, 0.7),
        coarse=(3, 3, 3),
        fine=(5, 5, 48),
        roughness=(0.16, 0.42),
        metalness=1.0,
    ),
    "rust": Palette(
        hue=(0.02, 0.06),
        saturation=(0.6, 0.85),
        value=(0.45, 0.68),
        second=(0.35, 0.28, 0.28),
        third=(0.5, 0.5, 0.5),
        coarse=(4, 4, 4),
        fine=(18, 18, 18),
    ),
    "checker": Palette(scale=(4.0, 8.0), roughness=(0.25, 0.6)),
    "stripes": Palette(scale=(4.0, 9.0), roughness=(0.3, 0.8)),
    "dots": Palette(scale=(5.0, 9.0), roughness=(0.3, 0.8)),
    "clouds": Palette(coarse=(3.5, 3.5, 3.5), fine=(6, 6, 6), roughness=(0.4, 0.8)),
    "foliage": Palette(
        hue=(0.17, 0.36),
        saturation=(0.45, 0.8),
        value=(0.35, 0.65),
        second=(0.35, 0.45, 0.35),
        third=(0.24, 0.3, 0.05),
        coarse=(8, 8, 8),
        fine=(24, 24, 24),
        roughness=(0.6, 0.9),
    ),
    "glass": Palette(saturation=(0.02, 0.3), value=(0.88, 0.99), roughness=(0.1, 0.14), opacity=0.06),
}
"""The looks of every name in `task2sim_studio.mesh.MATERIALS`."""

METALS = np.array(
    [
        [0.56, 0.57, 0.58],  # iron
        [0.72, 0.73, 0.74],  # steel
        [0.91, 0.92, 0.92],  # aluminium
        [0.95, 0.64, 0.54],  # copper
        [1.00, 0.77, 0.34],  # gold
        [0.89, 0.73, 0.42],  # brass
        [0.71, 0.50, 0.33],  # bronze
        [0.30, 0.31, 0.33],  # gunmetal
    ],
    dtype=np.float32,
)
"""Linear RGB reflectances of metals at normal incidence (after common measured values)."""


def _table(field: str) -> NDArray[np.float32]:
    return np.array([getattr(PALETTES[name], field) for name in MATERIALS], dtype=np.float32)


def _ratios(field: str) -> NDArray[np.float32]:
    values = [getattr(PALETTES[name], field) or (np.nan,) * 3 for name in MATERIALS]
    return np.array(values, dtype=np.float32)


_HUE, _SATURATION, _VALUE = _table("hue"), _table("saturation"), _table("value")
_SCALE, _ROUGHNESS, _METALNESS = _table("scale"), _table("roughness"), _table("metalness")
_OPACITY = _table("opacity")
_COARSE, _FINE = _table("coarse"), _table("fine")
_SECOND, _THIRD = _ratios("second"), _ratios("third")
_METALS = np.array([PALETTES[name].metals for name in MATERIALS])


def uniforms(kinds: NDArray[np.int64], seeds: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Hash (kind, seed) into uniform numbers (Steele et al., "Fast splittable generators", OOPSLA 2014).

    Returns:
        float32 array of shape (N, count), values in [0, 1).
    """
    key = seeds.astype(np.uint64) * np.uint64(64) + kinds.astype(np.uint64)
    z = key[:, None] * np.uint64(0xD1B54A32D192ED03)
    z = z + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def linear_from_hsv(
    hue: NDArray[np.float32], saturation: NDArray[np.float32], value: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Turn displayed hue (turns), saturation and value into linear RGB of shape (N, 3)."""
    corner = np.array([5.0, 3.0, 1.0], dtype=np.float32)
    k = (corner + 6.0 * hue[:, None]) % 6.0
    ramp = np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0)
    display = value[:, None] * (1.0 - saturation[:, None] * ramp)
    return np.asarray(display**2.2, dtype=np.float32)


def surfaces(
    kinds: NDArray[np.int64], seeds: NDArray[np.int64], colours: NDArray[np.float32], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Choose the look of many materials at once.

    Args:
        kinds: int64 array of shape (N,): positions in `MATERIALS`.
        seeds: int64 array of shape (N,): which one of its kind.
        colours: float32 array of shape (N, 3): linear RGB to use as base colour, or NaN for the material's own.
        dtype: The kernels' layout of a `Surface`.

    Returns:
        Structured array of shape (N,).
    """
    u = uniforms(kinds, seeds, 16)

    def between(bounds: NDArray[np.float32], slot: int) -> NDArray[np.float32]:
        chosen = bounds[kinds]
        return np.asarray(chosen[:, 0] + (chosen[:, 1] - chosen[:, 0]) * u[:, slot])

    base = linear_from_hsv(between(_HUE, 0), between(_SATURATION, 1), between(_VALUE, 2))
    base = np.where(_METALS[kinds][:, None], METALS[(u[:, 0] * len(METALS)).astype(np.int64)], base)
    base = np.where(np.isnan(colours), base, colours)
    # A drawn second colour is light or dark, against the first, so that patterns stand out.
    # Not a matrix product, whose last bits depend on how many rows there are.
    light = (base * np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)).sum(axis=1)
    second_value = np.where(light > 0.3, 0.12 + 0.4 * u[:, 5], 0.72 + 0.25 * u[:, 5])
    second = linear_from_hsv(u[:, 3], 0.75 * u[:, 4], second_value)
    second = np.where(np.isnan(_SECOND[kinds]), second, base * _SECOND[kinds])
    # An apple's blush is a shade of the apple: clouds over a given colour do not bring another.
    own_shade = (kinds == MATERIALS.index("clouds")) & ~np.isnan(colours).any(axis=1)
    second = np.where(own_shade[:, None], base * (0.4 + 0.4 * u[:, 5:6]), second)
    third = linear_from_hsv(u[:, 6], 0.3 + 0.6 * u[:, 7], 0.4 + 0.55 * u[:, 8])
    third = np.where(np.isnan(_THIRD[kinds]), third, _THIRD[kinds])

    out = np.zeros(len(kinds), dtype)
    out["kind"] = kinds
    out["base"], out["second"], out["third"] = base, second, third
    out["coarse"], out["fine"] = _COARSE[kinds], _FINE[kinds]
    out["offset"] = u[:, 9:12] * 32.0
    out["scale"] = between(_SCALE, 12)
    out["choice"], out["contrast"] = u[:, 13], u[:, 14]
    out["roughness"] = between(_ROUGHNESS, 15)
    out["metalness"], out["opacity"] = _METALNESS[kinds], _OPACITY[kinds]
    out["albedo_image"] = out["finish_image"] = out["normal_image"] = -1
    return out


def noise_lattice(size: int) -> NDArray[np.float32]:
    """Make the periodic lattice of random values that all solid textures interpolate.

    Low frequencies are taken out, which makes octaves distinct.

    Returns:
        float32 array of shape (size**3,), about in [-1, 1].
    """
    white = np.random.default_rng(20220619).random((size, size, size)) - 0.5
    smooth = white
    for axis in range(3):
        smooth = 0.25 * np.roll(smooth, 1, axis) + 0.5 * smooth + 0.25 * np.roll(smooth, -1, axis)
    rough = white - 0.8 * smooth
    return np.asarray(np.clip(rough / (2.0 * rough.std()), -1.2, 1.2).ravel(), dtype=np.float32)
