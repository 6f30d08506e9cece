"""Compare the studio's pictures with a path tracer's: ``python benchmarks/quality.py --sheet quality.png``.

The same scenes are rendered by the studio and by Mitsuba 3 (``pip install mitsuba``): the same triangles, camera,
sun and surroundings, and the closest materials that Mitsuba has, shown through the studio's tone table. Patterns are
left out: parts have a plain colour, roughness and metalness. Errors are mean absolute differences in levels of 255.

Passes:
    shape: where the object is, how far away and which way it faces; Mitsuba's rays are exact.
    sun: the sun alone, with shadows, before black surroundings; Mitsuba's light does not bounce here.
    sky: the surroundings alone; light bounces between surfaces, which the studio does not trace.
    full: both, with bounces.
    blur: the full pass of the shots whose lens is open.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from task2sim import (
    TASK2SIM_PARAMETERS,
    Background,
    Camera,
    Floor,
    FrameBatch,
    Material,
    Scene,
    SceneAssets,
    SceneObject,
    Sun,
)
from task2sim.randomisation import randomise
from task2sim_studio.catalogue import ProceduralCatalogue
from task2sim_studio.environments import Environment, ProceduralEnvironments, prefilter
from task2sim_studio.film import TONE_LIMIT, TONE_STEPS
from task2sim_studio.materials import PALETTES, surfaces
from task2sim_studio.mesh import MATERIALS, Mesh, Part
from task2sim_studio.packing import SUN_IRRADIANCE, layout
from task2sim_studio.patterns import Surface
from task2sim_studio.renderer import Renderer, tone_table

RESOLUTION = 128
ENVIRONMENT_SIZE = 512
"""Texels along a side of the map that the studio uses at this resolution."""
SAMPLES = 64
"""Of Mitsuba for a pixel, twice; a square."""
BOUNCES = 6
GRID = 4
"""Rays a side for a pixel's shape."""
PASSES = ("sun", "sky", "full")

Array = NDArray[np.float64]

PLASTIC, METAL = Material("plastic", 0), Material("metal", 0)
GREY, RED, GOLD = (0.6, 0.6, 0.6), (0.6, 0.06, 0.04), (1.0, 0.77, 0.34)
SPHERES = {
    "white": Part("all", PLASTIC, (0.8, 0.8, 0.8), roughness=1.0, metalness=0.0),
    "glossy": Part("all", PLASTIC, RED, roughness=0.15, metalness=0.0),
    "satin": Part("all", PLASTIC, RED, roughness=0.45, metalness=0.0),
    "polished": Part("all", PLASTIC, GOLD, roughness=0.15, metalness=1.0),
    "brushed": Part("all", PLASTIC, GOLD, roughness=0.45, metalness=1.0),
    "slab": Part("all", PLASTIC, GREY, roughness=0.7, metalness=0.0),
}

# --- what is shown ---


def sphere(part: Part) -> Mesh:
    import trimesh

    made = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    count = len(made.vertices)
    none = np.zeros(len(made.faces), dtype=np.int32)
    return Mesh(made.vertices, 2.0 * made.vertices, np.zeros((count, 2)), made.faces, none, (part,))


def slab(part: Part) -> Mesh:
    """A square with a diagonal of 1."""
    half = 0.5 / math.sqrt(2.0)
    corners = [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)]
    return Mesh(corners, [(0, 0, 1)] * 4, np.zeros((4, 2)), [(0, 1, 2), (0, 2, 3)], np.zeros(2), (part,))


def plain(mesh: Mesh) -> Mesh:
    """The same mesh without patterns: plastic of each part's colour, in the middle of its material's roughness."""
    parts = []
    for part in mesh.parts:
        palette = PALETTES[part.material.name]
        roughness = sum(palette.roughness) / 2.0
        parts.append(Part(part.name, PLASTIC, part.colour or GREY, roughness, palette.metalness))
    return attrs.evolve(mesh, parts=tuple(parts))


