"""A simulator of another kind than the studio: Mitsuba's path tracer, and meshes from files.

For benchmarks; nothing of it ships. ``pip install mitsuba``, and with this folder and mitsuba-things' on the path::

    TASK2SIM_PLUGINS=simulators:mitsuba-meshes=mitsuba_meshes:MitsubaMeshes

Objects are a Sweet Home 3D library's, such as those in Debian's package ``sweethome3d-furniture``, or those of any
folder of meshes that the studio reads; `export_things` writes one. They have their own colours and pictures, and may
be painted in others.
Materials and surroundings are those of ``examples/plugins/mitsuba-things``: none is the studio's.
"""

from __future__ import annotations

import colorsys
import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import attrs
import numpy as np
from mitsuba_things.simulator import SUNLIGHT
from mitsuba_things.surroundings import BACKGROUNDS, MATERIALS, panorama, surface
from mitsuba_things.things import BUILDERS, Ball, Box, Rod, thing
from numpy.typing import NDArray
from pydantic import Field

from task2sim import (
    TASK2SIM_PARAMETERS,
    ComponentConfig,
    ConfigError,
    FrameBatch,
    Material,
    PluginError,
    Scene,
    SceneAssets,
    SceneObject,
    SceneSimulator,
    fingerprint_folder,
    fingerprint_libraries,
    not_in_key,
    spawn_generator,
)
from task2sim_studio.catalogue import FolderCatalogue, SweetHomeCatalogue, open_catalogue
from task2sim_studio.floor import LYING, RADIUS, floor_mesh
from task2sim_studio.mesh import Mesh, Part
from task2sim_studio.scene_graph import colour_names

Floats = NDArray[np.float64]

OTHER_NAMES = {
    "mug": "cup",
    "potted plant": "plant",
    "bicycle": "bike",
    "bookshelf": "bookcase",
    "television": "tv",
    "telephone": "phone",
    "car": "sedan",
}
"""What the libraries call some of the studio's categories."""
GREY = (0.6, 0.6, 0.6)
TEXELS = 256
"""Larger pictures on objects are made smaller: images are."""
NEAREST = 0.01
BOUNCES = 3


