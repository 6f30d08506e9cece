"""ThreeDWorld's protocol: our one request an image beside the paper's pattern, on the build peer.

    python benchmarks/threedworld.py              # round trips and frames a second at 64 and 256 pixels
    python benchmarks/threedworld.py --faults     # 2,000 images with a fault every 50

The pattern is that of the paper's generator (Mishra et al., CVPR 2022, public code): for each image one request that
places the object and asks where it stands, then one each to move, for the skybox, the light, the blur and the
materials, and one for the image, with ThreeDWorld's own controller. No Unity is involved: what is compared is the
conversation, and the peer draws for both.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from task2sim import TASK2SIM_PARAMETERS
from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.library import Library
from task2sim_threedworld.scene_commands import add_model, add_skybox, scale_of
from task2sim_threedworld.simulator import ThreeDWorld
from task2sim_threedworld.testing import count_requests, start_peer, write_build

CATEGORIES = ("chair", "bowl", "vase")
EVERYTHING = TASK2SIM_PARAMETERS.everything_varied()
IMAGES_A_MODEL = 20
"""In the paper's pattern, which stays with a model; ours changes it with every image."""
PORT = 21071


def paper(resolution: int, images: int) -> tuple[float, float]:
    """Requests an image and frames a second of the paper's pattern."""
    import_tdw()
    from tdw.controller import Controller
    from tdw.output_data import Images, OutputData
    from tdw.tdw_utils import TDWUtils

    library, generator = Library(CATEGORIES, None, ()), np.random.default_rng(0)
    materials, skyboxes = list(library.materials.items()), list(library.skyboxes.values())
    models = [model for group in library.models.values() for model in group]

    def draw(low: float, high: float) -> float:
        return float(generator.uniform(low, high))

    with start_peer(PORT), contextlib.redirect_stdout(io.StringIO()):
        controller = Controller(port=PORT, check_version=False, launch_build=False)
        count = 0

        def ask(*commands: dict) -> list[bytes]:
            nonlocal count
            count += 1
            return controller.communicate(list(commands))

        ask(
            {"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": "a"},
            {"$type": "set_screen_size", "width": resolution, "height": resolution},
            {"$type": "set_pass_masks", "pass_masks": ["_img"], "avatar_id": "a"},
            {"$type": "set_field_of_view", "field_of_view": 60.0, "avatar_id": "a"},
        )
        ask(add_skybox(skyboxes[0]))
        count, start = 0, time.perf_counter()
        for index in range(images):
            model = models[index // IMAGES_A_MODEL % len(models)]
            if index % IMAGES_A_MODEL == 0:
                size = dict.fromkeys("xyz", scale_of(model, 1.0))
                ask(
                    *([{"$type": "destroy_object", "id": 1}] if index else []),
                    add_model(model, 1),
                    {"$type": "scale_object", "id": 1, "scale_factor": size},
                )
            ask(
                {"$type": "teleport_object", "id": 1, "position": {"x": 0.0, "y": 1.0, "z": 0.0}},
                *(
                    {"$type": "rotate_object_by", "id": 1, "angle": draw(-180, 180), "axis": axis}
                    for axis in ("pitch", "yaw", "roll")
                ),
                {"$type": "look_at", "avatar_id": "a", "object_id": 1, "use_centroid": True},
                {"$type": "send_image_sensors", "frequency": "once"},
                {"$type": "send_transforms", "frequency": "once", "ids": [1]},
            )
            ask(
                {"$type": "teleport_avatar_to", "avatar_id": "a", "position": {"x": 1.0, "y": 1.5, "z": 1.8}},
                {"$type": "look_at", "avatar_id": "a", "object_id": 1, "use_centroid": True},
            )
            ask(add_skybox(skyboxes[int(generator.integers(len(skyboxes)))]))
            ask(
                {"$type": "rotate_directional_light_by", "angle": draw(0, 360), "axis": "yaw"},
                {"$type": "rotate_directional_light_by", "angle": draw(0, 360), "axis": "pitch"},
                {
                    "$type": "set_directional_light_color",
                    "color": {"r": draw(0.05, 1), "g": draw(0.05, 1), "b": draw(0.05, 1), "a": 1.0},
                },
                {"$type": "adjust_directional_light_intensity_by", "intensity": draw(-0.6, 0.6)},
            )
            ask(
                {"$type": "set_focus_distance", "focus_distance": 2.1 + draw(-1, 1)},
                {"$type": "set_aperture", "aperture": draw(0.5, 1.2) if draw(0, 1) < 0.75 else 70.0},
            )
            dressed = []
            for part, slot in model.slots:
                name, url = materials[int(generator.integers(len(materials)))]
                dressed.append({"$type": "add_material", "name": name, "url": url})
                dressed.append(
                    {
                        "$type": "set_visual_material",
                        "id": 1,
                        "material_name": name,
                        "object_name": part,
                        "material_index": slot,
                    }
                )
            ask(*dressed)
            answer = ask({"$type": "send_images", "frequency": "once"})
            (frame,) = [f for f in answer[:-1] if OutputData.get_data_type_id(f) == "imag"]
            np.asarray(TDWUtils.get_pil_image(Images(frame), 0))
        seconds = time.perf_counter() - start
        controller.communicate({"$type": "terminate"})
        controller.socket.close(0)
    return count / images, images / seconds


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


def rate(simulator: ThreeDWorld, images: int) -> float:
    """Frames a second."""
    start = time.perf_counter()
    for _ in simulator.render(EVERYTHING, range(images), 0):
        pass
    return images / (time.perf_counter() - start)


def requests_an_image(simulator: ThreeDWorld, images: int) -> float:
    """Round trips an image, of a simulator with one build."""
    assert simulator._builds is not None
    session = simulator._builds._sessions[0]
    assert session is not None
    before = session._controller.requests
    rate(simulator, images)
    return (session._controller.requests - before) / images


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
                        if builds == 1:
                            trips[name] = requests_an_image(simulator, 50)
                            empty.append(round_trip(simulator, 500))
                        rows.setdefault(name, []).append(rate(simulator, images))
            base = statistics.median(rows["paper's pattern"])
            print(f"\n{resolution} px, {images} images, median of {rounds} rounds\n")
            print("| | requests an image | frames a second | ratio |\n|---|---|---|---|")
            for name, found in rows.items():
                median = statistics.median(found)
                trip = f"{trips[name]:.2f}" if name in trips else f"{trips['threedworld, builds: 1']:.2f}"
                print(f"| {name} | {trip} | {median:.0f} | {median / base:.2f} |")
            print(f"\nan empty round trip: {statistics.median(empty):.2f} ms")


def faults(images: int, every: int) -> None:
    """Render with faults of all kinds in turn, and without."""
    kinds = ("die", "hang", "ftre", "slow", "short", "disconnect", "restart")

    def digests(build: Path) -> tuple[list[int], str, float]:
        options = {"build": build, "resolution": 64, "categories": CATEGORIES, "timeout": 2.0, "load_timeout": 2.0}
        hashed, indices, start = hashlib.sha256(), [], time.perf_counter()
        with ThreeDWorld(ThreeDWorld.Config(**options)) as simulator:
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
