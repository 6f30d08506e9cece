# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Kernels that light what is visible: sun and shadow, surroundings, surfaces, glass and fog."""

from __future__ import annotations

import warp as wp

from task2sim_studio.patterns import finish
from task2sim_studio.structures import (
    LANE,
    MODULE_OPTIONS,
    OPAQUE,
    SHIFT,
    Batch,
    Draw,
    Geometry,
    View,
    Words,
    draw_of,
    edge_functions,
    inverse_depth_of,
    name_of,
    sample_position,
    unit,
)
from task2sim_studio.surroundings import Surroundings, environment_radiance, hazy, irradiance, reflectance
from task2sim_studio.textures import sample_image

wp.set_module_options(MODULE_OPTIONS)

_PI = wp.constant(3.14159265)
_OPAQUE = wp.constant(OPAQUE)
_BRIGHTEST = wp.constant(3.0)  # of one sample: a highlight must not spoil the anti-aliasing of its edge
_FAINTEST = wp.constant(1.0 / 64.0)
_SMALL_SUN = wp.constant(0.012)  # tangent of the angular radius up to which the plain filter does
_SHADOW_TAPS = wp.constant(24)
_MIX_X = wp.constant(wp.uint32(0x9E3779B1))
_MIX_Y = wp.constant(wp.uint32(0x85EBCA77))
_MIX_A = wp.constant(wp.uint32(0x2C1B3C6D))
_MIX_B = wp.constant(wp.uint32(0x297A2D39))


@wp.func
def sunlit(
    view: View,
    picture: wp.int32,
    heights: wp.array(dtype=wp.int32),
    size: wp.int32,
    point: wp.vec3,
    facing: wp.vec3,
):
    """Share of a small sun that reaches a point: the height map, filtered over two texels a side.

    Each tap is compared with the height of the surface's own plane there.
    """
    lit = (point - view.shadow_centre) * view.shadow_scale
    x = (0.5 * wp.dot(lit, view.sun_right) + 0.5) * wp.float32(size)
    y = (0.5 * wp.dot(lit, view.sun_up) + 0.5) * wp.float32(size)
    height = 1.5 + wp.dot(lit, view.sun)
    left = wp.floor(x)
    top = wp.floor(y)
    fx = x - left
    fy = y - top
    slope = -2.0 / (wp.float32(size) * wp.max(wp.dot(facing, view.sun), 0.05))
    along_x = slope * wp.dot(facing, view.sun_right)
    along_y = slope * wp.dot(facing, view.sun_up)
    share = wp.float32(0.0)
    column = wp.int32(left)
    c0 = wp.clamp(column - 1, 0, size - 1)
    c1 = wp.clamp(column, 0, size - 1)
    c2 = wp.clamp(column + 1, 0, size - 1)
    rows = wp.int32(3)
    for j in range(rows):
        wy = wp.where(j == 0, 1.0 - fy, wp.where(j == 2, fy, 1.0))
        first = (picture * size + wp.clamp(wp.int32(top) - 1 + j, 0, size - 1)) * size
        plane = height + along_y * (wp.float32(j) - 0.5 - fy) - along_x * (0.5 + fx)
        # The empty map is 0 high; what lies below that, far out on a floor, must not count as hidden by it.
        if wp.cast(heights[first + c0], wp.float32) <= wp.max(plane, 0.0):
            share += wy * (1.0 - fx)
        if wp.cast(heights[first + c1], wp.float32) <= wp.max(plane + along_x, 0.0):
            share += wy
        if wp.cast(heights[first + c2], wp.float32) <= wp.max(plane + 2.0 * along_x, 0.0):
            share += wy * fx
    return 0.25 * share


@wp.func
def tap_offset(tap: wp.int32, turn: wp.float32):
    """One of `_SHADOW_TAPS` points spread evenly over the unit disc: a sunflower's (Vogel, 1979), turned."""
    radius = wp.sqrt((wp.float32(tap) + 0.5) / wp.float32(_SHADOW_TAPS))
    angle = 2.3999632 * wp.float32(tap) + turn
    return wp.vec2(radius * wp.cos(angle), radius * wp.sin(angle))


