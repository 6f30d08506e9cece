import numpy as np
import pytest

from task2sim import ConfigError
from task2sim_studio.catalogue import FolderCatalogue
from task2sim_studio.catalogue.mesh_shape import MOST_TRIANGLES

trimesh = pytest.importorskip("trimesh")


def volume(mesh) -> float:
    a, b, c = (mesh.vertices[mesh.triangles[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


@pytest.fixture
def folder(tmp_path):
    for name in ("ball", "box"):
        (tmp_path / name).mkdir()
    box = trimesh.creation.box((1, 2, 3))
    box.export(tmp_path / "box" / "a.obj")
    trimesh.creation.icosphere(subdivisions=2).apply_translation((5, 0, 0)).export(tmp_path / "ball" / "b.ply")
    scene = trimesh.Scene()
    box.visual.vertex_colors = (255, 0, 0, 255)
    scene.add_geometry(box, geom_name="red")
    scene.add_geometry(trimesh.creation.box((1, 1, 1)).apply_translation((3, 0, 0)), geom_name="small")
    scene.export(tmp_path / "box" / "b.glb")
    return tmp_path


def test_classes_and_objects_are_read_in_order(folder):
    catalogue = FolderCatalogue(folder)
    assert dict(catalogue.instances) == {"ball": 1, "box": 2}
    assert list(catalogue.instances) == ["ball", "box"]


def test_meshes_are_centred_scaled_and_sound(folder):
    catalogue = FolderCatalogue(folder)
    for name, count in catalogue.instances.items():
        for k in range(count):
            mesh = catalogue.mesh(name, k)
            assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.5, abs=1e-5)
            np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
            assert np.isfinite(mesh.uvs).all()
            assert volume(mesh) > 0
            assert set(mesh.part_of_triangle) == set(range(len(mesh.parts)))


def test_the_same_mesh_every_time(folder):
    catalogue, other = FolderCatalogue(folder), FolderCatalogue(folder)
    assert catalogue.mesh("box", 1) is catalogue.mesh("box", 1)
    np.testing.assert_array_equal(catalogue.mesh("box", 1).vertices, other.mesh("box", 1).vertices)
    assert catalogue.mesh("box", 1).parts == other.mesh("box", 1).parts


def test_obj_and_glb_files_have_y_up(folder):
    """A box of 1 x 2 x 3 in the file, with y up, is 1 x 3 x 2 with z up; ply files keep their axes."""
    extent = np.ptp(FolderCatalogue(folder).mesh("box", 0).vertices, axis=0)
    np.testing.assert_allclose(extent / extent[0], (1, 3, 2), rtol=1e-5)
    trimesh.creation.box((1, 2, 3)).export(folder / "box" / "c.ply")
    extent = np.ptp(FolderCatalogue(folder).mesh("box", 2).vertices, axis=0)
    np.testing.assert_allclose(extent / extent[0], (1, 2, 3), rtol=1e-5)


def test_the_front_of_a_gltf_file_faces_minus_y(folder):
    """glTF's front is +z: a cone that points there points to -y."""
    trimesh.creation.cone(radius=1, height=4).export(folder / "box" / "c.glb")
    mesh = FolderCatalogue(folder).mesh("box", 2)
    tip = mesh.vertices[np.argmin(mesh.vertices[:, 1])]
    np.testing.assert_allclose(tip[[0, 2]], 0, atol=1e-5)


def test_parts_keep_their_names_and_colours(folder):
    parts = {part.name: part for part in FolderCatalogue(folder).mesh("box", 1).parts}
    assert set(parts) == {"red", "small"}
    assert parts["red"].colour == pytest.approx((1, 0, 0))
    assert parts["small"].colour is None


def test_boxes_stay_sharp_and_balls_smooth(folder):
    catalogue = FolderCatalogue(folder)
    assert np.isclose(np.abs(catalogue.mesh("box", 0).normals).max(axis=1), 1, atol=1e-5).all()
    ball = catalogue.mesh("ball", 0)
    directions = ball.vertices / np.linalg.norm(ball.vertices, axis=1, keepdims=True)
    assert ((ball.normals * directions).sum(axis=1) > 0.998).all()
    assert len(ball.vertices) < len(ball.triangles)


def test_meshes_that_are_inside_out_are_turned(folder):
    box = trimesh.creation.icosphere(subdivisions=1)
    box.invert()
    box.export(folder / "ball" / "c.ply")
    assert volume(FolderCatalogue(folder).mesh("ball", 1)) > 0


def test_big_meshes_are_simplified(folder):
    big = trimesh.creation.icosphere(subdivisions=7)
    assert len(big.faces) > 3 * MOST_TRIANGLES
    big.export(folder / "ball" / "big.ply")
    mesh = FolderCatalogue(folder).mesh("ball", 1)
    assert MOST_TRIANGLES / 4 < len(mesh.triangles) <= MOST_TRIANGLES
    assert volume(mesh) == pytest.approx(np.pi / 6, rel=0.01)


def test_missing_and_poor_folders(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere: no such folder"):
        FolderCatalogue(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="at least two classes, found 0"):
        FolderCatalogue(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(ConfigError, match="at least two classes, found 1"):
        FolderCatalogue(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("no mesh")
    trimesh.creation.box().export(tmp_path / "a" / "a.ply")
    with pytest.raises(ConfigError, match=r"b: a class without a mesh; put .glb, .obj or .ply files there"):
        FolderCatalogue(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.glb", b"glTF but not really", "can't read this mesh"),
        ("broken.ply", b"ply\nformat ascii 1.0\nelement vertex 3\nend_header\n", "can't read this mesh"),
        ("empty.obj", b"", "no triangles"),
        ("points.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no triangles"),
        ("nan.obj", b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("infinite.obj", b"v 0 0 inf\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("dot.obj", b"v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "no size"),
        ("beyond.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "mesh"),
    ],
)
def test_bad_files_are_named_in_one_line(folder, name, content, reason):
    (folder / "box" / f"z{name}").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        FolderCatalogue(folder).mesh("box", 2)
    assert str(caught.value).startswith(str(folder / "box" / f"z{name}") + ": ")
    assert "\n" not in str(caught.value)
    assert reason in str(caught.value)


def test_objects_that_are_not_there(folder):
    catalogue = FolderCatalogue(folder)
    with pytest.raises(KeyError):
        catalogue.mesh("chair", 0)
    with pytest.raises(IndexError):
        catalogue.mesh("box", 2)