class MitsubaMeshes(SceneSimulator):
    """Meshes from files in Mitsuba's light, several in a scene, with masks, depth and scene graphs."""

    class Config(ComponentConfig):
        """Keys of ``simulator: {type: mitsuba-meshes, ...}``."""

        meshes: Annotated[Path, not_in_key(description="Furniture libraries, or a folder of meshes by class.")]
        categories: Annotated[
            tuple[str, ...] | None, Field(min_length=2, description="Categories to render; null takes all.")
        ] = None
        colours: Annotated[
            int, Field(ge=1, le=100, description="Each object comes in its own and in so many less one.")
        ] = 1
        resolution: Annotated[int, Field(ge=16, le=1024, description="Height and width in pixels.")] = 64
        samples: Annotated[int, Field(ge=1, le=4096, description="Paths a pixel; more make images less grainy.")] = 12

    scene_features = frozenset(TASK2SIM_PARAMETERS.names) | {
        "object_count", "clutter", "floor", "camera_elevation", "field_of_view",
    }  # fmt: skip
    batch_size = 8

    def __init__(self, config: Config) -> None:
        if find_spec("mitsuba") is None:
            raise PluginError("Mitsuba is not installed", mend="pip install mitsuba")
        self.config = config
        self._catalogue: FolderCatalogue | SweetHomeCatalogue = open_catalogue(config.meshes)
        found = dict(self._catalogue.instances)
        found |= {
            ours: found[theirs] for ours, theirs in OTHER_NAMES.items() if ours not in found and theirs in found
        }
        missing = [name for name in config.categories or () if name not in found]
        if missing:
            raise ConfigError(f"there is no category {missing[0]!r}", place=str(config.meshes))
        self._assets = SceneAssets(
            {name: config.colours * found[name] for name in config.categories or found}, MATERIALS, tuple(BACKGROUNDS)
        )
        self.model = functools.lru_cache(maxsize=1024)(self._load)

    def fingerprint(self) -> str:
        """The meshes, and the versions of what reads and renders them."""
        return f"{fingerprint_folder(self.config.meshes)} {fingerprint_libraries('mitsuba', 'drjit', 'numpy')}"

    @property
    def assets(self) -> SceneAssets:
        """The chosen categories; materials and backgrounds of mitsuba-things."""
        return self._assets

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return (self.config.resolution, self.config.resolution)

    @property
    def capabilities(self) -> frozenset[str]:
        """All but normals."""
        return frozenset({"rgb", "instance-mask", "category-mask", "depth", "scene-graph"})

    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render each scene in colour, then once more for what is seen where, and each object by itself."""
        rgb, masks, depths, graphs = zip(*(self._render(scene) for scene in scenes), strict=True)
        mask = np.stack(masks)
        number = self.categories.index
        classes = [np.array([0, *(number(item.category) + 1 for item in scene.objects)]) for scene in scenes]
        return FrameBatch(
            indices=np.array([scene.index for scene in scenes]),
            rgb=np.stack(rgb),
            labels=np.array([number(scene.objects[0].category) for scene in scenes]),
            instance_mask=mask,
            category_mask=np.stack([of[m] for of, m in zip(classes, mask, strict=True)]).astype(np.uint16),
            depth=np.stack(depths),
            scenes=graphs,
        )

    def _load(self, category: str, instance: int) -> tuple[Patch, ...]:
        name = category if category in self._catalogue.instances else OTHER_NAMES[category]
        which, paint = divmod(instance, self.config.colours)
        found = tuple(patches(self._catalogue.mesh(name, which)))
        return painted(found, spawn_generator(instance, "mitsuba-meshes", category)) if paint else found

    def _render(
        self, scene: Scene
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32], Mapping[str, Any]]:
        mi, size = _engine(), self.config.resolution
        placed = place(scene, [self.model(item.category, item.instance) for item in scene.objects])
        shapes = {
            f"{number}-{k}": _mesh(f"{number}-{k}", triangles, bsdf, mi)
            for number, item in enumerate(placed, start=1)
            for k, (triangles, bsdf) in enumerate(_worn(item, mi))
        }
        ground = {} if scene.floor is None else {"0-0": _ground(scene, placed[0].bottom, mi)}
        coloured = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": BOUNCES, "hide_emitters": False},
            "sensor": self._sensor(scene, {"type": "multijitter", "sample_count": self.config.samples}, mi),
            **_lights(scene, mi),
            **ground,
            **shapes,
        }
        built = mi.load_dict(coloured)
        light = np.array(mi.render(built, seed=scene.index % 2**31))
        mask, depth = self._seen(scene, built, None, mi)
        view = look_at(scene, size)
        boxes = [view.box(np.concatenate([piece.vertices for piece in where.pieces])) for where in placed]
        objects = []
        for number, (item, where, box) in enumerate(zip(scene.objects, placed, boxes, strict=True), start=1):
            alone = {name: shape for name, shape in shapes.items() if name.startswith(f"{number}-")}
            covered = any(_overlap(box, other) for other in (*boxes[: number - 1], *boxes[number:]))
            objects.append(
                {
                    "number": number,
                    "category": item.category,
                    "instance": item.instance,
                    "position": where.position,
                    "rotation": item.rotation,
                    "size": item.size,
                    "parts": list(_parts(where)),
                    "box": box,
                    "visible_box": _extent(mask == number),
                    "visibility": self._visibility(scene, mask == number, box, alone if covered else {}, mi),
                }
            )
        graph = {
            "index": scene.index,
            "objects": objects,
            "camera": {
                **attrs.asdict(scene.camera),
                "intrinsics": view.intrinsics.tolist(),
                "world_to_camera": view.world_to_camera.tolist(),
            },
            "sun": attrs.asdict(scene.sun),
            "background": attrs.asdict(scene.background),
            "floor": None
            if scene.floor is None
            else {**attrs.asdict(scene.floor.material), "height": placed[0].bottom, "radius": scene.floor.radius},
            "fog": None,
        }
        plain = json.loads(json.dumps(graph))  # lists for tuples, as they come back from a file
        return _srgb(light), mask, depth, plain

    def _visibility(
        self, scene: Scene, seen: NDArray[np.bool_], box: Sequence[float] | None, alone: dict[str, Any], mi: Any
    ) -> float:
        """The share of the object's pixels that other objects leave; those outside the picture do not count."""
        pixels = int(seen.sum())
        if not pixels or not alone:
            return float(pixels > 0)
        size = self.config.resolution
        left, top, right, bottom = (0.0, 0.0, float(size), float(size)) if box is None else box
        crop = (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(size, math.ceil(right)),
            min(size, math.ceil(bottom)),
        )
        mask, _ = self._seen(scene, mi.load_dict({"type": "scene", **alone}), crop, mi)
        return min(1.0, pixels / max(1, int(np.count_nonzero(mask))))

    def _seen(
        self, scene: Scene, built: Any, crop: tuple[int, int, int, int] | None, mi: Any
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """What is in the middle of each pixel, of all or of a part of the picture: its number, and its depth."""
        sharp = attrs.evolve(scene, camera=attrs.evolve(scene.camera, aperture=0.0))
        sensor = self._sensor(sharp, {"type": "stratified", "sample_count": 1, "jitter": False}, mi)
        if crop is not None:
            left, top, right, bottom = crop
            sensor["film"] |= {
                "crop_offset_x": left, "crop_offset_y": top, "crop_width": right - left, "crop_height": bottom - top,
            }  # fmt: skip
        integrator = mi.load_dict({"type": "aov", "aovs": "k:shape_index,p:position"})
        numbers = np.array([0, *(int(shape.id().partition("-")[0]) for shape in built.shapes())], dtype=np.uint16)
        layers = np.array(mi.render(built, sensor=mi.load_dict(sensor), integrator=integrator))
        index = np.rint(layers[..., 0]).astype(np.int64)
        forward = np.subtract(scene.camera.target, scene.camera.position)
        depth = (layers[..., 1:4] - np.array(scene.camera.position)) @ (forward / np.linalg.norm(forward))
        return numbers[index], np.where(index > 0, depth, np.inf).astype(np.float32)

    def _sensor(self, scene: Scene, sampler: dict[str, Any], mi: Any) -> dict[str, Any]:
        camera = scene.camera
        lens = {"type": "thinlens", "aperture_radius": camera.aperture / 2, "focus_distance": camera.focus_distance}
        return {
            **(lens if camera.aperture else {"type": "perspective"}),
            "fov": camera.field_of_view,
            "near_clip": NEAREST,
            "to_world": mi.ScalarTransform4f().look_at(origin=camera.position, target=camera.target, up=[0, 0, 1]),
            "film": {
                "type": "hdrfilm",
                "width": self.config.resolution,
                "height": self.config.resolution,
                "pixel_format": "rgb",
                "component_format": "float32",
                "rfilter": {"type": "box"},
            },
            "sampler": sampler,
        }


# --- meshes ---


class Patch(NamedTuple):
    """The triangles of one part: positions, normals and texture coordinates of its corners, and its look."""

    vertices: Floats
    normals: Floats
    uvs: Floats
    triangles: NDArray[np.int64]
    part: Part
    texture: NDArray[np.float32] | None
    share: float


class Placed(NamedTuple):
    """An object in the world: its patches, the middle of its bounding sphere, and how far down it reaches."""

    pieces: list[Patch]
    position: list[float]
    bottom: float
    item: SceneObject


def patches(mesh: Mesh) -> Iterator[Patch]:
    """The parts of a mesh that have triangles."""
    corners = mesh.vertices[mesh.triangles].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = max(float(areas.sum()), 1e-12)
    for number, part in enumerate(mesh.parts):
        chosen = mesh.part_of_triangle == number
        if not chosen.any():
            continue
        used, triangles = np.unique(mesh.triangles[chosen], return_inverse=True)
        yield Patch(
            mesh.vertices[used].astype(np.float64),
            mesh.normals[used].astype(np.float64),
            mesh.uvs[used].astype(np.float64),
            triangles.reshape(-1, 3),
            part,
            _texture(part),
            float(areas[chosen].sum()) / total,
        )


def _texture(part: Part) -> NDArray[np.float32] | None:
    """The part's picture in linear light, times its colour."""
    from PIL import Image

    if part.textures is None or part.textures.albedo is None:
        return None
    picture = Image.fromarray(part.textures.albedo)
    picture.thumbnail((TEXELS, TEXELS))
    display = np.asarray(picture, dtype=np.float64) / 255.0
    linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear * (part.colour or (1.0, 1.0, 1.0)), dtype=np.float32)


