"""The vocabulary objects are built from: closed surfaces with smooth or creased edges.

Everything is a `skin` over rings of points: a lathe turns a profile, a tube sweeps a section along a path, an
extrusion pushes an outline. Forms are closed, so their signed volume says which side is out and nothing here has to
be wound the right way by hand. Normals are made last (`normals`), so any form can be bent, tapered and squeezed.

A path, profile or outline is anything numpy takes for an array of points. Sizes are full sizes, radii are radii,
angles are degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, Self, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Axis: TypeAlias = Literal["x", "y", "z"]

CREASE = 35.0
"""An edge that turns by more than so many degrees stays sharp."""


@attrs.frozen(eq=False)
class Form:
    """A closed surface; its methods return changed copies.

    Attributes:
        vertices: float64 array of shape (V, 3).
        uvs: float64 array of shape (V, 2): arc lengths along the surface, in the unit of the vertices.
        triangles: int64 array of shape (T, 3), counter-clockwise from outside.
        smoothing: int64 array of shape (V,): vertices with the same number share one normal.
    """

    vertices: Floats
    uvs: Floats
    triangles: Integers
    smoothing: Integers

    def move(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Self:
        """Shift."""
        return attrs.evolve(self, vertices=self.vertices + (x, y, z))

    def scale(self, x: float, y: float | None = None, z: float | None = None) -> Self:
        """Stretch about the origin, by the same factor along axes that are not given."""
        factors = np.array([x, x if y is None else y, x if z is None else z])
        stretch = np.cbrt(abs(factors.prod()))
        return attrs.evolve(self, vertices=self.vertices * factors, uvs=self.uvs * stretch)._outwards(factors.prod())

    def turn(self, axis: Axis, degrees: float) -> Self:
        """Rotate about an axis through the origin, counter-clockwise seen from its positive end."""
        return attrs.evolve(self, vertices=self.vertices @ rotation(axis, degrees).T)

    def mirror(self, axis: Axis = "x") -> Self:
        """Reflect in the plane through the origin across this axis."""
        factors = np.where(np.arange(3) == "xyz".index(axis), -1.0, 1.0)
        return attrs.evolve(self, vertices=self.vertices * factors)._outwards(-1.0)

    def deform(self, function: Callable[[Floats], Floats]) -> Self:
        """Move every vertex by a function of arrays of shape (V, 3) that must not turn the form inside out."""
        return attrs.evolve(self, vertices=function(self.vertices))

    def shift(self, axis: Axis, by: Callable[[Floats, Floats, Floats], Floats]) -> Self:
        """Move every vertex along an axis by a function of x, y and z, arrays of shape (V,)."""
        moved = self.vertices.copy()
        moved[:, "xyz".index(axis)] += by(*self.vertices.T)
        return attrs.evolve(self, vertices=moved)

    def swell(self, factor: Callable[[Floats, Floats], Floats]) -> Self:
        """Scale sections across z by a function of the angle about it (radians) and z, arrays of shape (V,)."""
        x, y, z = self.vertices.T
        scale = factor(np.arctan2(y, x), z)
        return attrs.evolve(self, vertices=np.stack([x * scale, y * scale, z], axis=1))

    def taper(self, top: float, axis: Axis = "z") -> Self:
        """Scale sections across an axis, from 1 at the low end to `top` at the high end."""
        k = "xyz".index(axis)
        along = self.vertices[:, k]
        factor = 1.0 + (top - 1.0) * (along - along.min()) / max(float(np.ptp(along)), 1e-9)
        squeezed = self.vertices * factor[:, None]
        squeezed[:, k] = along
        return attrs.evolve(self, vertices=squeezed)

    def bend(self, degrees: float) -> Self:
        """Bend a form that stands along z towards +x, by so much from its foot to its head."""
        if abs(degrees) < 1e-6:
            return self
        x, y, z = self.vertices.T
        foot, height = z.min(), np.ptp(z)
        radius = height / np.radians(degrees)
        angle = (z - foot) / radius
        return attrs.evolve(
            self,
            vertices=np.stack(
                [radius - (radius - x) * np.cos(angle), y, foot + (radius - x) * np.sin(angle)], axis=1
            ),
        )

    def __add__(self, other: Form) -> Form:
        return join([self, other])

    def _outwards(self, sign: float) -> Self:
        return self if sign > 0 else attrs.evolve(self, triangles=self.triangles[:, ::-1])


def join(forms: Sequence[Form]) -> Form:
    """Make one form of several, one or more."""
    if len(forms) == 1:
        return forms[0]
    starts = np.cumsum([0] + [len(form.vertices) for form in forms])
    return Form(
        np.concatenate([form.vertices for form in forms]),
        np.concatenate([form.uvs for form in forms]),
        np.concatenate([form.triangles + start for form, start in zip(forms, starts, strict=False)]),
        np.concatenate([form.smoothing + start for form, start in zip(forms, starts, strict=False)]),
    )


def normals(form: Form) -> Floats:
    """Compute unit vertex normals: the mean over the triangles of a smoothing group, weighted by their areas.

    The weights keep big flat faces flat beside narrow bevels.

    Returns:
        float64 array of shape (V, 3).
    """
    a, b, c = (form.vertices[form.triangles[:, k]] for k in range(3))
    faces = _cross(b - a, c - a)
    groups = form.smoothing[form.triangles].ravel()
    sums = np.stack([np.bincount(groups, np.repeat(faces[:, k], 3), len(form.vertices)) for k in range(3)], axis=1)
    lengths = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    return np.where(lengths > 0, sums / np.maximum(lengths, 1e-300), (0.0, 0.0, 1.0))[form.smoothing]


# --- copies ---


def at(form: Form, points: ArrayLike) -> Form:
    """Set a copy at each point."""
    offsets = np.asarray(points, float).reshape(-1, 3)
    return _copies(form, form.vertices + offsets[:, None])


def around(form: Form, count: int, start: float = 0.0, sweep: float = 360.0) -> Form:
    """Set copies around the z axis, evenly over `sweep` degrees (its end is left out)."""
    turns = np.stack([rotation("z", start + sweep * k / count) for k in range(count)])
    return _copies(form, form.vertices @ turns.transpose(0, 2, 1))


def both(form: Form, axis: Axis = "x") -> Form:
    """Add the mirror image."""
    return form + form.mirror(axis)


def corners(form: Form, x: float, y: float) -> Form:
    """Set a copy at each of (±x, ±y), mirrored so that each looks outwards."""
    return both(both(form.move(x, y), "x"), "y")


def scatter(form: Form, points: ArrayLike, directions: ArrayLike, sizes: ArrayLike = 1.0) -> Form:
    """Set a scaled copy at each point, with its z axis along that point's direction."""
    z = _unit(np.asarray(directions, float))
    x = _cross(np.where(np.abs(z[:, 2:]) > 0.9, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), z)
    x = _unit(x)
    frames = np.stack([x, _cross(z, x), z], axis=1) * np.broadcast_to(sizes, len(z))[:, None, None]
    return _copies(form, form.vertices @ frames + np.asarray(points, float)[:, None])