@wp.func
def softly_sunlit(
    view: View,
    picture: wp.int32,
    heights: wp.array(dtype=wp.int32),
    size: wp.int32,
    point: wp.vec3,
    facing: wp.vec3,
    turn: wp.float32,
):
    """Share of a large sun that reaches a point.

    The mean height of what may hide the sun gives the width of the half-shadow (Fernando, "Percentage-closer soft
    shadows", SIGGRAPH 2005 sketches); the depth of each tap follows the surface's own slope.
    """
    lit = (point - view.shadow_centre) * view.shadow_scale
    x = (0.5 * wp.dot(lit, view.sun_right) + 0.5) * wp.float32(size)
    y = (0.5 * wp.dot(lit, view.sun_up) + 0.5) * wp.float32(size)
    height = 1.5 + wp.dot(lit, view.sun)
    # In the map's units of height (the radius of the scene) a texel is 2 / size wide.
    texel = 2.0 / wp.float32(size)
    towards = wp.max(wp.dot(facing, view.sun), 0.1)
    slope_x = -wp.dot(facing, view.sun_right) / towards
    slope_y = -wp.dot(facing, view.sun_up) / towards
    search = wp.max(view.sun_spread * wp.min(2.5 - height, 2.0) / texel, 1.5)
    hidden = wp.float32(0.0)
    blockers = wp.float32(0.0)
    for tap in range(_SHADOW_TAPS):
        offset = search * tap_offset(tap, turn)
        column = wp.int32(wp.floor(x + offset[0]))
        row = wp.int32(wp.floor(y + offset[1]))
        if column >= 0 and column < size and row >= 0 and row < size:
            plane = height + wp.clamp(slope_x * offset[0] + slope_y * offset[1], -20.0, 20.0) * texel
            other = wp.cast(heights[picture * size * size + row * size + column], wp.float32)
            # A blocker must be near enough to the way to the sun to hide any of it.
            gap = other - plane
            if other > 0.0 and gap > texel and wp.length(offset) * texel < view.sun_spread * gap + 1.5 * texel:
                hidden += gap
                blockers += 1.0
    if blockers == 0.0:
        return 1.0
    radius = wp.clamp(view.sun_spread * hidden / blockers / texel, 1.5, 0.25 * wp.float32(size))
    share = wp.float32(0.0)
    for tap in range(_SHADOW_TAPS):
        offset = radius * tap_offset(tap, turn)
        column = wp.clamp(wp.int32(wp.floor(x + offset[0])), 0, size - 1)
        row = wp.clamp(wp.int32(wp.floor(y + offset[1])), 0, size - 1)
        plane = height + wp.clamp(slope_x * offset[0] + slope_y * offset[1], -20.0, 20.0) * texel
        other = wp.cast(heights[picture * size * size + row * size + column], wp.float32)
        share += wp.where(other > 0.0, wp.clamp((plane - other) / texel + 1.5, 0.0, 1.0), 1.0)
    return share / wp.float32(_SHADOW_TAPS)


@wp.func
def openness(batch: Batch, view: View, own: wp.int32, world: wp.vec3, n: wp.vec3):
    """Share of the surroundings' light that other objects, taken as balls, leave to a point.

    The cosine-weighted share of a ball at distance d is cos(angle) (r / d)^2 (e.g. Pharr et al., "Physically based
    rendering", section on form factors). What is fainter than `_FAINTEST` is cut off, so that an object darkens
    nothing farther away than eight times its ball: what an edited scene shows elsewhere stays the same.
    """
    share = wp.float32(1.0)
    for k in range(view.draws):
        if view.first_draw + k != own:
            to_ball = batch.draws[view.first_draw + k].position - world
            towards = wp.dot(n, to_ball)
            if towards > 0.0:
                bulk = batch.draws[view.first_draw + k].bulk
                # Softened near the ball, which is only a stand-in.
                squared = wp.length_sq(to_ball) + 0.3 * bulk * bulk
                cube = squared * wp.sqrt(squared)
                hidden = towards * bulk * bulk
                share *= 1.0 - wp.max(hidden / (cube + hidden) - _FAINTEST, 0.0)
    return share


