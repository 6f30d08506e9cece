# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""What the kernels share: the structs of a batch of pictures, and how words of the visibility buffer are read.

Draws (one mesh placed in one picture) are cut into chunks of `CHUNK` triangles or vertices. Thread (chunk, lane)
works on one of them, and ``chunk * CHUNK + lane`` names a triangle in the whole batch.

A word of the visibility buffer holds the inverse depth of a sample above its triangle's name; 0 is an empty sample.
"""

from __future__ import annotations

import warp as wp

from task2sim_studio.patterns import Surface

CHUNK = 64
"""Triangles or vertices in a chunk; a power of two."""

NEAR = 0.01
"""Nothing nearer to the camera than this is drawn, in metres."""

OPAQUE = 0.999
"""Surfaces of a smaller opacity can be seen through."""

MODULE_OPTIONS = {
    # Without gradients and with short loops left rolled, the kernels compile in a third of the time.
    "enable_backward": False,
    "max_unroll": 4,
    # On a CPU, whatever is not inlined copies its structs with every call: all of shading must be one piece.
    "cpu_compiler_flags": "-march=native -mllvm=-inline-threshold=30000 -mllvm=-inline-cold-callsite-threshold=30000 "
    "-mllvm=-slp-recursion-max-depth=4 -ffp-contract=fast",
}
"""How the kernels' modules are compiled."""

LANE = wp.constant(CHUNK - 1)
SHIFT = wp.constant(CHUNK.bit_length() - 1)
NEAREST = wp.constant(NEAR)

Words = wp.types.vector(length=4, dtype=wp.int64)


@wp.struct
class View:
    """One picture: camera, sun and surroundings. Distances are in metres, picture coordinates in pixels.

    What is seen at (x, y) lies in the direction ``ray + x * ray_right + y * ray_down``, in the surroundings' axes.
    """

    origin: wp.vec3
    right: wp.vec3
    down: wp.vec3
    forward: wp.vec3
    focal: wp.float32
    focus_inverse: wp.float32
    aperture: wp.float32
    blur_limit: wp.float32
    blur_box: wp.vec4
    motion: wp.vec2
    noise: wp.float32
    noise_seed: wp.int32
    sun_right: wp.vec3
    sun_up: wp.vec3
    sun: wp.vec3
    sun_radiance: wp.vec3
    sun_spread: wp.float32
    shadow_centre: wp.vec3
    shadow_radius: wp.float32
    shadow_scale: wp.float32
    environment: wp.int32
    to_environment: wp.mat33
    ray: wp.vec3
    ray_right: wp.vec3
    ray_down: wp.vec3
    fog: wp.float32
    first_draw: wp.int32
    draws: wp.int32
    floor: wp.int32
    glass: wp.int32


@wp.struct
class Draw:
    """One object, or the floor, in one picture."""

    view: wp.int32
    number: wp.int32
    category: wp.int32
    rotation: wp.mat33
    position: wp.vec3
    size: wp.float32
    closed: wp.int32
    casts: wp.int32
    see_through: wp.int32
    bulk: wp.float32
    vertices: wp.int32
    first_vertex: wp.int32
    first_placed: wp.int32
    triangles: wp.int32
    first_triangle: wp.int32
    first_surface: wp.int32


@wp.struct
class Geometry:
    """All meshes, one after another, and the pictures on them."""

    positions: wp.array(dtype=wp.vec3)
    normals: wp.array(dtype=wp.vec3)
    uvs: wp.array(dtype=wp.vec2)
    triangles: wp.array(dtype=wp.vec3i)
    parts: wp.array(dtype=wp.int32)
    images: wp.array(dtype=wp.vec4i)
    texels: wp.array(dtype=wp.vec4ub)


@wp.struct
class Batch:
    """All that is placed in a batch of pictures."""

    views: wp.array(dtype=View)
    draws: wp.array(dtype=Draw)
    surfaces: wp.array(dtype=Surface)
    chunk_draw: wp.array(dtype=wp.int32)
    chunk_first: wp.array(dtype=wp.int32)
    placed: wp.array(dtype=wp.vec3)
    placed_for_sun: wp.array(dtype=wp.vec3)


@wp.func
def unit(v: wp.vec3):
    """A vector of length 1; one division, where normalising takes three."""
    return v * (1.0 / wp.sqrt(wp.max(wp.dot(v, v), 1.0e-30)))


@wp.func
def edge_functions(a: wp.vec3, b: wp.vec3, c: wp.vec3):
    """Rows that give the weights of a, b and c, divided by depth, at a picture position (x, y, 1).

    The corners are (x, y, depth), with x and y in pixels. Triangles are taken in homogeneous coordinates (Olano and
    Greer, "Triangle scan conversion using 2D homogeneous coordinates", Graphics Hardware 1997), so that nothing is
    clipped, not even what crosses the camera's plane.
    """
    # Counted from a place near the triangle: its corners' differences are exact, however small it is.
    x = wp.clamp(a[0], -1024.0, 2048.0)
    y = wp.clamp(a[1], -1024.0, 2048.0)
    pa = wp.vec3((a[0] - x) * a[2], (a[1] - y) * a[2], a[2])
    pb = wp.vec3((b[0] - x) * b[2], (b[1] - y) * b[2], b[2])
    pc = wp.vec3((c[0] - x) * c[2], (c[1] - y) * c[2], c[2])
    at_a = wp.cross(pb, pc)
    at_b = wp.cross(pc, pa)
    at_c = wp.cross(pa, pb)
    volume = wp.dot(pa, at_a)
    inverse = wp.float32(0.0)
    if wp.abs(volume) > 1.0e-20:
        inverse = 1.0 / volume
    at_a[2] = at_a[2] - at_a[0] * x - at_a[1] * y
    at_b[2] = at_b[2] - at_b[0] * x - at_b[1] * y
    at_c[2] = at_c[2] - at_c[0] * x - at_c[1] * y
    return wp.matrix_from_rows(at_a * inverse, at_b * inverse, at_c * inverse), inverse


@wp.func
def sample_position(column: wp.int32, row: wp.int32):
    """Where in the picture, in pixels, the sample (column, row) of the twice as fine grid lies: a rotated grid."""
    dx = wp.where(row % 2 == 0, 0.75, 0.25)
    dy = wp.where(column % 2 == 0, 0.25, 0.75)
    return wp.vec2(0.5 * (wp.float32(column) + dx), 0.5 * (wp.float32(row) + dy))


@wp.func
def name_of(word: wp.int64):
    """The triangle's name in a word of the visibility buffer."""
    return wp.int32(word & wp.int64(0x7FFFFFFF))


@wp.func
def inverse_depth_of(word: wp.int64):
    """The inverse depth in a word of the visibility buffer."""
    return wp.cast(wp.int32(word >> wp.int64(32)), wp.float32)


@wp.func
def draw_of(batch: Batch, word: wp.int64):
    """The draw of the triangle in a word of the visibility buffer."""
    return batch.chunk_draw[name_of(word) >> SHIFT]
