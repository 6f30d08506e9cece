"""How much of the light from all around a rough surface mirrors: the table behind image-based reflections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 32
"""Rows (roughness from 0 to 1) and columns (cosine of the viewing angle from 0 to 1) of the table."""

_DIRECTIONS = 1024


def reflectance_table() -> NDArray[np.float32]:
    """Integrate GGX with Smith's height-correlated masking over the hemisphere, by importance sampling.

    The second half of the split sum (Karis, "Real shading in Unreal Engine 4", SIGGRAPH 2013 course): a surface whose
    reflectance at normal incidence is F0 mirrors ``F0 * scale + bias`` of an even light.

    Returns:
        float32 array of shape (SIZE * SIZE, 2), scale and bias.
    """
    u1 = (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS
    u2 = (np.arange(_DIRECTIONS) * 0.6180339887) % 1.0
    at = np.linspace(0.0, 1.0, SIZE)
    n_v = np.maximum(at, 0.02)[:, None]
    table = np.empty((SIZE, SIZE, 2), dtype=np.float32)
    for row, roughness in enumerate(np.maximum(at, 0.05)):
        a2 = roughness**4
        n_h = np.sqrt((1.0 - u1) / (1.0 + (a2 - 1.0) * u1))
        v_h = np.sqrt(1.0 - n_v**2) * np.sqrt(1.0 - n_h**2) * np.cos(2.0 * np.pi * u2) + n_v * n_h
        n_l = 2.0 * v_h * n_h - n_v
        seen = (n_l > 0.0) & (v_h > 0.0)
        n_l = np.maximum(n_l, 1e-9)
        masking = 0.5 / (n_l * np.sqrt(n_v**2 * (1.0 - a2) + a2) + n_v * np.sqrt(n_l**2 * (1.0 - a2) + a2))
        weight = np.where(seen, 4.0 * masking * n_l * v_h / n_h, 0.0)
        fresnel = (1.0 - np.clip(v_h, 0.0, 1.0)) ** 5
        table[row, :, 0] = (weight * (1.0 - fresnel)).mean(axis=1)
        table[row, :, 1] = (weight * fresnel).mean(axis=1)
    return table.reshape(-1, 2)
