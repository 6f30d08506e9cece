"""From a build's answer to pixels, masks, depth and the scene as it really stood."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import PluginError, Scene
from task2sim_threedworld.axes import TO_UNITY, Rig, matrix_of
from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.controller import BuildLost
from task2sim_threedworld.library import Model
from task2sim_threedworld.scene_commands import AVATAR, FAR, NEAR, scale_of


@attrs.frozen(eq=False)
class Frame:
    """One image, as `task2sim.FrameBatch` wants it.

    Attributes:
        rgb: uint8 array of shape (H, W, 3).
        instance_mask: uint16 array of shape (H, W), or None.
        depth: float32 array of shape (H, W), or None.
        graph: The scene as plain data, or None.
    """

    rgb: NDArray[np.uint8]
    instance_mask: NDArray[np.uint16] | None = None
    depth: NDArray[np.float32] | None = None
    graph: Mapping[str, Any] | None = None


def light_of(answer: Sequence[bytes]) -> tuple[float, float, float]:
    """The colour of the sun, as the answer to the set-up tells it: red, green and blue in [0, 1].

    Raises:
        BuildLost: the answer says nothing of lights.
    """
    lights = _outputs(answer).get("ligh")
    if lights is None or not lights.get_num_directional_lights():
        raise BuildLost("it answered the set-up without saying which lights there are")
    red, green, blue = lights.get_directional_light_color(0)
    return (red / 255.0, green / 255.0, blue / 255.0)


def decode(answer: Sequence[bytes], scene: Scene, models: Sequence[Model], resolution: int, annotated: bool) -> Frame:
    """Read the answer to the request for a scene.

    Args:
        answer: The frames of the answer.
        scene: The scene that was asked for.
        models: The model of each of its objects.
        resolution: Height and width that the image must have.
        annotated: Whether masks, depth and the scene's state were asked for.

    Raises:
        BuildLost: something is missing or broken; to ask again is sensible.
        PluginError: the images have another size.
    """
    try:
        return _decode(answer, scene, models, resolution, annotated)
    except (BuildLost, PluginError):
        raise
    except Exception as error:  # FlatBuffers and pictures that are broken inside fail in many ways
        raise BuildLost(f"it sent a broken answer: {type(error).__name__}: {error}") from error


def _decode(
    answer: Sequence[bytes], scene: Scene, models: Sequence[Model], resolution: int, annotated: bool
) -> Frame:
    outputs = _outputs(answer)
    images = outputs.get("imag")
    if images is None or images.get_avatar_id() != AVATAR:
        raise BuildLost("it answered without an image")
    if (images.get_width(), images.get_height()) != (resolution, resolution):
        raise PluginError(
            f"the build sends images of {images.get_width()} x {images.get_height()} pixels instead of"
            f" {resolution} x {resolution}",
            place="simulator.resolution",
            mend="its window can't be that size on this display: choose another resolution",
        )
    passes = {images.get_pass_mask(k): images.get_image(k) for k in range(images.get_num_passes())}
    rgb = _picture(passes, "_img", resolution)
    if not annotated:
        return Frame(rgb)
    missing = {"segm", "tran", "boun", "ligh", "cama"} - set(outputs)
    if missing:
        raise BuildLost(f"it answered without {', '.join(sorted(missing))}")
    mask = _instances(_picture(passes, "_id", resolution), outputs["segm"], len(scene.objects))
    depth = np.where(mask > 0, _depth(passes, resolution), np.float32(np.inf)).astype(np.float32)
    graph = _graph(scene, models, mask, outputs, resolution)
    return Frame(rgb, mask, depth, graph)


def _outputs(answer: Sequence[bytes]) -> dict[str, Any]:
    """The parts of an answer by their type, whatever their order."""
    import_tdw()
    from tdw import output_data

    readers = {
        "imag": output_data.Images,
        "segm": output_data.SegmentationColors,
        "tran": output_data.Transforms,
        "boun": output_data.Bounds,
        "ligh": output_data.Lights,
        "cama": output_data.CameraMatrices,
    }
    found = {}
    for frame in answer[:-1]:
        name = output_data.OutputData.get_data_type_id(frame)
        if name in readers:
            found[name] = readers[name](frame)
    return found


def _picture(passes: Mapping[str, Any], name: str, resolution: int) -> NDArray[np.uint8]:
    from PIL import Image

    if name not in passes:
        raise BuildLost(f"it answered without the {name} picture")
    with Image.open(io.BytesIO(bytes(passes[name]))) as image:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.shape != (resolution, resolution, 3):
        raise BuildLost(f"it sent a {name} picture of another size")
    return pixels


def _instances(colours: NDArray[np.uint8], known: Any, objects: int) -> NDArray[np.uint16]:
    """Which object each pixel shows: the number it was given, from 1; 0 for the surroundings."""
    mask = np.zeros(colours.shape[:2], dtype=np.uint16)
    packed = colours.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    for k in range(known.get_num()):
        identity = known.get_object_id(k)
        red, green, blue = (int(part) for part in known.get_object_color(k))
        if 1 <= identity <= objects:
            mask[packed == red * 65536 + green * 256 + blue] = identity
    return mask


def _depth(passes: Mapping[str, Any], resolution: int) -> NDArray[np.float32]:
    """Metres along the viewing direction."""
    from tdw.tdw_utils import TDWUtils

    raw = passes.get("_depth")
    if raw is None or len(raw) != resolution * resolution * 3:
        raise BuildLost("it answered without the whole _depth picture")
    depth: NDArray[np.float32] = TDWUtils.get_depth_values(
        np.asarray(raw, dtype=np.uint8), width=resolution, height=resolution, near_plane=NEAR, far_plane=FAR
    )
    return depth


def _graph(
    scene: Scene, models: Sequence[Model], mask: NDArray[np.uint16], outputs: Mapping[str, Any], resolution: int
) -> dict[str, Any]:
    """The scene as the build says it stands, in the core's axes."""
    rig, camera = Rig(scene), scene.camera
    axes = rig.camera_axes()
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = axes
    world_to_camera[:3, 3] = -axes @ np.array(camera.position)
    focal = 0.5 * resolution / np.tan(np.radians(0.5 * camera.field_of_view))
    middle = 0.5 * resolution
    lights = outputs["ligh"]
    travel = matrix_of(lights.get_directional_light_rotation(0)) @ (0.0, 0.0, 1.0)
    transforms, bounds = outputs["tran"], outputs["boun"]
    turned = {transforms.get_id(k): transforms.get_rotation(k) for k in range(transforms.get_num())}
    centres = {bounds.get_id(k): bounds.get_center(k) for k in range(bounds.get_num())}
    objects = []
    for number, (item, model) in enumerate(zip(scene.objects, models, strict=True), 1):
        if number not in turned or number not in centres:
            raise BuildLost(f"it lost object {number}")
        x, y, z, w = (float(part) for part in turned[number])
        position = rig.position_back(np.asarray(centres[number], dtype=np.float64))
        rotation = rig.rotation_back((x, y, z, w))
        seen = np.argwhere(mask == number)
        box = None
        if len(seen):
            (top, left), (bottom, right) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
            box = [left, top, right + 1, bottom + 1]
        corners = _corners(model, scale_of(model, item.size)) @ TO_UNITY @ matrix_of(rotation).T + position
        objects.append(
            {
                "number": number,
                "category": item.category,
                "instance": item.instance,
                "model": model.name,
                "position": position.tolist(),
                "rotation": list(rotation),
                "size": item.size,
                "parts": [
                    {
                        "name": part,
                        "material": item.materials[k % len(item.materials)].name if item.materials else None,
                    }
                    for k, (part, _) in enumerate(model.slots)
                ],
                "box": _box(corners @ axes.T + world_to_camera[:3, 3], focal, middle, resolution),
                "visible_box": box,
                # Of several objects nobody counted what each would fill alone.
                "visibility": (1.0 if box else 0.0) if len(scene.objects) == 1 else None,
            }
        )
    return {
        "index": scene.index,
        "objects": objects,
        "camera": {
            "position": list(camera.position),
            "target": list(camera.target),
            "field_of_view": camera.field_of_view,
            "focus_distance": camera.focus_distance,
            "aperture": camera.aperture,
            "intrinsics": [[focal, 0.0, middle], [0.0, focal, middle], [0.0, 0.0, 1.0]],
            "world_to_camera": world_to_camera.tolist(),
        },
        "sun": {
            "direction": (-(rig.turn.T @ travel)).tolist(),
            "colour": [part / 255.0 for part in lights.get_directional_light_color(0)],
            "intensity": float(lights.get_directional_light_intensity(0)),
        },
        "background": {"name": scene.background.name, "rotation": list(scene.background.rotation)},
        "floor": None,
        "fog": None,
    }


def _corners(model: Model, scale: float) -> NDArray[np.float64]:
    """The eight corners of a model's bounds about their centre, in metres and Unity's axes."""
    low, high = np.array(model.low), np.array(model.high)
    signs = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, -1).T
    corners: NDArray[np.float64] = scale * (low + signs * (high - low) - np.array(model.centre))
    return corners


def _box(points: NDArray[np.float64], focal: float, middle: float, resolution: int) -> list[float] | None:
    """What the points fill of the picture, in pixels: left, top, right, bottom; None if that is outside of it."""
    if (points[:, 2] <= NEAR).any():
        return None
    image = middle + focal * points[:, :2] / points[:, 2:]
    (left, top), (right, bottom) = image.min(axis=0).tolist(), image.max(axis=0).tolist()
    if right <= 0 or bottom <= 0 or left >= resolution or top >= resolution:
        return None
    return [left, top, right, bottom]
