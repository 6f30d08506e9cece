"""Contact sheets: everything is on them, and they are written or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from task2sim import ConfigError, StoreError
from task2sim_studio.commands import app
from task2sim_studio.gallery import lay_out, sheets, write_gallery
from task2sim_studio.simulator import Studio

CHOSEN = ("chair", "mug", "vase")
NAMES = ["categories", "materials", "surroundings", "skies", "parameters"]


@pytest.fixture
def studio():
    with Studio(
        Studio.Config(resolution=16, categories=CHOSEN, instances=2, further_parameters="all", device="cpu")
    ) as made:
        yield made


def test_everything_has_its_strip(studio):
    made = {sheet.name: sheet for sheet in sheets(studio, 0)}
    assert list(made) == NAMES
    labels = {name: [strip.label for strip in sheet.strips] for name, sheet in made.items()}
    assert labels["categories"] == list(CHOSEN)
    assert labels["materials"] == list(studio.assets.materials)
    assert labels["surroundings"] == list(studio.assets.backgrounds)
    assert len(labels["skies"]) == sum(len(skies) for skies in studio.assets.skies.values())
    assert labels["parameters"] == list(studio.parameter_space.names)
    for strip in made["parameters"].strips:
        off, on = strip.rows
        assert [scene.index for scene in off] == [scene.index for scene in on]
        assert any(a != b for a, b in zip(off, on, strict=True)), strip.label
    # A sky's sun is the scene's.
    for strip, sky in zip(
        made["skies"].strips, [s for skies in studio.assets.skies.values() for s in skies], strict=True
    ):
        scene = strip.rows[0][0]
        assert scene.background.name == sky.background
        assert np.degrees(np.arcsin(scene.sun.direction[2])) == pytest.approx(sky.elevation)


def test_pictures_lie_where_their_labels_are(studio):
    sheet = sheets(studio, 0)[0]
    count = sum(len(row) for strip in sheet.strips for row in strip.rows)
    pictures = [np.full((16, 16, 3), 10 * number, dtype=np.uint8) for number in range(count)]
    page = np.asarray(lay_out(sheet, pictures))
    corners = [np.argwhere((page == 10 * number).all(axis=-1)).min(axis=0) for number in range(1, count)]
    assert len({tuple(corner) for corner in corners}) == count - 1
    assert all((page == 10 * number).all(axis=-1).sum() >= 256 for number in range(count))


def test_the_command_writes_every_sheet_and_nothing_else(tmp_path):
    folder = tmp_path / "new" / "gallery"
    options = ["--categories", ",".join(CHOSEN), "--resolution", "16"]
    result = CliRunner().invoke(app, ["gallery", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.split() == [str(folder / f"{name}.png") for name in NAMES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.png" for name in NAMES)
    for name in NAMES:
        with Image.open(folder / f"{name}.png") as page:
            assert min(page.size) >= 40
            assert np.asarray(page).std() > 5


def test_bad_places_and_names_are_one_clear_line(tmp_path, studio):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file: this is a file; name a folder"):
        next(write_gallery(studio, tmp_path / "file", 0))
    with pytest.raises(StoreError, match="can't write here"):
        next(write_gallery(studio, tmp_path / "file" / "below", 0))
    for categories, reason in (("mug", "one category is not enough"), ("mug,chiar", "did you mean 'chair'")):
        with pytest.raises(ConfigError, match=reason):
            CliRunner().invoke(
                app, ["gallery", str(tmp_path / "out"), "--categories", categories], catch_exceptions=False
            )
    assert not (tmp_path / "out").exists()