def painted(model: tuple[Patch, ...], generator: np.random.Generator) -> tuple[Patch, ...]:
    """The same object in one colour, in which its parts are as bright or dark among one another as they were."""
    hue, saturation, value = generator.uniform((0.0, 0.55, 0.45), (1.0, 0.95, 0.95))
    paint = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2
    luminance = np.array([0.2126, 0.7152, 0.0722])
    mean = sum(piece.share * float(colour_of(piece) @ luminance) for piece in model)

    def repaint(colour: NDArray[Any]) -> NDArray[Any]:
        factor = np.clip(colour @ luminance / max(mean, 0.01), 0.4, 1.6)
        return np.clip(np.multiply.outer(factor, paint), 0.0, 0.95)

    return tuple(
        piece._replace(
            part=attrs.evolve(piece.part, colour=tuple(repaint(np.array(piece.part.colour or GREY)).tolist())),
            texture=None if piece.texture is None else repaint(piece.texture).astype(np.float32),
        )
        for piece in model
    )


def colour_of(piece: Patch) -> Floats:
    """Mean colour, linear RGB."""
    return np.array(piece.part.colour or GREY) if piece.texture is None else piece.texture.mean(axis=(0, 1))


def place(scene: Scene, models: Sequence[tuple[Patch, ...]]) -> list[Placed]:
    """Put objects where they belong; with a floor all stand where the first one's lowest point is."""
    found: list[Placed] = []
    for item, model in zip(scene.objects, models, strict=True):
        turn = rotation_matrix(item.rotation)
        pieces = [
            piece._replace(
                vertices=piece.vertices @ turn.T * item.size + np.array(item.position), normals=piece.normals @ turn.T
            )
            for piece in model
        ]
        bottom = min(float(piece.vertices[:, 2].min()) for piece in pieces)
        position = list(item.position)
        if scene.floor is not None and found:
            fall = found[0].bottom - bottom
            pieces = [piece._replace(vertices=piece.vertices + (0.0, 0.0, fall)) for piece in pieces]
            position[2] += fall
            bottom = found[0].bottom
        found.append(Placed(pieces, position, bottom, item))
    return found