def _copies(form: Form, vertices: Floats) -> Form:
    count, size = vertices.shape[:2]
    shift = size * np.arange(count)
    return Form(
        vertices.reshape(-1, 3),
        np.tile(form.uvs, (count, 1)),
        (form.triangles + shift[:, None, None]).reshape(-1, 3),
        (form.smoothing + shift[:, None]).ravel(),
    )


# --- lines ---


def curve(points: ArrayLike, count: int = 16) -> Floats:
    """Draw a smooth line through points of any dimension (Catmull-Rom).

    Args:
        points: Array of shape (P, D), P >= 2.
        count: How many points the line gets, spread evenly over the spans.

    Returns:
        float64 array of shape (count, D); begins and ends where `points` do.
    """
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    along = np.linspace(0, len(p) - 3, count)
    i = np.minimum(along.astype(int), len(p) - 4)
    t = (along - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    line: Floats = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return line


def arc(radius: float, start: float, stop: float, count: int = 12, height: float | None = None) -> Floats:
    """Points on a circle about the origin of the plane, or on an ellipse that is `height` high, from start to stop.

    Returns:
        float64 array of shape (count, 2).
    """
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([radius * np.cos(angle), (radius if height is None else height) * np.sin(angle)], axis=1)


def circle(radius: float = 1.0, count: int = 12, height: float | None = None) -> Floats:
    """Outline of a circle or ellipse: float64 array of shape (count, 2)."""
    return arc(radius, 0, 360, count + 1, height)[:-1]


def rectangle(width: float, height: float) -> Floats:
    """Outline of a centred rectangle."""
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)


