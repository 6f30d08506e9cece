"""Contact sheets, and the command that makes them."""

from __future__ import annotations

import errno
import subprocess
import sys

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from task2sim import ConfigError, StoreError
from task2sim.cli import main
from task2sim_studio import gallery
from task2sim_studio.gallery import LABEL_LENGTH, PAPER, Sheet, Strip, lay_out, sheets, write_gallery
from task2sim_studio.simulator import Studio

NAMES = ["categories", "materials", "surroundings", "skies", "parameters"]


def studio(**config):
    config = {"categories": ("mug", "vase"), "instances": 3, "resolution": 16, "device": "cpu", **config}
    return Studio(Studio.Config(further_parameters="all", **config))


@pytest.fixture(scope="module")
def simulator():
    with studio() as made:
        yield made


@pytest.fixture(scope="module")
def pages(simulator):
    return {sheet.name: sheet for sheet in sheets(simulator, 0)}


@pytest.fixture(scope="module")
def written(simulator, tmp_path_factory):
    return list(write_gallery(simulator, tmp_path_factory.mktemp("gallery") / "new" / "folder", 0))


def scenes(sheet):
    return [scene for strip in sheet.strips for row in strip.rows for scene in row]


# --- what is shown ---


def test_everything_is_shown_by_name(simulator, pages):
    assets = simulator.assets
    assert list(pages) == NAMES
    assert tuple(strip.label for strip in pages["categories"].strips) == assets.categories
    assert tuple(strip.label for strip in pages["materials"].strips) == assets.materials
    assert tuple(strip.label for strip in pages["surroundings"].strips) == assets.backgrounds
    assert tuple(strip.label for strip in pages["parameters"].strips) == simulator.parameter_space.names
    skies = [sky for skies in assets.skies.values() for sky in skies]
    assert [scene.background.name for scene in scenes(pages["skies"])] == [sky.background for sky in skies]
    assert pages["skies"].columns == len(assets.skies["lawn"])  # a ground a line
    assert pages["skies"].strips[0].label.startswith("lawn ")


def test_strips_show_what_their_labels_say(pages):
    for strip in pages["categories"].strips:
        assert [(scene.objects[0].category, scene.objects[0].instance) for scene in strip.rows[0]] == [
            (strip.label, 0),
            (strip.label, 1),
            (strip.label, 2),
        ]
    for strip in pages["materials"].strips:
        worn = [scene.objects[0].materials for scene in strip.rows[0]]
        assert {material.name for (material,) in worn} == {strip.label}
        assert len({material.seed for (material,) in worn}) == gallery.SEEDS
    for strip in pages["surroundings"].strips:
        assert {scene.background.name for scene in strip.rows[0]} == {strip.label}
        assert len({scene.background.rotation for scene in strip.rows[0]}) == gallery.DIRECTIONS


def test_a_parameter_is_off_above_and_on_below(simulator, pages):
    from task2sim.randomisation import randomise

    space = simulator.parameter_space
    for strip in pages["parameters"].strips:
        assert strip.note.startswith(space[strip.label].description)
        for value, row in enumerate(strip.rows):
            for scene in row:
                expected = randomise(space.setting({strip.label: value}), simulator.assets, scene.index, 0)
                if strip.label in gallery.ON_FLOOR:
                    assert scene.floor is not None
                    expected = attrs.evolve(expected, floor=scene.floor)
                assert scene == expected
        off, on = strip.rows
        assert off != on
        assert [scene.index for scene in off] == [scene.index for scene in on]


def test_images_of_parameters_come_from_all_categories():
    (page,) = (sheet for sheet in sheets(studio(categories=None), 0) if sheet.name == "parameters")
    shown = [scene.objects[0].category for scene in page.strips[0].rows[0]]
    assert len(set(shown)) == gallery.VARIATIONS
    assert shown[0] < "b"
    assert shown[-1] > "s"


