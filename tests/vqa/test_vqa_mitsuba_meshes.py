from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest

from task2sim import Background, Camera, Floor, Material, Scene, SceneObject, Sun
from task2sim_vqa.visible import look

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("mitsuba", reason="Mitsuba is not installed")
pytest.importorskip("trimesh", reason="trimesh is not installed")

SCENE = Scene(
    7,
    (
        SceneObject("table", 0, size=0.8),
        SceneObject("car", 1, position=(0.2, -0.8, 0.4), rotation=(0.0, 0.0, 0.5, math.sqrt(0.75)), size=0.5),
        SceneObject("tree", 0, position=(-0.7, 0.5, -0.1), size=0.7),
        SceneObject("car", 0, position=(30.0, 0.0, 0.0), size=0.5),
    ),
    Camera((0.3, -2.6, 0.3)),
    Sun((0.5, -0.45, 0.74)),
    Background("meadow"),
    Floor(Material("chalk", 3)),
)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "examples" / "plugins" / "mitsuba-things" / "src")
        patch.syspath_prepend(ROOT / "benchmarks")
        import mitsuba_meshes

        return mitsuba_meshes


@pytest.fixture(scope="module")
def meshes(module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    module.export_things(folder, 2)
    return folder


def test_graph_masks_and_boxes_agree(module: ModuleType, meshes: Path) -> None:
    with module.MitsubaMeshes(module.MitsubaMeshes.Config(meshes=meshes, resolution=64, samples=2)) as simulator:
        frames = simulator.render_scenes([SCENE])
        alone = simulator.render_scenes([attrs.evolve(SCENE, objects=SCENE.objects[:1])])
        again = simulator.render_scenes([SCENE])
    np.testing.assert_array_equal(frames.rgb, again.rgb)
    mask, graph = frames.instance_mask[0], frames.scenes[0]
    table, near, tree, far = graph["objects"]
    assert set(np.unique(mask)) == {0, 1, 2, 3}
    for item in (table, near, tree):
        rows, columns = np.nonzero(mask == item["number"])
        left, top, right, bottom = item["visible_box"]
        assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        full = item["box"]
        assert full[0] <= left + 0.6
        assert full[1] <= top + 0.6
        assert full[2] >= right - 0.6
        assert full[3] >= bottom - 0.6
    # What nothing hides fills its box.
    np.testing.assert_allclose(near["visible_box"], near["box"], atol=1.0)
    assert near["visibility"] == 1.0
    share = np.count_nonzero(mask == 1) / np.count_nonzero(alone.instance_mask[0] == 1)
    assert table["visibility"] == pytest.approx(share)
    assert 0.3 < share < 0.98
    assert far["visible_box"] is None
    assert far["visibility"] == 0.0
    number = simulator.categories.index
    classes = np.array([0, *(number(item["category"]) + 1 for item in graph["objects"])])
    np.testing.assert_array_equal(frames.category_mask[0], classes[mask])
    assert frames.labels.tolist() == [number("table")]
    depth = frames.depth[0]
    pose = np.array(graph["camera"]["world_to_camera"])
    for item in (table, near, tree):
        along = (pose @ [*item["position"], 1.0])[2]
        seen = depth[mask == item["number"]]
        assert along - item["size"] / 2 < seen.min()
        assert seen.max() < along + item["size"] / 2
    # All stand on the floor: the near car was in the air.
    assert near["position"][2] < 0.0
    assert {item.category for item in look(graph, mask, frames.rgb[0]).objects} == {"table", "car", "tree"}


def test_pictures_lie_the_right_way_up(module: ModuleType, meshes: Path, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("card", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.mtl").write_text("newmtl card\nKd 1 1 1\nmap_Kd card.png\n")
        (tmp_path / name / "card.obj").write_text(
            "mtllib card.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
            "usemtl card\nf 1/1/1 2/2/1 3/3/1 4/4/1\n"
        )
        picture = np.zeros((8, 8, 3), dtype=np.uint8)
        picture[:4, :, 0] = 255  # red above, blue below
        picture[4:, :, 2] = 255
        Image.fromarray(picture).save(tmp_path / name / "card.png")
    scene = attrs.evolve(
        SCENE,
        objects=(SceneObject("card", 0),),
        camera=Camera((0.0, -2.0, 0.001)),
        background=Background("snow"),
        floor=None,
    )
    with module.MitsubaMeshes(module.MitsubaMeshes.Config(meshes=tmp_path, resolution=32, samples=4)) as simulator:
        frames = simulator.render_scenes([scene])
    rgb = frames.rgb[0].astype(int)
    rows, columns = np.nonzero(frames.instance_mask[0])
    above, below = rgb[rows.min() + 2, columns.mean().astype(int)], rgb[rows.max() - 2, columns.mean().astype(int)]
    assert above[0] > above[2] + 50
    assert below[2] > below[0] + 50


def test_painted_objects_keep_their_shape(module: ModuleType, meshes: Path) -> None:
    with module.MitsubaMeshes(module.MitsubaMeshes.Config(meshes=meshes, colours=3)) as simulator:
        assert simulator.assets.instances["car"] == 6
        own, red, other = (simulator.model("car", instance) for instance in (3, 4, 5))
        assert simulator.model("car", 4) is red
    for piece, painted in zip(own, red, strict=True):
        np.testing.assert_array_equal(piece.vertices, painted.vertices)
        assert piece.part.colour != painted.part.colour
    # One hue for all parts: the order of the channels is the same.
    assert len({tuple(np.argsort(piece.part.colour)) for piece in red}) == 1
    assert red[0].part.colour != other[0].part.colour