class Stock:
    """Meshes and surroundings, for both engines."""

    def __init__(self) -> None:
        self._catalogue = ProceduralCatalogue(None, 24)
        self._environments = ProceduralEnvironments()
        self.instances = {**self._catalogue.instances, **dict.fromkeys(SPHERES, 1)}
        self.backgrounds = self._environments.names

    def mesh(self, category: str, instance: int) -> Mesh:
        """One of `SPHERES`, or an object of the catalogue without its patterns."""
        if category in SPHERES:
            return (slab if category == "slab" else sphere)(SPHERES[category])
        return plain(self._catalogue.mesh(category, instance))

    def environment(self, name: str, size: int) -> Environment:
        """One of the procedural surroundings, or ``black``."""
        if name == "black":
            return prefilter(np.zeros((size, size, 3), dtype=np.float32))
        return self._environments.load(name, size)


def turned(degrees: float) -> tuple[float, float, float, float]:
    """About the vertical."""
    return (0.0, 0.0, math.sin(math.radians(degrees) / 2.0), math.cos(math.radians(degrees) / 2.0))


def sun_at(azimuth: float, elevation: float) -> Sun:
    """Azimuth from the camera's side (-y) towards the right (+x), in degrees."""
    a, e = math.radians(azimuth), math.radians(elevation)
    return Sun((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))


def shots(stock: Stock) -> dict[str, Scene]:
    def default(category: str) -> Scene:
        assets = SceneAssets({category: stock.instances[category]}, MATERIALS, stock.backgrounds)
        return randomise(TASK2SIM_PARAMETERS.default(), assets, 0, 7)

    def placed(name: str, x: float, y: float, z: float, size: float, turn: float = 0.0) -> SceneObject:
        return SceneObject(name, 1 if name not in SPHERES else 0, (x, y, z), turned(turn), size)

    ball = default("white")
    group = (
        placed("chair", -0.35, 0.1, 0.0, 0.9, 20),
        placed("teapot", 0.45, -0.3, -0.15, 0.6, -30),
        placed("satin", 0.1, -0.55, -0.3, 0.3),
        placed("brushed", 0.5, 0.5, -0.1, 0.5),
        placed("slab", 0.0, 0.0, -0.42, 2.6),
    )
    crowd = attrs.evolve(default("chair"), objects=group, camera=Camera((0.9, -1.9, 0.9), (0.05, -0.05, -0.15)))
    close = (
        placed("mug", 0.0, 0.0, 0.0, 0.5, 40),
        placed("polished", -0.45, 0.9, 0.1, 0.6),
        placed("white", 0.16, -0.55, -0.12, 0.18),
    )
    lens = Camera((0.35, -1.2, 0.35), field_of_view=40.0, focus_distance=1.25, aperture=0.1)
    far = attrs.evolve(default("pineapple").camera, focus_distance=1.0, aperture=0.12)
    return {
        "car, default": default("car"),
        "teapot, default": default("teapot"),
        "house, low sun, left": attrs.evolve(default("house"), sun=sun_at(-80, 20)),
        "chair, sun behind": attrs.evolve(default("chair"), sun=sun_at(150, 50)),
        "tree, other sky": attrs.evolve(default("tree"), background=Background(stock.backgrounds[2], turned(120))),
        "white ball": ball,
        "glossy plastic": attrs.evolve(ball, objects=(SceneObject("glossy", 0),)),
        "satin plastic": attrs.evolve(ball, objects=(SceneObject("satin", 0),)),
        "polished gold": attrs.evolve(ball, objects=(SceneObject("polished", 0),)),
        "brushed gold": attrs.evolve(ball, objects=(SceneObject("brushed", 0),)),
        "several, shadows": crowd,
        "floor": attrs.evolve(default("table"), floor=Floor(Material("plastic", 5))),
        "soft sun, floor": attrs.evolve(
            default("dog"),
            floor=Floor(Material("plastic", 5)),
            sun=attrs.evolve(sun_at(60, 40), angular_diameter=12.0),
        ),
        "close, lens open": attrs.evolve(default("mug"), objects=close, camera=lens),
        "out of focus": attrs.evolve(default("pineapple"), camera=far),
    }


# --- the path tracer ---


@attrs.frozen(eq=False)
class Piece:
    """Triangles of one material, in the world."""

    instance: int
    vertices: Array
    normals: Array
    triangles: NDArray[np.int32]
    colour: tuple[float, float, float]
    roughness: float
    metalness: float


