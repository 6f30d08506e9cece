# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""The rasteriser: Warp kernels that take a batch of packed scenes to pixels, one launch a stage.

``transform`` places vertices, ``rasterise`` and ``rasterise_shadow`` find what is visible to the camera and the
sun, ``shade`` lights it, ``develop`` blurs, composes and tone-maps. One source serves the CPU and CUDA.

Triangles are rasterised in homogeneous coordinates (Olano and Greer, "Triangle scan conversion using 2D homogeneous
coordinates", Graphics Hardware 1997), so nothing is clipped, not even what crosses the near plane. Visibility is an
atomic maximum of one word, inverse depth above the triangle's number: it does not depend on the order of threads.
Each pixel has four samples in a rotated grid.

Draws (one mesh placed in one picture) are cut into chunks of `CHUNK` triangles or vertices. Thread (chunk, lane)
works on one of them, and ``chunk * CHUNK + lane`` names a triangle in the whole batch.
"""

from __future__ import annotations

import warp as wp

from task2sim_studio.patterns import Surface, finish

# Without gradients and with short loops left rolled, the kernels compile in a third of the time.
wp.set_module_options({"enable_backward": False, "max_unroll": 4})

CHUNK = 64
"""Triangles or vertices in a chunk; a power of two."""

NEAR = 0.01
"""Nothing nearer to the camera than this is drawn, in metres."""

TONE_STEPS = 8192
TONE_LIMIT = 16.0
"""The tone table has `TONE_STEPS` entries, evenly spaced in the square root of radiance up to `TONE_LIMIT`."""

_CHUNK = wp.constant(CHUNK)
_LANE = wp.constant(CHUNK - 1)
_SHIFT = wp.constant(CHUNK.bit_length() - 1)
_NEAR = wp.constant(NEAR)
_FARTHEST_INVERSE = wp.constant(1.0 / NEAR)
_TONE_LAST = wp.constant(TONE_STEPS - 1)
_TONE_SCALE = wp.constant((TONE_STEPS - 1) / TONE_LIMIT**0.5)
_PI = wp.constant(3.14159265)
_BRIGHTEST = wp.constant(3.0)  # of one sample: a highlight must not spoil the anti-aliasing of its edge
_WIDEST_GATHER = wp.constant(7)

Words = wp.types.vector(length=4, dtype=wp.int64)


@wp.struct
class View:
    """One picture: camera, sun and surroundings. Distances are in metres, picture coordinates in pixels."""

    origin: wp.vec3
    right: wp.vec3
    down: wp.vec3
    forward: wp.vec3
    focal: wp.float32
    focus_inverse: wp.float32
    aperture: wp.float32
    blur_limit: wp.float32
    blur_box: wp.vec4
    sun_right: wp.vec3
    sun_up: wp.vec3
    sun: wp.vec3
    sun_radiance: wp.vec3
    shadow_centre: wp.vec3
    shadow_radius: wp.float32
    environment: wp.int32
    to_environment: wp.mat33


@wp.struct
class Draw:
    """One object in one picture."""

    view: wp.int32
    number: wp.int32
    category: wp.int32
    rotation: wp.mat33
    position: wp.vec3
    size: wp.float32
    closed: wp.int32
    vertices: wp.int32
    first_vertex: wp.int32
    first_placed: wp.int32
    triangles: wp.int32
    first_triangle: wp.int32
    first_surface: wp.int32


@wp.struct
class Geometry:
    """All meshes, one after another."""

    positions: wp.array(dtype=wp.vec3)
    normals: wp.array(dtype=wp.vec3)
    uvs: wp.array(dtype=wp.vec2)
    triangles: wp.array(dtype=wp.vec3i)
    parts: wp.array(dtype=wp.int32)


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


@wp.struct
class Surroundings:
    """Prefiltered environments: octahedral maps in levels of growing blur, and spherical harmonics of irradiance."""

    texels: wp.array(dtype=wp.vec3)
    harmonics: wp.array(dtype=wp.vec3)
    level_first: wp.array(dtype=wp.int32)
    level_size: wp.array(dtype=wp.int32)
    levels: wp.int32
    stride: wp.int32
    texel_angle: wp.float32


@wp.kernel
def transform(
    geometry: Geometry,
    views: wp.array(dtype=View),
    draws: wp.array(dtype=Draw),
    chunk_draw: wp.array(dtype=wp.int32),
    chunk_first: wp.array(dtype=wp.int32),
    resolution: wp.float32,
    shadow_size: wp.float32,
    placed: wp.array(dtype=wp.vec3),
    placed_for_sun: wp.array(dtype=wp.vec3),
):
    """Place vertices: homogeneous picture coordinates (x w, y w, w), and shadow-map coordinates and height."""
    chunk, lane = wp.tid()
    draw = draws[chunk_draw[chunk]]
    vertex = chunk_first[chunk] + lane
    if vertex >= draw.vertices:
        return
    view = views[draw.view]
    world = draw.rotation * (geometry.positions[draw.first_vertex + vertex] * draw.size) + draw.position
    seen = world - view.origin
    w = wp.dot(seen, view.forward)
    placed[draw.first_placed + vertex] = wp.vec3(
        view.focal * wp.dot(seen, view.right) + 0.5 * resolution * w,
        view.focal * wp.dot(seen, view.down) + 0.5 * resolution * w,
        w,
    )
    lit = (world - view.shadow_centre) / view.shadow_radius
    placed_for_sun[draw.first_placed + vertex] = wp.vec3(
        (0.5 * wp.dot(lit, view.sun_right) + 0.5) * shadow_size,
        (0.5 * wp.dot(lit, view.sun_up) + 0.5) * shadow_size,
        1.5 + wp.dot(lit, view.sun),
    )


@wp.func
def sample_position(column: wp.int32, row: wp.int32):
    """Where in the picture, in pixels, the sample (column, row) of the twice as fine grid lies."""
    dx = wp.where(row % 2 == 0, 0.75, 0.25)
    dy = wp.where(column % 2 == 0, 0.25, 0.75)
    return wp.vec2(0.5 * (wp.float32(column) + dx), 0.5 * (wp.float32(row) + dy))


@wp.func
def edge_functions(a: wp.vec3, b: wp.vec3, c: wp.vec3):
    """Rows that give the weights of a, b and c, divided by depth, at a picture position; and the orientation.

    Orientation is negative for triangles whose vertices run counter-clockwise, 0 for those that can't be seen.
    """
    at_a = wp.cross(b, c)
    at_b = wp.cross(c, a)
    at_c = wp.cross(a, b)
    volume = wp.dot(a, at_a)
    inverse = wp.float32(0.0)
    if wp.abs(volume) > 1.0e-20:
        inverse = 1.0 / volume
    return wp.matrix_from_rows(at_a * inverse, at_b * inverse, at_c * inverse), inverse


@wp.kernel
def rasterise(
    geometry: Geometry,
    batch: Batch,
    resolution: wp.int32,
    visible: wp.array(dtype=wp.int64),
):
    """Draw triangles into the samples that the camera sees."""
    chunk, lane = wp.tid()
    draw = batch.draws[batch.chunk_draw[chunk]]
    triangle = batch.chunk_first[chunk] + lane
    if triangle >= draw.triangles:
        return
    corners = geometry.triangles[draw.first_triangle + triangle]
    a = batch.placed[draw.first_placed + corners[0]]
    b = batch.placed[draw.first_placed + corners[1]]
    c = batch.placed[draw.first_placed + corners[2]]
    low_w = wp.min(a[2], wp.min(b[2], c[2]))
    if wp.max(a[2], wp.max(b[2], c[2])) < _NEAR:
        return
    weights, orientation = edge_functions(a, b, c)
    if orientation == 0.0 or (draw.closed != 0 and orientation > 0.0):
        return

    side = 2 * resolution
    left = wp.int32(0)
    right = side - 1
    top = wp.int32(0)
    bottom = side - 1
    if low_w >= _NEAR:
        # The picture's bounds, one beyond, keep the numbers small enough for integers.
        edge = wp.float32(resolution) + 1.0
        ax = a[0] / a[2]
        ay = a[1] / a[2]
        bx = b[0] / b[2]
        by = b[1] / b[2]
        cx = c[0] / c[2]
        cy = c[1] / c[2]
        left = wp.max(left, wp.int32(wp.ceil(2.0 * wp.clamp(wp.min(ax, wp.min(bx, cx)), -1.0, edge) - 0.76)))
        right = wp.min(right, wp.int32(wp.floor(2.0 * wp.clamp(wp.max(ax, wp.max(bx, cx)), -1.0, edge) - 0.24)))
        top = wp.max(top, wp.int32(wp.ceil(2.0 * wp.clamp(wp.min(ay, wp.min(by, cy)), -1.0, edge) - 0.76)))
        bottom = wp.min(bottom, wp.int32(wp.floor(2.0 * wp.clamp(wp.max(ay, wp.max(by, cy)), -1.0, edge) - 0.24)))

    name = wp.int64(chunk * _CHUNK + lane)
    picture = draw.view * side * side
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            at = sample_position(column, row)
            w = weights * wp.vec3(at[0], at[1], 1.0)
            if w[0] >= 0.0 and w[1] >= 0.0 and w[2] >= 0.0:
                inverse_depth = w[0] + w[1] + w[2]
                if inverse_depth > 0.0 and inverse_depth <= _FARTHEST_INVERSE:
                    word = (wp.int64(wp.cast(inverse_depth, wp.int32)) << wp.int64(32)) | name
                    wp.atomic_max(visible, picture + row * side + column, word)


@wp.kernel
def rasterise_shadow(
    geometry: Geometry,
    batch: Batch,
    size: wp.int32,
    heights: wp.array(dtype=wp.int32),
):
    """Draw triangles into the sun's height maps; a height is kept as the bits of a positive float."""
    chunk, lane = wp.tid()
    draw = batch.draws[batch.chunk_draw[chunk]]
    triangle = batch.chunk_first[chunk] + lane
    if triangle >= draw.triangles:
        return
    corners = geometry.triangles[draw.first_triangle + triangle]
    a = batch.placed_for_sun[draw.first_placed + corners[0]]
    b = batch.placed_for_sun[draw.first_placed + corners[1]]
    c = batch.placed_for_sun[draw.first_placed + corners[2]]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if wp.abs(area) < 1.0e-12 or (draw.closed != 0 and area < 0.0):
        return
    edge = wp.float32(size)
    left = wp.int32(wp.ceil(wp.clamp(wp.min(a[0], wp.min(b[0], c[0])), 0.0, edge) - 0.5))
    right = wp.int32(wp.floor(wp.clamp(wp.max(a[0], wp.max(b[0], c[0])), 0.0, edge) - 0.5))
    top = wp.int32(wp.ceil(wp.clamp(wp.min(a[1], wp.min(b[1], c[1])), 0.0, edge) - 0.5))
    bottom = wp.int32(wp.floor(wp.clamp(wp.max(a[1], wp.max(b[1], c[1])), 0.0, edge) - 0.5))
    inverse = 1.0 / area
    picture = draw.view * size * size
    for row in range(wp.max(top, 0), wp.min(bottom, size - 1) + 1):
        y = wp.float32(row) + 0.5
        for column in range(wp.max(left, 0), wp.min(right, size - 1) + 1):
            x = wp.float32(column) + 0.5
            at_b = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) * inverse
            at_c = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) * inverse
            if at_b >= 0.0 and at_c >= 0.0 and at_b + at_c <= 1.0:
                height = a[2] + at_b * (b[2] - a[2]) + at_c * (c[2] - a[2])
                wp.atomic_max(heights, picture + row * size + column, wp.cast(height, wp.int32))


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
    """Radiance from a direction (in the environment's axes), averaged over about `angle` radians."""
    d = direction / (wp.abs(direction[0]) + wp.abs(direction[1]) + wp.abs(direction[2]))
    x = d[0]
    y = d[1]
    if d[2] < 0.0:
        x = wp.where(d[0] >= 0.0, 1.0, -1.0) * (1.0 - wp.abs(d[1]))
        y = wp.where(d[1] >= 0.0, 1.0, -1.0) * (1.0 - wp.abs(d[0]))
    x = 0.5 * x + 0.5
    y = 0.5 * y + 0.5
    last = surroundings.levels - 1
    level = wp.clamp(wp.log2(wp.max(angle / surroundings.texel_angle, 1.0)), 0.0, wp.float32(last))
    lower = wp.int32(level)
    upper = wp.min(lower + 1, last)
    start = environment * surroundings.stride
    sharp = environment_texel(
        surroundings, start + surroundings.level_first[lower], surroundings.level_size[lower], x, y
    )
    if level > wp.float32(lower):
        soft = environment_texel(
            surroundings, start + surroundings.level_first[upper], surroundings.level_size[upper], x, y
        )
        sharp = wp.lerp(sharp, soft, level - wp.float32(lower))
    return sharp


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
def sunlit(view: View, picture: wp.int32, heights: wp.array(dtype=wp.int32), size: wp.int32, point: wp.vec3):
    """Share of the sun that reaches a point: the height map, filtered over three texels a side."""
    lit = (point - view.shadow_centre) / view.shadow_radius
    x = (0.5 * wp.dot(lit, view.sun_right) + 0.5) * wp.float32(size) - 0.5
    y = (0.5 * wp.dot(lit, view.sun_up) + 0.5) * wp.float32(size) - 0.5
    height = 1.5 + wp.dot(lit, view.sun)
    left = wp.floor(x)
    top = wp.floor(y)
    fx = x - left
    fy = y - top
    share = wp.float32(0.0)
    column = wp.int32(left) - 1
    row = wp.int32(top) - 1
    taps = wp.int32(4)
    for j in range(taps):
        wy = wp.where(j == 0, 1.0 - fy, wp.where(j == 3, fy, 1.0))
        r = wp.clamp(row + j, 0, size - 1)
        for i in range(taps):
            wx = wp.where(i == 0, 1.0 - fx, wp.where(i == 3, fx, 1.0))
            k = wp.clamp(column + i, 0, size - 1)
            if wp.cast(heights[picture * size * size + r * size + k], wp.float32) <= height:
                share += wx * wy
    return share / 9.0