def test_a_sky_stands_behind_its_sun(simulator, pages):
    """The background's +y, turned as the scene says, points below the sun, as randomisation has it."""
    elevations = [sky.elevation for skies in simulator.assets.skies.values() for sky in skies]
    for scene, elevation in zip(scenes(pages["skies"]), elevations, strict=True):
        _, _, z, w = scene.background.rotation
        towards = np.array([-2 * z * w, 1 - 2 * z * z])
        x, y, height = scene.sun.direction
        assert height == pytest.approx(np.sin(np.radians(elevation)))
        assert np.array([x, y]) / np.hypot(x, y) == pytest.approx(towards)
        assert 0.8 * x + 0.45 * y > 0  # right of the camera's line of sight


def test_the_camera_stays_on_its_side_and_looks_at_the_model(pages):
    for name, degrees, distance in (("materials", 20.0, 1.6), ("surroundings", 6.0, 2.0), ("skies", 6.0, 2.0)):
        for scene in scenes(pages[name]):
            x, y, z = scene.camera.position
            assert np.hypot(np.hypot(x, y), z) == pytest.approx(distance)
            assert np.degrees(np.arcsin(z / distance)) == pytest.approx(degrees)
            assert x / y == pytest.approx(0.45 / -0.8)
            assert x > 0


def test_catalogues_without_the_model_or_the_backdrop_have_sheets_too(tmp_path):
    pyramid = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    for name in ("a", "b"):
        (tmp_path / "meshes" / name).mkdir(parents=True)
        (tmp_path / "meshes" / name / "one.obj").write_text(pyramid)
    (tmp_path / "skies").mkdir()
    texels = bytes([128, 128, 128, 128] * 8)
    (tmp_path / "skies" / "grey.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 4\n" + texels)
    mine = studio(categories=None, meshes=tmp_path / "meshes", environments=tmp_path / "skies")
    with mine:
        paths = list(write_gallery(mine, tmp_path / "out", 0))
    assert [path.stem for path in paths] == ["categories", "materials", "surroundings", "parameters"]
    categories = sheets(mine, 0)[0]
    assert [len(strip.rows[0]) for strip in categories.strips] == [1, 1]
    assert {scene.background.name for scene in scenes(categories)} == {"grey"}


# --- how it is laid out ---


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=7),
    st.integers(1, 5),
    st.booleans(),
    st.tuples(st.integers(16, 40), st.integers(16, 40)),
    st.text("abc -", min_size=1, max_size=60),
)
def test_pictures_are_whole_and_in_order(lengths, columns, beside, size, label):
    """Pictures of one colour each: none is covered by another, a label or the page's edge."""
    # The layout looks at how many scenes there are, not at what is in them.
    strips = tuple(Strip(label, tuple((None,) * length for length in rows), label) for rows in lengths)
    count = sum(map(sum, lengths))
    pictures = [np.full((*size, 3), (0, number, 255), dtype=np.uint8) for number in range(count)]
    page = np.asarray(lay_out(Sheet("page", columns, strips, beside), pictures))
    corners = []
    for number in range(count):
        rows, across = np.nonzero((page == (0, number, 255)).all(axis=2))
        assert (len(rows), np.ptp(rows) + 1, np.ptp(across) + 1) == (size[0] * size[1], *size)
        corners.append((rows.min(), across.min()))
    for first in np.cumsum([0, *map(sum, lengths)])[:-1]:
        assert corners[first] == min(corners[first:])  # a strip begins above and left of what follows in its column
    pictured = (page[..., 0] == 0) & (page[..., 2] == 255)
    touching = pictured[:, :-1] & pictured[:, 1:] & (page[:, :-1, 1] != page[:, 1:, 1])
    assert not touching.any()
    edge = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    assert (edge == PAPER).all()


def test_labels_and_notes_are_written_and_long_ones_cut():
    pictures = [np.zeros((64, 64, 3), dtype=np.uint8)] * 2

    def inked(label, note="", beside=False):
        strips = (Strip(label, ((None,),), note), Strip("b", ((None,),)))
        page = np.asarray(lay_out(Sheet("page", 1, strips, beside), pictures)).astype(int)
        return page.shape, (np.abs(page - PAPER).sum(axis=2) > 60).sum() - 2 * 64 * 64

    assert inked("mug")[1] > inked("i")[1] > 0
    assert inked("x" * 300) == inked("x" * (LABEL_LENGTH - 2) + "..")
    assert inked("x" * LABEL_LENGTH) != inked("x" * (LABEL_LENGTH - 2) + "..")
    assert inked("mug", "a note", beside=True)[1] > inked("mug", beside=True)[1]


