"""Edited twins: the same scene with one thing changed, so that any scene simulator can render both.

Nothing else is changed, seeds neither: where a renderer draws a pixel from what it shows alone, pixels away from the
edit and its shadow stay identical. `Scene.extent` keeps a shadow map in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal, TypeAlias, get_args

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import Extent, Material, Scene, SceneAssets, SceneObject, Task2SimError, Vector
from task2sim_vqa.visible import View, material_word

Kind: TypeAlias = Literal["add", "remove", "recolour", "move", "material", "sun"]
KINDS: tuple[Kind, ...] = get_args(Kind)

TRIES = 60
"""Places that are tried before there is no room."""
ADDED_SIZES = (0.3, 0.55)
GAP = 0.03
"""Metres between an object that is placed and the others."""
FARTHEST_SHARE = 0.42
"""Of the picture's sides: the centre of what is placed is no farther from its middle."""
NEAREST = 0.8
"""Metres from the camera to what is placed, at least."""
AMBIENT_REACH = 8.1
"""Times its ``bulk``, where a graph tells it: so far does an object keep the surroundings' light from others."""
CLEAR = 0.5
"""Visibility of what is edited, at least."""


class EditError(Task2SimError):
    """An edit can't be made in this scene."""


@attrs.frozen
class Edit:
    """A scene with one thing changed.

    Attributes:
        kind: What was done.
        text: The same for a person, such as ``"adds a chair"``.
        scene: The edited scene.
        before: Numbers, in the original's instance mask, of objects that were edited.
        after: Numbers of the same, or of the new ones, in the twin's.
    """

    kind: Kind
    text: str
    scene: Scene
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


def edit(scene: Scene, graph: Mapping[str, Any], view: View, kind: Kind, assets: SceneAssets, random: Random) -> Edit:
    """Change one thing of a scene.

    Args:
        scene: The original.
        graph: Its scene graph.
        view: What is seen of it.
        kind: What to do.
        assets: What the simulator can add.
        random: Draws what and where.

    Raises:
        EditError: there is no room, or nothing to edit.
    """
    scene = attrs.evolve(scene, extent=_extent(graph))
    if kind == "sun":
        return Edit(kind, "turns the sun", attrs.evolve(scene, sun=_turned_sun(scene, random)))
    if kind == "add":
        return _add(scene, graph, view, assets, random)
    # The first object gives the picture its label, and the floor its height: it stays and stays where it is.
    first = 2 if kind in ("remove", "move") else 1
    candidates = [item.number for item in view.objects if item.number >= first and item.visibility >= CLEAR]
    if not candidates:
        raise EditError(
            f"nothing in image {scene.index} can be edited by {kind!r}: no object "
            + ("but the labelled one " * (first == 2))
            + "is seen clearly",
            mend="take another image, or a setting with more objects",
        )
    number = candidates[int(random.random() * len(candidates))]
    item = scene.objects[number - 1]
    if kind == "remove":
        objects = (*scene.objects[: number - 1], *scene.objects[number:])
        return Edit(kind, f"removes the {item.category}", attrs.evolve(scene, objects=objects), (number,))
    if kind == "move":
        place = _room(scene, graph, item.size, random, apart_from=number)
        if place is None:
            raise _no_room(scene, item.category)
        changed, text = attrs.evolve(item, position=place), f"moves the {item.category}"
    else:
        changed, text = _dressed(scene, graph, number, kind, assets, random)
    objects = (*scene.objects[: number - 1], changed, *scene.objects[number:])
    return Edit(kind, text, attrs.evolve(scene, objects=objects), (number,), (number,))


def _add(scene: Scene, graph: Mapping[str, Any], view: View, assets: SceneAssets, random: Random) -> Edit:
    """Add one or two objects of a category, as often as not one that is there already."""
    seen = [item.category for item in view.objects if item.category in assets.instances]
    every = assets.categories
    pool: Sequence[str] = seen if seen and random.random() < 0.5 else every
    category = pool[int(random.random() * len(pool))]
    wanted = 1 + (random.random() < 0.4)
    added: list[SceneObject] = []
    for _ in range(wanted):
        size = ADDED_SIZES[0] + (ADDED_SIZES[1] - ADDED_SIZES[0]) * random.random()
        place = _room(scene, graph, size, random, beside=added)
        if place is None:
            break
        turn = math.pi * random.random()
        worn: tuple[Material, ...] = ()
        if scene.objects[0].materials:
            worn = (_material(assets.materials[int(random.random() * len(assets.materials))], random),)
        instance = int(random.random() * assets.instances[category])
        rotation = (0.0, 0.0, math.sin(turn), math.cos(turn))
        added.append(SceneObject(category, instance, place, rotation, size, worn))
    if not added:
        raise _no_room(scene, category)
    numbers = tuple(len(scene.objects) + 1 + k for k in range(len(added)))
    text = f"adds {len(added)} x {category}" if len(added) > 1 else f"adds: {category}"
    return Edit("add", text, attrs.evolve(scene, objects=(*scene.objects, *added)), (), numbers)


