"""ThreeDWorld's protocol: our one request an image beside the paper's pattern, on the build peer.

    python benchmarks/threedworld.py              # round trips and frames a second at 64 and 256 pixels
    python benchmarks/threedworld.py --faults     # 2,000 images with a fault every 50

The pattern is that of the paper's generator (Mishra et al., CVPR 2022, public code) with everything varied, on
ThreeDWorld's own controller. Twelve requests prepare and end a model; then, for each of its images, one places it and
asks where it stands; then, image by image, come one each to move, for a new skybox (every second image), for the
light, the blur and the materials, and one for the image. No Unity is involved: what is compared is the conversation,
and the peer draws the same kind of picture, as PNG, for both.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from task2sim import TASK2SIM_PARAMETERS
from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.library import Library, Model
from task2sim_threedworld.scene_commands import Command, add_model, add_skybox, scale_of, set_up
from task2sim_threedworld.simulator import ThreeDWorld
from task2sim_threedworld.testing import count_requests, start_peer, write_build

import_tdw()

from tdw.controller import Controller  # noqa: E402
from tdw.output_data import Bounds, Images, ImageSensors, OutputData, Transforms  # noqa: E402
from tdw.tdw_utils import TDWUtils  # noqa: E402

CATEGORIES = ("chair", "bowl", "vase")
EVERYTHING = TASK2SIM_PARAMETERS.everything_varied()
IMAGES_A_MODEL = 50
"""In the paper's pattern, which stays with a model (40,000 images of 787 models); ours takes another each time."""
IMAGES_A_SKYBOX = 2
"""In the paper's pattern, which keeps a skybox for the next image of so few."""
CAMERA = {"x": 1.0, "y": 1.5, "z": 1.8}
PORT = 21071