def rounded(outline: ArrayLike, radius: float, steps: int = 4) -> Floats:
    """Round the corners of an outline.

    Args:
        outline: Array of shape (P, 2), closed without repeating the first point.
        radius: How far from a corner the rounding begins; less where an edge is shorter than two of it.
        steps: Points that stand for a corner, >= 2.

    Returns:
        float64 array of shape (P * steps, 2).
    """
    p = np.asarray(outline, float)
    before, after = np.roll(p, 1, axis=0) - p, np.roll(p, -1, axis=0) - p
    a = p + before * np.minimum(0.49, radius / np.linalg.norm(before, axis=1, keepdims=True))
    b = p + after * np.minimum(0.49, radius / np.linalg.norm(after, axis=1, keepdims=True))
    t = np.linspace(0, 1, steps)[None, :, None]
    bows: Floats = (1 - t) ** 2 * a[:, None] + 2 * t * (1 - t) * p[:, None] + t**2 * b[:, None]
    return bows.reshape(-1, 2)


def in_plane(points: ArrayLike, axis: Axis = "y", offset: float = 0.0) -> Floats:
    """Put points of a plane into space, across an axis at an offset: (x, z) for y, (y, z) for x, (x, y) for z."""
    return np.insert(np.asarray(points, float), "xyz".index(axis), offset, axis=1)


# --- forms ---


def box(x: float, y: float, z: float, bevel: float = 0.0) -> Form:
    """A box that stands on the origin, with edges narrowed by `bevel` and shaded round, or sharp if it is 0."""
    if bevel > 0:
        vertices, triangles, inset = _bevelled_cube()
        bevel = min(bevel, 0.45 * min(x, y, z))
        half = np.array([x, y, z]) / 2
        smoothing = np.arange(len(vertices))
        placed = vertices * (half - bevel * inset)
    else:
        vertices, triangles = _cube()
        smoothing = np.arange(len(vertices))
        placed = vertices * (x / 2, y / 2, z / 2)
    side = np.repeat(np.arange(3), 8) if len(vertices) == 24 else np.zeros(len(vertices), int)
    rows = np.arange(len(vertices))
    uvs = np.stack([placed[rows, (side + 1) % 3], placed[rows, (side + 2) % 3]], axis=1)
    return Form(placed + (0, 0, z / 2), uvs, triangles, smoothing)


def cylinder(radius: float, height: float, top: float | None = None, bevel: float = 0.0, sides: int = 20) -> Form:
    """A cylinder, or a frustum with another radius at its top (0: a cone), that stands on the origin."""
    top = radius if top is None else top
    profile = [(radius - bevel, 0), (radius, bevel), (top, height - bevel), (max(top - bevel, 0), height)]
    return lathe(profile if bevel > 0 else [(radius, 0), (top, height)], sides)


def ellipsoid(x: float, y: float, z: float, sides: int = 20, rows: int = 12) -> Form:
    """An ellipsoid about the origin."""
    return superellipsoid(x, y, z, 1.0, 1.0, sides, rows)


def superellipsoid(
    x: float, y: float, z: float, upright: float = 0.4, around: float = 0.4, sides: int = 24, rows: int = 14
) -> Form:
    """Anything between an ellipsoid (exponents 1), a cushion or a rounded box (towards 0), about the origin.

    Barr, "Superquadrics and angle-preserving transformations", 1981: `upright` shapes the sections along z,
    `around` those across it.
    """
    latitude = np.radians(np.linspace(-90, 90, rows))
    longitude = np.radians(np.linspace(0, 360, sides + 1)[:-1])
    out, up = _power(np.cos(latitude), upright), _power(np.sin(latitude), upright)
    out[[0, -1]] = 0.0
    rings = np.empty((rows, sides, 3))
    rings[..., 0] = x / 2 * out[:, None] * _power(np.cos(longitude), around)
    rings[..., 1] = y / 2 * out[:, None] * _power(np.sin(longitude), around)
    rings[..., 2] = z / 2 * up[:, None]
    return skin(rings)


