# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Procedural materials as Warp functions: a point on an object in, its colour, roughness and metalness out.

They are solid textures: most read the point's position in the object, so they need no unwrapping; laid and woven
ones (brick, tiles, cloth, prints) read texture coordinates. Every pattern is band-limited: detail finer than a
pixel fades to its average, which keeps small pictures free of speckle.
"""

from __future__ import annotations

import warp as wp

from task2sim_studio.mesh import MATERIALS

NOISE_SIZE = 32
"""Cells along each side of the periodic noise lattice; a power of two."""

_WRAP = wp.constant(NOISE_SIZE - 1)
_SIDE = wp.constant(NOISE_SIZE)

_CERAMIC = wp.constant(MATERIALS.index("ceramic"))
_WOOD = wp.constant(MATERIALS.index("wood"))
_BARK = wp.constant(MATERIALS.index("bark"))
_MARBLE = wp.constant(MATERIALS.index("marble"))
_GRANITE = wp.constant(MATERIALS.index("granite"))
_BRICK = wp.constant(MATERIALS.index("brick"))
_TILES = wp.constant(MATERIALS.index("tiles"))
_FABRIC = wp.constant(MATERIALS.index("fabric"))
_KNIT = wp.constant(MATERIALS.index("knit"))
_LEATHER = wp.constant(MATERIALS.index("leather"))
_METAL = wp.constant(MATERIALS.index("metal"))
_RUST = wp.constant(MATERIALS.index("rust"))
_CHECKER = wp.constant(MATERIALS.index("checker"))
_STRIPES = wp.constant(MATERIALS.index("stripes"))
_DOTS = wp.constant(MATERIALS.index("dots"))
_CLOUDS = wp.constant(MATERIALS.index("clouds"))
_FOLIAGE = wp.constant(MATERIALS.index("foliage"))


@wp.struct
class Surface:
    """The material of one part of one drawn object; see `task2sim_studio.materials` for how it is chosen."""

    kind: wp.int32
    base: wp.vec3
    second: wp.vec3
    third: wp.vec3
    coarse: wp.vec3
    fine: wp.vec3
    offset: wp.vec3
    scale: wp.float32
    choice: wp.float32
    contrast: wp.float32
    roughness: wp.float32
    metalness: wp.float32
    opacity: wp.float32
    pictures: wp.int32
    albedo_image: wp.int32
    finish_image: wp.int32
    normal_image: wp.int32


@wp.struct
class Finish:
    """What the light sees at one point: linear albedo, roughness and metalness in [0, 1]."""

    albedo: wp.vec3
    roughness: wp.float32
    metalness: wp.float32


@wp.func
def fractal_noise(lattice: wp.array(dtype=wp.float32), point: wp.vec3, footprint: wp.float32, octaves: wp.int32):
    """Sum octaves of value noise, about in [-1, 1]; octaves finer than `footprint` fade out."""
    total = wp.float32(0.0)
    amplitude = wp.float32(0.6)
    frequency = wp.float32(1.0)
    for _octave in range(octaves):
        weight = amplitude * wp.clamp(2.0 - 3.0 * footprint * frequency, 0.0, 1.0)
        if weight > 0.0:
            q = point * frequency
            x0 = wp.floor(q[0])
            y0 = wp.floor(q[1])
            z0 = wp.floor(q[2])
            fx = q[0] - x0
            fy = q[1] - y0
            fz = q[2] - z0
            fx = fx * fx * (3.0 - 2.0 * fx)
            fy = fy * fy * (3.0 - 2.0 * fy)
            fz = fz * fz * (3.0 - 2.0 * fz)
            x = wp.int32(x0) & _WRAP
            y = (wp.int32(y0) & _WRAP) * _SIDE
            z = (wp.int32(z0) & _WRAP) * (_SIDE * _SIDE)
            x1 = (x + 1) & _WRAP
            y1 = (y + _SIDE) & (_SIDE * _WRAP)
            z1 = (z + _SIDE * _SIDE) & (_SIDE * _SIDE * _WRAP)
            near = wp.lerp(
                wp.lerp(lattice[x + y + z], lattice[x1 + y + z], fx),
                wp.lerp(lattice[x + y1 + z], lattice[x1 + y1 + z], fx),
                fy,
            )
            far = wp.lerp(
                wp.lerp(lattice[x + y + z1], lattice[x1 + y + z1], fx),
                wp.lerp(lattice[x + y1 + z1], lattice[x1 + y1 + z1], fx),
                fy,
            )
            total += weight * wp.lerp(near, far, fz)
        amplitude *= 0.55
        frequency *= 2.03
    return total


@wp.func
def cell_noise(lattice: wp.array(dtype=wp.float32), column: wp.float32, row: wp.float32):
    """A number in about [-1, 1] that belongs to one cell of a grid."""
    x = wp.int32(column) * 7 + wp.int32(row) * 13
    y = wp.int32(row) * 5 + wp.int32(column) * 3
    return lattice[((x & _WRAP) + (y & _WRAP) * _SIDE) + ((x * 11 + y) & _WRAP) * (_SIDE * _SIDE)]


@wp.func
def band(x: wp.float32, low: wp.float32, high: wp.float32, blur: wp.float32):
    """1 for a fraction of x between `low` and `high`, 0 elsewhere, edges softened by `blur` of a period."""
    # From the middle of the band, whichever period it belongs to: both of its edges are soft.
    away = x - 0.5 * (low + high)
    away = wp.abs(away - wp.floor(away + 0.5))
    inside = wp.clamp((0.5 * (high - low) - away) / blur + 0.5, 0.0, 1.0)
    return wp.lerp(inside, high - low, wp.clamp(2.0 * blur - 0.6, 0.0, 1.0))


@wp.func
def finish(
    surface: Surface,
    lattice: wp.array(dtype=wp.float32),
    point: wp.vec3,
    uv: wp.vec2,
    footprint: wp.float32,
):
    """Evaluate a material.

    Args:
        surface: The material.
        lattice: Noise lattice of `NOISE_SIZE` cubed values.
        point: Position in the object's own unit-diameter space.
        uv: Texture coordinates.
        footprint: Width of a pixel in the object's space.
    """
    kind = surface.kind
    # Two noises serve all materials: one call site each keeps the compiled kernel small.
    coarse_rate = wp.max(surface.coarse[0], wp.max(surface.coarse[1], surface.coarse[2]))
    fine_rate = wp.max(surface.fine[0], wp.max(surface.fine[1], surface.fine[2]))
    coarse = wp.float32(0.0)
    fine = wp.float32(0.0)
    if coarse_rate > 0.0:
        coarse = fractal_noise(lattice, wp.cw_mul(point, surface.coarse) + surface.offset, footprint * coarse_rate, 3)
    if fine_rate > 0.0:
        fine = fractal_noise(lattice, wp.cw_mul(point, surface.fine) - surface.offset, footprint * fine_rate, 2)

    g = uv * surface.scale
    blur = wp.clamp(footprint * surface.scale * 1.5, 0.02, 0.8)
    second = wp.float32(0.0)  # share of the second colour, then of the third over it
    third = wp.float32(0.0)
    roughness = surface.roughness
    metalness = surface.metalness

    if kind == _CERAMIC:
        # Half of all pots are dipped: another glaze below a wavy line.
        if surface.choice > 0.5:
            second = wp.clamp((0.35 * surface.contrast - 0.2 - point[2] + 0.06 * coarse) * 25.0, 0.0, 1.0)
        third = wp.clamp(fine - 0.6, 0.0, 1.0)
    elif kind == _WOOD:
        radius = wp.length(wp.vec2(point[0] + 0.35 * surface.choice, point[1] - 0.2)) + 0.09 * coarse
        rings = radius * surface.scale
        phase = rings - wp.floor(rings)
        ring = wp.lerp(phase * phase, 0.33, wp.clamp(footprint * surface.scale * 2.0 - 0.3, 0.0, 1.0))
        second = wp.clamp(0.75 * ring + 0.3 * fine + 0.15, 0.0, 1.0)
        roughness += 0.1 * fine
    elif kind == _BARK:
        ridge = 1.0 - wp.abs(coarse) * 2.2
        second = wp.clamp(ridge * 0.9 + 0.35 * fine, 0.0, 1.0)
    elif kind == _MARBLE:
        vein = wp.abs(wp.sin(surface.scale * (point[0] + 0.7 * point[2] + 0.4 * point[1]) + 5.0 * coarse))
        second = wp.pow(wp.clamp(1.0 - vein, 0.0, 1.0), 3.0) * 0.9 + wp.clamp(0.25 * fine + 0.1, 0.0, 0.5)
        third = wp.clamp(0.5 * coarse, 0.0, 0.4)
    elif kind == _GRANITE:
        second = wp.clamp(fine * 3.0 + 0.4, 0.0, 1.0)
        third = wp.clamp(coarse * 4.0 - 0.8, 0.0, 1.0)
    elif kind == _BRICK or kind == _TILES:  # noqa: SIM109 - Warp knows no tuples
        across = g[0]
        up = g[1]
        if kind == _BRICK:
            up = g[1] * 2.2
            across = g[0] + 0.5 * (wp.floor(up) - 2.0 * wp.floor(up * 0.5))
        joint = band(across, 0.03, 0.97, blur) * band(up, 0.06, 0.94, wp.min(blur * 2.0, 0.8))
        own = cell_noise(lattice, wp.floor(across), wp.floor(up))
        detail = wp.clamp(1.4 - 2.0 * blur, 0.0, 1.0)
        if kind == _BRICK:
            second = wp.clamp(0.5 + 0.6 * own * detail + 0.3 * fine, 0.0, 1.0)
        else:
            second = wp.where(surface.choice > 0.55, wp.clamp(0.5 + 2.5 * own * detail, 0.0, 1.0), 0.1 * own * detail)
            roughness = wp.lerp(0.9, roughness, joint)
        third = 1.0 - joint
    elif kind == _FABRIC:
        # Threads are a twentieth of a unit wide; they are gone before pixels are.
        thread = wp.clamp(2.0 - 40.0 * footprint * surface.scale, 0.0, 1.0)
        weave = wp.sin(g[0] * 60.0) * wp.sin(g[1] * 60.0) * thread
        second = 0.2 + 0.2 * weave + 0.12 * fine
        if surface.choice > 0.45:  # tartan
            warp_stripe = band(g[0], 0.1, 0.45, blur)
            weft_stripe = band(g[1], 0.1, 0.45, blur)
            second = wp.clamp(0.45 * (warp_stripe + weft_stripe) + 0.1 * weave, 0.0, 1.0)
            if surface.choice > 0.7:
                third = 0.6 * wp.max(band(g[0], 0.65, 0.75, blur), band(g[1], 0.65, 0.75, blur))
    elif kind == _KNIT:
        stitch = g[0] * 2.0
        lean = wp.abs(stitch - wp.floor(stitch) - 0.5)
        row = g[1] * 2.0 + lean
        groove = wp.max(band(row, 0.82, 1.0, wp.min(2.0 * blur, 0.8)), 0.7 * (1.0 - band(stitch, 0.08, 0.92, blur)))
        second = wp.clamp(0.75 * groove + 0.15 * fine, 0.0, 1.0)
        if surface.choice > 0.5:
            third = band(wp.floor(row) * 0.1666667 + 0.01, 0.0, 0.34, 0.02)
    elif kind == _LEATHER:
        second = wp.clamp(0.35 + 0.6 * coarse + 0.5 * fine, 0.0, 1.0)
        roughness += 0.12 * fine
    elif kind == _METAL:
        roughness += 0.1 * fine + 0.08 * coarse
        second = wp.clamp(0.25 * fine + 0.1, 0.0, 0.3)
    elif kind == _RUST:
        patch = wp.clamp((coarse + 0.25 * fine + 0.5 * surface.contrast - 0.1) * 5.0, 0.0, 1.0)
        second = wp.clamp(0.5 + 0.9 * fine, 0.0, 1.0) * patch
        third = 1.0 - patch
        metalness = 1.0 - patch
        roughness = wp.lerp(0.35, 0.95, patch)
    elif kind == _CHECKER:
        a = band(g[0], 0.0, 0.5, blur)
        b = band(g[1], 0.0, 0.5, blur)
        second = a + b - 2.0 * a * b
    elif kind == _STRIPES:
        angle = surface.choice * 6.2831853
        along = g[0] * wp.cos(angle) + g[1] * wp.sin(angle)
        if surface.choice > 0.5:
            along = point[2] * surface.scale
        second = band(along, 0.0, 0.3 + 0.4 * surface.contrast, blur)
        third = band(along + 0.1, 0.8, 0.9, blur) * wp.where(surface.contrast > 0.5, 1.0, 0.0)
    elif kind == _DOTS:
        row = wp.floor(g[1])
        across = g[0] + 0.5 * (row - 2.0 * wp.floor(row * 0.5))
        dx = across - wp.floor(across) - 0.5
        dy = g[1] - row - 0.5
        radius = 0.2 + 0.16 * surface.contrast
        second = wp.clamp((radius - wp.sqrt(dx * dx + dy * dy)) / blur + 0.5, 0.0, 1.0)
        if surface.choice > 0.6:
            third = second * wp.where(cell_noise(lattice, wp.floor(across), row) > 0.0, 1.0, 0.0)
    elif kind == _CLOUDS:
        second = wp.clamp(coarse * 1.6 + 0.5, 0.0, 1.0)
        third = wp.clamp(fine * 1.4 - 0.1, 0.0, 1.0) * 0.7
    elif kind == _FOLIAGE:
        second = wp.clamp(fine * 1.5 + 0.4, 0.0, 1.0)
        third = wp.clamp(coarse * 1.8 + 0.1, 0.0, 1.0) * 0.6

    result = Finish()
    result.albedo = wp.lerp(wp.lerp(surface.base, surface.second, wp.clamp(second, 0.0, 1.0)), surface.third, third)
    result.roughness = wp.clamp(roughness, 0.1, 1.0)
    result.metalness = metalness
    return result
