"""One scene for every renderer, and the renderers: each draws it as it is told to by ``benchmarks/render.py``.

The scene has four textured objects of together about 10,000 triangles, a sun that casts shadows, and surroundings.
Every engine gets the same triangles, normals, texture coordinates and textures, and hands back RGB, a mask of
instances and depth in metres as NumPy arrays. The camera moves with every frame, so nothing can be kept.

Engines run as they come, and where that means much more work than the studio does (a shadow map of 4096 texels,
light that bounces), once more with as little. Depths agree to about a centimetre: engines look at other points of a
pixel than its centre. MuJoCo is called below its Python class, which would render a frame once more for its depth.

An engine runs in a process of its own, on one processor: ``python benchmarks/render_peers.py ENGINE SCENE CORE``. It
reads a JSON command a line and answers with one.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

OBJECTS = (("teddy bear", (-0.85, 0.45, 0.0)), ("car", (0.75, 0.35, 0.0)), ("bell", (0.05, -0.75, 0.0)))
"""Of the studio's catalogue, each a metre in size, and where it stands on the slab."""

FIELD_OF_VIEW = 40.0
SUN = (0.48, -0.36, 0.8)
NEAR, FAR = 0.1, 50.0
Frames = tuple[NDArray[np.uint8], NDArray[Any], NDArray[np.float32]]


@dataclass(frozen=True)
class Item:
    """One object: vertices are in the world's axes, in metres; its size is the diameter of its bounding sphere."""

    name: str
    position: NDArray[np.float64]
    size: float
    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    uvs: NDArray[np.float32]
    triangles: NDArray[np.int32]
    texture: NDArray[np.uint8]

    def wavefront(self) -> str:
        """The object as an .obj file."""
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in self.vertices]
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in self.uvs]
        lines += [f"vn {x:.6f} {y:.6f} {z:.6f}" for x, y, z in self.normals]
        lines += ["f " + " ".join(f"{k}/{k}/{k}" for k in corners) for corners in self.triangles + 1]
        return "\n".join(lines) + "\n"

    def png(self) -> bytes:
        """The texture as a .png file."""
        file = io.BytesIO()
        Image.fromarray(self.texture).save(file, "PNG")
        return file.getvalue()


