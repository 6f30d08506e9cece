# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Kernels of the camera's lens and sensor: focus blur, motion blur, noise, and from radiance to sRGB bytes."""

from __future__ import annotations

import warp as wp

from task2sim_studio.structures import MODULE_OPTIONS, View
from task2sim_studio.surroundings import Surroundings, environment_radiance, hazy

wp.set_module_options(MODULE_OPTIONS)

TONE_STEPS = 8192
TONE_LIMIT = 16.0
"""The tone table has `TONE_STEPS` entries, evenly spaced in the square root of radiance up to `TONE_LIMIT`."""

_TONE_LAST = wp.constant(TONE_STEPS - 1)
_TONE_SCALE = wp.constant((TONE_STEPS - 1) / TONE_LIMIT**0.5)
_PI = wp.constant(3.14159265)
_WIDEST_GATHER = wp.constant(7)
_LONGEST_SMEAR = wp.constant(64)


@wp.func
def blur_radius(view: View, inverse_depth: wp.float32):
    """Radius in pixels of the circle of confusion of a thin lens."""
    return 0.5 * view.aperture * view.focal * wp.abs(view.focus_inverse - inverse_depth)


@wp.func
def disc_share(radius: wp.float32, distance: wp.float32):
    """Share of a disc's light that falls into a grid cell `distance` from its centre."""
    return wp.clamp(radius + 0.5 - distance, 0.0, 1.0) / (_PI * radius * radius + 0.215)