class Paper:
    """The paper's side of the conversation.

    Args:
        controller: ThreeDWorld's own, connected.
        resolution: Height and width of the images.
    """

    def __init__(self, controller: Any, resolution: int) -> None:
        self._controller = controller
        self._resolution = resolution
        self._generator = np.random.default_rng(0)
        library = Library(CATEGORIES, None, ())
        self._materials, self._skyboxes = list(library.materials.items()), list(library.skyboxes.values())
        self.models = [model for group in library.models.values() for model in group]
        self.requests = 0
        self._change = 0.0
        self._ask(*set_up(resolution, False, self._skyboxes[0]))

    def render(self, images: int) -> None:
        """Make images, one model after another."""
        for first in range(0, images, IMAGES_A_MODEL):
            model = self.models[first // IMAGES_A_MODEL % len(self.models)]
            start = self._prepare(model)
            places = [self._place(*start) for _ in range(min(IMAGES_A_MODEL, images - first))]
            self._stage({"$type": "set_pass_masks", "pass_masks": ["_img"], "avatar_id": "a"}, self._resolution, 5)
            for number, place in enumerate(places):
                self._shoot(model, place, number % IMAGES_A_SKYBOX == 1)
            self._ask({"$type": "destroy_object", "id": 1}, {"$type": "unload_asset_bundles"})

    def _prepare(self, model: Model) -> tuple[Command, ...]:
        """Load a model, fit it into the room and centre it; where it then stands, and how it is turned.

        The paper's code needs one or two requests more for models that are too large or too small.
        """
        factor = dict.fromkeys("xyz", scale_of(model, 1.0))
        scale: Command = {"$type": "scale_object", "id": 1, "scale_factor": factor}
        self._stage(
            {"$type": "set_pass_masks", "pass_masks": [], "avatar_id": "a"}, 32, 0, add_model(model, 1), scale
        )
        stand: Command = {"$type": "teleport_object", "id": 1, "position": dict.fromkeys("xyz", 0.0)}
        look: Command = {"$type": "look_at", "avatar_id": "a", "object_id": 1, "use_centroid": True}
        self._ask(stand, {"$type": "teleport_avatar_to", "avatar_id": "a", "position": CAMERA}, look)
        for _ in ("too large?", "too small?"):
            self._ask({"$type": "send_bounds", "ids": [1], "frequency": "once"})
        bounds = Bounds(self._ask({"$type": "send_bounds", "ids": [1], "frequency": "once"})[0])
        height = 1.0 - float(bounds.get_center(0)[1])
        self._ask({**stand, "position": {"x": 0.0, "y": height, "z": 0.0}}, look)
        self._ask({"$type": "set_pass_masks", "pass_masks": ["_mask"], "avatar_id": "a"})
        self._picture()
        (start,) = self._state({"$type": "send_transforms", "frequency": "once", "ids": [1]})
        self._sky()
        return start

    def _place(self, position: Command, rotation: Command) -> tuple[Command, ...]:
        """Place the model and turn the camera at random; where it stands and how both are turned, as answered."""
        distance, view = self._draw(0.4, 1.5), self._generator.normal(size=3)
        there = {axis: CAMERA[axis] + distance * (position[axis] - CAMERA[axis]) for axis in "xyz"}
        towards = dict(
            zip("xyz", (np.array(list(CAMERA.values())) + view / np.linalg.norm(view)).tolist(), strict=True)
        )
        turns: list[Command] = [
            {"$type": "rotate_object_by", "id": 1, "angle": self._draw(-180, 180), "axis": axis}
            for axis in ("pitch", "yaw", "roll")
        ]
        (camera,), (where, turned) = self._state(
            {"$type": "teleport_avatar_to", "avatar_id": "a", "position": CAMERA},
            {"$type": "rotate_object_to", "id": 1, "rotation": rotation},
            *turns,
            {"$type": "teleport_object", "id": 1, "position": there},
            {"$type": "look_at", "avatar_id": "a", "object_id": 1, "use_centroid": True},
            {"$type": "parent_object_to_avatar", "id": 1, "avatar_id": "a", "sensor": True},
            {"$type": "look_at_position", "avatar_id": "a", "position": towards},
            {"$type": "unparent_object", "id": 1},
            {"$type": "send_image_sensors", "frequency": "once"},
            {"$type": "send_transforms", "frequency": "once", "ids": [1]},
        )
        return where, turned, camera

    def _shoot(self, model: Model, place: tuple[Command, ...], new_sky: bool) -> None:
        """Make one image."""
        where, turned, camera = place
        self._ask(
            {"$type": "teleport_avatar_to", "avatar_id": "a", "position": CAMERA},
            {"$type": "rotate_sensor_container_to", "avatar_id": "a", "rotation": camera},
            {"$type": "teleport_object", "id": 1, "position": where},
            {"$type": "rotate_object_to", "id": 1, "rotation": turned},
        )
        if new_sky:
            self._sky()
        before, self._change = self._change, self._draw(-0.6, 0.6)
        colour = {channel: self._draw(0.05, 1) for channel in "rgb"}
        self._ask(
            {"$type": "rotate_directional_light_by", "angle": self._draw(0, 360), "axis": "yaw"},
            {"$type": "rotate_directional_light_by", "angle": self._draw(0, 360), "axis": "pitch"},
            {"$type": "set_directional_light_color", "color": {**colour, "a": 1.0}},
            {"$type": "adjust_directional_light_intensity_by", "intensity": self._change - before},
        )
        away = math.dist(where.values(), CAMERA.values())
        blurred = self._draw(0, 1) < 0.75
        self._ask(
            {"$type": "set_focus_distance", "focus_distance": max(away + self._draw(-1, 1), 0.1)},
            {"$type": "set_aperture", "aperture": self._draw(0.5, 1.2) if blurred else 70.0},
        )
        dressed: list[Command] = []
        for part, slot in model.slots:
            name, url = self._materials[int(self._generator.integers(len(self._materials)))]
            worn: Command = {"material_name": name, "object_name": part, "material_index": slot}
            dressed.append({"$type": "add_material", "name": name, "url": url})
            dressed.append({"$type": "set_visual_material", "id": 1, **worn})
        self._ask(*dressed)
        self._picture()

    def _ask(self, *commands: Command) -> list[bytes]:
        self.requests += 1
        answer: list[bytes] = self._controller.communicate(list(commands))
        return answer

    def _draw(self, low: float, high: float) -> float:
        return float(self._generator.uniform(low, high))

    def _stage(self, masks: Command, resolution: int, quality: int, *more: Command) -> None:
        """Small and quick to place a model, large and good for its images."""
        size: Command = {"$type": "set_screen_size", "width": resolution, "height": resolution}
        self._ask(*more, size, masks, {"$type": "set_render_quality", "render_quality": quality})

    def _sky(self) -> None:
        """Another skybox, which brings its own light."""
        self._ask(add_skybox(self._skyboxes[int(self._generator.integers(len(self._skyboxes)))]))
        self._change = 0.0

    def _state(self, *commands: Command) -> list[tuple[Command, ...]]:
        """What is asked for: of the camera its rotation, of the model its position and rotation."""
        found: list[tuple[Command, ...]] = []
        for frame in self._ask(*commands)[:-1]:
            kind = OutputData.get_data_type_id(frame)
            if kind == "imse":
                found.insert(0, (_named(ImageSensors(frame).get_sensor_rotation(0)),))
            elif kind == "tran":
                state = Transforms(frame)
                found.append((_named(state.get_position(0)), _named(state.get_rotation(0))))
        return found

    def _picture(self) -> None:
        """Ask for a picture, and read it."""
        answer = self._ask({"$type": "send_images", "frequency": "once"})
        (frame,) = [f for f in answer[:-1] if OutputData.get_data_type_id(f) == "imag"]
        np.asarray(TDWUtils.get_pil_image(Images(frame), 0))


def _named(values: Iterable[float]) -> Command:
    return dict(zip("xyzw", map(float, values), strict=False))


def paper(resolution: int, images: int) -> tuple[float, float]:
    """Requests an image and frames a second of the paper's pattern."""
    with start_peer(PORT), contextlib.redirect_stdout(io.StringIO()):
        controller = Controller(port=PORT, check_version=False, launch_build=False)
        side = Paper(controller, resolution)
        before, start = side.requests, time.perf_counter()
        side.render(images)
        seconds = time.perf_counter() - start
        controller.communicate({"$type": "terminate"})
        controller.socket.close(0)
    return (side.requests - before) / images, images / seconds


@contextmanager
def ours(build: Path, resolution: int, builds: int, annotations: bool) -> Iterator[ThreeDWorld]:
    """Our simulator on a build, warmed up."""
    config = ThreeDWorld.Config(
        build=build, resolution=resolution, builds=builds, annotations=annotations, categories=CATEGORIES
    )
    with ThreeDWorld(config) as simulator:
        for _ in simulator.render(EVERYTHING, range(4 * builds), 1):
            pass
        yield simulator


def rate(simulator: ThreeDWorld, images: int) -> tuple[float, float]:
    """Requests an image, over all builds, and frames a second."""
    before, start = _requests(simulator), time.perf_counter()
    for _ in simulator.render(EVERYTHING, range(images), 0):
        pass
    seconds = time.perf_counter() - start
    return (_requests(simulator) - before) / images, images / seconds


def _requests(simulator: ThreeDWorld) -> int:
    """How many requests the builds have answered."""
    assert simulator._builds is not None
    return sum(session._controller.requests for session in simulator._builds._sessions if session is not None)


def round_trip(simulator: ThreeDWorld, times: int) -> float:
    """Milliseconds of a request that asks for nothing."""
    assert simulator._builds is not None
    session = simulator._builds._sessions[0]
    assert session is not None
    start = time.perf_counter()
    for _ in range(times):
        session._controller.communicate({"$type": "do_nothing"})
    return 1e3 * (time.perf_counter() - start) / times


def compare(resolutions: list[int], images: int, rounds: int) -> None:
    """Both sides in turns; medians."""
    with tempfile.TemporaryDirectory() as folder:
        build = write_build(Path(folder) / "build")
        for resolution in resolutions:
            rows: dict[str, list[float]] = {}
            trips: dict[str, float] = {}
            empty = []
            for _ in range(rounds):
                trips["paper's pattern"], theirs = paper(resolution, images)
                rows.setdefault("paper's pattern", []).append(theirs)
                for builds, annotations in ((1, False), (2, False), (4, False), (1, True)):
                    name = f"threedworld, builds: {builds}" + (", masks, depth and graphs" if annotations else "")
                    with ours(build, resolution, builds, annotations) as simulator:
                        trips[name], frames = rate(simulator, images)
                        rows.setdefault(name, []).append(frames)
                        if builds == 1:
                            empty.append(round_trip(simulator, 500))
            base = statistics.median(rows["paper's pattern"])
            print(f"\n{resolution} px, {images} images, median of {rounds} rounds\n")
            print("| | requests an image | frames a second | ratio |\n|---|---|---|---|")
            for name, found in rows.items():
                median = statistics.median(found)
                print(f"| {name} | {trips[name]:.2f} | {median:.0f} | {median / base:.2f} |")
            print(f"\nan empty round trip: {statistics.median(empty):.2f} ms")


def faults(images: int, every: int) -> None:
    """Render with faults of all kinds in turn, and without."""
    kinds = ("die", "hang", "ftre", "slow", "short", "disconnect", "restart")

    def digests(build: Path) -> tuple[list[int], str, float]:
        config = ThreeDWorld.Config(build=build, resolution=64, categories=CATEGORIES, timeout=2.0, load_timeout=2.0)
        hashed, indices, start = hashlib.sha256(), [], time.perf_counter()
        with ThreeDWorld(config) as simulator:
            for batch in simulator.render(EVERYTHING, range(images), 5):
                indices += batch.indices.tolist()
                for part in (batch.rgb, batch.instance_mask, batch.depth):
                    hashed.update(np.ascontiguousarray(part).tobytes())
        return indices, hashed.hexdigest(), time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder:
        calm = digests(write_build(Path(folder) / "calm"))
        broken = write_build(Path(folder) / "broken", faults=kinds, every=every)
        tried = digests(broken)
        met = count_requests(broken) // every
    same = calm[:2] == tried[:2] and tried[0] == list(range(images))
    print(f"{images} images, {met} faults ({', '.join(kinds)} in turn): {'identical' if same else 'DIFFERENT'}")
    print(f"{calm[2]:.1f} s without faults, {tried[2]:.1f} s with")
    if not same:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", action="store_true", help="render with a fault every --every images instead")
    parser.add_argument("--images", type=int, default=None, help="default 300; 2000 with --faults")
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.faults:
        faults(given.images or 2000, given.every)
    else:
        compare(given.resolutions, given.images or 300, given.rounds)


if __name__ == "__main__":
    main()