def lathe(profile: ArrayLike, sides: int = 24, loop: bool = False) -> Form:
    """Turn a profile of (radius, height) about the z axis.

    Args:
        profile: Array of shape (P, 2). Ends that are not on the axis are closed by flat discs.
        sides: How many sides stand for a circle.
        loop: The profile is closed, without repeating its first point, and makes a ring.
    """
    p = np.asarray(profile, float)
    disc = circle(1.0, sides)
    rings = np.empty((len(p), sides, 3))
    rings[..., :2] = p[:, None, :1] * disc
    rings[..., 2] = p[:, 1:]
    return skin(rings, row_creases=sharp(p, closed=loop), loop=loop)


def torus(radius: float, thickness: float, sides: int = 24, section: int = 10) -> Form:
    """A ring of round section about the z axis; `radius` is its mean radius, `thickness` that of the section."""
    return lathe(circle(thickness, section) + (radius, 0), sides, loop=True)


def vessel(outside: ArrayLike, wall: float, sides: int = 24) -> Form:
    """Turn a hollow body that is open at its top: the outside profile from the foot up, and a wall's thickness."""
    out = np.asarray(outside, float)
    floor = out[0, 1] + wall
    inner = out[::-1] - (wall, 0)
    inner = inner[(inner[:, 0] > 0) & (inner[:, 1] > floor)]
    return lathe([*out, *inner, (inner[-1, 0], floor), (0.0, floor)], sides)


def tube(
    path: ArrayLike,
    radius: ArrayLike,
    sides: int = 10,
    section: ArrayLike | None = None,
    round_ends: bool = False,
    loop: bool = False,
) -> Form:
    """Sweep a section along a path.

    The section's second axis is the world axis the path keeps furthest from (y, x, z in doubt), so a path in a
    plane across an axis carries its section upright on that plane.

    Args:
        path: Array of shape (P, 3), P >= 2.
        radius: Scale of the section: a number, one for each point of the path, or shape (P, 2) for both its axes.
        sides: How many sides a round section has.
        section: Outline of shape (S, 2) instead of the unit circle.
        round_ends: Close the ends with domes.
        loop: The path is closed, without repeating its first point.
    """
    p = np.asarray(path, float)
    r = np.asarray(radius, float)
    r = np.broadcast_to(r[:, None] if r.ndim == 1 else r, (len(p), 2))
    tangents = np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0) if loop else np.gradient(p, axis=0)
    tangents = _unit(tangents)
    if round_ends:
        bow = np.radians([90, 60, 30])
        low = p[0] - tangents[0] * (r[0].min() * np.sin(bow))[:, None]
        high = p[-1] + tangents[-1] * (r[-1].min() * np.sin(bow[::-1]))[:, None]
        p = np.concatenate([low, p, high])
        fade = np.cos(bow)[:, None] * (bow < 1.5)[:, None]
        r = np.concatenate([r[0] * fade, r, r[-1] * fade[::-1]])
        tangents = np.concatenate([tangents[:1].repeat(3, 0), tangents, tangents[-1:].repeat(3, 0)])
    axis = (1, 0, 2)[int(np.abs(tangents).max(axis=0)[[1, 0, 2]].round(6).argmin())]
    side = _unit(_cross(tangents, np.eye(3)[axis]))
    up = _cross(side, tangents)
    outline = circle(1.0, sides) if section is None else np.asarray(section, float)
    shape = outline[None] * r[:, None]
    rings = p[:, None] + shape[..., :1] * side[:, None] + shape[..., 1:] * up[:, None]
    return skin(
        rings,
        row_creases=None if round_ends else sharp(p, closed=loop, angle=50.0),
        column_creases=None if section is None else sharp(outline, closed=True),
        loop=loop,
        cap=None if section is None else triangulate(outline),
    )


def rod(start: ArrayLike, stop: ArrayLike, radius: float, end: float | None = None, sides: int = 10) -> Form:
    """A straight round bar between two points, with another radius at its end if given."""
    return tube(np.array([start, stop], float), [radius, radius if end is None else end], sides)