@wp.func
def radiance(
    geometry: Geometry,
    batch: Batch,
    surroundings: Surroundings,
    lattice: wp.array(dtype=wp.float32),
    heights: wp.array(dtype=wp.int32),
    shadow_size: wp.int32,
    name: wp.int32,
    at: wp.vec2,
):
    """Light that a triangle sends to the camera at a picture position.

    GGX microfacets (Walter et al., "Microfacet models for refraction through rough surfaces", EGSR 2007) with
    Schlick's Fresnel term and a Lambert base under the sun; a blurred reflection and harmonics under the sky
    (split sum, with the analytic fit of Karis, "Physically based shading on mobile", 2014).
    """
    draw = batch.draws[batch.chunk_draw[name >> _SHIFT]]
    triangle = draw.first_triangle + batch.chunk_first[name >> _SHIFT] + (name & _LANE)
    view = batch.views[draw.view]
    corners = geometry.triangles[triangle]
    a = draw.first_vertex + corners[0]
    b = draw.first_vertex + corners[1]
    c = draw.first_vertex + corners[2]

    weights, _orientation = edge_functions(
        batch.placed[draw.first_placed + corners[0]],
        batch.placed[draw.first_placed + corners[1]],
        batch.placed[draw.first_placed + corners[2]],
    )
    # At a silhouette the pixel's centre may lie just outside: the nearest point of the triangle will do.
    w = wp.max(weights * wp.vec3(at[0], at[1], 1.0), wp.vec3(0.0, 0.0, 0.0))
    w = w / wp.max(w[0] + w[1] + w[2], 1.0e-20)

    pa = geometry.positions[a]
    pb = geometry.positions[b]
    pc = geometry.positions[c]
    point = pa * w[0] + pb * w[1] + pc * w[2]
    world = draw.rotation * (point * draw.size) + draw.position
    to_camera = view.origin - world
    distance = wp.length(to_camera)
    v = to_camera / distance

    # Whatever the winding and the normals of the mesh, both face the camera here.
    flat = wp.cross(pb - pa, pc - pa)
    facing = wp.normalize(draw.rotation * flat)
    if wp.dot(facing, v) < 0.0:
        facing = -facing
    n = wp.normalize(
        draw.rotation * (geometry.normals[a] * w[0] + geometry.normals[b] * w[1] + geometry.normals[c] * w[2])
    )
    if not (wp.length_sq(n) > 0.5):  # zero or not a number
        n = facing
    if wp.dot(n, facing) < 0.0:
        n = -n
    if wp.dot(n, v) < 0.02:
        n = wp.normalize(n + (0.02 - wp.dot(n, v)) * v)
    n_v = wp.clamp(wp.dot(n, v), 0.02, 1.0)

    ta = geometry.uvs[a]
    tb = geometry.uvs[b]
    tc = geometry.uvs[c]
    uv = ta * w[0] + tb * w[1] + tc * w[2]
    span = (tb[0] - ta[0]) * (tc[1] - ta[1]) - (tb[1] - ta[1]) * (tc[0] - ta[0])
    if wp.abs(span) < 1.0e-4 * wp.length(flat):
        # No usable texture coordinates: project along the axis that the surface faces most.
        side = wp.vec3(wp.abs(flat[0]), wp.abs(flat[1]), wp.abs(flat[2]))
        uv = wp.vec2(point[0], point[1])
        if side[0] >= side[1] and side[0] >= side[2]:
            uv = wp.vec2(point[1], point[2])
        elif side[1] >= side[2]:
            uv = wp.vec2(point[0], point[2])
    footprint = distance / (view.focal * draw.size * wp.sqrt(wp.max(n_v, 0.1)))
    what = finish(batch.surfaces[draw.first_surface + geometry.parts[triangle]], lattice, point, uv, footprint)

    diffuse = what.albedo * (1.0 - what.metalness)
    specular = wp.lerp(wp.vec3(0.04, 0.04, 0.04), what.albedo, what.metalness)
    alpha = what.roughness * what.roughness

    n_l = wp.dot(n, view.sun)
    light = wp.vec3(0.0, 0.0, 0.0)
    if n_l > 0.0 and wp.dot(facing, view.sun) > 0.0:
        texel = 2.0 * view.shadow_radius / wp.float32(shadow_size)
        # The steeper the light, the farther the filter reaches below the surface: start above it.
        grazing = wp.sqrt(wp.max(1.0 - wp.dot(facing, view.sun) * wp.dot(facing, view.sun), 0.0))
        above = world + (facing * (0.3 + 2.2 * grazing) + view.sun * 0.8) * texel
        share = sunlit(view, draw.view, heights, shadow_size, above)
        if share > 0.0:
            half = wp.normalize(v + view.sun)
            n_h = wp.clamp(wp.dot(n, half), 0.0, 1.0)
            a2 = alpha * alpha
            bottom = n_h * n_h * (a2 - 1.0) + 1.0
            spread = a2 / (_PI * bottom * bottom)
            masking = 0.5 / (n_l * wp.sqrt(n_v * n_v * (1.0 - a2) + a2) + n_v * wp.sqrt(n_l * n_l * (1.0 - a2) + a2))
            away = 1.0 - wp.clamp(wp.dot(v, half), 0.0, 1.0)
            away5 = away * away * away * away * away
            fresnel = specular * (1.0 - away5) + wp.vec3(away5, away5, away5)
            light = wp.cw_mul(diffuse / _PI + fresnel * (spread * masking), view.sun_radiance) * (n_l * share)

    sky_n = view.to_environment * n
    mirror = view.to_environment * (2.0 * wp.dot(n, v) * n - v)
    # A curved surface squeezes more of the surroundings into a pixel.
    bend = wp.max(
        wp.length(geometry.normals[b] - geometry.normals[a]) / wp.max(wp.length(pb - pa), 1.0e-6),
        wp.length(geometry.normals[c] - geometry.normals[a]) / wp.max(wp.length(pc - pa), 1.0e-6),
    )
    glow = environment_radiance(surroundings, view.environment, mirror, wp.max(0.7 * alpha, 2.0 * bend * footprint))
    smooth = 1.0 - what.roughness
    fit = wp.min(smooth * smooth, wp.exp(-6.4324 * n_v)) * smooth + 0.0425 - 0.0275 * what.roughness
    scale = 1.04 - 0.572 * what.roughness - 1.04 * fit
    bias = 0.022 * what.roughness - 0.04 + 1.04 * fit
    light += wp.cw_mul(glow, specular * scale + wp.vec3(bias, bias, bias))
    light += wp.cw_mul(diffuse, irradiance(surroundings, view.environment, sky_n))
    return wp.min(light, wp.vec3(_BRIGHTEST, _BRIGHTEST, _BRIGHTEST))


