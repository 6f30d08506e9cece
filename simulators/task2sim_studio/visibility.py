# mypy: ignore-errors
# Kernel code is Warp's own language in Python's syntax: its types are checked when Warp compiles it.
"""Kernels that find out what is visible, to the camera and to the sun, and how much of it.

Visibility is an atomic maximum of one word, inverse depth above the triangle's name, so it does not depend on the
order of threads. Each pixel has four samples.
"""

from __future__ import annotations

import warp as wp

from task2sim_studio.structures import (
    CHUNK,
    MODULE_OPTIONS,
    NEAR,
    NEAREST,
    OPAQUE,
    Batch,
    Draw,
    Geometry,
    View,
    edge_functions,
)

wp.set_module_options(MODULE_OPTIONS)

_CHUNK = wp.constant(CHUNK)
_FARTHEST_INVERSE = wp.constant(1.0 / NEAR)
_OPAQUE = wp.constant(OPAQUE)
_CASTS = wp.constant(0.5)  # what is less opaque throws no shadow


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
    """Place vertices: picture position and depth, and shadow-map position and height."""
    chunk, lane = wp.tid()
    draw = draws[chunk_draw[chunk]]
    vertex = chunk_first[chunk] + lane
    if vertex >= draw.vertices:
        return
    view = views[draw.view]
    world = draw.rotation * (geometry.positions[draw.first_vertex + vertex] * draw.size) + draw.position
    seen = world - view.origin
    w = wp.dot(seen, view.forward)
    if wp.abs(w) < 1.0e-5:
        w = 1.0e-5
    scale = view.focal / w
    placed[draw.first_placed + vertex] = wp.vec3(
        wp.dot(seen, view.right) * scale + 0.5 * resolution,
        wp.dot(seen, view.down) * scale + 0.5 * resolution,
        w,
    )
    lit = (world - view.shadow_centre) * view.shadow_scale
    placed_for_sun[draw.first_placed + vertex] = wp.vec3(
        (0.5 * wp.dot(lit, view.sun_right) + 0.5) * shadow_size,
        (0.5 * wp.dot(lit, view.sun_up) + 0.5) * shadow_size,
        1.5 + wp.dot(lit, view.sun),
    )


@wp.kernel
def bound(
    draws: wp.array(dtype=Draw),
    chunk_draw: wp.array(dtype=wp.int32),
    chunk_first: wp.array(dtype=wp.int32),
    placed: wp.array(dtype=wp.vec3),
    low: wp.array(dtype=wp.vec2),
    high: wp.array(dtype=wp.vec2),
):
    """Find the full extent of every draw in its picture; what lies behind the camera does not count."""
    chunk = wp.tid()
    owner = chunk_draw[chunk]
    draw = draws[owner]
    first = chunk_first[chunk]
    least = wp.vec2(1.0e9, 1.0e9)
    most = wp.vec2(-1.0e9, -1.0e9)
    for vertex in range(first, wp.min(first + _CHUNK, draw.vertices)):
        at = placed[draw.first_placed + vertex]
        if at[2] > NEAREST:
            least = wp.min(least, wp.vec2(at[0], at[1]))
            most = wp.max(most, wp.vec2(at[0], at[1]))
    wp.atomic_min(low, owner, least)
    wp.atomic_max(high, owner, most)