def _no_room(scene: Scene, category: str) -> EditError:
    return EditError(
        f"there is no room for another {category!r} in image {scene.index}",
        mend="take another image, or another kind of edit",
    )


def _room(
    scene: Scene,
    graph: Mapping[str, Any],
    size: float,
    random: Random,
    beside: Sequence[SceneObject] = (),
    apart_from: int = 0,
) -> Vector | None:
    """A place in the picture where an object of this size touches no other, or None."""
    radius = 0.5 * size
    camera = graph["camera"]
    pose, intrinsics = np.array(camera["world_to_camera"]), np.array(camera["intrinsics"])
    floor = graph["floor"]["height"] if graph.get("floor") else None
    height = 0.5 * (size - 1.0) if floor is None else floor + radius
    # Ways are kept over the ground: whoever stands on a floor may be lifted or lowered.
    others = [
        (item["position"][0], item["position"][1], 0.5 * item["size"])
        for item in graph["objects"]
        if item["number"] != apart_from
    ]
    others += [(item.position[0], item.position[1], 0.5 * item.size) for item in beside]
    extent = scene.extent
    centre, reach = (extent.centre, extent.radius) if extent is not None else ((0.0, 0.0, height), 2.5)
    moved = graph["objects"][apart_from - 1] if apart_from else None
    for _ in range(TRIES):
        x = centre[0] + reach * (2.0 * random.random() - 1.0)
        y = centre[1] + reach * (2.0 * random.random() - 1.0)
        place = np.array([x, y, height, 1.0])
        if math.dist((x, y, height), centre) + radius > reach:
            continue
        right, down, forward, _one = pose @ place
        if forward < NEAREST + radius:
            continue
        column = (intrinsics[0, 0] * right / forward) / (2.0 * intrinsics[0, 2])
        row = (intrinsics[1, 1] * down / forward) / (2.0 * intrinsics[1, 2])
        if abs(column) > FARTHEST_SHARE or abs(row) > FARTHEST_SHARE:
            continue
        if any(math.hypot(x - a, y - b) < radius + r + GAP for a, b, r in others):
            continue
        if moved is not None and math.hypot(x - moved["position"][0], y - moved["position"][1]) < size:
            continue  # as good as where it was
        return (x, y, scene.objects[apart_from - 1].position[2] if apart_from else 0.5 * (size - 1.0))
    return None


def _dressed(
    scene: Scene, graph: Mapping[str, Any], number: int, kind: Kind, assets: SceneAssets, random: Random
) -> tuple[SceneObject, str]:
    """An object in other colours, or of another material; which colours come out only the renderer knows."""
    item, parts = scene.objects[number - 1], graph["objects"][number - 1]["parts"]
    names = [part["material"] for part in parts]
    if kind == "recolour":
        if not names or any(name not in assets.materials for name in names):
            raise EditError(
                f"the materials of the {item.category} in image {scene.index} are not among the simulator's",
                mend="take another kind of edit",
            )
        seed = int(random.random() * 2**31)
        worn = tuple(Material(name, seed) for name in names)
        return attrs.evolve(item, materials=worn), f"recolours the {item.category}"
    words = {material_word(name) for name in names}
    choice = [name for name in assets.materials if material_word(name) not in (*words, None)]
    if not choice:
        raise EditError(
            f"the simulator has no other material for the {item.category} in image {scene.index}",
            mend="take another kind of edit",
        )
    name = choice[int(random.random() * len(choice))]
    changed = attrs.evolve(item, materials=(_material(name, random),))
    return changed, f"makes the {item.category} of {material_word(name)}"


def _material(name: str, random: Random) -> Material:
    return Material(name, int(random.random() * 2**31))


def _turned_sun(scene: Scene, random: Random) -> Any:
    """The sun elsewhere in the sky: above the horizon, and at least sixty degrees around."""
    x, y, _ = scene.sun.direction
    around = math.atan2(y, x) + math.radians(60.0 + 240.0 * random.random())
    up = math.radians(25.0 + 45.0 * random.random())
    direction = (math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up))
    return attrs.evolve(scene.sun, direction=direction)


def _extent(graph: Mapping[str, Any]) -> Extent | None:
    found = graph.get("extent")
    if found is None:
        return None
    x, y, z = found["centre"]
    return Extent((x, y, z), found["radius"])