@wp.func
def hashed(x: wp.int32, y: wp.int32):
    """A number in [0, 1) that belongs to a place in the picture."""
    state = wp.uint32(x) * _MIX_X + wp.uint32(y) * _MIX_Y
    state = (state ^ (state >> wp.uint32(15))) * _MIX_A
    state = (state ^ (state >> wp.uint32(12))) * _MIX_B
    return wp.float32((state ^ (state >> wp.uint32(15))) >> wp.uint32(8)) * 5.9604645e-8


@wp.func
def smooth_normal(
    geometry: Geometry,
    draw: Draw,
    a: wp.int32,
    b: wp.int32,
    c: wp.int32,
    w: wp.vec3,
    facing: wp.vec3,
    v: wp.vec3,
):
    """Interpolate the vertices' normals, on the side of the triangle, `facing`, that the camera sees from `v`."""
    n = unit(draw.rotation * (geometry.normals[a] * w[0] + geometry.normals[b] * w[1] + geometry.normals[c] * w[2]))
    if not (wp.length_sq(n) > 0.5):  # zero or not a number
        n = facing
    if wp.dot(n, facing) < 0.0:
        n = -n
    if wp.dot(n, v) < 0.02:
        n = unit(n + (0.02 - wp.dot(n, v)) * v)
    return n


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
    (the split sum of Karis, "Real shading in Unreal Engine 4", SIGGRAPH 2013 course).

    Returns:
        The light; the smooth normal, towards the camera; the share of the light from behind that comes through; and
        the inverse depth.
    """
    owner = batch.chunk_draw[name >> SHIFT]
    draw = batch.draws[owner]
    triangle = draw.first_triangle + batch.chunk_first[name >> SHIFT] + (name & LANE)
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
    # The place may lie a little outside of the triangle. The point then lies on its plane, but not far out, and takes
    # its normal and texture coordinates from the edge.
    w = weights * wp.vec3(at[0], at[1], 1.0)
    inverse = w[0] + w[1] + w[2]
    low = -0.5 * wp.max(inverse, 0.0)
    w = wp.max(w, wp.vec3(low, low, low))
    w = w * (1.0 / wp.max(w[0] + w[1] + w[2], 1.0e-20))

    pa = geometry.positions[a]
    pb = geometry.positions[b]
    pc = geometry.positions[c]
    point = pa * w[0] + pb * w[1] + pc * w[2]
    if wp.min(w) < 0.0:
        w = wp.max(w, wp.vec3(0.0, 0.0, 0.0))
        w = w * (1.0 / (w[0] + w[1] + w[2]))
    world = draw.rotation * (point * draw.size) + draw.position
    to_camera = view.origin - world
    distance = wp.length(to_camera)
    v = to_camera * (1.0 / distance)

    # Whatever the winding and the normals of the mesh, both face the camera here.
    flat = wp.cross(pb - pa, pc - pa)
    doubled_area = wp.max(wp.length(flat), 1.0e-20)
    facing = draw.rotation * (flat * (1.0 / doubled_area))
    if wp.dot(facing, v) < 0.0:
        facing = -facing
    n = smooth_normal(geometry, draw, a, b, c, w, facing, v)
    smooth_n = n
    n_v = wp.clamp(wp.dot(n, v), 0.02, 1.0)

    ta = geometry.uvs[a]
    tb = geometry.uvs[b]
    tc = geometry.uvs[c]
    uv = ta * w[0] + tb * w[1] + tc * w[2]
    span = (tb[0] - ta[0]) * (tc[1] - ta[1]) - (tb[1] - ta[1]) * (tc[0] - ta[0])
    if wp.abs(span) < 1.0e-4 * doubled_area:
        # No usable texture coordinates: project along the axis that the surface faces most.
        side = wp.vec3(wp.abs(flat[0]), wp.abs(flat[1]), wp.abs(flat[2]))
        uv = wp.vec2(point[0], point[1])
        if side[0] >= side[1] and side[0] >= side[2]:
            uv = wp.vec2(point[1], point[2])
        elif side[1] >= side[2]:
            uv = wp.vec2(point[0], point[2])
    footprint = distance / (view.focal * draw.size * wp.sqrt(wp.max(n_v, 0.1)))
    surface = batch.surfaces[draw.first_surface + geometry.parts[triangle]]
    what = finish(surface, lattice, point, uv, footprint)
    opacity = surface.opacity
    if surface.pictures != 0:
        # Area of a pixel in the picture, from how the triangle lies in it.
        stretch = wp.abs(span) / doubled_area * footprint * footprint
        if surface.albedo_image >= 0:
            found = sample_image(geometry, surface.albedo_image, uv, stretch, wp.bool(True))
            what.albedo = wp.cw_mul(what.albedo, found)
        if surface.finish_image >= 0:
            found = sample_image(geometry, surface.finish_image, uv, stretch, wp.bool(False))
            what.roughness = wp.clamp(what.roughness * found[0], 0.1, 1.0)
            what.metalness = what.metalness * found[1]
        if surface.normal_image >= 0 and wp.abs(span) > 1.0e-12:
            found = sample_image(geometry, surface.normal_image, uv, stretch, wp.bool(False))
            along_u = ((pb - pa) * (tc[1] - ta[1]) - (pc - pa) * (tb[1] - ta[1])) / span
            tangent = draw.rotation * along_u
            tangent = tangent - n * wp.dot(n, tangent)
            if wp.length_sq(tangent) > 1.0e-12:
                tangent = wp.normalize(tangent)
                # Towards growing v, whichever way the picture is mirrored.
                along_v = draw.rotation * (((pc - pa) * (tb[0] - ta[0]) - (pb - pa) * (tc[0] - ta[0])) / span)
                bitangent = wp.cross(n, tangent)
                if wp.dot(bitangent, along_v) < 0.0:
                    bitangent = -bitangent
                n = wp.normalize(
                    tangent * (2.0 * found[0] - 1.0)
                    + bitangent * (2.0 * found[1] - 1.0)
                    + n * wp.max(2.0 * found[2] - 1.0, 0.05)
                )
                if wp.dot(n, v) < 0.02:
                    n = wp.normalize(n + (0.02 - wp.dot(n, v)) * v)
                n_v = wp.clamp(wp.dot(n, v), 0.02, 1.0)

    diffuse = what.albedo * ((1.0 - what.metalness) * opacity)
    specular = wp.lerp(wp.vec3(0.04, 0.04, 0.04), what.albedo, what.metalness)
    alpha = what.roughness * what.roughness

    n_l = wp.dot(n, view.sun)
    light = wp.vec3(0.0, 0.0, 0.0)
    if n_l > 0.0 and wp.dot(facing, view.sun) > 0.0:
        texel = 2.0 * view.shadow_radius / wp.float32(shadow_size)
        above = world + (facing * 0.5 + view.sun) * texel
        share = wp.float32(0.0)
        if view.sun_spread > _SMALL_SUN:
            # Neighbouring pixels turn their taps differently, which makes steps into fine grain.
            turn = 6.2831853 * hashed(wp.int32(at[0] * 2.0), wp.int32(at[1] * 2.0))
            share = softly_sunlit(view, draw.view, heights, shadow_size, above, facing, turn)
        else:
            share = sunlit(view, draw.view, heights, shadow_size, above, facing)
        if share > 0.0:
            half = unit(v + view.sun)
            n_h = wp.clamp(wp.dot(n, half), 0.0, 1.0)
            a2 = alpha * alpha
            bottom = n_h * n_h * (a2 - 1.0) + 1.0
            masking = n_l * wp.sqrt(n_v * n_v * (1.0 - a2) + a2) + n_v * wp.sqrt(n_l * n_l * (1.0 - a2) + a2)
            lobe = 0.5 * a2 / (_PI * bottom * bottom * masking)
            away = 1.0 - wp.clamp(wp.dot(v, half), 0.0, 1.0)
            away5 = away * away * away * away * away
            fresnel = specular * (1.0 - away5) + wp.vec3(away5, away5, away5)
            light = wp.cw_mul(diffuse / _PI + fresnel * lobe, view.sun_radiance) * (n_l * share)

    sky_n = view.to_environment * n
    mirror = view.to_environment * (2.0 * wp.dot(n, v) * n - v)
    # A curved surface squeezes more of the surroundings into a pixel.
    along_b = wp.max(wp.length_sq(pb - pa), 1.0e-12)
    along_c = wp.max(wp.length_sq(pc - pa), 1.0e-12)
    turn_b = wp.length_sq(geometry.normals[b] - geometry.normals[a])
    turn_c = wp.length_sq(geometry.normals[c] - geometry.normals[a])
    bend = wp.sqrt(wp.max(turn_b * along_c, turn_c * along_b) / (along_b * along_c))
    # The lobe's width, fitted to that of the reflected light itself.
    spread = 1.7 * alpha / (1.0 + alpha + 0.6 * alpha * alpha)
    glow = environment_radiance(surroundings, view.environment, mirror, wp.max(spread, 0.6 * bend * footprint))
    share_of_light = reflectance(surroundings, what.roughness, n_v)
    light_around = irradiance(surroundings, view.environment, sky_n)
    if view.draws > 1 or view.floor >= 0:
        light_around = light_around * openness(batch, view, owner, world, n)
        if view.floor >= 0 and owner != view.floor:
            # The floor takes the place of the surroundings below.
            up = wp.vec3(0.0, 0.0, 1.0)
            paint = batch.surfaces[batch.draws[view.floor].first_surface].base
            lit = irradiance(surroundings, view.environment, view.to_environment * up)
            lit += view.sun_radiance * (wp.max(view.sun[2], 0.0) / _PI)
            bounce = wp.cw_mul(paint, lit) * 0.85
            below = irradiance(surroundings, view.environment, -(view.to_environment * up))
            light_around += (bounce - below) * (0.5 - 0.5 * n[2])
            light_around = wp.max(light_around, wp.vec3(0.0, 0.0, 0.0))
            glow = wp.lerp(glow, bounce, wp.clamp(0.5 - 6.0 * (2.0 * wp.dot(n, v) * n[2] - v[2]), 0.0, 1.0))
    mirrored = specular * share_of_light[0] + wp.vec3(share_of_light[1], share_of_light[1], share_of_light[1])
    light += wp.cw_mul(glow, mirrored)
    light += wp.cw_mul(diffuse, light_around)
    through = wp.vec3(0.0, 0.0, 0.0)
    if opacity < _OPAQUE:
        through = wp.cw_mul(wp.vec3(1.0, 1.0, 1.0) - mirrored, what.albedo) * (1.0 - opacity)
    return wp.min(light, wp.vec3(_BRIGHTEST, _BRIGHTEST, _BRIGHTEST)), smooth_n, through, inverse


@wp.func
def inverse_depth_at(geometry: Geometry, batch: Batch, name: wp.int32, at: wp.vec2):
    """Inverse depth of a triangle's plane at a picture position."""
    draw = batch.draws[batch.chunk_draw[name >> SHIFT]]
    triangle = draw.first_triangle + batch.chunk_first[name >> SHIFT] + (name & LANE)
    corners = geometry.triangles[triangle]
    weights, _orientation = edge_functions(
        batch.placed[draw.first_placed + corners[0]],
        batch.placed[draw.first_placed + corners[1]],
        batch.placed[draw.first_placed + corners[2]],
    )
    w = weights * wp.vec3(at[0], at[1], 1.0)
    return w[0] + w[1] + w[2]


