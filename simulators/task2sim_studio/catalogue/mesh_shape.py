"""Brings triangles from anywhere to the studio's form: centred, scaled, upright, facing outwards, not too many."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import attrs
import numpy as np

from task2sim import ConfigError
from task2sim_studio.catalogue.mesh_files import SIMPLIFY, Body, MeshFile
from task2sim_studio.forms import Floats, Form, Integers, rotation

MOST_TRIANGLES = 100_000
"""Meshes with more triangles are simplified: at the sizes of pre-training images nobody could tell."""

CREASE = 40.0
"""Edges stay sharp where triangles turn by more than so many degrees."""

_SIMPLIFYING = Lock()
"""The library that simplifies keeps its mesh in global variables."""


@attrs.frozen(eq=False)
class Shape:
    """Triangles of several parts.

    Attributes:
        vertices: float64 array of shape (V, 3).
        uvs: float64 array of shape (V, 2); not a number where the file lays no picture.
        triangles: int64 array of shape (T, 3).
        parts: int64 array of shape (T,).
    """

    vertices: Floats
    uvs: Floats
    triangles: Integers
    parts: Integers


def shape_of(bodies: Sequence[Body], file: MeshFile) -> Shape:
    """Join bodies and normalise them.

    Raises:
        ConfigError: the mesh has no size, or can't be simplified.
    """
    shape = _clean(_normalised(_upright(_joined(bodies), file), file))
    a, b, c = (shape.vertices[shape.triangles[:, corner]] for corner in range(3))
    if not (np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-12).any():
        raise ConfigError(
            "this mesh has no triangle of any size", place=file.place, mend="export it anew, or remove it"
        )
    if len(shape.triangles) > MOST_TRIANGLES:
        shape = _clean(_normalised(_simplified(shape), file))
        if len(shape.triangles) > MOST_TRIANGLES:
            raise ConfigError(
                f"this mesh can't be simplified to {MOST_TRIANGLES:,} triangles", place=file.place, mend=SIMPLIFY
            )
    return attrs.evolve(shape, triangles=_outwards(shape))


def _joined(bodies: Sequence[Body]) -> Shape:
    """All bodies as one shape, without vertices that no triangle uses."""
    starts = np.cumsum([0] + [len(body.vertices) for body in bodies])
    triangles = np.concatenate([body.triangles + start for body, start in zip(bodies, starts, strict=False)])
    used, corners = np.unique(triangles, return_inverse=True)
    return Shape(
        vertices=np.concatenate([body.vertices for body in bodies])[used],
        uvs=np.concatenate(
            [np.full((len(body.vertices), 2), np.nan) if body.uvs is None else body.uvs for body in bodies]
        )[used],
        triangles=corners.reshape(-1, 3).astype(np.int64),
        parts=np.repeat(np.arange(len(bodies)), [len(body.triangles) for body in bodies]),
    )


def _normalised(shape: Shape, file: MeshFile) -> Shape:
    vertices = shape.vertices - (shape.vertices.min(axis=0) + shape.vertices.max(axis=0)) / 2
    reach = float(np.abs(vertices).max())
    if not 0.0 < reach < 1e30:
        what = "no size" if reach == 0.0 else "coordinates beyond all measure"
        raise ConfigError(f"this mesh has {what}", place=file.place, mend="export it anew")
    vertices = vertices / reach
    radius = np.sqrt((vertices**2).sum(axis=1).max())
    return attrs.evolve(shape, vertices=vertices / (2 * radius))


def _upright(shape: Shape, file: MeshFile) -> Shape:
    vertices = shape.vertices
    if file.rotation is not None:
        vertices = vertices @ file.rotation.T
    if file.extent is not None:
        extent = np.ptp(vertices, axis=0)
        vertices = vertices * np.where(extent > 0, file.extent / np.where(extent > 0, extent, 1.0), 1.0)
    if file.suffix != ".ply":
        vertices = vertices @ rotation("x", 90).T
    return attrs.evolve(shape, vertices=vertices)


def _welded(vertices: Floats) -> tuple[Floats, Integers]:
    """Positions without repetition (to a millionth of the object's size), and which of them each vertex has."""
    x, y, z = np.round((vertices + 1.0) * 1e6).astype(np.int64).T
    _, first, point = np.unique((x << 42) + (y << 21) + z, return_index=True, return_inverse=True)
    return vertices[first], point.reshape(-1).astype(np.int64)


def _clean(shape: Shape) -> Shape:
    """Drop triangles that are lines or dots, and all but the first of those of a part that have the same corners."""
    points = np.sort(_welded(shape.vertices)[1][shape.triangles], axis=1)
    sound = (np.diff(points, axis=1) > 0).all(axis=1)
    keys = np.column_stack([shape.parts, points])
    order = np.lexsort(keys.T[::-1])
    repeated = np.zeros(len(points), bool)
    repeated[order[1:]] = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    kept = sound & ~repeated
    return attrs.evolve(shape, triangles=shape.triangles[kept], parts=shape.parts[kept])


def _simplified(shape: Shape) -> Shape:
    """Collapse edges where it shows least, until there are few enough triangles.

    Garland and Heckbert, "Surface simplification using quadric error metrics", 1997. A triangle that survives keeps
    its part and its chart (the piece of surface whose texture coordinates hang together); a corner takes the
    coordinates of the nearest vertex that its chart had.
    """
    import fast_simplification
    from scipy.spatial import KDTree

    placed, point = _welded(shape.vertices)
    with _SIMPLIFYING:
        vertices, triangles, collapses = fast_simplification.simplify(
            placed,
            point[shape.triangles].astype(np.int32),
            target_count=MOST_TRIANGLES,
            return_collapses=True,
        )
    heirs = np.arange(len(placed))
    heirs[collapses[:, 1]] = collapses[:, 0]
    while (heirs[heirs] != heirs).any():
        heirs = heirs[heirs]
    inherited = heirs[point[shape.triangles]]
    a, b, c = inherited.T
    kept = (a != b) & (b != c) & (c != a)
    charts = _components(len(shape.vertices), shape.triangles)
    corner_charts = np.repeat(charts[shape.triangles[kept, 0]], 3)
    corners = triangles.astype(np.int64).ravel()
    _, first, corner = np.unique(
        corners * (int(charts.max()) + 1) + corner_charts, return_index=True, return_inverse=True
    )
    positions, chart = np.asarray(vertices, float)[corners[first]], corner_charts[first]
    # Charts lie so far apart in a fourth dimension that the nearest vertex is always of the same chart.
    _, nearest = KDTree(np.column_stack([shape.vertices, 4.0 * charts])).query(
        np.column_stack([positions, 4.0 * chart])
    )
    return Shape(
        vertices=positions,
        uvs=shape.uvs[nearest],
        triangles=corner.reshape(-1, 3).astype(np.int64),
        parts=shape.parts[kept],
    )


def _components(count: int, triangles: Integers) -> Integers:
    """Number the pieces of surface that hang together through shared vertices: one number a vertex."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b, c = triangles.T
    rows, columns = np.concatenate([a, b]), np.concatenate([b, c])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _outwards(shape: Shape) -> Integers:
    """Triangles, turned over in every closed piece that is inside out."""
    placed, point = _welded(shape.vertices)
    points = point[shape.triangles]
    pieces = _components(len(placed), points)[points[:, 0]]
    first, second = points.ravel(), np.roll(points, -1, axis=1).ravel()
    _, edge = np.unique(np.minimum(first, second) * len(placed) + np.maximum(first, second), return_inverse=True)
    # In a closed piece every edge is walked as often one way as the other.
    balance = np.bincount(edge.reshape(-1), np.where(first < second, 1.0, -1.0))
    count = int(pieces.max()) + 1
    closed = np.bincount(np.repeat(pieces, 3), np.not_equal(balance[edge.reshape(-1)], 0), count) == 0
    a, b, c = (placed[points[:, k]] for k in range(3))
    volumes = np.bincount(pieces, (a * np.cross(b, c)).sum(axis=1), count)
    turned = (closed & (volumes < 0))[pieces]
    return np.where(turned[:, None], shape.triangles[:, ::-1], shape.triangles)


def creased(shape: Shape) -> Form:
    """Shade a shape smooth within and sharp across its creases.

    Two triangles that meet at an edge share normals there if they turn by less than `CREASE`; a corner's smoothing
    group is all that hangs together around it. Where the file lays no picture, texture lies on the shape from the
    six sides of a box.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    vertices, triangles = shape.vertices, shape.triangles
    points = _welded(vertices)[1][triangles]
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-30)
    # Directed edge 3 * t + k runs from corner k of triangle t to its next corner.
    ends = np.stack([points, np.roll(points, -1, axis=1)], axis=2).reshape(-1, 2)
    order = np.lexsort(np.sort(ends, axis=1).T)
    first, second = order[:-1], order[1:]
    same = (np.sort(ends[first], axis=1) == np.sort(ends[second], axis=1)).all(axis=1)
    flat = (faces[first // 3] * faces[second // 3]).sum(axis=1) > np.cos(np.radians(CREASE))
    first, second = first[same & flat], second[same & flat]
    nexts = np.arange(3 * len(triangles)).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    aligned = ends[first, 0] == ends[second, 0]
    links = np.concatenate(
        [
            np.stack([first, np.where(aligned, second, nexts[second])]),
            np.stack([nexts[first], np.where(aligned, nexts[second], second)]),
        ],
        axis=1,
    )
    size = 3 * len(triangles)
    graph = coo_array((np.ones(links.shape[1], np.int8), (links[0], links[1])), shape=(size, size))
    _, groups = connected_components(graph, directed=False)
    groups = groups.astype(np.int64)
    laid = np.asarray(np.isfinite(shape.uvs[triangles.ravel()]).all(axis=1))
    sides = np.abs(faces).argmax(axis=1).repeat(3)
    kinds = np.where(laid, 3 + triangles.ravel(), sides)
    _, chosen, corner = np.unique(groups * (3 + len(vertices)) + kinds, return_index=True, return_inverse=True)
    placed, side = vertices[triangles.ravel()[chosen]], sides[chosen]
    rows = np.arange(len(placed))
    boxed = np.stack([placed[rows, np.where(side == 0, 1, 0)], placed[rows, np.where(side == 2, 1, 2)]], axis=1)
    return Form(
        vertices=placed,
        uvs=np.where(laid[chosen, None], shape.uvs[triangles.ravel()[chosen]], boxed),
        triangles=corner.reshape(-1, 3),
        smoothing=groups[chosen],
    )