def rotation_matrix(quaternion: tuple[float, float, float, float]) -> Array:
    x, y, z, w = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def pieces(scene: Scene, load_mesh: Callable[[str, int], Mesh]) -> list[Piece]:
    """The scene's triangles in the world; with a floor, everything stands on it."""
    found: list[Piece] = []
    ground = 0.0
    for number, item in enumerate(scene.objects, start=1):
        mesh = load_mesh(item.category, item.instance)
        turn = rotation_matrix(item.rotation)
        vertices = mesh.vertices @ turn.T * item.size + np.array(item.position)
        if scene.floor is not None:
            low = float(vertices[:, 2].min())
            ground = low if number == 1 else ground
            vertices[:, 2] += ground - low
        for k, part in enumerate(mesh.parts):
            triangles = mesh.triangles[mesh.part_of_triangle == k]
            assert part.colour is not None
            assert part.roughness is not None
            assert part.metalness is not None
            material = (part.colour, part.roughness, part.metalness)
            found.append(Piece(number, vertices, mesh.normals @ turn.T, triangles, *material))
    if scene.floor is not None:
        around = np.linspace(0.0, 2.0 * math.pi, 65)[:-1]
        rim = np.stack([np.cos(around), np.sin(around), np.zeros(64)], axis=-1) * scene.floor.radius
        x, y, _z = scene.objects[0].position
        vertices = np.concatenate([np.zeros((1, 3)), rim]) + np.array((x, y, ground))
        k = np.arange(64)
        fan = np.stack([np.zeros(64), 1 + k, 1 + (k + 1) % 64], axis=-1).astype(np.int32)
        kind, seed = np.array([MATERIALS.index(scene.floor.material.name)]), np.array([scene.floor.material.seed])
        look = surfaces(kind, seed, np.full((1, 3), np.nan, dtype=np.float32), layout(Surface))[0]
        material = (tuple(look["base"].tolist()), float(look["roughness"]), float(look["metalness"]))
        found.append(Piece(0, vertices, np.tile((0.0, 0.0, 1.0), (65, 1)), fan, *material))
    return found


def panorama(environment: Environment, size: int) -> NDArray[np.float32]:
    """The radiance of an octahedral map of `size` texels a side, as Mitsuba wants it: (size, 2 size, 3)."""
    level = environment.texels[: (size + 2) ** 2].reshape(size + 2, size + 2, 3)
    polar, around = np.meshgrid(
        (np.arange(size) + 0.5) / size * math.pi, (np.arange(2 * size) + 0.5) / size * math.pi, indexing="ij"
    )
    # Mitsuba's panoramas have y up and -z in the middle; that is z up and +y in the studio.
    d = np.stack([np.sin(around) * np.sin(polar), np.cos(around) * np.sin(polar), np.cos(polar)], axis=-1)
    d /= np.abs(d).sum(axis=-1, keepdims=True)
    x, y, z = np.moveaxis(d, -1, 0)
    below = z < 0.0
    u = np.where(below, np.where(x >= 0.0, 1.0, -1.0) * (1.0 - np.abs(y)), x)
    v = np.where(below, np.where(y >= 0.0, 1.0, -1.0) * (1.0 - np.abs(x)), y)
    u, v = (0.5 * u + 0.5) * size + 0.5, (0.5 * v + 0.5) * size + 0.5
    column, row = np.clip(u.astype(int), 0, size), np.clip(v.astype(int), 0, size)
    fx, fy = (u - column)[..., None], (v - row)[..., None]
    top = level[row, column] * (1.0 - fx) + level[row, column + 1] * fx
    bottom = level[row + 1, column] * (1.0 - fx) + level[row + 1, column + 1] * fx
    return np.asarray(top * (1.0 - fy) + bottom * fy, dtype=np.float32)


