"""Takes batches of scenes through the kernels on one device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from task2sim import FrameBatch, Scene
from task2sim_studio import kernels
from task2sim_studio.device import load_kernels, resolve_device
from task2sim_studio.environments import Environment
from task2sim_studio.materials import noise_lattice
from task2sim_studio.mesh import Mesh
from task2sim_studio.packing import chunks, pack_draws, pack_surfaces, pack_views, scene_graphs
from task2sim_studio.patterns import NOISE_SIZE, Surface
from task2sim_studio.uploads import Environments, Meshes


def tone_table() -> NDArray[np.uint8]:
    """sRGB bytes for the square roots of radiances from 0 to `kernels.TONE_LIMIT`.

    A filmic curve with a soft toe, a straight middle and a soft shoulder (Uchimura, "HDR theory and practice", CEDEC
    2017), then the sRGB transfer function.
    """
    x = np.linspace(0.0, math.sqrt(kernels.TONE_LIMIT), kernels.TONE_STEPS) ** 2
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
        self._shadow_size = min(max(2 * resolution, 64), 1024)
        self._labels = {name: label for label, name in enumerate(categories)}
        self._device = resolve_device(device)
        load_kernels(self._device)
        self._meshes = Meshes(load_mesh, self._device)
        self._environments = Environments(load_environment, 256 if resolution <= 96 else 512, self._device)
        self._lattice: Any = wp.array(noise_lattice(NOISE_SIZE), dtype=wp.float32, device=self._device)
        self._tones: Any = wp.array(tone_table(), dtype=wp.uint8, device=self._device)
        self._buffers: dict[str, Any] = {}

    def render(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render scenes, one picture each."""
        resolution, shadow_size = self._resolution, self._shadow_size
        count, pixels = len(scenes), len(scenes) * resolution * resolution
        objects = [item for scene in scenes for item in scene.objects]
        meshes = self._meshes.placed([(item.category, item.instance) for item in objects])
        environments = self._environments.numbers([scene.background.name for scene in scenes])

        views = pack_views(scenes, environments, resolution)
        draws = pack_draws(scenes, meshes, self._labels)
        batch = kernels.Batch()
        batch.views = self._upload(views, kernels.View)
        batch.draws = self._upload(draws, kernels.Draw)
        batch.surfaces = self._upload(pack_surfaces(scenes, meshes), Surface)
        placed = int(draws["vertices"].sum())
        batch.placed = self._buffer("placed", placed, wp.vec3)
        batch.placed_for_sun = self._buffer("placed_for_sun", placed, wp.vec3)
        vertex_draw, vertex_first = (self._upload(part, wp.int32) for part in chunks(draws["vertices"]))
        batch.chunk_draw, batch.chunk_first = (self._upload(part, wp.int32) for part in chunks(draws["triangles"]))

        visible = self._buffer("visible", 4 * pixels, wp.int64)
        heights = self._buffer("heights", count * shadow_size * shadow_size, wp.int32)
        layer = self._buffer("layer", pixels, wp.vec4)
        nearest = self._buffer("nearest", pixels, wp.float32)
        depth = self._buffer("depth", pixels, wp.float32)
        instance = self._buffer("instance", pixels, wp.uint16)
        category = self._buffer("category", pixels, wp.uint16)
        rgb = self._buffer("rgb", pixels, wp.vec3ub)
        visible.zero_()
        heights.zero_()

        geometry, surroundings = self._meshes.geometry(), self._environments.surroundings()
        self._launch(
            kernels.transform,
            (len(vertex_draw), kernels.CHUNK),
            [geometry, batch.views, batch.draws, vertex_draw, vertex_first, float(resolution), float(shadow_size)],
            [batch.placed, batch.placed_for_sun],
        )
        triangles = (len(batch.chunk_draw), kernels.CHUNK)
        self._launch(kernels.rasterise, triangles, [geometry, batch, resolution], [visible])
        self._launch(kernels.rasterise_shadow, triangles, [geometry, batch, shadow_size], [heights])
        self._launch(
            kernels.shade,
            pixels,
            [geometry, batch, surroundings, self._lattice, visible, heights, resolution, shadow_size],
            [layer, nearest, depth, instance, category],
        )
        self._launch(
            kernels.develop,
            pixels,
            [batch.views, surroundings, layer, nearest, resolution, self._tones],
            [rgb],
        )
        shape = (count, resolution, resolution)
        return FrameBatch(
            indices=np.array([scene.index for scene in scenes], dtype=np.int64),
            rgb=rgb.numpy().reshape(*shape, 3).copy(),
            labels=np.array([self._labels[scene.objects[0].category] for scene in scenes], dtype=np.int64),
            instance_mask=instance.numpy().reshape(shape).copy(),
            category_mask=category.numpy().reshape(shape).copy(),
            depth=depth.numpy().reshape(shape).copy(),
            scenes=scene_graphs(scenes, meshes),
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