@wp.kernel
def rasterise(
    geometry: Geometry,
    batch: Batch,
    resolution: wp.int32,
    visible: wp.array(dtype=wp.int64),
    glass: wp.array(dtype=wp.int64),
    covers: wp.array(dtype=wp.int64),
    extents: wp.array(dtype=wp.int32),
):
    """Draw triangles into the samples that the camera sees.

    See-through ones go to a buffer of their own. In pictures of several objects, a bit for each of them in `covers`
    tells whether it would fill a sample if it were alone, and `extents` counts those samples.
    """
    chunk, lane = wp.tid()
    owner = batch.chunk_draw[chunk]
    draw = batch.draws[owner]
    triangle = batch.chunk_first[chunk] + lane
    if triangle >= draw.triangles:
        return
    corners = geometry.triangles[draw.first_triangle + triangle]
    a = batch.placed[draw.first_placed + corners[0]]
    b = batch.placed[draw.first_placed + corners[1]]
    c = batch.placed[draw.first_placed + corners[2]]
    low_w = wp.min(a[2], wp.min(b[2], c[2]))
    if wp.max(a[2], wp.max(b[2], c[2])) < NEAREST:
        return

    side = 2 * resolution
    left = wp.int32(0)
    right = side - 1
    top = wp.int32(0)
    bottom = side - 1
    if low_w >= NEAREST:
        # Pictures have y downwards: what runs counter-clockwise outside has a negative area here.
        if draw.closed != 0 and (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0.0:
            return
        # The picture's bounds, one beyond, keep the numbers small enough for integers.
        edge = wp.float32(resolution) + 1.0
        low_x = wp.clamp(wp.min(a[0], wp.min(b[0], c[0])), -1.0, edge)
        high_x = wp.clamp(wp.max(a[0], wp.max(b[0], c[0])), -1.0, edge)
        low_y = wp.clamp(wp.min(a[1], wp.min(b[1], c[1])), -1.0, edge)
        high_y = wp.clamp(wp.max(a[1], wp.max(b[1], c[1])), -1.0, edge)
        left = wp.max(left, wp.int32(wp.ceil(2.0 * low_x - 0.76)))
        right = wp.min(right, wp.int32(wp.floor(2.0 * high_x - 0.24)))
        top = wp.max(top, wp.int32(wp.ceil(2.0 * low_y - 0.76)))
        bottom = wp.min(bottom, wp.int32(wp.floor(2.0 * high_y - 0.24)))
        if left > right or top > bottom:
            return
    weights, orientation = edge_functions(a, b, c)
    if orientation == 0.0 or (draw.closed != 0 and orientation > 0.0):
        return

    view = batch.views[draw.view]
    see_through = wp.bool(False)
    if draw.see_through != 0:
        surface = batch.surfaces[draw.first_surface + geometry.parts[draw.first_triangle + triangle]]
        see_through = surface.opacity < _OPAQUE
    alone = view.draws > 1 and draw.number > 0
    bit = wp.int64(1) << wp.int64(wp.max(draw.number - 1, 0))
    filled = wp.int32(0)
    name = wp.int64(chunk * _CHUNK + lane)
    picture = draw.view * side * side
    along = wp.vec3(weights[0, 0], weights[1, 0], weights[2, 0])
    across = wp.vec3(weights[0, 1], weights[1, 1], weights[2, 1])
    constant = wp.vec3(weights[0, 2], weights[1, 2], weights[2, 2])
    for row in range(top, bottom + 1):
        shift = wp.where(row % 2 == 0, 0.375, 0.125)
        for parity in range(2):
            # Samples of even columns lie on one line, those of odd columns on another, a quarter of a pixel below.
            start = constant + across * (0.5 * wp.float32(row) + 0.125 + 0.25 * wp.float32(parity)) + along * shift
            inside = wp.bool(False)
            for column in range(left + ((left + parity) & 1), right + 1, 2):
                w = start + along * (0.5 * wp.float32(column))
                if w[0] >= 0.0 and w[1] >= 0.0 and w[2] >= 0.0:
                    inside = True
                    inverse_depth = w[0] + w[1] + w[2]
                    if inverse_depth > 0.0 and inverse_depth <= _FARTHEST_INVERSE:
                        word = (wp.int64(wp.cast(inverse_depth, wp.int32)) << wp.int64(32)) | name
                        at = row * side + column
                        if see_through:
                            wp.atomic_max(glass, view.glass * side * side + at, word)
                        else:
                            wp.atomic_max(visible, picture + at, word)
                        if alone and (wp.atomic_or(covers, picture + at, bit) & bit) == wp.int64(0):
                            filled += 1
                elif inside:
                    break  # a line leaves a triangle once
    if filled > 0:
        wp.atomic_add(extents, owner, filled)


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
    if triangle >= draw.triangles or draw.casts == 0:
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
    if left > right or top > bottom:
        return
    if draw.see_through != 0:
        surface = batch.surfaces[draw.first_surface + geometry.parts[draw.first_triangle + triangle]]
        if surface.opacity < _CASTS:
            return
    inverse = 1.0 / area
    picture = draw.view * size * size
    for row in range(wp.max(top, 0), wp.min(bottom, size - 1) + 1):
        y = wp.float32(row) + 0.5
        inside = wp.bool(False)
        for column in range(wp.max(left, 0), wp.min(right, size - 1) + 1):
            x = wp.float32(column) + 0.5
            at_b = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) * inverse
            at_c = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) * inverse
            if at_b >= 0.0 and at_c >= 0.0 and at_b + at_c <= 1.0:
                inside = True
                height = a[2] + at_b * (b[2] - a[2]) + at_c * (c[2] - a[2])
                wp.atomic_max(heights, picture + row * size + column, wp.cast(height, wp.int32))
            elif inside:
                break


@wp.kernel
def frame(
    views: wp.array(dtype=View),
    instance: wp.array(dtype=wp.uint16),
    resolution: wp.int32,
    low: wp.array(dtype=wp.vec2i),
    high: wp.array(dtype=wp.vec2i),
):
    """Find each draw's box in the instance mask: first and last column and row, the last ones beyond it."""
    picture, row = wp.tid()
    first = picture * resolution * resolution + row * resolution
    own = wp.int32(0)
    begin = wp.int32(0)
    for column in range(resolution + 1):
        number = wp.int32(0)
        if column < resolution:
            number = wp.int32(instance[first + column])
        if number != own:
            if own > 0:
                draw = views[picture].first_draw + own - 1
                wp.atomic_min(low, draw, wp.vec2i(begin, row))
                wp.atomic_max(high, draw, wp.vec2i(column, row + 1))
            own = number
            begin = column
