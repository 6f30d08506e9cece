import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from task2sim import Material
from task2sim_studio.cache import cache_folder
from task2sim_studio.catalogue import FolderCatalogue, mesh_cache, mesh_reader
from task2sim_studio.mesh import Mesh, Part, Textures

trimesh = pytest.importorskip("trimesh")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TASK2SIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mesh_reader, "WORTH_CACHING", 0.0)
    return tmp_path / "cache" / "meshes"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "meshes"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        trimesh.creation.box().export(root / name / "box.ply")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(root / "a" / "wood.png")
    (root / "a" / "box.mtl").write_text("newmtl wood\nmap_Kd wood.png\nnewmtl glass\nKd 0.3 0.6 0.1\nd 0.25\n")
    (root / "a" / "box.obj").write_text(
        "mtllib box.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl wood\nf 1/1 2/2 3/3\nusemtl glass\nf 1/1 3/2 4/3\n"
    )
    return root


def same(a: Mesh, b: Mesh) -> bool:
    arrays = ("vertices", "normals", "uvs", "triangles", "part_of_triangle")
    plain = ("name", "material", "colour", "roughness", "metalness", "opacity")
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)
        and len(a.parts) == len(b.parts)
        and all(getattr(p, name) == getattr(q, name) for p, q in zip(a.parts, b.parts, strict=True) for name in plain)
        and all(_same(p.textures, q.textures) for p, q in zip(a.parts, b.parts, strict=True))
    )


def _same(a: Textures | None, b: Textures | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("albedo", "roughness_metalness", "normal")
    )


def hashed(mesh: Mesh) -> str:
    return hashlib.sha256(mesh.vertices.tobytes() + mesh.uvs.tobytes() + repr(mesh.parts).encode()).hexdigest()


def forbid_reading(monkeypatch):
    monkeypatch.setattr(mesh_reader, "read_bodies", lambda *_: pytest.fail("read anew"))


def test_cached_meshes_are_the_same(folder, cache, monkeypatch):
    fresh = FolderCatalogue(folder).mesh("a", 0)
    assert len(list(cache.iterdir())) == 1
    forbid_reading(monkeypatch)
    cached = FolderCatalogue(folder).mesh("a", 0)
    assert cached is not fresh
    assert same(fresh, cached)


def test_everything_a_part_can_be_survives(cache):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    parts = [
        Part("a", Material("plastic", 3), (0.1, 1 / 3, 0.0), 0.5, 0.25, 0.75, Textures(albedo=picture)),
        Part("b", Material("glass", 4), textures=Textures(picture, picture[..., :2], picture)),
        Part("c", Material("wood", 5)),
    ]
    shape = np.zeros((3, 3))
    mesh = Mesh(shape, shape, shape[:, :2], [[0, 1, 2]], [0], parts)
    mesh_cache.write_cached("key", mesh, {})
    back = mesh_cache.read_cached("key", lambda _: None)
    assert same(mesh, back)
    assert back.parts[0].textures.albedo is back.parts[1].textures.normal


def test_quick_meshes_are_not_cached(folder, cache, monkeypatch):
    monkeypatch.setattr(mesh_reader, "WORTH_CACHING", 1000.0)
    FolderCatalogue(folder).mesh("a", 0)
    assert not cache.exists()


def test_a_changed_picture_or_mesh_is_read_anew(folder, cache):
    before = FolderCatalogue(folder).mesh("a", 0)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(folder / "a" / "wood.png")
    assert (FolderCatalogue(folder).mesh("a", 0).parts[0].textures.albedo == 9).all()
    text = (folder / "a" / "box.obj").read_text().replace("v 1 0 0", "v 5 0 0")
    (folder / "a" / "box.obj").write_text(text)
    assert not np.array_equal(FolderCatalogue(folder).mesh("a", 0).vertices, before.vertices)


def test_the_mesh_does_not_depend_on_where_it_lies(folder, cache, tmp_path):
    fresh = FolderCatalogue(folder).mesh("a", 0)
    folder.rename(tmp_path / "moved")
    (tmp_path / "moved" / "a").rename(tmp_path / "moved" / "c")
    assert same(fresh, FolderCatalogue(tmp_path / "moved").mesh("c", 0))


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_broken_cache_files_are_replaced(folder, cache, damage, monkeypatch):
    fresh = FolderCatalogue(folder).mesh("a", 0)
    path = next(cache.iterdir())
    whole = path.read_bytes()
    path.write_bytes(
        whole[: len(whole) // 2] + bytes(100) + whole[len(whole) // 2 + 100 :] if damage is None else damage
    )
    assert same(fresh, FolderCatalogue(folder).mesh("a", 0))
    forbid_reading(monkeypatch)
    assert same(fresh, FolderCatalogue(folder).mesh("a", 0))


def test_a_cache_that_can_not_be_written_is_done_without(folder, cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert len(FolderCatalogue(folder).mesh("a", 0).triangles) == 2


def test_a_failed_write_leaves_nothing(folder, cache, monkeypatch):
    def fail(file, **_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    assert len(FolderCatalogue(folder).mesh("a", 0).triangles) == 2
    assert list(cache.iterdir()) == []


def test_the_cache_makes_room(folder, cache, monkeypatch):
    FolderCatalogue(folder).mesh("b", 0)
    (larger,) = cache.iterdir()
    monkeypatch.setattr("task2sim_studio.cache.MOST_BYTES", larger.stat().st_size + 10)
    FolderCatalogue(folder).mesh("a", 0)
    (kept,) = cache.iterdir()
    assert kept != larger


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("TASK2SIM_CACHE", str(tmp_path))
    assert cache_folder("meshes") == tmp_path / "meshes"
    monkeypatch.delenv("TASK2SIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("meshes") == tmp_path / "task2sim" / "meshes"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("meshes") == tmp_path / ".cache" / "task2sim" / "meshes"


def test_threads_and_processes_make_the_same_mesh(folder, cache):
    big = trimesh.creation.icosphere(subdivisions=7)
    big.export(folder / "b" / "ball.ply")
    with ThreadPoolExecutor(2) as pool:
        meshes = list(pool.map(lambda _: FolderCatalogue(folder).mesh("b", 0), range(2)))
    assert same(*meshes)
    program = (
        "import sys, hashlib; from task2sim_studio.catalogue import FolderCatalogue; "
        "mesh = FolderCatalogue(sys.argv[1]).mesh('b', 0); "
        "print(hashlib.sha256(mesh.vertices.tobytes() + mesh.uvs.tobytes() + repr(mesh.parts).encode()).hexdigest())"
    )
    hashes = {hashed(mesh) for mesh in meshes}
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        env={"TASK2SIM_CACHE": str(cache / "other"), "PYTHONHASHSEED": "5", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert hashes == {run.stdout.strip()}