@wp.func
def one_surface(geometry: Geometry, batch: Batch, word: wp.int64, other: wp.int64):
    """Whether two samples lie on one smooth piece of one part of one object."""
    name = name_of(word)
    other_name = name_of(other)
    if name == other_name:
        return True
    owner = batch.chunk_draw[name >> SHIFT]
    if owner != batch.chunk_draw[other_name >> SHIFT]:
        return False
    inverse = inverse_depth_of(word)
    other_inverse = inverse_depth_of(other)
    if wp.min(inverse, other_inverse) < 0.95 * wp.max(inverse, other_inverse):
        return False
    draw = batch.draws[owner]
    triangle = draw.first_triangle + batch.chunk_first[name >> SHIFT] + (name & LANE)
    other_triangle = draw.first_triangle + batch.chunk_first[other_name >> SHIFT] + (other_name & LANE)
    if geometry.parts[triangle] != geometry.parts[other_triangle]:
        return False
    normal = geometry.normals[draw.first_vertex + geometry.triangles[triangle][0]]
    other_normal = geometry.normals[draw.first_vertex + geometry.triangles[other_triangle][0]]
    return wp.dot(normal, other_normal) >= 0.85


@wp.func
def normal_at(geometry: Geometry, batch: Batch, name: wp.int32, at: wp.vec2):
    """The smooth normal of a triangle at a picture position, towards the camera."""
    draw = batch.draws[batch.chunk_draw[name >> SHIFT]]
    view = batch.views[draw.view]
    corners = geometry.triangles[draw.first_triangle + batch.chunk_first[name >> SHIFT] + (name & LANE)]
    weights, _orientation = edge_functions(
        batch.placed[draw.first_placed + corners[0]],
        batch.placed[draw.first_placed + corners[1]],
        batch.placed[draw.first_placed + corners[2]],
    )
    w = wp.max(weights * wp.vec3(at[0], at[1], 1.0), wp.vec3(0.0, 0.0, 0.0))
    w = w / wp.max(w[0] + w[1] + w[2], 1.0e-20)
    a = draw.first_vertex + corners[0]
    b = draw.first_vertex + corners[1]
    c = draw.first_vertex + corners[2]
    pa = geometry.positions[a]
    pb = geometry.positions[b]
    pc = geometry.positions[c]
    world = draw.rotation * ((pa * w[0] + pb * w[1] + pc * w[2]) * draw.size) + draw.position
    v = wp.normalize(view.origin - world)
    flat = wp.cross(pb - pa, pc - pa)
    facing = draw.rotation * (flat / wp.max(wp.length(flat), 1.0e-20))
    if wp.dot(facing, v) < 0.0:
        facing = -facing
    return smooth_normal(geometry, draw, a, b, c, w, facing, v)