class PathTracer:
    """Mitsuba 3 on one core."""

    def __init__(self, stock: Stock) -> None:
        try:
            import drjit
            import mitsuba
        except ImportError:
            raise SystemExit("there is no Mitsuba to compare with: pip install mitsuba") from None
        mitsuba.set_variant("scalar_rgb")
        drjit.set_thread_count(1)
        self._mi: Any = mitsuba
        self._stock = stock

    def shape(self, scene: Scene) -> tuple[NDArray[np.int64], Array, Array]:
        """Which instance most rays of each pixel meet, and depth and normal at its centre."""
        mi = self._mi
        found = pieces(scene, self._stock.mesh)
        still = attrs.evolve(scene, camera=attrs.evolve(scene.camera, aperture=0.0))
        built = self._build(still, found, "")
        sensor = built.sensors()[0]
        owners = {shape.id(): piece.instance for shape, piece in zip(built.shapes(), found, strict=True)}
        origin = np.array(scene.camera.position)
        forward = np.array(scene.camera.target) - origin
        forward /= np.linalg.norm(forward)
        centre = mi.Point2f(0.5, 0.5)

        def trace(row: float, column: float) -> Any:
            ray, _weight = sensor.sample_ray(0.0, 0.5, mi.Point2f(column / RESOLUTION, row / RESOLUTION), centre)
            return built.ray_intersect(ray)

        mask = np.zeros((RESOLUTION, RESOLUTION), dtype=np.int64)
        depth = np.full((RESOLUTION, RESOLUTION), np.inf)
        normals = np.zeros((RESOLUTION, RESOLUTION, 3))
        for row in range(RESOLUTION):
            for column in range(RESOLUTION):
                votes = [0] * (len(scene.objects) + 1)
                for j in range(GRID):
                    for i in range(GRID):
                        hit = trace(row + (j + 0.5) / GRID, column + (i + 0.5) / GRID)
                        votes[owners[hit.shape.id()] if hit.is_valid() else 0] += 1
                mask[row, column] = int(np.argmax(votes))
                hit = trace(row + 0.5, column + 0.5)
                if hit.is_valid():
                    to_hit = np.array(hit.p) - origin
                    n = np.array(hit.sh_frame.n)
                    depth[row, column] = to_hit @ forward
                    normals[row, column] = n if n @ to_hit < 0.0 else -n
        return mask, depth, normals

    def radiance(self, scene: Scene, light: str, depth: int, samples: int, seed: int) -> Array:
        """Linear light, from the ``sun`` or the ``sky``, over paths of at most `depth` segments."""
        built = self._build(scene, pieces(scene, self._stock.mesh), light, depth, samples)
        return np.array(self._mi.render(built, seed=seed), dtype=np.float64)[..., :3]

    def _build(self, scene: Scene, found: list[Piece], light: str, depth: int = 2, samples: int = 1) -> Any:
        transform = self._mi.ScalarTransform4f
        camera = scene.camera
        described: dict[str, Any] = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": depth, "rr_depth": depth},
            "sensor": {
                "type": "thinlens" if camera.aperture > 0.0 else "perspective",
                "fov": camera.field_of_view,
                "fov_axis": "y",
                "near_clip": 0.01,
                "to_world": transform().look_at(list(camera.position), list(camera.target), [0, 0, 1]),
                "film": {
                    "type": "hdrfilm",
                    "width": RESOLUTION,
                    "height": RESOLUTION,
                    "pixel_format": "rgb",
                    "rfilter": {"type": "box"},
                },
                "sampler": {"type": "multijitter", "sample_count": samples},
            },
        }
        if camera.aperture > 0.0:
            described["sensor"] |= {"aperture_radius": camera.aperture / 2.0, "focus_distance": camera.focus_distance}
        for number, piece in enumerate(found):
            described[f"piece{number:03d}"] = self._mesh(f"piece{number:03d}", piece)
        if light == "sun":
            described |= self._sun(scene.sun)
        if light == "sky":
            size = ENVIRONMENT_SIZE
            radiance = panorama(self._stock.environment(scene.background.name, size), size)
            turn = np.eye(4)
            turn[:3, :3] = rotation_matrix(scene.background.rotation)
            described["sky"] = {
                "type": "envmap",
                "bitmap": self._mi.Bitmap(radiance),
                "to_world": transform(turn.tolist()) @ transform().rotate([1, 0, 0], 90),
            }
        return self._mi.load_dict(described)

    def _mesh(self, name: str, piece: Piece) -> Any:
        """Mitsuba's principled material is the studio's, but for a diffuse part that dims towards the edge."""
        material = {
            "type": "principled",
            "base_color": {"type": "rgb", "value": list(piece.colour)},
            "roughness": piece.roughness,
            "metallic": piece.metalness,
            "specular": 0.5,
        }
        properties = self._mi.Properties()
        properties["mesh_bsdf"] = self._mi.load_dict({"type": "twosided", "material": material})
        mesh = self._mi.Mesh(
            name, len(piece.vertices), len(piece.triangles), has_vertex_normals=True, props=properties
        )
        arrays = self._mi.traverse(mesh)
        arrays["vertex_positions"] = piece.vertices.astype(np.float32).ravel()
        arrays["vertex_normals"] = piece.normals.astype(np.float32).ravel()
        arrays["faces"] = piece.triangles.astype(np.uint32).ravel()
        arrays.update()
        return mesh

    def _sun(self, sun: Sun) -> dict[str, Any]:
        """One directional light, or a disc of them where it is large enough to see."""
        towards = np.array(sun.direction) / np.linalg.norm(sun.direction)
        across = np.cross(towards, (0.0, 0.0, 1.0) if abs(towards[2]) < 0.9 else (1.0, 0.0, 0.0))
        across /= np.linalg.norm(across)
        count = 1 if sun.angular_diameter < 1.0 else 32
        reach = math.tan(math.radians(sun.angular_diameter) / 2.0)
        lights = {}
        for k in range(count):
            radius, angle = reach * math.sqrt((k + 0.5) / count) * (count > 1), k * 2.39996  # a sunflower's seeds
            aim = towards + radius * (math.cos(angle) * across + math.sin(angle) * np.cross(towards, across))
            value = [SUN_IRRADIANCE * sun.intensity * c / count for c in sun.colour]
            lights[f"sun{k}"] = {
                "type": "directional",
                "direction": (-aim).tolist(),
                "irradiance": {"type": "rgb", "value": value},
            }
        return lights