def texture(generator: np.random.Generator, side: int = 256) -> NDArray[np.uint8]:
    """Coloured patches under fine grain; it repeats."""
    colours = generator.uniform(0.15, 0.95, (8, 8, 3))
    picture = np.repeat(np.repeat(colours, side // 8, axis=0), side // 8, axis=1)
    picture *= generator.uniform(0.8, 1.0, (side, side, 1))
    return np.asarray(np.round(255.0 * picture), dtype=np.uint8)


def slab() -> tuple[NDArray[Any], ...]:
    """A flat box about the origin whose bounding sphere has diameter 1: vertices, normals, uvs and triangles."""
    half = np.array([1.0, 1.0, 0.02])
    half *= 0.5 / np.linalg.norm(half)
    corners = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    vertices, normals, triangles = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            face = np.zeros((4, 3))
            face[:, axis] = sign
            # In this order, seen from outside, the corners run counter-clockwise.
            face[:, [(axis + 1) % 3, (axis + 2) % 3]] = corners[:: int(sign)]
            first = 4 * len(vertices)
            triangles += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
            vertices.append(face * half)
            normals.append(np.tile(sign * np.eye(3)[axis], (4, 1)))
    uvs = np.tile(1.5 * (0.5 * corners + 0.5), (6, 1))
    return np.concatenate(vertices), np.concatenate(normals), uvs, np.array(triangles)


def make_scene(path: Path) -> int:
    """Write the scene to an .npz file, so that other engines' processes import nothing of the studio.

    Returns:
        How many triangles it has.
    """
    from task2sim_studio.catalogue import ProceduralCatalogue
    from task2sim_studio.environments import ProceduralEnvironments

    catalogue = ProceduralCatalogue([name for name, _ in OBJECTS], 1)
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for number, (name, place) in enumerate(OBJECTS, start=1):
        mesh = catalogue.mesh(name, 0)
        position = np.array(place) - (0.0, 0.0, mesh.vertices[:, 2].min())
        arrays |= _item_arrays(number, name, position, 1.0, mesh.vertices, mesh.normals, mesh.uvs, mesh.triangles)
    vertices, normals, uvs, triangles = slab()
    size = 4.4
    position = np.array((0.0, 0.0, -size * vertices[:, 2].max()))
    arrays |= _item_arrays(0, "slab", position, size, vertices, normals, uvs, triangles)
    for number in range(4):
        arrays[f"{number}/texture"] = texture(generator)
    arrays["environment"] = panorama(ProceduralEnvironments().load("meadow", 512).texels, 512)
    np.savez(path, **arrays)
    return sum(len(arrays[f"{number}/triangles"]) for number in range(4))


def _item_arrays(
    number: int, name: str, position: Any, size: float, vertices: Any, normals: Any, uvs: Any, triangles: Any
) -> dict[str, Any]:
    values = {
        "name": np.array(name),
        "position": position,
        "size": np.array(size),
        "vertices": (vertices * size + position).astype(np.float32),
        "normals": normals.astype(np.float32),
        "uvs": uvs.astype(np.float32),
        "triangles": triangles.astype(np.int32),
    }
    return {f"{number}/{key}": value for key, value in values.items()}


def panorama(texels: NDArray[np.float32], size: int, height: int = 256) -> NDArray[np.float32]:
    """The first level of an octahedral map as an equirectangular picture whose middle column lies along +y."""
    level = texels[: (size + 2) ** 2].reshape(size + 2, size + 2, 3)
    elevation = math.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    azimuth = 2.0 * math.pi * ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5)[None, :]
    x, y, z = np.broadcast_arrays(
        np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)
    )
    total = np.abs(x) + np.abs(y) + np.abs(z)
    u, v = x / total, y / total
    folded_u = np.where(z < 0.0, np.copysign(1.0 - np.abs(v), u), u)
    folded_v = np.where(z < 0.0, np.copysign(1.0 - np.abs(u), v), v)
    column, row = (np.clip((0.5 * at + 0.5) * size + 0.5, 0, size + 1).astype(int) for at in (folded_u, folded_v))
    return np.ascontiguousarray(level[row, column], dtype=np.float32)


class TestScene:
    """The scene as `make_scene` wrote it. Object 0 is the slab; in masks object k is k + 1."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.environment: NDArray[np.float32] = arrays["environment"]
            fields = ("vertices", "normals", "uvs", "triangles", "texture")
            self.items = tuple(
                Item(
                    str(arrays[f"{k}/name"]),
                    arrays[f"{k}/position"],
                    float(arrays[f"{k}/size"]),
                    *(arrays[f"{k}/{field}"] for field in fields),
                )
                for k in range(4)
            )

    def camera(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the camera is, and what it looks at: it goes round, up and down, and never stands where it stood."""
        azimuth = frame * math.pi * (3.0 - math.sqrt(5.0))
        elevation = math.radians(25.0 + 15.0 * math.sin(0.7 * frame))
        flat = math.cos(elevation)
        direction = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)])
        target = np.array([0.0, 0.0, 0.3])
        return target + 4.6 * direction, target

    def pose(self, frame: int) -> NDArray[np.float64]:
        """Camera to world as a (4, 4) matrix; the camera looks along -z with y up, as in OpenGL."""
        position, target = self.camera(frame)
        back = (position - target) / np.linalg.norm(position - target)
        right = np.cross((0.0, 0.0, 1.0), back)
        right /= np.linalg.norm(right)
        out = np.eye(4)
        out[:3] = np.stack([right, np.cross(back, right), back, position], axis=-1)
        return out


class Engine(ABC):
    """A renderer of the scene at one resolution.

    Attributes:
        install: What to give to pip.
        lacks: What of the scene it does not draw, or draws otherwise.
        batch: How many frames it is best given at once.
    """

    install: ClassVar[str]
    lacks: ClassVar[str] = ""
    batch: int = 1

    def __init__(self, scene: TestScene, resolution: int) -> None:
        self.scene = scene
        self.resolution = resolution

    @abstractmethod
    def render(self, frames: Sequence[int]) -> Frames:
        """RGB, masks and depth of some frames; depth is infinite or 0 where there is no object."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Give back what it holds, before it is made anew at another resolution."""