@wp.func
def record(
    geometry: Geometry,
    batch: Batch,
    words: Words,
    centre: wp.vec2,
    lit: wp.int32,
    normal: wp.vec3,
    lit_inverse: wp.float32,
    pixel: wp.int32,
    depth: wp.array(dtype=wp.float32),
    normals: wp.array(dtype=wp.vec3),
    instance: wp.array(dtype=wp.uint16),
    category: wp.array(dtype=wp.uint16),
):
    """Write masks, depth and normals: of what most of a pixel's samples show or, in a draw, of what is nearer.

    Of one triangle, `lit`, the normal is known already, and the inverse depth at the centre unless it is 0.
    """
    samples = wp.int32(4)
    owners = wp.vec4i(-1, -1, -1, -1)
    covered = wp.int32(0)
    for s in range(samples):
        if words[s] != wp.int64(0):
            covered += 1
            owners[s] = draw_of(batch, words[s])
    votes = wp.int32(4)
    winner = wp.max(wp.max(words[0], words[1]), wp.max(words[2], words[3]))
    if not (owners[0] == owners[1] and owners[2] == owners[3] and owners[0] == owners[2]):
        votes = wp.int32(0)
        for s in range(samples):
            own = wp.int32(0)
            for t in range(samples):
                if owners[t] == owners[s]:
                    own += 1
            if owners[s] >= 0 and (own > votes or (own == votes and words[s] > winner)):
                votes = own
                winner = words[s]
    if votes < 4 - covered or covered == 0:
        normals[pixel] = wp.vec3(0.0, 0.0, 0.0)
        depth[pixel] = wp.inf
        instance[pixel] = wp.uint16(0)
        category[pixel] = wp.uint16(0)
        return
    owner = draw_of(batch, winner)
    closest = inverse_depth_of(winner)
    farthest = closest
    for s in range(samples):
        if owners[s] == owner:
            closest = wp.max(closest, inverse_depth_of(words[s]))
            farthest = wp.min(farthest, inverse_depth_of(words[s]))
    instance[pixel] = wp.uint16(batch.draws[owner].number)
    category[pixel] = wp.uint16(batch.draws[owner].category + 1)
    at_centre = lit_inverse
    if name_of(winner) == lit:
        normals[pixel] = normal
    else:
        normals[pixel] = normal_at(geometry, batch, name_of(winner), centre)
        at_centre = 0.0
    if at_centre <= 0.0:
        at_centre = inverse_depth_at(geometry, batch, name_of(winner), centre)
    depth[pixel] = 1.0 / wp.clamp(at_centre, farthest, closest)


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
    normals: wp.array(dtype=wp.vec3),
    instance: wp.array(dtype=wp.uint16),
    category: wp.array(dtype=wp.uint16),
    shown: wp.array(dtype=wp.int32),
):
    """Light the objects: premultiplied colour and coverage, masks and depth of every pixel.

    A pixel is lit once for each smooth piece of a part that its samples lie on. In pictures of several objects,
    `shown` counts the samples that show each of them.
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
        normals[pixel] = wp.vec3(0.0, 0.0, 0.0)
        instance[pixel] = wp.uint16(0)
        category[pixel] = wp.uint16(0)
        return

    view = batch.views[picture]
    centre = wp.vec2(wp.float32(column) + 0.5, wp.float32(row) + 0.5)
    light = wp.vec3(0.0, 0.0, 0.0)
    normal = wp.vec3(0.0, 0.0, 0.0)
    lit_inverse = wp.float32(0.0)
    covered = wp.int32(0)
    todo = wp.int32(15)
    samples = wp.int32(4)
    for s in range(samples):
        if words[s] == wp.int64(0) or (todo & (1 << s)) == 0:
            continue
        # Samples on one smooth piece of one part are lit together, in their middle, on the nearest triangle.
        nearest_word = words[s]
        at = sample_position(2 * column + s % 2, 2 * row + s // 2)
        members = wp.int32(1)
        for t in range(s + 1, samples):
            if (
                words[t] != wp.int64(0)
                and (todo & (1 << t)) != 0
                and one_surface(geometry, batch, words[s], words[t])
            ):
                todo = todo - (1 << t)
                nearest_word = wp.max(nearest_word, words[t])
                at += sample_position(2 * column + t % 2, 2 * row + t // 2)
                members += 1
        covered += members
        at = at / wp.float32(members)
        sent, facing, _through, inverse = radiance(
            geometry, batch, surroundings, lattice, heights, shadow_size, name_of(nearest_word), at
        )
        light += 0.25 * wp.float32(members) * sent
        if view.draws > 1:
            wp.atomic_add(shown, draw_of(batch, nearest_word), members)
        if nearest_word == front:
            normal = facing
            lit_inverse = wp.where(members == 4, inverse, 0.0)
    front_inverse = inverse_depth_of(front)
    if view.fog > 0.0:
        share = 0.25 * wp.float32(covered)
        ray = view.ray + centre[0] * view.ray_right + centre[1] * view.ray_down
        light = share * hazy(surroundings, view.environment, ray, view.fog, front_inverse, light / share)
    layer[pixel] = wp.vec4(light[0], light[1], light[2], 0.25 * wp.float32(covered))
    nearest[pixel] = front_inverse

    record(
        geometry, batch, words, centre, name_of(front), normal, lit_inverse, pixel, depth, normals, instance, category
    )


@wp.kernel
def glaze(
    geometry: Geometry,
    batch: Batch,
    surroundings: Surroundings,
    lattice: wp.array(dtype=wp.float32),
    visible: wp.array(dtype=wp.int64),
    glass: wp.array(dtype=wp.int64),
    glazed: wp.array(dtype=wp.int32),
    heights: wp.array(dtype=wp.int32),
    resolution: wp.int32,
    shadow_size: wp.int32,
    layer: wp.array(dtype=wp.vec4),
    nearest: wp.array(dtype=wp.float32),
    depth: wp.array(dtype=wp.float32),
    normals: wp.array(dtype=wp.vec3),
    instance: wp.array(dtype=wp.uint16),
    category: wp.array(dtype=wp.uint16),
    shown: wp.array(dtype=wp.int32),
):
    """Put the nearest see-through surface over what `shade` has lit.

    An approximation of glass: one surface counts, objects are seen straight through it, the surroundings a little
    bent.
    """
    which, place = wp.tid()
    picture = glazed[which]
    row = place // resolution
    column = place % resolution
    side = 2 * resolution
    corner = 2 * row * side + 2 * column
    front = wp.int64(0)
    panes = wp.int32(0)
    words = Words()
    samples = wp.int32(4)
    for s in range(samples):
        at = corner + (s // 2) * side + s % 2
        pane = glass[which * side * side + at]
        words[s] = visible[picture * side * side + at]
        if inverse_depth_of(pane) > inverse_depth_of(words[s]):
            if batch.views[picture].draws > 1:
                wp.atomic_add(shown, draw_of(batch, pane), 1)
                if words[s] != wp.int64(0):
                    wp.atomic_add(shown, draw_of(batch, words[s]), -1)
            words[s] = pane
            panes += 1
            front = wp.max(front, pane)
    if panes == 0:
        return
    view = batch.views[picture]
    pixel = picture * resolution * resolution + place
    centre = wp.vec2(wp.float32(column) + 0.5, wp.float32(row) + 0.5)
    sent, normal, through, inverse = radiance(
        geometry, batch, surroundings, lattice, heights, shadow_size, name_of(front), centre
    )
    below = layer[pixel]
    behind = wp.vec3(below[0], below[1], below[2])
    if below[3] < 1.0:
        ray = view.ray + centre[0] * view.ray_right + centre[1] * view.ray_down
        bent = wp.normalize(ray) - 0.2 * (view.to_environment * normal)
        seen = environment_radiance(surroundings, view.environment, bent, 0.3 / view.focal)
        if view.fog > 0.0:
            seen = hazy(surroundings, view.environment, ray, view.fog, 0.0, seen)
        behind += (1.0 - below[3]) * seen
    total = sent + wp.cw_mul(through, behind)
    if view.fog > 0.0:
        ray = view.ray + centre[0] * view.ray_right + centre[1] * view.ray_down
        nothing = wp.vec3(0.0, 0.0, 0.0)
        before = hazy(surroundings, view.environment, ray, view.fog, inverse_depth_of(front), nothing)
        total = hazy(surroundings, view.environment, ray, view.fog, inverse_depth_of(front), sent)
        # What lies behind has come through that fog already.
        total += wp.cw_mul(through, wp.max(behind - before, nothing))
    share = 0.25 * wp.float32(panes)
    total = share * total
    layer[pixel] = (1.0 - share) * below + wp.vec4(total[0], total[1], total[2], share)
    nearest[pixel] = wp.max(nearest[pixel], inverse_depth_of(front))
    record(geometry, batch, words, centre, name_of(front), normal, inverse, pixel, depth, normals, instance, category)