def extrude(outline: ArrayLike, depth: float, bevel: float = 0.0) -> Form:
    """Push an outline of (x, z) along y, from -depth/2 to depth/2.

    Args:
        outline: Array of shape (P, 2): a polygon that does not cross itself, concave or not.
        depth: How thick.
        bevel: How far the front and back edges are cut back.
    """
    p = np.asarray(outline, float)
    cap = triangulate(p)
    if bevel > 0:
        bevel = min(bevel, 0.45 * depth)
        layers = [(bevel, -0.5 * depth), (0, bevel - 0.5 * depth), (0, 0.5 * depth - bevel), (bevel, 0.5 * depth)]
    else:
        layers = [(0, -0.5 * depth), (0, 0.5 * depth)]
    inwards = _inwards(p)
    rings = np.stack([in_plane(p + inset * inwards, "y", y) for inset, y in layers])
    return skin(rings, column_creases=sharp(p, closed=True), cap=cap)


def leaf(
    length: float, width: float, curl: float = 30.0, thickness: float = 0.02, belly: float = 0.4, rows: int = 8
) -> Form:
    """A leaf, petal, feather or blade: it grows from the origin along z and curls towards +x.

    Args:
        length: From the stem to the tip, along the surface.
        width: Across, where it is widest (along y).
        curl: How far the tip turns away.
        thickness: At the middle.
        belly: Where it is widest, as a fraction of its length in (0, 1).
        rows: Points along it.
    """
    t = np.linspace(0, 1, rows)
    swell = np.sin(np.pi * t ** (np.log(0.5) / np.log(belly))) + 0.04
    path = np.stack([0 * t, 0 * t, t * length], axis=1)
    radii = np.stack([thickness / 2 * np.minimum(1, 3 * swell), width / 2 * swell], axis=1)
    return tube(path, radii, section=circle(1.0, 8)).bend(curl)


def skin(
    rings: Floats,
    row_creases: NDArray[np.bool_] | None = None,
    column_creases: NDArray[np.bool_] | None = None,
    loop: bool = False,
    cap: Integers | None = None,
) -> Form:
    """Stretch a closed surface over rings.

    Args:
        rings: float64 array of shape (R, C, 3): R >= 2 closed lines of C points. A ring may be a single point.
        row_creases: bool array of shape (R,): rings that are sharp edges.
        column_creases: bool array of shape (C,): lines along the rings that are sharp edges.
        loop: The last ring is joined to the first; otherwise both are closed by caps.
        cap: Triangles over one ring, int64 array of shape (K, 3); a fan unless given.
    """
    count, sides = rings.shape[:2]
    topology = _topology(
        count,
        sides,
        None if row_creases is None else row_creases.tobytes(),
        None if column_creases is None else column_creases.tobytes(),
        loop,
    )
    rows, row_ends, columns, column_ends, triangles, smoothing = topology
    edges = np.sqrt(((np.concatenate([rings[:, 1:], rings[:, :1]], axis=1) - rings) ** 2).sum(axis=2))
    girths = edges.sum(axis=1)
    u = np.concatenate([[0.0], np.cumsum(edges[girths.argmax()])])
    following = np.concatenate([rings[1:], rings[:1]])
    v = np.concatenate([[0.0], np.cumsum(np.sqrt(((following - rings) ** 2).sum(axis=2)).mean(axis=1))])
    vertices = [rings[rows[:, None], columns].reshape(-1, 3)]
    uvs = [np.stack([np.tile(u[column_ends], len(rows)), np.repeat(v[row_ends], len(columns))], axis=1)]
    faces, groups = [triangles], [smoothing]
    points = girths < 1e-9
    if points.any() and column_creases is None:
        merged = smoothing.reshape(len(rows), len(columns)).copy()
        merged[points[rows]] = merged[points[rows]][:, :1]
        groups = [merged.ravel()]
    size = len(smoothing)
    for k in () if loop else (0, count - 1):
        if points[k]:
            continue
        middle = rings[k].mean(axis=0)
        first = _unit(rings[k, 0] - middle)
        across = _unit(_cross(rings[k, 1] - middle, first))
        arms = rings[k] - middle
        vertices.append(rings[k])
        uvs.append(np.stack([arms @ first, arms @ _cross(across, first)], axis=1))
        faces.append((_fan(sides) if cap is None else cap)[:, :: 1 if k else -1] + size)
        groups.append(np.full(sides, size))
        size += sides
    return _closed(np.concatenate(vertices), np.concatenate(uvs), np.concatenate(faces), np.concatenate(groups))


