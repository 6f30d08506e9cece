import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from task2sim import ConfigError
from task2sim_studio.catalogue import FolderCatalogue, SweetHomeCatalogue, open_catalogue, sweet_home
from task2sim_studio.catalogue.sweet_home import CONTENTS, head_noun, parse_properties

trimesh = pytest.importorskip("trimesh")

CONE = trimesh.creation.cone(radius=1, height=4).export(file_type="obj")
"""Points to +z: to the front."""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TASK2SIM_CACHE", str(tmp_path_factory.mktemp("cache")))


def library(path, *objects, files=(), missing=()):
    """Write a library of (name, model's file, further lines)."""
    lines = ["id=test", "name=Test"]
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, content, *more) in enumerate(objects, start=1):
            lines += [f"name#{number}={name}", f"model#{number}=/models/{number}/m.obj"]
            lines += [f"{key}#{number}={value}" for key, value in dict(more).items()]
            if number not in missing:
                archive.writestr(f"models/{number}/m.obj", content)
        archive.writestr(CONTENTS, "\n".join(lines))
        for name, content in dict(files).items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def furniture(tmp_path):
    return library(
        tmp_path / "a.sh3f",
        ("Old chair", CONE),
        ("Table", CONE, ("width", "10"), ("height", "20"), ("depth", "40")),
        ("Chair with arms", CONE, ("modelRotation", "0 0 1 0 1 0 -1 0 0")),
        ("Table 2 places", CONE),
        ("Harp", CONE),
    )


def test_objects_are_grouped_by_what_they_are(furniture):
    catalogue = SweetHomeCatalogue([furniture])
    assert dict(catalogue.instances) == {"chair": 2, "table": 2}
    assert catalogue.mesh("chair", 0) is catalogue.mesh("chair", 0)
    with pytest.raises(KeyError):
        catalogue.mesh("harp", 0)
    with pytest.raises(IndexError):
        catalogue.mesh("table", 2)


def test_the_front_faces_minus_y(furniture):
    mesh = SweetHomeCatalogue([furniture]).mesh("chair", 0)
    apex = mesh.vertices[mesh.vertices[:, 1].argmin()]
    np.testing.assert_allclose(apex[[0, 2]], 0, atol=1e-5)


def test_models_are_turned(furniture):
    """The rotation takes the file's +z to +x."""
    mesh = SweetHomeCatalogue([furniture]).mesh("chair", 1)
    apex = mesh.vertices[mesh.vertices[:, 0].argmax()]
    np.testing.assert_allclose(apex[[1, 2]], 0, atol=1e-5)


def test_models_are_stretched_to_their_size(furniture):
    extent = np.ptp(SweetHomeCatalogue([furniture]).mesh("table", 0).vertices, axis=0)
    np.testing.assert_allclose(extent / extent[0], (1, 4, 2), rtol=1e-4)


def test_several_libraries_are_one_catalogue(tmp_path, furniture):
    other = library(tmp_path / "b.sh3f", ("Broken harp", CONE), ("Stool", CONE))
    assert dict(SweetHomeCatalogue([other, furniture]).instances) == {"chair": 2, "harp": 2, "table": 2}


def test_open_catalogue_tells_what_a_path_is(tmp_path, furniture):
    assert isinstance(open_catalogue(furniture), SweetHomeCatalogue)
    assert isinstance(open_catalogue(tmp_path), SweetHomeCatalogue)
    meshes = tmp_path / "meshes"
    for name in ("a", "b"):
        (meshes / name).mkdir(parents=True)
        trimesh.creation.box().export(meshes / name / "box.ply")
    assert isinstance(open_catalogue(meshes), FolderCatalogue)
    with pytest.raises(ConfigError, match="no such folder of meshes"):
        open_catalogue(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("Chair", "chair"),
        ("Deck chair", "chair"),
        ("Double door with panes", "door"),
        ("Double window 3 panes", "window"),
        ("Sofa 2 seats", "sofa"),
        ("Convertible sofa BZ", "sofa"),
        ("TV", "tv"),
        ("TV 16:9", "tv"),
        ("Concept Sedan 01", "sedan"),
        ("Rounded RJ45 plug", "plug"),
        ("Bill 10€", "bill"),
        ("Plate, glass and cutlery", "plate"),
        ("Air conditioning - External unit", "conditioning"),
        ("Chair (oak)", "chair"),
        ("Double-hung window", "window"),
        ("", ""),
        ("3", ""),
    ],
)
def test_head_nouns(name, noun):
    assert head_noun(name) == noun


