"""The stream of commands: what each parameter sends, in which range, and that it never changes unnoticed."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

from task2sim import TASK2SIM_PARAMETERS, SceneAssets
from task2sim.randomisation import randomise
from task2sim_threedworld.library import Library, Model
from task2sim_threedworld.scene_commands import F_NUMBERS, STAGING, SceneCommands, scale_of, set_up

GOLDEN = Path(__file__).parent / "golden_commands.jsonl"
LIBRARY = Library(("chair", "bowl", "vase"), None, ())
ASSETS = SceneAssets(
    {name: len(models) for name, models in LIBRARY.models.items()},
    tuple(LIBRARY.materials),
    tuple(LIBRARY.skyboxes),
    staging=STAGING,
)
EVERYTHING = TASK2SIM_PARAMETERS.everything_varied()
NOTHING = TASK2SIM_PARAMETERS.default()


def requests(setting, count: int = 200, seed: int = 0, annotated: bool = True) -> list[list[dict]]:
    commands = SceneCommands(LIBRARY, annotated, (1.0, 1.0, 1.0))
    return [commands.request(randomise(setting, ASSETS, index, seed)) for index in range(count)]


def of_type(stream: list[list[dict]], name: str) -> list[dict]:
    return [command for request in stream for command in request if command["$type"] == name]


def varied(*names: str):
    return TASK2SIM_PARAMETERS.setting(dict.fromkeys(names, 1))


def golden() -> str:
    """The set-up and eighteen requests, one a line: each parameter alone, nothing and everything varied."""
    settings = [NOTHING, *(varied(name) for name in TASK2SIM_PARAMETERS.names), EVERYTHING]
    stream = [set_up(64, True, next(iter(LIBRARY.skyboxes.values())))]
    commands = SceneCommands(LIBRARY, True, (1.0, 1.0, 1.0))
    stream += [commands.request(randomise(s, ASSETS, index, 7)) for s in settings for index in (0, 4)]
    return "".join(json.dumps(request) + "\n" for request in stream).replace(f"/{_platform()}/", "/PLATFORM/")


def _platform() -> str:
    import platform

    return {"Linux": "linux", "Darwin": "osx", "Windows": "windows"}[platform.system()]


def test_the_stream_of_commands_is_the_golden_one() -> None:
    """A change here changes images: it belongs into the changelog. Run this file as a script to write it anew."""
    assert golden().splitlines() == GOLDEN.read_text().splitlines()


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, second, other = (json.dumps(requests(EVERYTHING, 20, seed)) for seed in (3, 3, 4))
    assert first == second != other


def test_an_image_takes_one_request_that_begins_with_a_clear_stage_and_ends_with_the_image() -> None:
    stream = requests(EVERYTHING, 50, annotated=False)
    assert [request[-1]["$type"] for request in stream] == ["send_images"] * 50
    assert [request[0] for request in stream[1:]] == [{"$type": "destroy_object", "id": 1}] * 49
    assert all(Counter(c["$type"] for c in request)["add_object"] == 1 for request in stream)


CHANGES = {
    "object_rotation": {"rotate_object_to", "teleport_object"},  # the pivot is not the centre
    "camera_distance": {"teleport_object", "set_focus_distance"},
    "light_intensity": {"adjust_directional_light_intensity_by"},
    "light_colour": {"set_directional_light_color"},
    "light_direction": {"rotate_directional_light_by"},
    "focus_blur": {"set_focus_distance", "set_aperture"},
    "background": {"add_hdri_skybox", "teleport_object", "rotate_object_to", "rotate_sensor_container_to"},
    "materials": {"add_material", "set_visual_material"},
}


@pytest.mark.parametrize("name", TASK2SIM_PARAMETERS.names)
def test_a_parameter_changes_its_commands_and_no_others(name: str) -> None:
    fixed, changed = requests(NOTHING, 30), requests(varied(name), 30)
    differing = set()
    for first, second in zip(fixed, changed, strict=True):
        kinds = {command["$type"] for command in [*first, *second]}
        for kind in kinds:
            if [c for c in first if c["$type"] == kind] != [c for c in second if c["$type"] == kind]:
                differing.add(kind)
    assert differing == CHANGES[name]


def test_the_ranges_are_the_papers() -> None:
    stream = requests(EVERYTHING, 1500)
    apertures = [command["aperture"] for command in of_type(stream, "set_aperture")]
    blurred = [f for f in apertures if f != 70.0]
    assert len(blurred) / len(apertures) == pytest.approx(0.75, abs=0.04)
    assert (min(blurred), max(blurred)) == pytest.approx(F_NUMBERS, abs=0.02)
    colours = np.array([[c["color"][k] for k in "rgb"] for c in of_type(stream, "set_directional_light_color")])
    assert colours.min(axis=0) == pytest.approx(0.05, abs=0.02)
    assert colours.max(axis=0) == pytest.approx(1.0, abs=0.02)
    intensity, base, relative = 0.0, 0.0, []
    for request in stream:
        for command in request:
            if command["$type"] == "add_hdri_skybox":
                base = intensity = float(np.float32(command["sun_intensity"]))
            if command["$type"] == "adjust_directional_light_intensity_by":
                intensity += command["intensity"]
                relative.append(intensity - base)
    assert (min(relative), max(relative)) == pytest.approx((-0.6, 0.6), abs=0.01)
    turns = {axis: [] for axis in ("yaw", "pitch")}
    for command in of_type(stream, "rotate_directional_light_by"):
        turns[command["axis"]].append(command["angle"])
    assert all(0.0 <= angle <= 360.0 for angles in turns.values() for angle in angles)
    assert len({command["name"] for command in of_type(stream, "add_hdri_skybox")}) == 43
    focus = np.array(
        [command["focus_distance"] for command in of_type(requests(varied("focus_blur")), "set_focus_distance")]
    )
    offset = focus - STAGING.camera_distance
    assert (offset.min(), offset.max()) == pytest.approx((-1.0, 1.0), abs=0.05)


def test_the_distance_is_the_papers_and_the_camera_stays() -> None:
    camera = np.array((1.0, 1.5, 1.8))
    stream = requests(varied("camera_distance"), 600)
    assert {tuple(c["position"].values()) for c in of_type(stream, "teleport_avatar_to")} == {(1.0, 1.5, 1.8)}
    factors = []
    for index, request in enumerate(stream):
        model = LIBRARY.models[(scene := randomise(varied("camera_distance"), ASSETS, index, 0)).objects[0].category]
        model = model[scene.objects[0].instance]
        (pivot,) = (np.array([*c["position"].values()]) for c in request if c["$type"] == "teleport_object")
        centre = pivot + scale_of(model, 1.0) * np.array(model.centre)
        factors.append(np.linalg.norm(centre - camera) / np.linalg.norm(np.array((0.0, 1.0, 0.0)) - camera))
        assert np.cross(centre - camera, np.array((0.0, 1.0, 0.0)) - camera) == pytest.approx((0, 0, 0), abs=1e-5)
    assert (min(factors), max(factors)) == pytest.approx((0.4, 1.5), abs=0.01)


def test_unitys_thirty_two_bits_keep_account_of_the_intensity() -> None:
    """However long the run, the sun is exactly as bright as it would be in a fresh build."""
    setting = varied("light_intensity")
    base = np.float32(next(iter(LIBRARY.skyboxes.values())).sun_intensity)
    commands = SceneCommands(LIBRARY, False, (1.0, 1.0, 1.0))
    build = base
    for index in range(1000):
        scene = randomise(setting, ASSETS, index, 0)
        for command in commands.request(scene):
            if command["$type"] == "adjust_directional_light_intensity_by":
                build = np.float32(build + np.float32(json.loads(json.dumps(command["intensity"]))))
        fresh = SceneCommands(LIBRARY, False, (1.0, 1.0, 1.0)).request(scene)
        (change,) = [c["intensity"] for c in fresh if c["$type"] == "adjust_directional_light_intensity_by"]
        assert build == np.float32(base + np.float32(change))
        assert float(build - base) == pytest.approx(scene.sun.intensity - 1.0, abs=2e-5)
    for command in commands.request(randomise(NOTHING, ASSETS, 0, 0)):
        if command["$type"] == "adjust_directional_light_intensity_by":
            build = np.float32(build + np.float32(command["intensity"]))
    assert build == base


def test_every_slot_of_a_model_wears_a_material_that_was_loaded_before() -> None:
    for index, request in enumerate(requests(varied("materials"), 60)):
        scene = randomise(varied("materials"), ASSETS, index, 0)
        model = LIBRARY.models[scene.objects[0].category][scene.objects[0].instance]
        loaded: set[str] = set()
        dressed = []
        for command in request:
            if command["$type"] == "add_material":
                loaded.add(command["name"])
            if command["$type"] == "set_visual_material":
                assert command["material_name"] in loaded
                dressed.append((command["object_name"], command["material_index"]))
        assert tuple(dressed) == model.slots


def model_of(width: float, height: float, length: float) -> Model:
    half = (0.5 * width, 0.5 * length)
    return Model("m", "c", "", 1.0, (-half[0], 0.0, -half[1]), (half[0], height, half[1]), ())


@pytest.mark.parametrize(
    ("sides", "size", "largest"),
    [
        ((0.1, 0.2, 0.05), 1.0, 1.0),
        ((3.0, 2.0, 1.0), 1.0, 1.0),
        ((0.2, 0.4, 0.1), 20.0, 4.05),  # nine tenths of the room's height
        ((0.4, 0.2, 0.1), 20.0, 5.0),  # half its width
        ((0.4, 0.2, 0.1), 0.3, 0.3),  # a small thing among others stays small
    ],
)
def test_models_are_scaled_to_a_metre_and_fit_the_room(sides, size: float, largest: float) -> None:
    model = model_of(*sides)
    assert scale_of(model, size) * max(sides) == pytest.approx(largest)


def test_numbers_are_plain_and_short() -> None:
    text = json.dumps(requests(EVERYTHING, 30))
    assert "NaN" not in text
    assert "-0.0," not in text
    assert not [c for r in requests(EVERYTHING, 30) for c in r if any(isinstance(v, np.generic) for v in c.values())]
    assert all(
        math.isfinite(value)
        for c in of_type(requests(EVERYTHING, 30), "teleport_object")
        for value in c["position"].values()
    )


if __name__ == "__main__":
    GOLDEN.write_text(golden())