# --- the mathematics behind them ---


def rotation(axis: Axis, degrees: float) -> Floats:
    """Rotation matrix about a coordinate axis, of shape (3, 3), for column vectors."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def sharp(line: Floats, closed: bool, angle: float = CREASE) -> NDArray[np.bool_]:
    """Tell for each point of a line whether it turns there by more than an angle (ends of an open line don't)."""
    steps = np.roll(line, -1, axis=0) - line
    steps /= np.maximum(np.sqrt((steps**2).sum(axis=1, keepdims=True)), 1e-12)
    turns: NDArray[np.bool_] = (steps * np.roll(steps, 1, axis=0)).sum(axis=1) < np.cos(np.radians(angle))
    if not closed:
        turns[[0, -1]] = False
    return turns


def triangulate(outline: Floats) -> Integers:
    """Cut a polygon into triangles by clipping ears (Meisters, "Polygons have ears", 1975).

    Args:
        outline: float64 array of shape (P, 2), either way round.

    Returns:
        int64 array of shape (P - 2, 3), each wound like the outline.
    """
    p = [(float(x), float(y)) for x, y in outline]
    n = len(p)
    following = np.roll(outline, -1, axis=0)
    area = float((outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]).sum())
    sign = 1.0 if area >= 0 else -1.0

    def turn(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = p[a], p[b], p[c]
        return sign * ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    hollow = [k for k in range(n) if turn(k - 1, k, (k + 1) % n) < 0]
    if not hollow:
        return _fan(n)
    left, triangles, k, misses = list(range(n)), [], 0, 0
    while len(left) > 3:
        m = len(left)
        a, b, c = left[k % m], left[(k + 1) % m], left[(k + 2) % m]
        ear = turn(a, b, c) > 0 and not any(
            turn(a, b, q) >= 0 and turn(b, c, q) >= 0 and turn(c, a, q) >= 0 for q in hollow if q not in (a, b, c)
        )
        # A polygon that touches itself may run out of ears: then any corner will do.
        if ear or misses > m:
            triangles.append((a, b, c))
            del left[(k + 1) % m]
            misses = 0
        else:
            k, misses = (k + 1) % m, misses + 1
    triangles.append((left[0], left[1], left[2]))
    return np.array(triangles)


def _inwards(outline: Floats) -> Floats:
    """For each corner the offset that moves both its edges inwards by 1 (at most 2 long, at spikes)."""
    along = _unit(np.roll(outline, -1, axis=0) - outline)
    following = np.roll(outline, -1, axis=0)
    area = (outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]).sum()
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.sign(area)
    total = left + np.roll(left, 1, axis=0)
    inwards: Floats = total / np.maximum((total**2).sum(axis=1, keepdims=True) / 2, 0.5)
    return inwards


def _closed(vertices: Floats, uvs: Floats, triangles: Integers, smoothing: Integers) -> Form:
    """Drop triangles without an area where points coincide, and turn the surface outside out."""
    a, b, c = vertices[triangles[:, 0]], vertices[triangles[:, 1]], vertices[triangles[:, 2]]
    ab, ac = b - a, c - a
    bc = c - b
    whole = ((ab * ab).sum(axis=1) > 1e-18) & ((ac * ac).sum(axis=1) > 1e-18) & ((bc * bc).sum(axis=1) > 1e-18)
    volume = (a * _cross(ab, ac)).sum()
    kept = triangles if whole.all() else triangles[whole]
    return Form(vertices, uvs, kept if volume >= 0 else kept[:, ::-1], smoothing)