def test_a_plural_joins_its_singular(tmp_path):
    names = ("Tool", "Kitchen tools", "Glass", "Glasses", "Reading glasses")
    catalogue = SweetHomeCatalogue([library(tmp_path / "a.sh3f", *((name, CONE) for name in names))])
    assert dict(catalogue.instances) == {"glasses": 2, "tool": 2}


def test_properties_are_read_as_java_reads_them():
    text = "# c\n! c\n\na=1\n b : 2\nc 3\nname#1=M\\u00f6bel \\\n   f\\=\\\\r\nd=\ne\\ e=x\n"
    assert parse_properties(text) == {"a": "1", "b": "2", "c": "3", "name#1": "Möbel f=\\r", "d": "", "e e": "x"}


def test_pictures_in_libraries(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (5, 6, 7)).save(file, "png")
    text = "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
    path = library(
        tmp_path / "a.sh3f",
        *((name, text) for name in ("A chair", "B chair", "A table", "B table")),
        files={
            "models/1/m.mtl": "newmtl m\nmap_Kd textures/wood.png",
            "models/1/textures/wood.png": file.getvalue(),
            "models/2/m.mtl": "newmtl m\nmap_Kd C:\\me\\wood.png",
            "models/2/wood.png": file.getvalue(),
            "models/3/m.mtl": "newmtl m\nKd 1 0 0\nmap_Kd ../../../../etc/passwd",
        },
    )
    catalogue = SweetHomeCatalogue([path])
    for k in range(2):
        assert (catalogue.mesh("chair", k).parts[0].textures.albedo == (5, 6, 7)).all()
    # What a library lacks can't be mended by who uses it.
    assert catalogue.mesh("table", 0).parts[0].textures is None
    assert catalogue.mesh("table", 0).parts[0].colour == (1, 0, 0)
    assert catalogue.mesh("table", 1).parts[0].colour is None


def test_objects_in_other_formats_are_left_out(tmp_path):
    path = library(
        tmp_path / "a.sh3f",
        *((name, CONE) for name in ("A chair", "B chair", "A table", "B table")),
        ("C chair", CONE, ("model", "/models/x.dae")),
    )
    assert dict(SweetHomeCatalogue([path]).instances) == {"chair": 2, "table": 2}


def test_bad_libraries_are_named_in_one_line(tmp_path, furniture):
    broken = tmp_path / "broken.sh3f"
    broken.write_bytes(b"no zip")
    with pytest.raises(ConfigError, match=r"broken.sh3f: can't read this furniture library \(.*\); download it anew"):
        SweetHomeCatalogue([broken])
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ConfigError, match=rf"broken.sh3f: this furniture library lacks {CONTENTS}"):
        SweetHomeCatalogue([broken])
    few = library(tmp_path / "few.sh3f", ("Chair", CONE), ("Chair", CONE), ("Table", CONE))
    with pytest.raises(ConfigError, match=r"few.sh3f: .* at least two classes of two objects, found 1"):
        SweetHomeCatalogue([few])
    lacking = library(
        tmp_path / "lacking.sh3f", *((n, CONE) for n in ("Chair", "Chair", "Table", "Table")), missing=[1]
    )
    with pytest.raises(ConfigError, match=r"lacking.sh3f: this furniture library lacks models/1/m.obj"):
        SweetHomeCatalogue([lacking]).mesh("chair", 0)
    data = furniture.read_bytes()
    furniture.write_bytes(data.replace(CONE.encode()[200:240], b"#" * 40))
    with pytest.raises(ConfigError, match=r"a.sh3f: can't read this furniture library \(Bad CRC"):
        SweetHomeCatalogue([furniture]).mesh("chair", 0)


def test_broken_models_are_named(tmp_path):
    path = library(tmp_path / "a.sh3f", *((n, "v 0 0 nan\n") for n in ("Chair", "Chair", "Table", "Table")))
    with pytest.raises(ConfigError, match=r"a.sh3f/models/1/m.obj: this mesh has no triangles"):
        SweetHomeCatalogue([path]).mesh("chair", 0)


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.sh3f"
    library(path, *((n, CONE) for n in ("Chair", "Chair", "Table", "Table")), missing=[1])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("models/1/m.obj", bytes(2**20))
    monkeypatch.setattr(sweet_home, "MOST_BYTES", 2**19)
    with pytest.raises(ConfigError, match=r"a.sh3f: models/1/m.obj in this furniture library is too big to be read"):
        SweetHomeCatalogue([path]).mesh("chair", 0)
