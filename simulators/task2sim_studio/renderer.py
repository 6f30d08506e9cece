"""Takes batches of scenes through the kernels on one device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import warp as wp
from numpy.typing import NDArray

from task2sim import ConfigError, FrameBatch, Scene
from task2sim_studio import film, shading, structures, visibility
from task2sim_studio.device import load_kernels, out_of_memory, resolve_device
from task2sim_studio.environments import Environment
from task2sim_studio.materials import noise_lattice
from task2sim_studio.mesh import Mesh
from task2sim_studio.packing import MOST_OBJECTS, Placed, chunks, pack_draws, pack_surfaces, pack_views, stand
from task2sim_studio.patterns import NOISE_SIZE, Surface
from task2sim_studio.scene_graph import SceneGraphs
from task2sim_studio.structures import OPAQUE
from task2sim_studio.uploads import Environments, Meshes


def tone_table() -> NDArray[np.uint8]:
    """sRGB bytes for the square roots of radiances from 0 to `film.TONE_LIMIT`.

    A filmic curve with a soft toe, a straight middle and a soft shoulder (Uchimura, "HDR theory and practice", CEDEC
    2017), then the sRGB transfer function.
    """
    x = np.linspace(0.0, math.sqrt(film.TONE_LIMIT), film.TONE_STEPS) ** 2
    start, length, contrast, toe = 0.2, 0.45, 1.0, 1.2
    line = (1.0 - start) * length / contrast
    shoulder = start + line
    rate = contrast / (1.0 - (start + contrast * line))
    low = start * (np.minimum(x, start) / start) ** toe
    middle = start + contrast * (x - start)
    high = 1.0 - (1.0 - (start + contrast * line)) * np.exp(-rate * np.maximum(x - shoulder, 0.0))
    blend = np.clip(x / start, 0.0, 1.0)
    blend = blend * blend * (3.0 - 2.0 * blend)
    toned = np.where(x < shoulder, low * (1.0 - blend) + middle * blend, high)
    display = np.where(toned <= 0.0031308, 12.92 * toned, 1.055 * np.maximum(toned, 1e-9) ** (1.0 / 2.4) - 0.055)
    return np.asarray(np.round(np.clip(display, 0.0, 1.0) * 255.0), dtype=np.uint8)


@attrs.frozen(eq=False)
class Drawn:
    """What a batch left on the device, and what it was made of.

    Attributes:
        rgb, instance, category, depth, normals: Device arrays, one element a pixel, picture after picture.
        low, high: Device arrays: each draw's full extent in its picture.
        seen_low, seen_high: Device arrays: each draw's extent in the instance mask.
        extents, shown: Device arrays: samples that a draw would fill alone, and that it fills; 0 for single objects.
        meshes: Each object's mesh, and then each floor's.
        views, draws, surfaces: The packed structs.
    """

    rgb: Any
    instance: Any
    category: Any
    depth: Any
    normals: Any
    low: Any
    high: Any
    seen_low: Any
    seen_high: Any
    extents: Any
    shown: Any
    meshes: list[Placed]
    views: NDArray[Any]
    draws: NDArray[Any]
    surfaces: NDArray[Any]


def _see_through(views: NDArray[Any], draws: NDArray[Any], surfaces: NDArray[Any]) -> NDArray[np.int32]:
    """Mark what can be seen through in the packed structs, and return which pictures hold such things."""
    ends = np.append(draws["first_surface"][1:], len(surfaces))
    before = np.concatenate([[0], np.cumsum(surfaces["opacity"] < OPAQUE)])
    draws["see_through"] = before[ends] > before[draws["first_surface"]]
    glazed = np.unique(draws["view"][draws["see_through"] != 0]).astype(np.int32)
    views["glass"] = -1
    views["glass"][glazed] = np.arange(len(glazed))
    return glazed


class Renderer:
    """Renders batches of scenes on one device.

    Args:
        resolution: Pixels along a side of the square pictures.
        load_mesh: Gives the mesh of a category and instance.
        load_environment: Gives an environment by name, at a size.
        categories: Category names in label order.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """

    def __init__(
        self,
        resolution: int,
        load_mesh: Callable[[str, int], Mesh],
        load_environment: Callable[[str, int], Environment],
        categories: Sequence[str],
        device: str,
    ) -> None:
        self._resolution = resolution
        self._shadow_size = min(max(3 * resolution // 2, 64), 1024)
        self._labels = {name: label for label, name in enumerate(categories)}
        self._device = resolve_device(device)
        load_kernels(self._device)
        self._meshes = Meshes(load_mesh, self._device)
        self._environments = Environments(load_environment, 256 if resolution <= 96 else 512, self._device)
        self._lattice: Any = wp.array(noise_lattice(NOISE_SIZE), dtype=wp.float32, device=self._device)
        self._tones: Any = wp.array(tone_table(), dtype=wp.uint8, device=self._device)
        self._buffers: dict[str, Any] = {}

    def render(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render scenes, one picture each; in smaller batches if the device's memory does not hold them all.

        Raises:
            ConfigError: a scene has too many objects, or the device too little memory for a single picture.
        """
        try:
            return self._render(scenes)
        except Exception as error:
            if not out_of_memory(error):
                raise
            self.close()
            if len(scenes) == 1:
                raise ConfigError(
                    f"{self._device} has too little memory for pictures of {self._resolution} x {self._resolution}",
                    place="simulator.resolution",
                    mend="use a smaller one, or device: cpu",
                ) from error
        half = len(scenes) // 2
        first, second = self.render(scenes[:half]), self.render(scenes[half:])
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(first, field.name), getattr(second, field.name)])
            for field in attrs.fields(FrameBatch)
            if field.name != "scenes"
        }
        return FrameBatch(**joined, scenes=[*(first.scenes or ()), *(second.scenes or ())])

    def _render(self, scenes: Sequence[Scene]) -> FrameBatch:
        drawn = self.draw(scenes)
        shape = (len(scenes), self._resolution, self._resolution)
        return FrameBatch(
            indices=np.array([scene.index for scene in scenes], dtype=np.int64),
            rgb=drawn.rgb.numpy().reshape(*shape, 3).copy(),
            labels=np.array([self._labels[scene.objects[0].category] for scene in scenes], dtype=np.int64),
            instance_mask=drawn.instance.numpy().reshape(shape).copy(),
            category_mask=drawn.category.numpy().reshape(shape).copy(),
            depth=drawn.depth.numpy().reshape(shape).copy(),
            normals=drawn.normals.numpy().reshape(*shape, 3).copy(),
            scenes=self._graphs(scenes, drawn),
        )

    def draw(self, scenes: Sequence[Scene]) -> Drawn:
        """Render scenes and leave the pictures on the device, where the next call overwrites them."""
        resolution, shadow_size = self._resolution, self._shadow_size
        count, pixels = len(scenes), len(scenes) * resolution * resolution
        for scene in scenes:
            if len(scene.objects) > MOST_OBJECTS:
                raise ConfigError(f"a scene has {len(scene.objects)} objects", mend=f"use at most {MOST_OBJECTS}")
        keys = [(item.category, item.instance) for scene in scenes for item in scene.objects]
        meshes = self._meshes.placed(keys, divisible=count > 1)
        meshes += [self._meshes.floor() for scene in scenes if scene.floor is not None]
        environments = self._environments.numbers([scene.background.name for scene in scenes])

        positions, floors = stand(scenes, meshes)
        views = pack_views(scenes, positions, environments, resolution)
        draws = pack_draws(scenes, positions, floors, meshes, self._labels)
        surfaces = pack_surfaces(scenes, meshes)
        glazed = _see_through(views, draws, surfaces)
        batch: Any = structures.Batch()
        batch.views = self._upload(views, structures.View)
        batch.draws = self._upload(draws, structures.Draw)
        batch.surfaces = self._upload(surfaces, Surface)
        placed = int(draws["vertices"].sum())
        batch.placed = self._buffer("placed", placed, wp.vec3)
        batch.placed_for_sun = self._buffer("placed_for_sun", placed, wp.vec3)
        vertex_draw, vertex_first = (self._upload(part, wp.int32) for part in chunks(draws["vertices"]))
        batch.chunk_draw, batch.chunk_first = (self._upload(part, wp.int32) for part in chunks(draws["triangles"]))

        several = bool((views["draws"] > 1).any())
        moving = np.flatnonzero(views["motion"].any(axis=1)).astype(np.int32)
        samples = 4 * resolution * resolution
        visible = self._buffer("visible", count * samples, wp.int64)
        glass = self._buffer("glass", len(glazed) * samples, wp.int64)
        covers = self._buffer("covers", count * samples if several else 0, wp.int64)
        extents = self._buffer("extents", len(draws), wp.int32)
        shown = self._buffer("shown", len(draws), wp.int32)
        low, high = self._buffer("low", len(draws), wp.vec2), self._buffer("high", len(draws), wp.vec2)
        seen_low, seen_high = (
            self._buffer("seen_low", len(draws), wp.vec2i),
            self._buffer("seen_high", len(draws), wp.vec2i),
        )
        heights = self._buffer("heights", count * shadow_size * shadow_size, wp.int32)
        layer = self._buffer("layer", pixels, wp.vec4)
        nearest = self._buffer("nearest", pixels, wp.float32)
        light = self._buffer("light", pixels if len(moving) else 0, wp.vec3)
        drawn = Drawn(
            rgb=self._buffer("rgb", pixels, wp.vec3ub),
            instance=self._buffer("instance", pixels, wp.uint16),
            category=self._buffer("category", pixels, wp.uint16),
            depth=self._buffer("depth", pixels, wp.float32),
            normals=self._buffer("normals", pixels, wp.vec3),
            low=low,
            high=high,
            seen_low=seen_low,
            seen_high=seen_high,
            extents=extents,
            shown=shown,
            meshes=meshes,
            views=views,
            draws=draws,
            surfaces=surfaces,
        )
        for zeroed in (visible, glass, covers, extents, shown, heights, seen_high):
            zeroed.zero_()
        low.fill_(wp.vec2(1e9, 1e9))
        high.fill_(wp.vec2(-1e9, -1e9))
        seen_low.fill_(wp.vec2i(resolution, resolution))

        geometry, surroundings = self._meshes.geometry(), self._environments.surroundings()
        self._launch(
            visibility.transform,
            (len(vertex_draw), structures.CHUNK),
            [geometry, batch.views, batch.draws, vertex_draw, vertex_first, float(resolution), float(shadow_size)],
            [batch.placed, batch.placed_for_sun],
        )
        self._launch(
            visibility.bound,
            len(vertex_draw),
            [batch.draws, vertex_draw, vertex_first, batch.placed],
            [low, high],
        )
        triangles = (len(batch.chunk_draw), structures.CHUNK)
        self._launch(
            visibility.rasterise, triangles, [geometry, batch, resolution], [visible, glass, covers, extents]
        )
        self._launch(visibility.rasterise_shadow, triangles, [geometry, batch, shadow_size], [heights])
        layers = [layer, nearest, drawn.depth, drawn.normals, drawn.instance, drawn.category, shown]
        self._launch(
            shading.shade,
            pixels,
            [geometry, batch, surroundings, self._lattice, visible, heights, resolution, shadow_size],
            layers,
        )
        if len(glazed):
            self._launch(
                shading.glaze,
                (len(glazed), resolution * resolution),
                [
                    geometry,
                    batch,
                    surroundings,
                    self._lattice,
                    visible,
                    glass,
                    self._upload(glazed, wp.int32),
                    heights,
                    resolution,
                    shadow_size,
                ],
                layers,
            )
        self._launch(
            visibility.frame,
            (count, resolution),
            [batch.views, drawn.instance, resolution],
            [seen_low, seen_high],
        )
        self._launch(
            film.develop,
            pixels,
            [batch.views, surroundings, layer, nearest, resolution, self._tones],
            [light, drawn.rgb],
        )
        if len(moving):
            self._launch(
                film.smear,
                (len(moving), resolution * resolution),
                [batch.views, self._upload(moving, wp.int32), resolution, self._tones, light],
                [drawn.rgb],
            )
        return drawn

    def _graphs(self, scenes: Sequence[Scene], drawn: Drawn) -> SceneGraphs:
        counts = drawn.views["draws"]
        objects = int(counts.sum())
        alone, shown = drawn.extents.numpy()[:objects], drawn.shown.numpy()[:objects]
        # A single object is hidden by nothing, so nobody counted it.
        single = np.repeat(counts, counts) == 1
        boxes = np.concatenate([drawn.low.numpy()[:objects], drawn.high.numpy()[:objects]], axis=1)
        visible = np.concatenate([drawn.seen_low.numpy()[:objects], drawn.seen_high.numpy()[:objects]], axis=1)
        share = np.where(single, visible[:, 2] > 0, shown / np.maximum(alone, 1)).astype(np.float32)
        return SceneGraphs(
            tuple(scenes),
            drawn.meshes,
            drawn.views,
            drawn.draws,
            drawn.surfaces,
            boxes,
            visible,
            share,
            self._resolution,
        )

    def close(self) -> None:
        """Give the device's memory back."""
        self._meshes.clear()
        self._environments.clear()
        self._buffers.clear()

    def _launch(self, kernel: Any, dim: Any, inputs: list[Any], outputs: list[Any]) -> None:
        wp.launch(kernel, dim=dim, inputs=inputs, outputs=outputs, device=self._device, record_tape=False)

    def _upload(self, values: NDArray[Any], dtype: Any) -> Any:
        return wp.array(values, dtype=dtype, device=self._device)

    def _buffer(self, name: str, length: int, dtype: Any) -> Any:
        """A view of a buffer that is kept between batches; its contents are whatever was there."""
        kept = self._buffers.get(name)
        if kept is None or len(kept) < length:
            kept = self._buffers[name] = wp.empty(max(length, 1), dtype=dtype, device=self._device)
        return kept[:length]
