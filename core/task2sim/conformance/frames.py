"""What simulators promise of the masks, depth, normals and scene graphs that come with their images."""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.subject import SEED, Subject
from task2sim.datasets import FrameBatch
from task2sim.errors import ParameterError
from task2sim.layers import ARRAY_LAYERS, SCENE_GRAPH

FIELDS = {"rgb": "rgb", **{name: layer.field for name, layer in ARRAY_LAYERS.items()}, SCENE_GRAPH: "scenes"}
"""The capabilities there are, and the field of `FrameBatch` that each fills."""

NEARLY_ALL = 0.98
"""The share of pixels that must obey where edges may be blended."""

COUNT = 16

CHECKS = CheckList()


@attrs.frozen(eq=False)
class Frames:
    """Sixteen images of two settings in one piece, with what comes with them; None for what does not."""

    capabilities: frozenset[str]
    categories: tuple[str, ...]
    batches: list[FrameBatch]

    def joined(self, capability: str) -> NDArray[Any]:
        """A field of all images.

        Raises:
            NotApplicable: the simulator does not promise it, or does not give it.
        """
        if capability not in self.capabilities:
            raise NotApplicable(f"it does not promise {capability!r}")
        parts = [getattr(batch, FIELDS[capability]) for batch in self.batches]
        if any(part is None for part in parts):
            raise NotApplicable(f"it does not give {capability!r}: see frame-contents")
        return np.concatenate([np.asarray(part) for part in parts])

    @property
    def labels(self) -> NDArray[Any]:
        """The labels of all images."""
        return np.concatenate([np.asarray(batch.labels) for batch in self.batches])

    def scenes(self) -> list[Any]:
        """The scene graphs of all images."""
        if "scene-graph" not in self.capabilities:
            raise NotApplicable("it does not promise 'scene-graph'")
        if any(batch.scenes is None for batch in self.batches):
            raise NotApplicable("it does not give 'scene-graph': see frame-contents")
        return [scene for batch in self.batches for scene in batch.scenes or ()]


def _frames(subject: Subject) -> Frames:
    def render() -> Frames:
        with subject.component() as simulator:
            space = simulator.parameter_space
            try:
                settings = [space.everything_varied(), space.default()]
            except ParameterError:
                settings = [next(space.enumerate())]
            batches = [b for setting in settings for b in simulator.render(setting, range(COUNT), SEED)]
            return Frames(frozenset(simulator.capabilities), simulator.categories, batches)

    return subject.remembered("frames", render)


def _known(frames: Frames, *capabilities: str) -> list[NDArray[Any]]:
    """Fields of the right shape; those of a wrong one are another check's matter."""
    height_width = np.shape(frames.batches[0].rgb)[1:3]
    fields = [frames.joined(capability) for capability in capabilities]
    for capability, field in zip(capabilities, fields, strict=True):
        if field.shape[1:3] != height_width or field.ndim != (4 if capability == "normals" else 3):
            raise NotApplicable(f"{capability!r} has the wrong shape: see its own check")
    return fields


@CHECKS.add(
    "frame-contents",
    "frames hold rgb and exactly what capabilities names",
    why="exporters and other plugins choose simulators by their capabilities",
    mend=f"name some of {', '.join(FIELDS)}, and fill the field of each",
)
def _contents(subject: Subject) -> None:
    frames = _frames(subject)
    unknown = frames.capabilities - FIELDS.keys()
    require(not unknown, f"there is no capability {', '.join(map(repr, sorted(unknown)))}")
    require("rgb" in frames.capabilities, "'rgb' is not among its capabilities")
    for capability, field in FIELDS.items():
        held = [getattr(batch, field) is not None for batch in frames.batches]
        promised = capability in frames.capabilities
        require(not promised or all(held), f"{capability!r} is promised, and {field} is None")
        require(promised or not any(held), f"{field} is there, and {capability!r} is not promised")


def _mask(subject: Subject, capability: str) -> NDArray[Any]:
    frames = _frames(subject)
    mask = frames.joined(capability)
    due = (*np.concatenate([b.rgb for b in frames.batches]).shape[:3],)
    require(
        mask.dtype == np.uint16 and mask.shape == due, f"it is {mask.dtype} of shape {mask.shape}, not uint16 {due}"
    )
    return mask