def rotation_matrix(quaternion: tuple[float, float, float, float]) -> Floats:
    """The rotation of a quaternion (x, y, z, w)."""
    x, y, z, w = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


# --- what Mitsuba is told ---


def _engine() -> Any:
    """Mitsuba, in its variant for any processor; another plugin may have chosen another variant meanwhile."""
    import drjit
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(1)  # task2sim runs a worker on each core
    return mitsuba


def _worn(placed: Placed, mi: Any) -> Iterator[tuple[Patch, dict[str, Any]]]:
    materials = placed.item.materials
    for number, piece in enumerate(placed.pieces):
        if materials:
            yield piece, {"type": "twosided", "bsdf": surface(materials[number % len(materials)])}
            continue
        part = piece.part
        colour: dict[str, Any] = {"type": "rgb", "value": list(part.colour or GREY)}
        if piece.texture is not None:
            colour = {"type": "bitmap", "bitmap": mi.Bitmap(piece.texture), "raw": True}
        look: dict[str, Any] = {
            "type": "twosided",
            "bsdf": {
                "type": "principled",
                "base_color": colour,
                "roughness": 0.5 if part.roughness is None else max(0.05, part.roughness),
                "metallic": part.metalness or 0.0,
            },
        }
        if part.opacity is not None and part.opacity < 1.0:
            look = {"type": "mask", "opacity": part.opacity, "bsdf": look}
        yield piece, look