def test_many_strips_fill_several_pages(monkeypatch, simulator):
    monkeypatch.setattr(gallery, "MOST_STRIPS", 8)
    made = [sheet for sheet in sheets(simulator, 0) if sheet.name.startswith("materials")]
    assert [sheet.name for sheet in made] == ["materials", "materials-2", "materials-3"]
    assert tuple(strip.label for sheet in made for strip in sheet.strips) == simulator.assets.materials
    assert max(len(sheet.strips) for sheet in made) == 8


# --- what is written ---


def test_sheets_are_written_and_are_the_same_every_time(simulator, written, tmp_path):
    assert [path.name for path in written] == [f"{name}.png" for name in NAMES]
    assert sorted(written[0].parent.iterdir()) == sorted(written)
    (tmp_path / "skies.png").write_text("an older file")
    # Another batch size, since some devices need another.
    smaller = studio()
    smaller.batch_size = 7
    with smaller:
        again = list(write_gallery(smaller, tmp_path, 0))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]
    other = next(write_gallery(simulator, tmp_path, 1)), written[0]
    assert other[0].read_bytes() == other[1].read_bytes()  # objects of a category are what they are
    assert scenes(sheets(simulator, 1)[1]) != scenes(sheets(simulator, 0)[1])


def test_pictures_on_a_sheet_are_those_of_the_renderer(simulator, written, pages):
    page = np.asarray(Image.open(written[0]))
    margin = 6
    rendered = simulator.render_scenes(scenes(pages["categories"])[:1]).rgb[0]
    assert np.array_equal(page[margin : margin + 16, margin : margin + 16], rendered)


def test_a_full_disk_leaves_the_old_sheet(simulator, tmp_path, monkeypatch):
    def save(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    (tmp_path / "categories.png").write_text("old")
    with pytest.raises(StoreError, match="No space left") as caught:
        next(write_gallery(simulator, tmp_path, 0))
    assert caught.value.place == str(tmp_path / "categories.png")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_place_that_cannot_be_written_is_told_before_anything_is_rendered(tmp_path):
    (tmp_path / "file").write_text("mine")
    unrendered = studio()
    with pytest.raises(ConfigError, match="this is a file"):
        next(write_gallery(unrendered, tmp_path / "file", 0))
    with pytest.raises(StoreError, match="can't write here"):
        next(write_gallery(unrendered, tmp_path / "file" / "below", 0))
    assert unrendered._renderer is None


# --- the command ---


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["task2sim", "studio", "gallery", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command_names_what_it_wrote(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, tmp_path / "out", "--categories", "mug, vase", "--resolution", 16, "--seed", 3) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [str(tmp_path / "out" / f"{name}.png") for name in NAMES]
    with Image.open(out[0]) as page:
        assert page.size[0] < 16 * 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--categories", "mug"], "--categories: one category is not enough; name two or more: --categories a,b"),
        (["--categories", "mug,vaze"], "unknown category 'vaze'; did you mean 'vase'"),
        (["--categories", "mug,mug"], "category 'mug' is named twice"),
        (["--meshes", "nowhere"], "nowhere: no such folder of meshes"),
        (["--environments", "nowhere"], "nowhere: there is no such folder of environments"),
    ],
)
def test_mistakes_are_one_clear_line(monkeypatch, capsys, tmp_path, arguments, message):
    assert run(monkeypatch, tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--resolution", 15], ["--resolution", 10_000], ["--seed", -1]])
def test_numbers_out_of_range_are_refused(monkeypatch, capsys, tmp_path, arguments):
    assert run(monkeypatch, tmp_path / "out", *arguments) == 2
    assert arguments[0] in capsys.readouterr().err


def test_help_has_an_example_and_importing_is_light(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    assert "Example: task2sim studio gallery " in capsys.readouterr().out
    code = (
        "import sys, task2sim_studio.commands\n"
        "print(sorted({'warp', 'trimesh', 'scipy', 'PIL', 'task2sim_studio.simulator'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