@wp.func
def inverse_depth_at(geometry: Geometry, batch: Batch, name: wp.int32, at: wp.vec2):
    """Inverse depth of a triangle's plane at a picture position."""
    draw = batch.draws[batch.chunk_draw[name >> _SHIFT]]
    triangle = draw.first_triangle + batch.chunk_first[name >> _SHIFT] + (name & _LANE)
    corners = geometry.triangles[triangle]
    weights, _orientation = edge_functions(
        batch.placed[draw.first_placed + corners[0]],
        batch.placed[draw.first_placed + corners[1]],
        batch.placed[draw.first_placed + corners[2]],
    )
    w = weights * wp.vec3(at[0], at[1], 1.0)
    return w[0] + w[1] + w[2]


@wp.func
def name_of(word: wp.int64):
    """The triangle's number in a word of the visibility buffer."""
    return wp.int32(word & wp.int64(0x7FFFFFFF))


@wp.func
def draw_of(batch: Batch, word: wp.int64):
    """The draw of the triangle in a word of the visibility buffer."""
    return batch.chunk_draw[name_of(word) >> _SHIFT]


@wp.func
def inverse_depth_of(word: wp.int64):
    """The inverse depth in a word of the visibility buffer."""
    return wp.cast(wp.int32(word >> wp.int64(32)), wp.float32)


