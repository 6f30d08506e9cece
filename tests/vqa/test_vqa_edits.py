from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import attrs
import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from task2sim import FrameBatch, Scene
from task2sim.randomisation import randomise
from task2sim_studio.simulator import Studio
from task2sim_vqa.edits import KINDS, Edit, EditError, Kind, Shown, edit, touched
from task2sim_vqa.visible import look

CATEGORIES = ("mug", "chair", "apple", "table")


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    config = Studio.Config(
        resolution=96, categories=CATEGORIES, instances=4, device="cpu",
        further_parameters=("object_count", "clutter", "floor"),
    )  # fmt: skip
    with Studio(config) as made:
        yield made


def rendered(studio: Studio, floor: int, indices: range) -> tuple[list[Scene], FrameBatch]:
    setting = studio.parameter_space.setting(object_count=1, clutter=1, floor=floor, background=1)
    scenes = [randomise(setting, studio.assets, index, 3) for index in indices]
    return scenes, studio.render_scenes(scenes)


def shown(frames: FrameBatch, k: int) -> Shown:
    assert frames.scenes is not None
    assert frames.instance_mask is not None
    assert frames.depth is not None
    return Shown(frames.scenes[k], frames.instance_mask[k], frames.depth[k])


@pytest.mark.parametrize("floor", [0, 1])
def test_pixels_away_from_an_edit_are_identical(studio: Studio, floor: int) -> None:
    scenes, frames = rendered(studio, floor, range(8))
    tried: dict[str, int] = dict.fromkeys(KINDS, 0)
    away = []
    for kind in KINDS:
        if kind == "sun":
            continue
        made: dict[int, Edit] = {}
        for k, scene in enumerate(scenes):
            before = shown(frames, k)
            try:
                made[k] = edit(scene, before.graph, look(before.graph, before.mask), kind, studio.assets, Random(k))
            except EditError:
                continue
        after = studio.render_scenes([each.scene for each in made.values()])
        for j, (k, each) in enumerate(made.items()):
            region = touched(each, shown(frames, k), shown(after, j))
            changed = (frames.rgb[k] != after.rgb[j]).any(axis=2)
            assert not (changed & ~region).any(), (kind, k, int((changed & ~region).sum()))
            assert changed.any(), (kind, k)
            away.append(float(1.0 - region.mean()))
            tried[kind] += 1
    assert min(count for kind, count in tried.items() if kind != "sun") >= 2, tried
    assert np.mean(away) > 0.4  # the promise is about most of the picture


def test_without_the_extent_shadows_would_differ(studio: Studio) -> None:
    scenes, frames = rendered(studio, 1, range(8))
    differing = 0
    for k, scene in enumerate(scenes):
        before = shown(frames, k)
        try:
            made = edit(scene, before.graph, look(before.graph, before.mask), "remove", studio.assets, Random(k))
        except EditError:
            continue
        loose = attrs.evolve(made, scene=attrs.evolve(made.scene, extent=None))
        after = studio.render_scenes([loose.scene])
        changed = (frames.rgb[k] != after.rgb[0]).any(axis=2)
        differing += bool((changed & ~touched(loose, before, shown(after, 0))).any())
    assert differing > 0


def test_the_extent_of_a_graph_changes_nothing(studio: Studio) -> None:
    scenes, frames = rendered(studio, 1, range(4))
    for k, scene in enumerate(scenes):
        graph = shown(frames, k).graph
        made = edit(scene, graph, look(graph), "sun", studio.assets, Random(0))
        same = attrs.evolve(made.scene, sun=scene.sun)
        assert same.extent is not None
        assert np.array_equal(studio.render_scenes([same]).rgb[0], frames.rgb[k])


def test_the_sun_moves_shadows_and_nothing_else(studio: Studio) -> None:
    scenes, frames = rendered(studio, 1, range(2))
    for k, scene in enumerate(scenes):
        before = shown(frames, k)
        made = edit(scene, before.graph, look(before.graph), "sun", studio.assets, Random(k))
        after = studio.render_scenes([made.scene])
        assert after.instance_mask is not None
        assert np.array_equal(after.instance_mask[0], before.mask)
        assert np.abs(after.rgb[0].astype(int) - frames.rgb[k]).mean() > 1.0
        unlit = binary_erosion(~np.isfinite(before.depth), iterations=2)  # edges hold some of both
        assert np.array_equal(after.rgb[0][unlit], frames.rgb[k][unlit]) or not unlit.any()


@pytest.mark.parametrize("kind", KINDS)
def test_edits_change_what_they_say(studio: Studio, kind: Kind) -> None:
    scenes, frames = rendered(studio, 1, range(8))
    done = 0
    for k, scene in enumerate(scenes):
        graph = shown(frames, k).graph
        view = look(graph, shown(frames, k).mask)
        try:
            made = edit(scene, graph, view, kind, studio.assets, Random(k))
        except EditError:
            continue
        again = edit(scene, graph, view, kind, studio.assets, Random(k))
        assert made == again
        done += 1
        differs = [i for i, (a, b) in enumerate(zip(scene.objects, made.scene.objects, strict=False)) if a != b]
        if kind == "add":
            assert differs == []
            assert len(made.scene.objects) - len(scene.objects) == len(made.after) > 0
        elif kind == "remove":
            assert len(made.scene.objects) == len(scene.objects) - 1
            assert scene.objects[made.before[0] - 1] not in made.scene.objects
        elif kind == "sun":
            assert made.scene.sun != scene.sun
        else:
            assert differs == [made.before[0] - 1]
        rest: dict[str, Any] = {"objects": scene.objects, "sun": scene.sun, "extent": None}
        assert attrs.evolve(made.scene, **rest) == scene
    assert done >= 2


def test_no_room_is_one_clear_line(studio: Studio) -> None:
    setting = studio.parameter_space.setting()
    scene = randomise(setting, studio.assets, 0, 0)
    frames = studio.render_scenes([scene])
    graph = shown(frames, 0).graph
    view = look(graph, shown(frames, 0).mask)
    with pytest.raises(EditError, match=r"there is no room for another '\w+' in image 0; take another image"):
        edit(scene, graph, view, "add", studio.assets, Random(0))
    with pytest.raises(EditError, match="nothing in image 0 can be edited by 'move'"):
        edit(scene, graph, view, "move", studio.assets, Random(0))