@wp.func
def defocus(
    view: View,
    layer: wp.array(dtype=wp.vec4),
    nearest: wp.array(dtype=wp.float32),
    resolution: wp.int32,
    pixel: wp.int32,
):
    """Gather the discs that out-of-focus neighbours throw onto a pixel.

    A neighbour behind the pixel spreads no farther than the pixel itself, so that what is sharp and near keeps its
    edge. Wide discs are sampled sparsely.
    """
    own = layer[pixel]
    own_inverse = nearest[pixel]
    own_radius = blur_radius(view, own_inverse)
    step = wp.max(1, wp.int32(wp.ceil(view.blur_limit)) / _WIDEST_GATHER)
    reach = wp.int32(wp.ceil(view.blur_limit)) / step + 1
    first = pixel - pixel % (resolution * resolution)
    row = (pixel // resolution) % resolution
    column = pixel % resolution
    colour = wp.vec3(0.0, 0.0, 0.0)
    covered = wp.float32(0.0)
    empty = wp.float32(0.0)
    grid = wp.float32(step)
    farthest = (view.blur_limit / grid + 1.5) * (view.blur_limit / grid + 1.5)
    for j in range(-reach, reach + 1):
        y = row + j * step
        if y >= 0 and y < resolution:
            for i in range(-reach, reach + 1):
                x = column + i * step
                if x >= 0 and x < resolution:
                    tap = layer[first + y * resolution + x]
                    away = wp.float32(i * i + j * j)
                    # A tap counts if it is within the widest disc, and it or the pixel shows an object.
                    if away < farthest and tap[3] + own[3] > 0.0:
                        radius = own_radius
                        if tap[3] > 0.0:
                            inverse = nearest[first + y * resolution + x]
                            radius = blur_radius(view, inverse)
                            if own[3] > 0.0 and inverse < own_inverse:
                                radius = wp.min(radius, own_radius)
                        share = disc_share(wp.max(radius / grid, 0.5), wp.sqrt(away))
                        colour += share * wp.vec3(tap[0], tap[1], tap[2])
                        covered += share * tap[3]
                        empty += share * (1.0 - tap[3])
    if covered <= 0.0:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    # Inside an object the shares are normalised; outside, what arrives is what covers.
    alpha = wp.min(covered, 1.0)
    if own[3] > 0.0:
        alpha = covered / (covered + empty)
    colour = colour * (alpha / covered)
    return wp.vec4(colour[0], colour[1], colour[2], alpha)


@wp.func
def tone(tones: wp.array(dtype=wp.uint8), value: wp.float32):
    """Look a radiance up in the tone table."""
    return tones[wp.clamp(wp.int32(wp.sqrt(wp.max(value, 0.0)) * _TONE_SCALE + 0.5), 0, _TONE_LAST)]


@wp.func
def exposed(tones: wp.array(dtype=wp.uint8), view: View, pixel: wp.int32, light: wp.vec3):
    """Record a radiance: the sensor's noise, then the tone table."""
    if view.noise > 0.0:
        # Shot noise grows with the root of the light, read noise does not. The tone curve's slope at a mid-grey of
        # 0.18 is about 1.07, which makes `noise` a share of white there.
        state = wp.rand_init(view.noise_seed, pixel)
        for channel in range(3):
            spread = 3.9 * view.noise * wp.sqrt(0.18 * wp.max(light[channel], 0.0) + 0.01)
            light[channel] = light[channel] + spread * wp.clamp(wp.randn(state), -4.0, 4.0)
    return wp.vec3ub(tone(tones, light[0]), tone(tones, light[1]), tone(tones, light[2]))


@wp.kernel
def develop(
    views: wp.array(dtype=View),
    surroundings: Surroundings,
    layer: wp.array(dtype=wp.vec4),
    nearest: wp.array(dtype=wp.float32),
    resolution: wp.int32,
    tones: wp.array(dtype=wp.uint8),
    light: wp.array(dtype=wp.vec3),
    rgb: wp.array(dtype=wp.vec3ub),
):
    """Blur the objects, put them before their surroundings, and record the picture.

    Pictures that move are left as radiance in `light`, for `smear`.
    """
    pixel = wp.tid()
    picture = pixel // (resolution * resolution)
    view = views[picture]
    x = wp.float32(pixel % resolution) + 0.5
    y = wp.float32((pixel // resolution) % resolution) + 0.5
    seen = layer[pixel]
    box = view.blur_box
    if view.blur_limit > 0.25 and x > box[0] and x < box[2] and y > box[1] and y < box[3]:
        seen = defocus(view, layer, nearest, resolution, pixel)
    total = wp.vec3(seen[0], seen[1], seen[2])
    if seen[3] < 1.0:
        ray = view.ray + x * view.ray_right + y * view.ray_down
        # The surroundings are infinitely far: their circle of confusion is one angle all over.
        angle = wp.max(0.3, 0.5 * blur_radius(view, 0.0)) / view.focal
        behind = environment_radiance(surroundings, view.environment, ray, angle)
        if view.fog > 0.0:
            behind = hazy(surroundings, view.environment, ray, view.fog, 0.0, behind)
        total += (1.0 - seen[3]) * behind
    if view.motion[0] != 0.0 or view.motion[1] != 0.0:
        light[pixel] = total
    else:
        rgb[pixel] = exposed(tones, view, pixel - picture * resolution * resolution, total)


@wp.kernel
def smear(
    views: wp.array(dtype=View),
    moving: wp.array(dtype=wp.int32),
    resolution: wp.int32,
    tones: wp.array(dtype=wp.uint8),
    light: wp.array(dtype=wp.vec3),
    rgb: wp.array(dtype=wp.vec3ub),
):
    """Record moving pictures: every pixel averages along the way that the picture slides."""
    which, pixel = wp.tid()
    picture = moving[which]
    view = views[picture]
    first = picture * resolution * resolution
    x = wp.float32(pixel % resolution)
    y = wp.float32(pixel // resolution)
    taps = wp.clamp(wp.int32(wp.ceil(wp.length(view.motion))) + 1, 2, _LONGEST_SMEAR)
    edge = wp.float32(resolution - 1)
    total = wp.vec3(0.0, 0.0, 0.0)
    for tap in range(taps):
        along = (wp.float32(tap) + 0.5) / wp.float32(taps) - 0.5
        u = wp.clamp(x + along * view.motion[0], 0.0, edge)
        v = wp.clamp(y + along * view.motion[1], 0.0, edge)
        fx = u - wp.floor(u)
        fy = v - wp.floor(v)
        top = first + wp.int32(v) * resolution
        bottom = first + wp.min(wp.int32(v) + 1, resolution - 1) * resolution
        left = wp.int32(u)
        right = wp.min(left + 1, resolution - 1)
        above = wp.lerp(light[top + left], light[top + right], fx)
        below = wp.lerp(light[bottom + left], light[bottom + right], fx)
        total += wp.lerp(above, below, fy)
    rgb[first + pixel] = exposed(tones, view, pixel, total / wp.float32(taps))