# --- the comparison ---


def toned(radiance: Array) -> NDArray[np.uint8]:
    at = np.sqrt(np.maximum(radiance, 0.0)) * (TONE_STEPS - 1) / math.sqrt(TONE_LIMIT)
    return tone_table()[np.clip((at + 0.5).astype(int), 0, TONE_STEPS - 1)]


def studio_frames(renderer: Renderer, scene: Scene) -> dict[str, FrameBatch]:
    dark = attrs.evolve(scene.sun, intensity=0.0)
    lit = {
        "sun": attrs.evolve(scene, background=Background("black")),
        "sky": attrs.evolve(scene, sun=dark),
        "full": scene,
    }
    return {name: renderer.render([variant]) for name, variant in lit.items()}


def traced_frames(tracer: PathTracer, scene: Scene) -> tuple[dict[str, NDArray[np.uint8]], float]:
    """Toned pictures of the passes, and the noise that sampling leaves in the last: mean levels of 255."""
    direct = tracer.radiance(scene, "sun", 2, SAMPLES, 1)
    sun = [tracer.radiance(scene, "sun", BOUNCES, SAMPLES, seed) for seed in (2, 3)]
    sky = [tracer.radiance(scene, "sky", BOUNCES, SAMPLES, seed) for seed in (4, 5)]
    halves = [toned(sun[k] + sky[k]).astype(float) for k in (0, 1)]
    noise = float(np.abs(halves[0] - halves[1]).mean()) / 2.0
    linear = {"sun": direct, "sky": 0.5 * (sky[0] + sky[1]), "full": 0.5 * (sun[0] + sun[1] + sky[0] + sky[1])}
    return {name: toned(radiance) for name, radiance in linear.items()}, noise


def shape_errors(frame: FrameBatch, mask: NDArray[np.int64], depth: Array, normals: Array) -> dict[str, float]:
    assert frame.instance_mask is not None
    assert frame.depth is not None
    seen = frame.instance_mask[0].astype(np.int64)
    both = (seen == mask) & (mask > 0) & np.isfinite(depth) & np.isfinite(frame.depth[0])
    relative = np.abs(frame.depth[0][both] / depth[both] - 1.0)
    errors = {
        "iou": float(both.sum() / max(((seen > 0) | (mask > 0)).sum(), 1)),
        "depth_median": float(np.median(relative)),
        "depth_99th": float(np.quantile(relative, 0.99)),
    }
    if frame.normals is not None:
        cosine = np.clip((frame.normals[0][both] * normals[both]).sum(axis=-1), -1.0, 1.0)
        errors["normals_median_degrees"] = float(np.degrees(np.median(np.arccos(cosine))))
    return errors


