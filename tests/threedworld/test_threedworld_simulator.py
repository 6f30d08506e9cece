"""The simulator against the peer: what each parameter changes, and that images survive whatever builds do."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from task2sim import TASK2SIM_PARAMETERS, ConfigError, ParameterError, PluginError
from task2sim.randomisation import randomise
from task2sim_threedworld.simulator import ThreeDWorld

NOTHING = TASK2SIM_PARAMETERS.default()
EVERYTHING = TASK2SIM_PARAMETERS.everything_varied()
CATEGORIES = ("chair", "bowl", "vase")
FAULTS = ("die", "hang", "ftre", "slow", "short", "disconnect", "restart")


def varied(*names: str):
    return TASK2SIM_PARAMETERS.setting(dict.fromkeys(names, 1))


def frames(simulator, setting, indices, seed: int = 0):
    """All batches as one: fields as arrays, graphs as a list."""
    batches = list(simulator.render(setting, list(indices), seed))
    fields = [f.name for f in attrs.fields(type(batches[0])) if f.name != "scenes"]
    joined = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in fields
        if getattr(batches[0], name) is not None
    }
    return joined, [graph for batch in batches for graph in (batch.scenes or ())]


def simulator_of(build: Path, **options) -> ThreeDWorld:
    given = {
        "build": build,
        "categories": CATEGORIES,
        "resolution": 48,
        "timeout": 2.0,
        "load_timeout": 5.0,
        **options,
    }
    return ThreeDWorld(ThreeDWorld.Config(**given))


def changed(first, second) -> np.ndarray:
    """Which images differ anywhere."""
    return np.array([not np.array_equal(a, b) for a, b in zip(first, second, strict=True)])


# --- what each parameter changes ---

POSE = {"object_rotation", "camera_distance"}


@pytest.mark.parametrize("name", TASK2SIM_PARAMETERS.names)
def test_a_parameter_changes_what_it_should_and_nothing_else(calm, fine, name: str) -> None:
    simulator = fine if name == "focus_blur" else calm
    (before, was), (after, now) = (frames(simulator, setting, range(24)) for setting in (NOTHING, varied(name)))
    assert changed(before["rgb"], after["rgb"]).mean() > 0.5  # focus is sharp in one image of four
    if name in POSE:
        assert changed(before["instance_mask"], after["instance_mask"]).mean() > 0.9
    else:
        # The camera turns with the object before another sky: what is seen of the object moves by rounding at most.
        differing = (before["instance_mask"] != after["instance_mask"]).mean()
        assert differing < (0.002 if name == "background" else 1e-9)
        both = (before["instance_mask"] > 0) & (after["instance_mask"] > 0)
        assert np.abs(before["depth"][both] - after["depth"][both]).max() < 1e-2
    for first, second in zip(was, now, strict=True):
        thing, other = first["objects"][0], second["objects"][0]
        assert thing["model"] == other["model"]
        assert np.allclose(thing["position"], other["position"], atol=1e-5)
        same_turn = abs(np.dot(thing["rotation"], other["rotation"])) > 1 - 1e-6
        assert same_turn != (name == "object_rotation")
        moved = math.dist(first["camera"]["position"], second["camera"]["position"])
        assert (moved > 1e-3) == (name == "camera_distance")
        sun, light = first["sun"], second["sun"]
        assert (abs(sun["intensity"] - light["intensity"]) > 1e-4) == (
            name == "light_intensity" or (name == "background" and sun["intensity"] != light["intensity"])
        )
        assert (sun["colour"] != light["colour"]) == (name == "light_colour")
        if name not in ("light_direction", "background"):
            assert np.allclose(sun["direction"], light["direction"], atol=1e-5)
        assert (thing["parts"] != other["parts"]) == (name == "materials")
    if name in ("light_intensity", "light_colour", "light_direction", "materials"):
        behind = before["instance_mask"] == 0
        assert np.array_equal(before["rgb"][behind], after["rgb"][behind])
    if name == "background":
        assert len({graph["background"]["name"] for graph in now}) > 10


def test_light_makes_things_brighter_and_coloured(calm) -> None:
    (dark, was), (lit, graphs) = (
        frames(calm, setting, range(60)) for setting in (NOTHING, varied("light_intensity"))
    )
    shown = dark["instance_mask"] > 0
    change = [
        (b[m].mean() - a[m].mean())
        for a, b, m in zip(dark["rgb"].astype(float), lit["rgb"].astype(float), shown, strict=True)
    ]
    by = np.array([graph["sun"]["intensity"] for graph in graphs]) - was[0]["sun"]["intensity"]
    clear = (np.abs(by) > 0.1) & (np.abs(change) > 0.0)
    assert clear.sum() > 20
    assert (np.sign(change)[clear] == np.sign(by)[clear]).all()
    coloured, graphs = frames(calm, varied("light_colour"), range(60))

    def warmth(images: np.ndarray) -> np.ndarray:
        """How much redder than blue the object is."""
        return np.array(
            [
                np.log((i[m][:, 0] + 1.0).mean() / (i[m][:, 2] + 1.0).mean())
                for i, m in zip(images, shown, strict=True)
            ]
        )

    asked = np.array([np.log(graph["sun"]["colour"][0] / graph["sun"]["colour"][2]) for graph in graphs])
    change = warmth(coloured["rgb"]) - warmth(dark["rgb"])
    clear = (np.abs(asked) > 0.5) & (np.abs(change) > 1e-9)
    assert clear.sum() > 20
    assert (np.sign(change)[clear] == np.sign(asked)[clear]).mean() > 0.85


def test_the_sun_shines_from_where_the_scene_says(calm) -> None:
    for setting in (varied("light_direction"), EVERYTHING):
        _, graphs = frames(calm, setting, range(20), seed=2)
        for index, graph in enumerate(graphs):
            asked = randomise(setting, calm.assets, index, 2).sun.direction
            assert np.allclose(graph["sun"]["direction"], asked, atol=1e-4)


def test_masks_depth_and_boxes_agree_with_the_scene(calm) -> None:
    found, graphs = frames(calm, EVERYTHING, range(40), seed=1)
    for index, graph in enumerate(graphs):
        mask, depth = found["instance_mask"][index], found["depth"][index]
        scene, thing = randomise(EVERYTHING, calm.assets, index, 1), graph["objects"][0]
        assert set(np.unique(mask)) <= {0, 1}
        assert (found["category_mask"][index] == mask * (found["labels"][index] + 1)).all()
        assert np.isinf(depth[mask == 0]).all()
        assert thing["category"] == CATEGORIES[found["labels"][index]]
        assert np.allclose(thing["position"], (0, 0, 0), atol=1e-4)
        assert abs(np.dot(thing["rotation"], scene.objects[0].rotation)) > 1 - 1e-5
        away = math.hypot(*scene.camera.position)
        assert away - 0.9 < depth[mask > 0].min() < away + 0.5
        rows, columns = np.nonzero(mask)
        left, top, right, bottom = thing["visible_box"]
        assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        if thing["box"] is not None:  # the whole of it is before the camera
            full = np.clip(thing["box"], 0, 48)
            assert np.abs(full - (left, top, right, bottom)).max() <= 1.5


def test_blurred_images_have_softer_edges(fine) -> None:
    sharp, _ = frames(fine, NOTHING, range(30))
    soft, graphs = frames(fine, varied("focus_blur"), range(30))

    def detail(images: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(images.astype(float).mean(-1), axis=2)).mean((1, 2))

    blurred = np.array([graph["camera"]["aperture"] > 0 for graph in graphs])
    assert 0.5 < blurred.mean() < 0.95
    assert (detail(soft["rgb"])[blurred] < detail(sharp["rgb"])[blurred]).mean() > 0.9
    assert not changed(soft["rgb"][~blurred], sharp["rgb"][~blurred]).any()


# --- the same images, whatever happens ---


def test_an_image_depends_on_setting_seed_and_index_alone(calm, calm_build: Path) -> None:
    whole, graphs = frames(calm, EVERYTHING, range(12), seed=5)
    part, _ = frames(calm, EVERYTHING, [7, 3], seed=5)
    assert np.array_equal(part["rgb"], whole["rgb"][[7, 3]])
    with simulator_of(calm_build) as fresh:
        again, same = frames(fresh, EVERYTHING, range(12), seed=5)
    for name in whole:
        assert np.array_equal(whole[name], again[name], equal_nan=True)
    assert graphs == same
    other, _ = frames(calm, EVERYTHING, range(12), seed=6)
    assert changed(whole["rgb"], other["rgb"]).all()


def test_four_builds_give_the_images_of_one(calm, calm_build: Path) -> None:
    one, graphs = frames(calm, EVERYTHING, range(150), seed=8)
    with simulator_of(calm_build, builds=4) as four:
        many, same = frames(four, EVERYTHING, range(150), seed=8)
    for name in one:
        assert np.array_equal(one[name], many[name])
    assert graphs == same


@pytest.mark.parametrize("builds", [1, 2])
def test_no_image_is_lost_or_repeated_when_builds_fail(calm, peer_build, builds: int) -> None:
    """Every kind of fault, each at another image, at the same time in both builds."""
    expected, _ = frames(calm, EVERYTHING, range(120), seed=9)
    from task2sim_threedworld.testing import count_requests

    build = peer_build(faults=FAULTS, every=8, slow_seconds=0.2)
    with simulator_of(build, builds=builds, timeout=0.6, load_timeout=0.6) as tried:
        got, _ = frames(tried, EVERYTHING, range(120), seed=9)
    assert count_requests(build) // 8 >= 14  # each fault twice
    for name in expected:
        assert np.array_equal(expected[name], got[name])


def test_builds_are_replaced_before_their_memory_grows(calm, calm_build: Path) -> None:
    expected, _ = frames(calm, EVERYTHING, range(40), seed=3)
    with simulator_of(calm_build, restart_after=7) as careful:
        first, _ = frames(careful, EVERYTHING, range(14), seed=3)
        (ours,) = _builds_of(os.getpid(), calm_build, careful)
        rest, _ = frames(careful, EVERYTHING, range(14, 40), seed=3)
        (later,) = _builds_of(os.getpid(), calm_build, careful)
    assert ours.pid != later.pid
    assert np.array_equal(np.concatenate([first["rgb"], rest["rgb"]]), expected["rgb"])


def _builds_of(process: int, build: Path, simulator: ThreeDWorld) -> list[psutil.Process]:
    """The peers of a simulator, among those of this process."""
    port = f"{simulator._builds._sessions[0]._controller.port}"
    children = psutil.Process(process).children(recursive=True)
    return [p for p in children if "task2sim_threedworld.testing" in p.cmdline() and port in p.cmdline()]


def test_an_abandoned_iterator_and_two_closes_do_no_harm(calm_build: Path) -> None:
    simulator = simulator_of(calm_build)
    expected, _ = frames(simulator, NOTHING, range(3))
    next(simulator.render(EVERYTHING, range(500), 0))
    again, _ = frames(simulator, NOTHING, range(3))
    assert np.array_equal(expected["rgb"], again["rgb"])
    simulator.close()
    simulator.close()
    later, _ = frames(simulator, NOTHING, range(3))
    assert np.array_equal(expected["rgb"], later["rgb"])
    simulator.close()


def test_builds_end_with_the_process_that_started_them(calm_build: Path, tmp_path: Path) -> None:
    """Killed without a chance to clean up, as a study by the kernel."""
    script = tmp_path / "study.py"
    script.write_text(
        "import sys, time\n"
        "from task2sim_threedworld.simulator import ThreeDWorld\n"
        f"simulator = ThreeDWorld(ThreeDWorld.Config(build={str(calm_build)!r}, resolution=32, builds=2))\n"
        "next(simulator.render(simulator.parameter_space.default(), range(4), 0))\n"
        "print('rendered', flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as study:
        assert study.stdout.readline().strip() == "rendered"
        started = psutil.Process(study.pid).children(recursive=True)
        assert len(started) >= 4  # two builds and their keepers
        study.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []


# --- what is said when it can't work ---


def test_a_build_that_is_lost_again_and_again_is_given_up(peer_build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task2sim_threedworld.builds.MOST_ATTEMPTS", 1)
    with simulator_of(peer_build(faults=["die"], every=3)) as tried, pytest.raises(PluginError) as caught:
        frames(tried, NOTHING, range(5))
    assert "lost 1 times at image 2: it ended (exit code 1); its last words: " in str(caught.value)
    assert "doctor" in str(caught.value)


def test_a_rejected_command_is_named_and_not_tried_again(peer_build) -> None:
    with simulator_of(peer_build(faults=["reject"], every=2)) as tried, pytest.raises(PluginError) as caught:
        frames(tried, NOTHING, range(5))
    assert "the build rejected send_images: this fault was ordered" in str(caught.value)


def test_a_missing_build_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no ThreeDWorld build at .*download version 1\.13"):
        simulator_of(tmp_path / "TDW.x86_64")
    (tmp_path / "TDW.x86_64").write_text("")
    with pytest.raises(ConfigError, match="chmod"):
        simulator_of(tmp_path / "TDW.x86_64")


def test_a_build_that_never_calls_is_given_up_in_time(tmp_path: Path) -> None:
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\necho starting up\nexec sleep 60\n")
    idle.chmod(0o755)
    start = time.monotonic()
    with simulator_of(idle, start_timeout=0.5) as tried, pytest.raises(ConfigError) as caught:
        frames(tried, NOTHING, range(2))
    assert time.monotonic() - start < 10
    assert "within 0.5 s; its last words: starting up" in str(caught.value)


def test_a_build_that_can_not_start_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'Desktop is 0 x 0 @ 0 Hz' >&2\nexit 1\n")
    broken.chmod(0o755)
    with simulator_of(broken) as tried, pytest.raises(PluginError) as caught:
        frames(tried, NOTHING, range(2))
    assert "Desktop is 0 x 0" in str(caught.value)


def test_wrong_settings_and_configurations_are_refused(calm, calm_build: Path) -> None:
    with pytest.raises(ParameterError):
        next(calm.render({"fog": 1}, [0], 0))
    with pytest.raises(ValidationError, match=r"either 'build'.*or 'address'"):
        ThreeDWorld.Config(build="x", address="localhost")
    with pytest.raises(ValidationError):
        ThreeDWorld.Config(address="0.0.0.0")
    with pytest.raises(ConfigError, match=r"no public category 'chairr'; did you mean 'chair'"):
        simulator_of(calm_build, categories=("chairr", "bowl"))


def test_without_annotations_only_images_are_asked_for(calm, calm_build: Path) -> None:
    with simulator_of(calm_build, annotations=False) as plain:
        assert plain.capabilities == {"rgb"}
        bare, graphs = frames(plain, EVERYTHING, range(10), seed=4)
    full, _ = frames(calm, EVERYTHING, range(10), seed=4)
    assert np.array_equal(bare["rgb"], full["rgb"])
    assert set(bare) == {"indices", "rgb", "labels"}
    assert graphs == []


def test_the_key_knows_the_build_and_not_how_it_is_run(calm, calm_build: Path, peer_build) -> None:
    same = simulator_of(calm_build, builds=3, port=2000, timeout=5.0)
    assert same.fingerprint() == calm.fingerprint()
    assert simulator_of(peer_build(faults=["die"])).fingerprint() != calm.fingerprint()
    assert simulator_of(calm_build, categories=("chair", "vase")).fingerprint() != calm.fingerprint()


def test_a_build_that_somebody_else_runs_is_waited_for_and_may_come_back(calm, calm_build: Path) -> None:
    expected, _ = frames(calm, EVERYTHING, range(40), seed=1)
    port = 20000 + os.getpid() % 20000
    command = [str(calm_build), "-port", str(port), "-address", "127.0.0.1"]
    config = ThreeDWorld.Config(
        address="127.0.0.1", port=port, categories=CATEGORIES, resolution=48, start_timeout=15
    )
    with ThreeDWorld(config) as attached, subprocess.Popen(command, stderr=subprocess.DEVNULL) as theirs:
        first, _ = frames(attached, EVERYTHING, range(20), seed=1)
        theirs.kill()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as another:
            rest, _ = frames(attached, EVERYTHING, range(20, 40), seed=1)
            attached.close()
            another.wait(10)  # told to end
    assert np.array_equal(np.concatenate([first["rgb"], rest["rgb"]]), expected["rgb"])