def _mesh(name: str, piece: Patch, bsdf: dict[str, Any], mi: Any) -> Any:
    properties = mi.Properties()
    properties["mesh_bsdf"] = mi.load_dict(bsdf)
    mesh = mi.Mesh(
        name,
        len(piece.vertices),
        len(piece.triangles),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    arrays = mi.traverse(mesh)
    arrays["vertex_positions"] = piece.vertices.astype(np.float32).ravel()
    arrays["vertex_normals"] = piece.normals.astype(np.float32).ravel()
    # The first row of our pictures lies at v = 1, of Mitsuba's at v = 0.
    arrays["vertex_texcoords"] = (piece.uvs * (1.0, -1.0) + (0.0, 1.0)).astype(np.float32).ravel()
    arrays["faces"] = piece.triangles.astype(np.uint32).ravel()
    arrays.update()
    return mesh


def _ground(scene: Scene, height: float, mi: Any) -> Any:
    assert scene.floor is not None
    disc = floor_mesh()
    x, y, _ = scene.objects[0].position
    piece = Patch(
        disc.vertices @ LYING.T * (scene.floor.radius / RADIUS) + (x, y, height),
        disc.normals @ LYING.T,
        disc.uvs.astype(np.float64),
        disc.triangles.astype(np.int64),
        disc.parts[0],
        None,
        1.0,
    )
    return _mesh("0-0", piece, {"type": "twosided", "bsdf": surface(scene.floor.material)}, mi)


def _lights(scene: Scene, mi: Any) -> dict[str, Any]:
    turn = np.eye(4)
    turn[:3, :3] = rotation_matrix(scene.background.rotation)
    transform = mi.ScalarTransform4f
    return {
        "sky": {
            "type": "envmap",
            "bitmap": mi.Bitmap(panorama(scene.background.name)),
            # Mitsuba's panoramas have y up.
            "to_world": transform(turn.tolist()) @ transform().rotate([1, 0, 0], 90),
        },
        "sun": {
            "type": "directional",
            "direction": [-x for x in scene.sun.direction],
            "irradiance": {
                "type": "rgb",
                "value": (np.array(scene.sun.colour) * scene.sun.intensity * SUNLIGHT).tolist(),
            },
        },
    }


def _srgb(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light as sRGB bytes (IEC 61966-2-1)."""
    light = np.clip(light, 0.0, 1.0)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255.0 * curve), dtype=np.uint8)


# --- scene graphs ---


class Pinhole(NamedTuple):
    """A camera as two matrices: x to the right, y down, z forward; pixels."""

    intrinsics: Floats
    world_to_camera: Floats
    size: int

    def box(self, points: Floats) -> list[float] | None:
        """Left, top, right and bottom of points in the picture, which they may leave; None if all are behind."""
        seen = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        seen = seen[seen[:, 2] > NEAREST]
        if not len(seen):
            return None
        flat = seen[:, :2] / seen[:, 2:] * self.intrinsics[0, 0] + 0.5 * self.size
        return [*flat.min(axis=0).tolist(), *flat.max(axis=0).tolist()]


def look_at(scene: Scene, size: int) -> Pinhole:
    """The scene's camera."""
    camera = scene.camera
    position = np.array(camera.position)
    forward = np.subtract(camera.target, camera.position)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = axes, -axes @ position
    focal = 0.5 * size / math.tan(math.radians(camera.field_of_view) / 2)
    return Pinhole(np.array([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]]), pose, size)


def _extent(seen: NDArray[np.bool_]) -> list[int] | None:
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1] if len(rows) else None


def _overlap(box: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if box is None or other is None:
        return False
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def _parts(placed: Placed) -> Iterator[dict[str, Any]]:
    """Files tell colours, but not what things are made of, unless it is glass."""
    materials = placed.item.materials
    for number, piece in enumerate(placed.pieces):
        part = piece.part
        colour = colour_of(piece)
        material = Material("glass" if (part.opacity or 1.0) < 0.7 else "unknown", 0)
        if materials:
            material = materials[number % len(materials)]
            description = surface(material)
            colour = np.array(description.get("base_color", {}).get("value", GREY))
        yield {
            "name": part.name,
            "material": material.name,
            "seed": material.seed,
            "share": piece.share,
            "colour": colour.tolist(),
            "colour_name": colour_names(colour[None])[0],
        }


# --- meshes where no library is ---


def export_things(folder: Path, instances: int = 8) -> None:
    """Write the things of mitsuba-things as .glb files, each part in its own colour: ``folder/category/07.glb``."""
    import trimesh

    # glTF has y up and faces +z; things stand along z and face -y.
    turned = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    for category in BUILDERS:
        (folder / category).mkdir(parents=True, exist_ok=True)
        for instance in range(instances):
            model, scene = thing(category, instance), trimesh.Scene()
            for number, (part, material) in enumerate(zip(model.parts, model.materials, strict=True)):
                match part:
                    case Ball(centre, radius):
                        mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
                        mesh.apply_translation(centre)
                    case Box(centre, sides):
                        mesh = trimesh.creation.box(extents=sides)
                        mesh.apply_translation(centre)
                    case Rod(start, end, radius):
                        mesh = trimesh.creation.cylinder(radius=radius, segment=[start, end], sections=32)
                colour = [*surface(material)["base_color"]["value"], 1.0]
                looks = trimesh.visual.material.PBRMaterial(
                    name=f"part{number}", baseColorFactor=colour, roughnessFactor=0.6, metallicFactor=0.0
                )
                mesh.visual = trimesh.visual.TextureVisuals(material=looks)
                scene.add_geometry(mesh, geom_name=f"part{number}")
            scene.apply_transform(turned)
            scene.export(folder / category / f"{instance:02d}.glb")