@wp.kernel
def shade(
    geometry: Geometry,
    batch: Batch,
    surroundings: Surroundings,
    lattice: wp.array(dtype=wp.float32),
    visible: wp.array(dtype=wp.int64),
    heights: wp.array(dtype=wp.int32),
    resolution: wp.int32,
    shadow_size: wp.int32,
    layer: wp.array(dtype=wp.vec4),
    nearest: wp.array(dtype=wp.float32),
    depth: wp.array(dtype=wp.float32),
    instance: wp.array(dtype=wp.uint16),
    category: wp.array(dtype=wp.uint16),
):
    """Light the objects: premultiplied colour and coverage, masks and depth of every pixel.

    Where a pixel's samples lie on one smooth piece of one part it is shaded once, at its centre; elsewhere each
    sample is shaded.
    """
    pixel = wp.tid()
    picture = pixel // (resolution * resolution)
    row = (pixel // resolution) % resolution
    column = pixel % resolution
    side = 2 * resolution
    corner = picture * side * side + 2 * row * side + 2 * column
    words = Words(visible[corner], visible[corner + 1], visible[corner + side], visible[corner + side + 1])
    front = wp.max(wp.max(words[0], words[1]), wp.max(words[2], words[3]))
    if front == wp.int64(0):
        layer[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        nearest[pixel] = 0.0
        depth[pixel] = wp.inf
        instance[pixel] = wp.uint16(0)
        category[pixel] = wp.uint16(0)
        return

    front_name = name_of(front)
    front_inverse = inverse_depth_of(front)
    front_draw = batch.chunk_draw[front_name >> _SHIFT]
    front_triangle = batch.chunk_first[front_name >> _SHIFT] + (front_name & _LANE)
    draw = batch.draws[front_draw]
    front_part = geometry.parts[draw.first_triangle + front_triangle]
    front_corners = geometry.triangles[draw.first_triangle + front_triangle]
    front_normal = geometry.normals[draw.first_vertex + front_corners[0]]

    samples = wp.int32(4)
    smooth = wp.bool(True)
    one_draw = wp.bool(True)
    covered = wp.int32(0)
    for s in range(samples):
        if words[s] != wp.int64(0):
            covered += 1
            name = name_of(words[s])
            if name != front_name:
                if batch.chunk_draw[name >> _SHIFT] != front_draw:
                    smooth = False
                    one_draw = False
                else:
                    triangle = draw.first_triangle + batch.chunk_first[name >> _SHIFT] + (name & _LANE)
                    if geometry.parts[triangle] != front_part or inverse_depth_of(words[s]) < 0.95 * front_inverse:
                        smooth = False
                    else:
                        corners = geometry.triangles[triangle]
                        normal = geometry.normals[draw.first_vertex + corners[0]]
                        if wp.dot(normal, front_normal) < 0.85:
                            smooth = False

    centre = wp.vec2(wp.float32(column) + 0.5, wp.float32(row) + 0.5)
    light = wp.vec3(0.0, 0.0, 0.0)
    rounds = wp.where(smooth, 1, 4)
    for s in range(rounds):
        name = front_name
        at = centre
        weight = 0.25 * wp.float32(covered)
        if not smooth:
            name = name_of(words[s])
            at = sample_position(2 * column + s % 2, 2 * row + s // 2)
            weight = wp.where(words[s] != wp.int64(0), 0.25, 0.0)
        if weight > 0.0:
            light += weight * radiance(geometry, batch, surroundings, lattice, heights, shadow_size, name, at)
    layer[pixel] = wp.vec4(light[0], light[1], light[2], 0.25 * wp.float32(covered))
    nearest[pixel] = front_inverse

    # The masks show what most samples show; if there is a draw, what is nearer.
    winner = front
    votes = covered
    if not one_draw:
        votes = wp.int32(0)
        for s in range(samples):
            own = wp.int32(0)
            for t in range(samples):
                if words[t] != wp.int64(0) and draw_of(batch, words[t]) == draw_of(batch, words[s]):
                    own += 1
            if words[s] != wp.int64(0) and (own > votes or (own == votes and words[s] > winner)):
                votes = own
                winner = words[s]
    if votes < 4 - covered:
        depth[pixel] = wp.inf
        instance[pixel] = wp.uint16(0)
        category[pixel] = wp.uint16(0)
        return
    winner_name = name_of(winner)
    winner_draw = draw_of(batch, winner)
    closest = inverse_depth_of(winner)
    farthest = closest
    for s in range(samples):
        if words[s] != wp.int64(0) and draw_of(batch, words[s]) == winner_draw:
            closest = wp.max(closest, inverse_depth_of(words[s]))
            farthest = wp.min(farthest, inverse_depth_of(words[s]))
    depth[pixel] = 1.0 / wp.clamp(inverse_depth_at(geometry, batch, winner_name, centre), farthest, closest)
    instance[pixel] = wp.uint16(batch.draws[winner_draw].number)
    category[pixel] = wp.uint16(batch.draws[winner_draw].category + 1)


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


@wp.kernel
def develop(
    views: wp.array(dtype=View),
    surroundings: Surroundings,
    layer: wp.array(dtype=wp.vec4),
    nearest: wp.array(dtype=wp.float32),
    resolution: wp.int32,
    tones: wp.array(dtype=wp.uint8),
    rgb: wp.array(dtype=wp.vec3ub),
):
    """Blur the objects, put them before their surroundings, and turn radiance into sRGB bytes."""
    pixel = wp.tid()
    view = views[pixel // (resolution * resolution)]
    x = wp.float32(pixel % resolution) + 0.5
    y = wp.float32((pixel // resolution) % resolution) + 0.5
    seen = layer[pixel]
    box = view.blur_box
    if view.blur_limit > 0.25 and x > box[0] and x < box[2] and y > box[1] and y < box[3]:
        seen = defocus(view, layer, nearest, resolution, pixel)
    light = wp.vec3(seen[0], seen[1], seen[2])
    if seen[3] < 1.0:
        half = 0.5 * wp.float32(resolution)
        ray = wp.normalize(view.right * (x - half) + view.down * (y - half) + view.forward * view.focal)
        # The surroundings are infinitely far: their circle of confusion is one angle all over.
        angle = wp.max(1.0, 2.0 * blur_radius(view, 0.0)) / view.focal
        light += (1.0 - seen[3]) * environment_radiance(
            surroundings, view.environment, view.to_environment * ray, angle
        )
    rgb[pixel] = wp.vec3ub(tone(tones, light[0]), tone(tones, light[1]), tone(tones, light[2]))