class OneByOne(Engine):
    """A renderer that draws frame after frame."""

    @abstractmethod
    def draw(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """RGB, mask and depth of one frame."""

    def render(self, frames: Sequence[int]) -> Frames:
        """See `Engine.render`."""
        rgb, mask, depth = zip(*(self.draw(frame) for frame in frames), strict=True)
        return np.stack(rgb), np.stack(mask), np.stack(depth)


class Studio(Engine):
    """This project's renderer.

    Attributes:
        renderer: Does the work.
    """

    install = "task2sim"

    def __init__(self, scene: TestScene, resolution: int, device: str = "cpu") -> None:
        from task2sim import Background, Camera, Material, Scene, SceneObject, Sun
        from task2sim_studio.environments import ProceduralEnvironments
        from task2sim_studio.mesh import Mesh, Part, Textures
        from task2sim_studio.renderer import Renderer

        super().__init__(scene, resolution)
        self.batch = max(1, min(64, 2**20 // resolution**2))
        items = {item.name: item for item in scene.items}

        def mesh(name: str, _: int) -> Mesh:
            item = items[name]
            part = Part("all", Material("plastic", 0), colour=(1.0, 1.0, 1.0), textures=Textures(albedo=item.texture))
            inside = (item.vertices - item.position) / item.size
            return Mesh(
                inside, item.normals, item.uvs, item.triangles, np.zeros(len(item.triangles), np.int32), (part,)
            )

        self.renderer = Renderer(resolution, mesh, ProceduralEnvironments().load, list(items), device)
        objects = tuple(
            SceneObject(item.name, 0, position=tuple(item.position.tolist()), size=item.size) for item in scene.items
        )
        sun, background = Sun(SUN), Background("meadow")
        self._scene = lambda frame, position, target: Scene(
            frame, objects, Camera(tuple(position.tolist()), tuple(target.tolist()), FIELD_OF_VIEW), sun, background
        )

    def scenes(self, frames: Sequence[int]) -> list[Any]:
        """The frames as the studio wants them told."""
        return [self._scene(frame, *self.scene.camera(frame)) for frame in frames]

    def render(self, frames: Sequence[int]) -> Frames:
        """See `Engine.render`."""
        batch = self.renderer.render(self.scenes(frames))
        return batch.rgb, batch.instance_mask, batch.depth

    def close(self) -> None:
        """See `Engine.close`."""
        self.renderer.close()


class Pyrender(OneByOne):
    """Pyrender on Mesa's software OpenGL."""

    install = "pyrender"
    lacks = "environment light and background"
    shadow_side: ClassVar[int | None] = None

    def __init__(self, scene: TestScene, resolution: int) -> None:
        os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
        vars(np).setdefault("infty", np.inf)  # pyrender 0.1.45 was written for NumPy 1
        import pyrender

        super().__init__(scene, resolution)
        if self.shadow_side is not None:
            pyrender.light.SHADOW_TEX_SZ = self.shadow_side
        self._world = pyrender.Scene(ambient_light=[0.35] * 3, bg_color=[0.55, 0.7, 0.9])
        self._numbers = {}
        for number, item in enumerate(scene.items, start=1):
            picture = pyrender.Texture(source=item.texture, source_channels="RGB")
            material = pyrender.MetallicRoughnessMaterial(
                baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=0.5
            )
            uvs = item.uvs * (1.0, -1.0) + (0.0, 1.0)
            primitive = pyrender.Primitive(
                item.vertices,
                item.normals,
                texcoord_0=uvs.astype(np.float32),
                indices=item.triangles.astype(np.uint32),
                material=material,
            )
            self._numbers[self._world.add(pyrender.Mesh([primitive]))] = (number, number, number)
        self._camera = self._world.add(pyrender.PerspectiveCamera(math.radians(FIELD_OF_VIEW), NEAR, FAR))
        pose = np.eye(4)
        back = np.array(SUN) / np.linalg.norm(SUN)
        right = np.cross((0.0, 0.0, 1.0), back)
        right /= np.linalg.norm(right)
        pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=-1)
        self._world.add(pyrender.DirectionalLight(intensity=3.5), pose=pose)
        self._renderer = pyrender.OffscreenRenderer(resolution, resolution)
        self._flags = (pyrender.RenderFlags.SHADOWS_DIRECTIONAL, pyrender.RenderFlags.SEG)

    def draw(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """See `Engine.draw`."""
        self._world.set_pose(self._camera, self.scene.pose(frame))
        rgb, depth = self._renderer.render(self._world, self._flags[0])
        mask, _ = self._renderer.render(self._world, self._flags[1], self._numbers)
        return rgb, mask[..., 0], depth

    def close(self) -> None:
        """See `Engine.close`."""
        self._renderer.delete()


class PyrenderSmallShadow(Pyrender):
    """Pyrender with a shadow map as small as the studio's; its own is 4096 texels wide."""

    lacks = "environment light and background; shadow map shrunk to 256"
    shadow_side = 256


class MuJoCo(OneByOne):
    """MuJoCo's renderer on Mesa's software OpenGL."""

    install = "mujoco"
    lacks = "PBR, environment light"
    shadow_side: ClassVar[int] = 4096

    def __init__(self, scene: TestScene, resolution: int) -> None:
        os.environ.setdefault("MUJOCO_GL", "egl")
        import mujoco

        super().__init__(scene, resolution)
        self._mujoco = mujoco
        assets, declared, placed = {}, "", ""
        for k, item in enumerate(scene.items):
            assets |= {f"{k}.obj": item.wavefront().encode(), f"{k}.png": item.png()}
            declared += f'<mesh name="m{k}" file="{k}.obj" inertia="shell"/><texture name="t{k}" type="2d"'
            declared += f' file="{k}.png"/><material name="s{k}" texture="t{k}" specular="0.3"/>'
            placed += f'<geom type="mesh" mesh="m{k}" material="s{k}" contype="0" conaffinity="0"/>'
        sun, towards = (" ".join(str(factor * x) for x in SUN) for factor in (3.0, -1.0))
        self._model = mujoco.MjModel.from_xml_string(
            f"""<mujoco><visual><global fovy="{FIELD_OF_VIEW}" offwidth="{resolution}" offheight="{resolution}"/>
            <quality shadowsize="{self.shadow_side}"/><map znear="{NEAR}" zfar="{FAR}"/>
            <headlight ambient="0.35 0.35 0.35" diffuse="0 0 0" specular="0 0 0"/></visual>
            <statistic extent="2.5" center="0 0 0"/>
            <asset><texture type="skybox" builtin="gradient" rgb1="0.4 0.6 0.9" rgb2="0.3 0.4 0.2" width="256"
            height="1536"/>{declared}</asset><worldbody><light directional="true" castshadow="true" pos="{sun}"
            dir="{towards}" diffuse="0.8 0.8 0.8"/>{placed}</worldbody></mujoco>""",
            assets,
        )
        data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, data)
        self._gl = mujoco.GLContext(resolution, resolution)
        self._gl.make_current()
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scn = mujoco.MjvScene(self._model, maxgeom=16)
        self._camera = mujoco.MjvCamera()
        mujoco.mjv_updateScene(
            self._model,
            data,
            mujoco.MjvOption(),
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scn,
        )
        self._view = mujoco.MjrRect(0, 0, resolution, resolution)
        self._numbers = np.zeros(256, np.uint8)
        for geom in self._scn.geoms[: self._scn.ngeom]:
            self._numbers[geom.segid + 1] = geom.objid + 1

    def draw(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """See `Engine.draw`."""
        mujoco, flags = self._mujoco, self._scn.flags
        pose = self.scene.pose(frame)
        half = NEAR * math.tan(math.radians(FIELD_OF_VIEW / 2.0))
        for camera in self._scn.camera:
            camera.pos, camera.forward, camera.up = pose[:3, 3], -pose[:3, 2], pose[:3, 1]
            camera.frustum_bottom, camera.frustum_top = -half, half
            camera.frustum_near, camera.frustum_far = NEAR, FAR
        shape = (self.resolution, self.resolution)
        rgb, mask = np.empty((*shape, 3), np.uint8), np.empty((*shape, 3), np.uint8)
        depth = np.empty(shape, np.float32)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        mujoco.mjr_render(self._view, self._scn, self._context)
        mujoco.mjr_readPixels(rgb, depth, self._view, self._context)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        mujoco.mjr_render(self._view, self._scn, self._context)
        mujoco.mjr_readPixels(mask, None, self._view, self._context)
        metres = NEAR * FAR / (FAR - depth * (FAR - NEAR))
        return rgb[::-1], self._numbers[mask[::-1, :, 0]], metres[::-1]

    def close(self) -> None:
        """See `Engine.close`."""
        self._context.free()
        self._gl.free()


class MuJoCoSmallShadow(MuJoCo):
    """MuJoCo with a shadow map as small as the studio's; its own is 4096 texels wide."""

    lacks = "PBR, environment light; shadow map shrunk to 256"
    shadow_side = 256


class PyBullet(OneByOne):
    """PyBullet's TinyRenderer."""

    install = "pybullet"
    lacks = "PBR, environment light and background, filtering"

    def __init__(self, scene: TestScene, resolution: int) -> None:
        import pybullet

        super().__init__(scene, resolution)
        self._pybullet = pybullet
        pybullet.connect(pybullet.DIRECT)
        self._numbers = np.zeros(64, np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            for number, item in enumerate(scene.items, start=1):
                shape, picture = Path(folder) / f"{number}.obj", Path(folder) / f"{number}.png"
                shape.write_text(item.wavefront())
                picture.write_bytes(item.png())
                visual = pybullet.createVisualShape(pybullet.GEOM_MESH, fileName=str(shape))
                body = pybullet.createMultiBody(baseMass=0, baseVisualShapeIndex=visual)
                pybullet.changeVisualShape(body, -1, textureUniqueId=pybullet.loadTexture(str(picture)))
                self._numbers[body + 1] = number
        self._projection = pybullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, 1.0, NEAR, FAR)

    def draw(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """See `Engine.draw`."""
        pybullet, side = self._pybullet, self.resolution
        position, target = self.scene.camera(frame)
        _, _, rgba, depth, mask = pybullet.getCameraImage(
            side,
            side,
            pybullet.computeViewMatrix(position.tolist(), target.tolist(), [0, 0, 1]),
            self._projection,
            lightDirection=SUN,
            lightDistance=7.0,
            shadow=1,
            renderer=pybullet.ER_TINY_RENDERER,
        )
        rgb = np.reshape(rgba, (side, side, 4))[..., :3].astype(np.uint8)
        metres = NEAR * FAR / (FAR - (FAR - NEAR) * np.reshape(depth, (side, side)))
        return rgb, self._numbers[np.reshape(mask, (side, side)) + 1], metres.astype(np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        self._pybullet.disconnect()


class Mitsuba(OneByOne):
    """Mitsuba 3, a path tracer, with 4 samples a pixel."""

    install = "mitsuba"
    samples: ClassVar[int] = 4
    bounces: ClassVar[int] = -1

    def __init__(self, scene: TestScene, resolution: int) -> None:
        import drjit
        import mitsuba as mi

        mi.set_variant("scalar_rgb")
        drjit.set_thread_count(1)
        super().__init__(scene, resolution)
        self._mi = mi
        described: dict[str, Any] = {
            "type": "scene",
            # Directions: an envmap's up is y and its middle column lies along -z.
            "sky": {
                "type": "envmap",
                "bitmap": mi.Bitmap(scene.environment),
                "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
            },
            "sun": {"type": "directional", "direction": [-x for x in SUN], "irradiance": 3.5},
        }
        for k, item in enumerate(scene.items):
            properties = mi.Properties()
            properties["bsdf"] = mi.load_dict(
                {
                    "type": "principled",
                    "roughness": 0.5,
                    "base_color": {"type": "bitmap", "bitmap": mi.Bitmap(item.texture)},
                }
            )
            mesh = mi.Mesh(item.name, len(item.vertices), len(item.triangles), properties, True, True)
            values = mi.traverse(mesh)
            values["vertex_positions"] = item.vertices.ravel()
            values["vertex_normals"] = item.normals.ravel()
            values["vertex_texcoords"] = (item.uvs * (1.0, -1.0) + (0.0, 1.0)).astype(np.float32).ravel()
            values["faces"] = item.triangles.astype(np.uint32).ravel()
            values.update()
            described[f"object{k}"] = mesh
        self._world = mi.load_dict(described)
        light = {"type": "path", "max_depth": self.bounces}
        self._integrator = mi.load_dict({"type": "aov", "aovs": "depth:depth,shape:shape_index", "light": light})
        # Its depth is the length of the ray.
        across = math.tan(math.radians(FIELD_OF_VIEW / 2.0)) * (
            2.0 * (np.arange(resolution) + 0.5) / resolution - 1.0
        )
        self._cosine = (1.0 / np.sqrt(1.0 + across**2 + across[:, None] ** 2)).astype(np.float32)

    def draw(self, frame: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """See `Engine.draw`."""
        mi = self._mi
        position, target = self.scene.camera(frame)
        film = {"type": "hdrfilm", "width": self.resolution, "height": self.resolution, "rfilter": {"type": "box"}}
        sensor = mi.load_dict(
            {
                "type": "perspective",
                "fov": FIELD_OF_VIEW,
                "to_world": mi.ScalarTransform4f().look_at(position.tolist(), target.tolist(), [0, 0, 1]),
                "film": film,
                "sampler": {"type": "independent", "sample_count": self.samples},
            }
        )
        picture = np.asarray(mi.render(self._world, sensor=sensor, integrator=self._integrator, seed=frame))
        bitmap = mi.Bitmap(np.ascontiguousarray(picture[..., :3]))
        rgb = np.asarray(bitmap.convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.UInt8, srgb_gamma=True))
        return rgb, picture[..., -1].round().astype(np.uint8), picture[..., -2] * self._cosine


class MitsubaDirect(Mitsuba):
    """Mitsuba 3 with direct light alone, as the studio has it: of the sun and the surroundings, unbounced."""

    lacks = "light that bounces, as does the studio"
    bounces = 2


ENGINES: dict[str, type[Engine]] = {
    "studio": Studio,
    "pyrender": Pyrender,
    "pyrender-small-shadow": PyrenderSmallShadow,
    "mujoco": MuJoCo,
    "mujoco-small-shadow": MuJoCoSmallShadow,
    "pybullet": PyBullet,
    "mitsuba": Mitsuba,
    "mitsuba-direct": MitsubaDirect,
}


def serve(name: str, scene: TestScene) -> None:
    """Do what standard input says: ``{"resolution": 128}``, ``{"images": 64, "first": 0}``, ``{"save": "x.npz"}``."""
    # Libraries print to standard output; the answers go past them.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    engine: Engine | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if "resolution" in command:
            try:
                if engine is not None:
                    engine.close()
                engine = ENGINES[name](scene, command["resolution"])
                engine.render(range(engine.batch))
            except ImportError as error:
                answer(absent=f"{error}; pip install {ENGINES[name].install}")
                return
            except Exception as error:
                answer(absent=f"it does not work here: {type(error).__name__}: {error}")
                raise
            answer(batch=engine.batch)
        elif engine is not None and "save" in command:
            rgb, mask, depth = engine.render(range(4))
            np.savez(command["save"], rgb=rgb, mask=mask, depth=depth)
            answer(saved=command["save"])
        elif engine is not None:
            first, last = command["first"], command["first"] + command["images"]
            wall, cpu = time.perf_counter(), time.process_time()
            for start in range(first, last, engine.batch):
                engine.render(range(start, min(start + engine.batch, last)))
            answer(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    serve(sys.argv[1], TestScene(Path(sys.argv[2])))