@lru_cache(maxsize=512)
def _topology(
    count: int, sides: int, row_creases: bytes | None, column_creases: bytes | None, loop: bool
) -> tuple[Integers, Integers, Integers, Integers, Integers, Integers]:
    """Positions of the vertices of a skin in its rings, its triangles and its smoothing groups."""
    rows, row_ends, row_groups = _cuts(count, row_creases, loop)
    columns, column_ends, column_groups = _cuts(sides, column_creases, closed=True)
    i, j = np.flatnonzero(rows[1:] != rows[:-1]), np.flatnonzero(columns[1:] != columns[:-1])
    width = len(columns)
    a = i[:, None] * width + j
    triangles = np.stack([a, a + 1, a + width + 1, a, a + width + 1, a + width], axis=2).reshape(-1, 3)
    smoothing = (row_groups[:, None] * width + column_groups).ravel()
    return rows, row_ends, columns, column_ends, triangles, smoothing


def _cuts(count: int, creases: bytes | None, closed: bool) -> tuple[Integers, Integers, Integers]:
    """Repeat a line's creased points: positions, positions along the line (up to count if closed), groups."""
    cut = np.zeros(count, bool) if creases is None else np.frombuffer(creases, bool)
    index = np.repeat(np.arange(count), 1 + cut)
    if not closed:
        return index, index, np.arange(len(index))
    index = np.append(index[int(cut[0]) :], 0)
    ends, groups = index.copy(), np.arange(len(index))
    ends[-1] = count
    groups[-1] = len(index) - 1 if cut[0] else 0
    return index, ends, groups


@lru_cache(maxsize=128)
def _fan(sides: int) -> Integers:
    k = np.arange(1, sides - 1)
    return np.stack([np.zeros_like(k), k, k + 1], axis=1)


@lru_cache(maxsize=1)
def _cube() -> tuple[Floats, Integers]:
    """24 corners of the cube from -1 to 1, four a side, and its 12 triangles."""
    corners_: list[list[int]] = []
    triangles: list[list[int]] = []
    for axis in range(3):
        for sign in (-1, 1):
            start = len(corners_)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = [0, 0, 0]
                corner[axis], corner[(axis + 1) % 3], corner[(axis + 2) % 3] = sign, a, b
                corners_.append(corner)
            quad = [(0, 1, 2), (0, 2, 3)] if sign > 0 else [(2, 1, 0), (3, 2, 0)]
            triangles += [[start + k for k in triangle] for triangle in quad]
    return np.array(corners_, float), np.array(triangles)


@lru_cache(maxsize=1)
def _bevelled_cube() -> tuple[Floats, Integers, Floats]:
    """24 corners of a cube whose edges are cut: three at each corner, one a side; and how each is drawn in."""
    flat, faces = _cube()
    inset = np.ones((24, 3))
    inset[np.arange(24), np.repeat(np.arange(3), 8)] = 0.0
    near: dict[tuple[float, ...], list[int]] = {}
    for k, corner in enumerate(flat):
        near.setdefault(tuple(corner), []).append(k)
    triangles = [list(face) for face in faces] + [list(three) for three in near.values()]
    for axis in range(3):
        for a in (-1, 1):
            for b in (-1, 1):
                # The edge along `axis` between its two corners, on the two sides that meet there.
                ends = []
                for c in (-1, 1):
                    corner = [0, 0, 0]
                    corner[axis], corner[(axis + 1) % 3], corner[(axis + 2) % 3] = c, a, b
                    ends.append({k // 8: k for k in near[tuple(map(float, corner))]})
                (p, q), (s, t) = [(end[(axis + 1) % 3], end[(axis + 2) % 3]) for end in ends]
                triangles += [[p, q, t], [p, t, s]]
    wound = np.array(triangles)
    solid = flat * (1 - 0.2 * inset)
    a_, b_, c_ = (solid[wound[:, k]] for k in range(3))
    inside_out = (_cross(b_ - a_, c_ - a_) * a_).sum(axis=1) < 0
    wound[inside_out] = wound[inside_out, ::-1]
    return flat, wound, inset


def _power(value: Floats, exponent: float) -> Floats:
    return np.sign(value) * np.abs(value) ** exponent


def _cross(a: Floats, b: Any) -> Floats:
    """Cross product over the last axis; several times faster than numpy's for small arrays."""
    b = np.asarray(b)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _unit(vectors: Floats) -> Floats:
    directions: Floats = vectors / np.maximum(np.sqrt((vectors**2).sum(axis=-1, keepdims=True)), 1e-12)
    return directions