@CHECKS.add(
    "instance-mask",
    "instance masks are uint16 of the images' shape, and show objects: 0 is background, k the k-th object",
    why="what counts or cuts out objects reads them",
    mend="number objects from 1 in every image",
)
def _instance_mask(subject: Subject) -> None:
    mask = _mask(subject, "instance-mask")
    empty = int((mask.reshape(len(mask), -1).max(axis=1) == 0).sum())
    require(empty <= len(mask) // 2, f"{empty} of {len(mask)} masks show no object")
    require(mask.max() < 10_000, f"an object has the number {mask.max()}: number them from 1 in every image")


@CHECKS.add(
    "category-mask",
    "category masks are uint16 of the images' shape: 0 is background, otherwise category + 1",
    why="segmentation learns them, by the positions in categories",
    mend="write the category's position plus one",
)
def _category_mask(subject: Subject) -> None:
    mask = _mask(subject, "category-mask")
    categories = len(_frames(subject).categories)
    require(mask.max() <= categories, f"it holds {mask.max()}, and there are {categories} categories")


@CHECKS.add(
    "category-mask-shows-label",
    "the category of an image's label is seen in its category mask",
    why="labels and masks of the same image would teach different things",
    mend="the first object gives the label; look for a shift by one between the two",
)
def _shows_label(subject: Subject) -> None:
    frames = _frames(subject)
    (mask,) = _known(frames, "category-mask")
    shown = [bool((image == label + 1).any()) for image, label in zip(mask, frames.labels, strict=True)]
    require(sum(shown) > 0.8 * len(shown), f"{len(shown) - sum(shown)} of {len(shown)} masks lack their label")


@CHECKS.add(
    "masks-agree",
    "instance and category mask agree: background in the same pixels, one category for each object",
    why="one of the two is wrong, and nobody would see which",
    mend="write both from the same hit",
)
def _masks_agree(subject: Subject) -> None:
    instances, categories = _known(_frames(subject), "instance-mask", "category-mask")
    differ = float(np.mean((instances == 0) != (categories == 0)))
    require(differ == 0, f"{100 * differ:.2f} % of the pixels are background in one and object in the other")
    for number, (which, what) in enumerate(zip(instances, categories, strict=True)):
        for k in np.unique(which[which > 0]):
            kinds = np.unique(what[which == k])
            require(len(kinds) == 1, f"object {k} of image {number} has the categories {kinds - 1}")


@CHECKS.add(
    "depth",
    "depth is float32 of the images' shape: metres > 0, infinite where the background shows",
    why="what learns depth would learn zeros, or NaN",
    mend="convert the depth buffer to metres along the viewing direction; set the background to infinity",
)
def _depth(subject: Subject) -> None:
    frames = _frames(subject)
    depth = frames.joined("depth")
    due = (*np.concatenate([b.rgb for b in frames.batches]).shape[:3],)
    require(depth.dtype == np.float32 and depth.shape == due, f"it is {depth.dtype} of shape {depth.shape}")
    require(not np.isnan(depth).any(), "some of it is NaN")
    require(depth.min() > 0, f"the least is {depth.min():g}")
    require(np.isfinite(depth).any(), "it is infinite everywhere")


@CHECKS.add(
    "depth-agrees",
    "depth is finite wherever the masks show an object",
    why="objects and their distances would not lie on one another",
    mend="write masks and depth from the same hit; look for one that is upside down",
)
def _depth_agrees(subject: Subject) -> None:
    instances, depth = _known(_frames(subject), "instance-mask", "depth")
    far = float(np.mean(~np.isfinite(depth[instances > 0]))) if (instances > 0).any() else 0.0
    require(far == 0, f"in {100 * far:.1f} % of the objects' pixels it is infinite")


def _lengths(normals: NDArray[Any]) -> NDArray[Any]:
    lengths: NDArray[Any] = np.linalg.norm(normals, axis=-1)
    return lengths


@CHECKS.add(
    "normals",
    "normals are float32 of shape (batch, height, width, 3), each of length one, or zero on the background",
    why="what learns or shades with them takes their length for granted",
    mend="normalise after interpolating; write zeros where nothing was hit",
)
def _normals(subject: Subject) -> None:
    frames = _frames(subject)
    normals = frames.joined("normals")
    due = np.concatenate([b.rgb for b in frames.batches]).shape
    require(
        normals.dtype == np.float32 and normals.shape == due, f"they are {normals.dtype} of shape {normals.shape}"
    )
    lengths = _lengths(normals)
    odd = float(np.mean((np.abs(lengths - 1) > 1e-3) & (lengths > 0)))
    require(odd == 0, f"{100 * odd:.1f} % of them have another length, such as {lengths[lengths > 0].min():.3g}")
    require(lengths.any(), "all of them are zero")


@CHECKS.add(
    "normals-agree",
    "normals are zero exactly where depth is infinite, or, without depth, wherever no object is seen",
    why="one of them belongs to another picture",
    mend="write both from the same hit",
)
def _normals_agree(subject: Subject) -> None:
    frames = _frames(subject)
    other = "depth" if "depth" in frames.capabilities else "instance-mask"
    normals, field = _known(frames, "normals", other)
    surface = np.isfinite(field) if other == "depth" else field > 0
    differ = float(np.mean((_lengths(normals) > 0) != surface))
    require(differ == 0, f"in {100 * differ:.1f} % of the pixels only one of normals and {other} shows something")


@CHECKS.add(
    "normals-face-camera",
    "normals point towards the camera",
    why="inside-out normals turn light into shadow",
    mend="flip normals of surfaces that are seen from behind; give them in the world's axes, not the camera's",
)
def _normals_face_camera(subject: Subject) -> None:
    frames = _frames(subject)
    (normals,) = _known(frames, "normals")
    cameras = [scene.get("camera") or {} for scene in frames.scenes()]
    if not all({"intrinsics", "world_to_camera"} <= camera.keys() for camera in cameras):
        raise NotApplicable("its scene graph has no camera with 'intrinsics' and 'world_to_camera'")
    rows, columns = np.indices(normals.shape[1:3]) + 0.5
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    towards = []
    for image, camera in zip(normals, cameras, strict=True):
        rays = pixels @ np.linalg.inv(np.array(camera["intrinsics"])).T @ np.array(camera["world_to_camera"])[:3, :3]
        seen = _lengths(image) > 0
        towards.append((rays[seen] * image[seen]).sum(axis=-1) < 0.1)
    share = float(np.mean(np.concatenate(towards)))
    require(share >= NEARLY_ALL, f"{100 * (1 - share):.1f} % of them point away")


@CHECKS.add(
    "scene-graph",
    "scenes are one plain-data mapping for each image, which JSON holds",
    why="exporters write them, and question generators read them",
    mend="use lists, finite numbers, texts and None; convert arrays with tolist()",
)
def _scene_graph(subject: Subject) -> None:
    frames = _frames(subject)
    scenes = frames.scenes()
    images = sum(len(batch.rgb) for batch in frames.batches)
    require(len(scenes) == images, f"there are {len(scenes)} for {images} images")
    for scene in scenes:
        try:
            json.dumps(scene, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Breach(f"JSON can't hold one: {error}") from None


@CHECKS.add(
    "scene-graph-shows-label",
    "the first object of a scene graph has the category of the image's label",
    why="questions about a scene would contradict its label",
    mend="list the object that gives the label first",
)
def _graph_shows_label(subject: Subject) -> None:
    frames = _frames(subject)
    scenes = frames.scenes()
    if not all(scene.get("objects") and "category" in scene["objects"][0] for scene in scenes):
        raise NotApplicable("its scene graphs do not list 'objects' with a 'category'")
    named = [frames.categories[int(label)] if 0 <= label < len(frames.categories) else "" for label in frames.labels]
    wrong = [(s["objects"][0]["category"], n) for s, n in zip(scenes, named, strict=True) if n]
    wrong = [pair for pair in wrong if pair[0] != pair[1]]
    require(
        not wrong,
        f"in {len(wrong)} of {len(scenes)} images, such as {wrong[0][0]!r} for {wrong[0][1]!r}" if wrong else "",
    )


@CHECKS.add(
    "boxes-agree",
    "an object's visible_box in the scene graph is its extent in the instance mask",
    why="detection learns boxes; half a pixel or a swapped axis costs it dearly",
    mend="left, top, right, bottom in pixels, right and bottom exclusive; null for what is not seen",
)
def _boxes(subject: Subject) -> None:
    frames = _frames(subject)
    (masks,) = _known(frames, "instance-mask")
    scenes = frames.scenes()
    listed = [item for scene in scenes for item in scene.get("objects") or ()]
    if not listed or not all({"number", "visible_box"} <= item.keys() for item in listed):
        raise NotApplicable("its scene graphs do not list 'objects' with 'number' and 'visible_box'")
    for number, (mask, scene) in enumerate(zip(masks, scenes, strict=True)):
        for item in scene["objects"]:
            rows, columns = np.nonzero(mask == item["number"])
            box = (
                [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
                if len(rows)
                else None
            )
            given = item["visible_box"]
            require(given == box, f"object {item['number']} of image {number} has {given}, and the mask shows {box}")
