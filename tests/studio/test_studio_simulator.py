"""The simulator as a study sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from task2sim import TASK2SIM_PARAMETERS, ConfigError
from task2sim_studio.mesh import MATERIALS
from task2sim_studio.simulator import Studio

CHOSEN = ("chair", "mug", "table")


def studio(**config):
    return Studio(
        Studio.Config(**{"categories": CHOSEN, "instances": 3, "resolution": 48, "device": "cpu", **config})
    )


def frames(simulator, setting, indices=range(8), seed=5):
    return next(iter(simulator.render(setting, list(indices), seed)))


@pytest.fixture(scope="module")
def simulator():
    with studio() as made:
        yield made


@pytest.fixture(scope="module")
def default(simulator):
    return frames(simulator, {})


def test_it_says_what_it_is(simulator):
    assert simulator.categories == CHOSEN
    assert simulator.image_size == (48, 48)
    assert simulator.parameter_space.names == TASK2SIM_PARAMETERS.names
    assert simulator.assets.materials == MATERIALS
    assert len(simulator.assets.backgrounds) >= 24
    assert simulator.capabilities == {"rgb", "instance-mask", "category-mask", "depth", "normals", "scene-graph"}


def test_frames_have_the_promised_shapes(default):
    shape = (8, 48, 48)
    assert (default.rgb.shape, default.rgb.dtype) == ((*shape, 3), np.uint8)
    assert (default.depth.shape, default.depth.dtype) == (shape, np.float32)
    for mask in (default.instance_mask, default.category_mask):
        assert (mask.shape, mask.dtype) == (shape, np.uint16)
    assert default.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert default.labels.dtype == default.indices.dtype == np.int64
    seen = default.instance_mask == 1
    assert seen.any(axis=(1, 2)).all()
    assert np.array_equal(seen, np.isfinite(default.depth))
    assert np.array_equal(default.category_mask, np.where(seen, default.labels[:, None, None] + 1, 0))


def test_scenes_are_plain_data_that_say_what_is_seen(default):
    assert json.loads(json.dumps(list(default.scenes))) == list(default.scenes)
    graph = default.scenes[1]
    assert graph["objects"][0]["category"] == "mug"
    assert graph["objects"][0]["number"] == 1
    assert all(part["material"] in MATERIALS for part in graph["objects"][0]["parts"])
    assert graph["background"]["name"] == "clear-noon"


# What turning each parameter on must change, and what it must leave alone.
CHANGES = {
    "object_rotation": ({"rgb", "instance_mask", "depth"}, set()),
    "camera_distance": ({"rgb", "instance_mask", "depth"}, set()),
    "light_intensity": ({"rgb"}, {"instance_mask", "depth"}),
    "light_colour": ({"rgb"}, {"instance_mask", "depth"}),
    "light_direction": ({"rgb"}, {"instance_mask", "depth"}),
    "focus_blur": ({"rgb"}, {"instance_mask", "depth"}),
    "background": ({"rgb"}, {"instance_mask", "depth"}),
    "materials": ({"rgb"}, {"instance_mask", "depth"}),
}


@pytest.mark.parametrize("name", TASK2SIM_PARAMETERS.names)
def test_each_parameter_changes_what_it_should_and_nothing_else(simulator, default, name):
    varied = frames(simulator, {name: 1})
    changed, kept = CHANGES[name]
    for field in changed:
        assert not np.array_equal(getattr(varied, field), getattr(default, field))
    for field in kept:
        assert np.array_equal(getattr(varied, field), getattr(default, field))
    # A person must see it, on the object or, where that moves or blurs or stands elsewhere, in the picture.
    change = np.abs(varied.rgb.astype(int) - default.rgb).max(axis=-1)
    lit = name in ("light_intensity", "light_colour", "light_direction", "materials")
    assert (change[default.instance_mask > 0].mean() if lit else change.mean()) > (5 if lit else 1.5)
    if lit:
        # Thin parts may cover less than half of a pixel, and so be lit but not in the mask.
        assert (change[default.instance_mask == 0] > 0).mean() < 0.05


def test_images_are_the_same_whatever_the_batches(simulator):
    setting = simulator.parameter_space.everything_varied()
    whole = frames(simulator, setting, range(9))
    mixed = [7, 2, 8, 0]
    some = frames(simulator, setting, mixed)
    with studio() as other:
        other.batch_size = 2
        pairs = list(other.render(setting, range(9), 5))
    assert [len(batch) for batch in pairs] == [2, 2, 2, 2, 1]
    for field in ("rgb", "instance_mask", "category_mask", "depth"):
        assert np.array_equal(np.concatenate([getattr(batch, field) for batch in pairs]), getattr(whole, field))
        assert np.array_equal(getattr(some, field), getattr(whole, field)[mixed])
    assert not np.array_equal(frames(simulator, setting, [0], seed=6).rgb, whole.rgb[:1])


def test_processes_that_start_together_give_the_same_images(simulator, tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from task2sim_studio.simulator import Studio\n"
        f"s = Studio(Studio.Config(categories={CHOSEN!r}, instances=3, resolution=48, device='cpu'))\n"
        "batch = next(iter(s.render(s.parameter_space.everything_varied(), list(range(4)), 5)))\n"
        "np.savez(sys.argv[1], rgb=batch.rgb, depth=batch.depth)\n"
    )
    # A kernel cache of their own, still empty: both compile at the same time.
    environment = {**os.environ, "WARP_CACHE_PATH": str(tmp_path / "kernels")}
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    processes = [subprocess.Popen([sys.executable, "-c", code, str(file)], env=environment) for file in files]
    expected = frames(simulator, simulator.parameter_space.everything_varied(), range(4))
    for process, file in zip(processes, files, strict=True):
        assert process.wait(120) == 0
        with np.load(file) as saved:
            assert np.array_equal(saved["rgb"], expected.rgb)
            assert np.array_equal(saved["depth"], expected.depth)


def test_importing_it_loads_no_renderer_and_rendering_prints_nothing():
    code = (
        "import sys; from task2sim_studio.simulator import Studio\n"
        "assert not {'warp', 'trimesh', 'scipy'} & set(sys.modules)\n"
        "s = Studio(Studio.Config(resolution=16, instances=1, categories=('mug', 'chair'), device='cpu'))\n"
        "assert 'warp' not in sys.modules\n"
        "next(iter(s.render({}, [0], 0)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rendering_leaves_global_random_numbers_alone(simulator):
    import random

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    frames(simulator, simulator.parameter_space.everything_varied())
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_it_can_be_closed_twice_and_used_again():
    made = studio()
    first = frames(made, {}, [1]).rgb
    made.close()
    made.close()
    assert np.array_equal(frames(made, {}, [1]).rgb, first)
    made.close()


@pytest.mark.parametrize("value", [0, 15, 1025, 10_000])
def test_resolutions_out_of_range_are_refused(value):
    with pytest.raises(ValidationError):
        Studio.Config(resolution=value)


@pytest.mark.parametrize("resolution", [16, 33, 200])
def test_any_resolution_in_range_renders(resolution):
    with studio(resolution=resolution) as made:
        batch = frames(made, made.parameter_space.everything_varied(), range(2))
    assert batch.rgb.shape == (2, resolution, resolution, 3)
    assert (batch.instance_mask > 0).any()


def test_unknown_categories_are_named_with_the_nearest():
    with pytest.raises(ConfigError, match="chair") as caught:
        studio(categories=("chiar", "mug"))
    assert "chiar" in str(caught.value)


def test_missing_and_empty_folders_are_refused(tmp_path):
    for key in ("meshes", "environments"):
        with pytest.raises(ConfigError):
            studio(**{key: tmp_path / "absent"})
        with pytest.raises(ConfigError):
            studio(**{key: tmp_path})


def test_a_corrupt_panorama_is_named(tmp_path):
    (tmp_path / "sky.hdr").write_bytes(b"#?RADIANCE\n\n-Y 4 +X 4\nshort")
    with studio(environments=tmp_path) as made, pytest.raises(ConfigError, match=r"sky\.hdr"):
        frames(made, {})


def test_cuda_that_is_absent_is_one_clear_line():
    import warp

    if warp.get_cuda_device_count():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ConfigError, match="CUDA"):
        studio(device="cuda")


def test_memory_that_runs_out_halves_the_batch_and_is_one_clear_line_in_the_end(simulator, default, monkeypatch):
    from task2sim_studio.renderer import Renderer

    draw, sizes = Renderer.draw, []

    def tight(self, scenes):
        sizes.append(len(scenes))
        if len(scenes) > most:
            raise RuntimeError("Failed to allocate 1073741824 bytes on device 'cuda:0'")
        return draw(self, scenes)

    monkeypatch.setattr(Renderer, "draw", tight)
    most = 2
    with studio() as other:
        halved = frames(other, {})
        assert sizes == [8, 4, 2, 2, 4, 2, 2]
        assert np.array_equal(halved.rgb, default.rgb)
        assert np.array_equal(halved.normals, default.normals)
        assert list(halved.scenes) == list(default.scenes)
        most = 0
        with pytest.raises(ConfigError, match=r"too little memory for pictures of 48 x 48; use a smaller one"):
            frames(other, {})


def test_a_renderer_fault_is_not_taken_for_memory(monkeypatch):
    from task2sim_studio.renderer import Renderer

    def broken(self, scenes):
        raise RuntimeError("another thing")

    monkeypatch.setattr(Renderer, "draw", broken)
    with studio() as other, pytest.raises(RuntimeError, match="another thing"):
        frames(other, {})