def compare(renderer: Renderer, tracer: PathTracer, name: str, scene: Scene) -> tuple[dict[str, Any], list[Any]]:
    """The figures of a shot, and its row of the sheet."""
    ours = studio_frames(renderer, scene)
    theirs, noise = traced_frames(tracer, scene)
    mask, depth, normals = tracer.shape(scene)
    result: dict[str, Any] = {"shape": shape_errors(ours["full"], mask, depth, normals), "noise": noise}
    row = []
    for which in PASSES:
        picture, truth = ours[which].rgb[0], theirs[which]
        difference = picture.astype(float) - truth
        result[which] = {
            "picture": float(np.abs(difference).mean()),
            "object": float(np.abs(difference[mask > 0]).mean()),
            "object_bias": float(difference[mask > 0].mean()),
        }
        signed = np.clip(128.0 + 2.0 * difference, 0.0, 255.0).astype(np.uint8)
        row += [picture, truth, signed]
    if scene.camera.aperture > 0.0:
        result["blur"] = result["full"]
    return result, row


def sheet(rows: dict[str, list[NDArray[np.uint8]]], results: dict[str, dict[str, Any]]) -> Image.Image:
    gap, head = 4, 16
    width, height = 9 * RESOLUTION + 8 * gap, len(rows) * (RESOLUTION + head) + head
    out = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(out)
    for k, which in enumerate(PASSES):
        label = f"{which}: studio | Mitsuba | difference (grey: none, twice as strong)"
        draw.text((3 * k * (RESOLUTION + gap), 2), label, fill="black")
    for j, (name, pictures) in enumerate(rows.items()):
        top = head + j * (RESOLUTION + head)
        for i, picture in enumerate(pictures):
            out.paste(Image.fromarray(picture), (i * (RESOLUTION + gap), top + head))
        for k, which in enumerate(PASSES):
            errors = results[name][which]
            label = f"{name}: error {errors['object']:.1f}, bias {errors['object_bias']:+.1f}"
            draw.text((3 * k * (RESOLUTION + gap), top + 2), label, fill="black")
    return out


def means(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of every figure of every pass, over the shots that have it."""
    out: dict[str, dict[str, float]] = {}
    for which in ("shape", *PASSES, "blur"):
        found = [result[which] for result in results.values() if which in result]
        out[which] = {key: float(np.mean([errors[key] for errors in found])) for key in found[0]}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the studio's pictures with a path tracer's.")
    parser.add_argument("--sheet", type=Path, help="write the pictures side by side to this file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    os.nice(10)
    stock = Stock()
    tracer = PathTracer(stock)
    renderer = Renderer(RESOLUTION, stock.mesh, stock.environment, tuple(stock.instances), "cpu")
    start = time.perf_counter()
    results, rows = {}, {}
    print(
        f"{'mean absolute error of 255':<24}{'IoU':>7}{'depth':>9}" + "".join(f"{p:>8}" for p in PASSES) + "   noise"
    )
    for name, scene in shots(stock).items():
        results[name], rows[name] = compare(renderer, tracer, name, scene)
        shape = results[name]["shape"]
        errors = "".join(f"{results[name][which]['object']:8.1f}" for which in PASSES)
        print(
            f"{name:<24}{shape['iou']:7.3f}{shape['depth_median']:9.5f}{errors}{results[name]['noise']:8.1f}",
            flush=True,
        )
    overall = means(results)
    print(f"\n{'mean of all':<24}" + "".join(f"{key:>16}" for key in ("picture", "object", "bias")))
    for which in (*PASSES, "blur"):
        print(f"{which:<24}" + "".join(f"{value:16.2f}" for value in overall[which].values()))
    print("shape", {key: round(value, 5) for key, value in overall["shape"].items()})
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps({"mean": overall, "shots": results}, indent=2) + "\n")
    if arguments.sheet:
        sheet(rows, results).save(arguments.sheet, optimize=True, quality=85)


if __name__ == "__main__":
    main()
