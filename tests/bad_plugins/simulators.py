"""A good simulator with all that frames can hold, and bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from bad_plugins.common import Collection, Twist

from task2sim import FrameBatch, ParameterSetting, ParameterSpace, Toggle
from task2sim.conformance.specimens import SPACE, SpecimenSimulator

BAD = Collection()

CAMERA = {
    "intrinsics": [[8.0, 0.0, 5.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]],
    "world_to_camera": [[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 3.0], [0, 0, 0, 1.0]],
}


class Good(Twist, SpecimenSimulator):
    """Shows one thing, in rows 2 to 5 and columns 3 to 7."""

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"rgb", "instance-mask", "category-mask", "depth", "normals", "scene-graph"})

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        seed = (seed + self.twist(seed)) % 2**63
        for batch in super().render(setting, indices, seed):
            yield self.frame(self.complete(attrs.evolve(batch, labels=self.labels_of(batch.indices))))

    def labels_of(self, indices: np.ndarray) -> np.ndarray:
        return indices % len(self.categories)

    def complete(self, batch: FrameBatch) -> FrameBatch:
        shape = batch.rgb.shape[:3]
        there = np.zeros(shape, dtype=bool)
        there[:, 2:6, 3:8] = True
        scenes = [
            {
                "objects": [{"number": 1, "category": self.categories[int(label)], "visible_box": [3, 2, 8, 6]}],
                "camera": CAMERA,
            }
            for label in batch.labels
        ]
        return attrs.evolve(
            batch,
            instance_mask=there.astype(np.uint16),
            category_mask=(there * (batch.labels[:, None, None] + 1)).astype(np.uint16),
            depth=np.where(there, 3.0, np.inf).astype(np.float32),
            normals=(there[..., None] * np.array([0.0, -1.0, 0.0])).astype(np.float32),
            scenes=scenes,
        )

    def frame(self, batch: FrameBatch) -> FrameBatch:
        return batch


@BAD.breaks("parameter-space")
class Undescribed(Good):
    @property
    def parameter_space(self) -> ParameterSpace:
        return ParameterSpace([Toggle("fog"), *SPACE.parameters[1:]])


@BAD.breaks("categories")
class ListOfCategories(Good):
    @property
    def categories(self) -> Any:
        return ["plain", "stripes", "chequers"]


@BAD.breaks("image-size")
class WidthFirst(Good):
    @property
    def image_size(self) -> tuple[int, int]:
        return (self.size + 2, self.size)

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        yield from Straight(self.config).render(setting, indices, seed)


class Straight(Good):
    """As the good one."""


@BAD.breaks("images")
class Floats(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        return attrs.evolve(batch, rgb=batch.rgb / 255.0)


@BAD.breaks("images-asked-for")
class OwnNumbers(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        done = 0
        for batch in super().render(setting, indices, seed):
            yield attrs.evolve(batch, indices=np.arange(done, done + len(batch)))
            done += len(batch)


@BAD.breaks("labels")
class FloatLabels(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        return attrs.evolve(batch, labels=batch.labels.astype(np.float32))


@BAD.breaks("label-balance")
class MostlyFirst(Good):
    def labels_of(self, indices: np.ndarray) -> np.ndarray:
        return np.where(indices % 10 < 8, 0, indices % 10 - 7)


@BAD.breaks("same-in-any-batch")
class Normalised(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        for batch in super().render(setting, indices, seed):
            yield attrs.evolve(batch, rgb=batch.rgb + np.uint8(len(indices) % 20))


@BAD.breaks("same-in-any-order")
class Trailing(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        falling = np.diff(batch.indices, prepend=batch.indices[:1]) < 0
        return attrs.evolve(batch, rgb=batch.rgb + falling[:, None, None, None].astype(np.uint8))


@BAD.breaks("other-seeds-differ")
class Seedless(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        return super().render(setting, indices, 0)


@BAD.breaks("other-indices-differ")
class Two(Good):
    """Has only two images for each category."""

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        for index in indices:
            yield attrs.evolve(self._one(setting, index, seed), indices=np.array([index]))

    def _one(self, setting: ParameterSetting, index: int, seed: int) -> FrameBatch:
        (batch,) = super().render(setting, [index % 6], seed)
        return batch


@BAD.breaks("parameters-matter")
class Rainless(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        setting = self.parameter_space.setting(setting)
        return super().render(self.parameter_space.setting({**setting, "rain": 0}), indices, seed)


@BAD.breaks("parameters-refused")
class Lenient(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        known = {}
        for parameter in self.parameter_space:
            values: tuple[Any, ...] = parameter.values
            known[parameter.name] = (
                setting[parameter.name] if setting[parameter.name] in values else parameter.default
            )
        return super().render(self.parameter_space.setting(known), indices, seed)


@BAD.breaks("every-setting")
class Picky(Good):
    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        if sum(value == 1 for value in setting.values()) == 2:
            raise RuntimeError("these two do not go together")
        return super().render(setting, indices, seed)


@BAD.breaks("abandoned-iterator")
class Busy(Good):
    busy = False

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        if self.busy:
            raise RuntimeError("the renderer is busy")
        for batch in super().render(setting, indices, seed):
            self.busy = True
            yield batch
        self.busy = False


@BAD.breaks("memory-flat")
class Hoarder(Good):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.kept: list[np.ndarray] = []

    def frame(self, batch: FrameBatch) -> FrameBatch:
        self.kept.append(np.ones((len(batch), 2**18), dtype=np.uint8))
        return batch


@BAD.breaks("frame-contents")
class Secretive(Good):
    @property
    def capabilities(self) -> frozenset[str]:
        return super().capabilities - {"depth"}


@BAD.breaks("instance-mask")
class WideMask(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.instance_mask is not None
        return attrs.evolve(batch, instance_mask=batch.instance_mask.astype(np.int64))


@BAD.breaks("category-mask")
class WideCategories(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.category_mask is not None
        return attrs.evolve(batch, category_mask=batch.category_mask.astype(np.int64))


@BAD.breaks("category-mask-shows-label")
class Shifted(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.category_mask is not None
        mask = np.where(batch.category_mask > 0, batch.category_mask % 3 + 1, 0).astype(np.uint16)
        return attrs.evolve(batch, category_mask=mask)


@BAD.breaks("masks-agree")
class Frayed(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.category_mask is not None
        mask = batch.category_mask.copy()
        mask[:, 0, 0] = 1
        return attrs.evolve(batch, category_mask=mask)


@BAD.breaks("depth")
class DoubleDepth(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.depth is not None
        return attrs.evolve(batch, depth=batch.depth.astype(np.float64))


@BAD.breaks("depth-agrees")
class Holes(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.depth is not None
        assert batch.normals is not None
        depth, normals = batch.depth.copy(), batch.normals.copy()
        depth[:, 3, 4], normals[:, 3, 4] = np.inf, 0
        return attrs.evolve(batch, depth=depth, normals=normals)


@BAD.breaks("normals")
class LongNormals(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.normals is not None
        return attrs.evolve(batch, normals=2 * batch.normals)


@BAD.breaks("normals-agree")
class NormalsEverywhere(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.normals is not None
        normals = batch.normals.copy()
        normals[:, 0, 0] = (0, -1, 0)
        return attrs.evolve(batch, normals=normals)


@BAD.breaks("normals-face-camera")
class InsideOut(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.normals is not None
        return attrs.evolve(batch, normals=-batch.normals)


@BAD.breaks("scene-graph")
class ArraysInGraph(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.scenes is not None
        return attrs.evolve(batch, scenes=[{**scene, "sun": np.zeros(3)} for scene in batch.scenes])


@BAD.breaks("scene-graph-shows-label")
class Misnamed(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.scenes is not None
        scenes = [{**s, "objects": [{**s["objects"][0], "category": "chequers"}]} for s in batch.scenes]
        return attrs.evolve(batch, scenes=scenes)


@BAD.breaks("boxes-agree")
class InclusiveBoxes(Good):
    def frame(self, batch: FrameBatch) -> FrameBatch:
        assert batch.scenes is not None
        scenes = [{**s, "objects": [{**s["objects"][0], "visible_box": [3, 2, 7, 5]}]} for s in batch.scenes]
        return attrs.evolve(batch, scenes=scenes)


BAD.add_common("simulators", Good, globals())