@attrs.frozen(eq=False)
class Shown:
    """A rendered scene, for `touched`.

    Attributes:
        graph: Its scene graph.
        mask: Its instance mask, uint16 of shape (height, width).
        depth: float32 of the same shape, in metres.
    """

    graph: Mapping[str, Any]
    mask: NDArray[np.uint16]
    depth: NDArray[np.float32]


def touched(made: Edit, before: Shown, after: Shown, dilation: int = 5) -> NDArray[np.bool_]:
    """Pixels that an edit may change: the edited objects', those in their shadows, and some around.

    A pixel is in an object's shadow if what it shows lies in the cylinder behind the object's bounding sphere, away
    from the sun, widened by the sun's size. Near the object, light of the surroundings is missing. Where something is
    seen through glass, the whole line of sight counts.

    Args:
        made: The edit; all pixels are touched by one that turns the sun.
        before: The original.
        after: The twin.
        dilation: Pixels around, for edges and filters; more where pictures are blurred.

    Returns:
        bool array of shape (height, width).
    """
    from scipy.ndimage import binary_dilation

    if made.kind == "sun":
        return np.ones(before.mask.shape, dtype=bool)
    region = np.zeros(before.mask.shape, dtype=bool)
    things = [(before, number) for number in made.before] + [(after, number) for number in made.after]
    for shown, number in things:
        region |= shown.mask == number
        item = shown.graph["objects"][number - 1]
        centre, radius = np.array(item["position"]), 0.5 * item["size"]
        sun = np.array(shown.graph["sun"]["direction"])
        bulk = AMBIENT_REACH * item.get("bulk", 0.0)
        for seen in (before, after):
            region |= _near(seen, centre, bulk)
            region |= _shaded(seen, centre, radius, sun, made.scene.sun.angular_diameter)
            region |= _through_glass(seen, centre, radius, sun)
    return np.asarray(binary_dilation(region, iterations=dilation), dtype=np.bool_)


def _rays(graph: Mapping[str, Any], shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The camera's place, and through each pixel the way that is one metre deep."""
    camera = graph["camera"]
    pose, lens = np.array(camera["world_to_camera"]), np.array(camera["intrinsics"])
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    local = np.stack([(columns - lens[0, 2]) / lens[0, 0], (rows - lens[1, 2]) / lens[1, 1], np.ones(shape)], axis=-1)
    return -pose[:3, :3].T @ pose[:3, 3], local @ pose[:3, :3]


def _near(seen: Shown, centre: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
    origin, rays = _rays(seen.graph, (seen.mask.shape[0], seen.mask.shape[1]))
    depth = np.where(np.isfinite(seen.depth), seen.depth, 1e6).astype(np.float64)
    return np.asarray(np.linalg.norm(origin + rays * depth[..., None] - centre, axis=-1) < reach, dtype=np.bool_)


def _shaded(
    seen: Shown, centre: NDArray[np.float64], radius: float, sun: NDArray[np.float64], diameter: float
) -> NDArray[np.bool_]:
    origin, rays = _rays(seen.graph, (seen.mask.shape[0], seen.mask.shape[1]))
    depth = np.where(np.isfinite(seen.depth), seen.depth, 1e6).astype(np.float64)
    from_centre = origin + rays * depth[..., None] - centre
    behind = -(from_centre @ sun)
    beside = np.linalg.norm(from_centre + behind[..., None] * sun, axis=-1)
    widened = 1.1 * radius + 0.02 + np.maximum(behind, 0.0) * math.tan(math.radians(diameter))
    return np.asarray(np.isfinite(seen.depth) & (behind > -radius) & (beside < widened), dtype=np.bool_)


def _through_glass(
    seen: Shown, centre: NDArray[np.float64], radius: float, sun: NDArray[np.float64]
) -> NDArray[np.bool_]:
    glass = [
        item["number"]
        for item in seen.graph["objects"]
        if any(material_word(part["material"]) == "glass" for part in item["parts"])
    ]
    behind_glass = np.isin(seen.mask, glass)
    if not behind_glass.any():
        return behind_glass
    origin, rays = _rays(seen.graph, (seen.mask.shape[0], seen.mask.shape[1]))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    # The nearest way between the line of sight and the line that the shadow falls along.
    away = np.cross(rays, -sun)
    length = np.maximum(np.linalg.norm(away, axis=-1), 1e-9)
    apart = np.abs(away @ (centre - origin)) / length
    return np.asarray(behind_glass & (apart < 1.2 * radius + 0.05), dtype=np.bool_)
