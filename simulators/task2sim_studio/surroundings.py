# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Looking up the light of the surroundings: Warp functions that the kernels share."""

from __future__ import annotations

import warp as wp

from task2sim_studio.reflectance import SIZE

_SIDE = wp.constant(SIZE)
_SURROUNDINGS_DISTANCE = wp.constant(12.0)  # metres, for fog only


@wp.struct
class Surroundings:
    """Prefiltered environments: octahedral maps in levels of growing blur, and spherical harmonics of irradiance."""

    texels: wp.array(dtype=wp.vec3)
    harmonics: wp.array(dtype=wp.vec3)
    level_first: wp.array(dtype=wp.int32)
    level_size: wp.array(dtype=wp.int32)
    levels: wp.int32
    stride: wp.int32
    sharpest: wp.float32
    reflectances: wp.array(dtype=wp.vec2)


@wp.func
def about_log2(x: wp.float32):
    """Binary logarithm of a positive number to within 0.01, which chooses levels well enough."""
    bits = wp.cast(x, wp.int32)
    mantissa = wp.cast((bits & 0x7FFFFF) | 0x3F800000, wp.float32)
    return wp.float32((bits >> 23) - 127) + (2.0 - 0.33333333 * mantissa) * mantissa - 1.66666667


@wp.func
def environment_texel(surroundings: Surroundings, first: wp.int32, size: wp.int32, x: wp.float32, y: wp.float32):
    """Interpolate a level of an octahedral map, which has a border of one texel."""
    u = x * wp.float32(size) + 0.5
    v = y * wp.float32(size) + 0.5
    column = wp.clamp(wp.int32(u), 0, size)
    row = wp.clamp(wp.int32(v), 0, size)
    fx = u - wp.float32(column)
    fy = v - wp.float32(row)
    at = first + row * (size + 2) + column
    top = wp.lerp(surroundings.texels[at], surroundings.texels[at + 1], fx)
    bottom = wp.lerp(surroundings.texels[at + size + 2], surroundings.texels[at + size + 3], fx)
    return wp.lerp(top, bottom, fy)


@wp.func
def environment_radiance(surroundings: Surroundings, environment: wp.int32, direction: wp.vec3, angle: wp.float32):
    """Radiance from a direction of any length, in the environment's axes, blurred by a deviation in radians."""
    d = direction * (1.0 / (wp.abs(direction[0]) + wp.abs(direction[1]) + wp.abs(direction[2])))
    x = d[0]
    y = d[1]
    if d[2] < 0.0:
        x = wp.where(d[0] >= 0.0, 1.0, -1.0) * (1.0 - wp.abs(d[1]))
        y = wp.where(d[1] >= 0.0, 1.0, -1.0) * (1.0 - wp.abs(d[0]))
    x = 0.5 * x + 0.5
    y = 0.5 * y + 0.5
    last = surroundings.levels - 1
    level = wp.float32(0.0)
    if angle > surroundings.sharpest:
        level = wp.min(about_log2(angle / surroundings.sharpest), wp.float32(last))
    lower = wp.int32(level + 0.25)
    upper = wp.min(lower + 1, last)
    start = environment * surroundings.stride
    sharp = environment_texel(
        surroundings, start + surroundings.level_first[lower], surroundings.level_size[lower], x, y
    )
    share = wp.clamp(2.0 * (level - wp.float32(lower)) - 0.5, 0.0, 1.0)  # near a level, that level alone will do
    if share > 0.0:
        soft = environment_texel(
            surroundings, start + surroundings.level_first[upper], surroundings.level_size[upper], x, y
        )
        sharp = wp.lerp(sharp, soft, share)
    return sharp


@wp.func
def reflectance(surroundings: Surroundings, roughness: wp.float32, n_v: wp.float32):
    """Interpolate the table of `task2sim_studio.reflectance`: scale and bias."""
    x = n_v * wp.float32(_SIDE - 1)
    y = roughness * wp.float32(_SIDE - 1)
    column = wp.min(wp.int32(x), _SIDE - 2)
    row = wp.min(wp.int32(y), _SIDE - 2)
    at = row * _SIDE + column
    fx = x - wp.float32(column)
    smoother = wp.lerp(surroundings.reflectances[at], surroundings.reflectances[at + 1], fx)
    rougher = wp.lerp(surroundings.reflectances[at + _SIDE], surroundings.reflectances[at + _SIDE + 1], fx)
    return wp.lerp(smoother, rougher, y - wp.float32(row))


@wp.func
def irradiance(surroundings: Surroundings, environment: wp.int32, n: wp.vec3):
    """Irradiance over pi on a surface that faces n, from nine coefficients.

    Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps", SIGGRAPH 2001; the
    cosine lobe and the basis constants are in the coefficients.
    """
    first = 9 * environment
    light = surroundings.harmonics[first]
    light += surroundings.harmonics[first + 1] * n[1]
    light += surroundings.harmonics[first + 2] * n[2]
    light += surroundings.harmonics[first + 3] * n[0]
    light += surroundings.harmonics[first + 4] * (n[0] * n[1])
    light += surroundings.harmonics[first + 5] * (n[1] * n[2])
    light += surroundings.harmonics[first + 6] * (3.0 * n[2] * n[2] - 1.0)
    light += surroundings.harmonics[first + 7] * (n[0] * n[2])
    light += surroundings.harmonics[first + 8] * (n[0] * n[0] - n[1] * n[1])
    return wp.max(light, wp.vec3(0.0, 0.0, 0.0))


@wp.func
def hazy(
    surroundings: Surroundings,
    environment: wp.int32,
    ray: wp.vec3,
    density: wp.float32,
    inverse_distance: wp.float32,
    light: wp.vec3,
):
    """What is left of a radiance behind fog; the fog itself shines as the blurred surroundings do.

    The surroundings, at an inverse distance of 0, count as `_SURROUNDINGS_DISTANCE` away.
    """
    distance = wp.min(wp.length(ray) / wp.max(inverse_distance, 1.0e-6), _SURROUNDINGS_DISTANCE)
    left = wp.exp(-density * distance)
    fog = environment_radiance(surroundings, environment, wp.vec3(ray[0], ray[1], 0.25 * ray[2]), 1.0)
    return light * left + fog * (1.0 - left)
