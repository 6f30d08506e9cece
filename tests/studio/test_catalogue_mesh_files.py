import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from task2sim import ConfigError
from task2sim_studio.catalogue import FolderCatalogue, mesh_files, mesh_shape
from task2sim_studio.catalogue.looks import linear
from task2sim_studio.catalogue.wavefront import libraries, parse_materials

trimesh = pytest.importorskip("trimesh")

SQUARE = """mtllib square.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 2 0
vt 2 2
vt 0 2
usemtl front
f 1/1 2/2 3/3
usemtl  my   wood
f 1/1 3/3 4/4
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TASK2SIM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    trimesh.creation.box().export(tmp_path / "b" / "box.ply")
    return tmp_path


def picture(size=(8, 4), colour=(10, 20, 30), kind="png") -> bytes:
    file = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(file, kind)
    return file.getvalue()


def read(folder, name, content):
    path = folder / "a" / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FolderCatalogue(folder).mesh("a", 0)


def square(folder, materials: str):
    (folder / "a" / "square.mtl").write_text(materials)
    return {part.name: part for part in read(folder, "square.obj", SQUARE).parts}


def test_obj_materials_become_parts(folder):
    parts = square(
        folder,
        "newmtl front\nKd 0.5 0 1\nKs 0.5 0.5 0.5\nNs 96\nd 0.25\n\nnewmtl my wood\n\tKd 1 1 1\nPr 0.3\nPm 0.75\n",
    )
    assert list(parts) == ["front", "my wood"]
    assert parts["front"].colour == pytest.approx((float(linear(np.array(0.5))), 0, 1))
    assert parts["front"].opacity == 0.25
    assert parts["front"].roughness == pytest.approx((2 / 98) ** 0.25)
    assert (parts["my wood"].roughness, parts["my wood"].metalness, parts["my wood"].opacity) == (0.3, 0.75, None)
    assert parts["front"].metalness == 0
    assert parts["front"].textures is None


def test_obj_materials_without_highlight_are_rough(folder):
    parts = square(folder, "newmtl front\nNs 500\nKs 0 0 0\nillum 2\nnewmtl my wood\nNs 500\nillum 1\nTr 0.4")
    assert parts["front"].roughness == parts["my wood"].roughness == 1
    assert parts["my wood"].opacity == pytest.approx(0.6)


def test_obj_pictures_are_laid_by_the_files_coordinates(folder):
    (folder / "a" / "my picture.png").write_bytes(picture())
    (folder / "a" / "bumps.png").write_bytes(picture(colour=(128, 128, 255)))
    (folder / "a" / "square.mtl").write_text(
        "newmtl front\nKd 0.1 0.1 0.1\nmap_Kd -s 1 1 1 -clamp on my picture.png\nnorm bumps.png\n"
        "newmtl my wood\nmap_Kd my picture.png\n"
    )
    mesh = read(folder, "square.obj", SQUARE)
    front, wood = mesh.parts
    assert front.colour == (1, 1, 1)
    np.testing.assert_array_equal(front.textures.albedo, np.full((4, 8, 3), (10, 20, 30)))
    np.testing.assert_array_equal(front.textures.normal, np.full((4, 8, 3), (128, 128, 255)))
    assert wood.textures.normal is None
    # The file's (x, y) in [0, 1] lies at u, v = 2x, 2y; upright, the square stands in the plane of x and z.
    corners = mesh.vertices[:, [0, 2]]
    expected = 2 * (corners - corners.min(axis=0)) / np.ptp(corners, axis=0)
    np.testing.assert_allclose(mesh.uvs, expected, atol=1e-5)


def test_parts_without_pictures_are_laid_from_a_box(folder):
    (folder / "a" / "square.mtl").write_text("newmtl front\nnewmtl my wood\n")
    mesh = read(folder, "square.obj", SQUARE)
    assert np.abs(mesh.uvs).max() <= 0.5


def test_pictures_are_cut_down(folder):
    (folder / "a" / "big.jpg").write_bytes(picture((2500, 1300), kind="jpeg"))
    texture = square(folder, "newmtl front\nmap_Kd big.jpg")["front"].textures.albedo
    assert max(texture.shape) <= 1024
    assert texture.shape[1] / texture.shape[0] == pytest.approx(2500 / 1300, rel=0.01)
    assert np.abs(texture.astype(int) - (10, 20, 30)).max() <= 3


def test_the_transparent_part_of_a_picture_takes_the_colour_of_the_rest(folder):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 2))
    image.save(folder / "a" / "leaf.png")
    texture = square(folder, "newmtl front\nmap_Kd leaf.png")["front"].textures.albedo
    np.testing.assert_array_equal(texture, np.full((4, 4, 3), (200, 100, 50)))


def test_deep_and_grey_pictures_are_read(folder):
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(folder / "a" / "deep.png")
    Image.new("L", (4, 4), 7).save(folder / "a" / "grey.png")
    parts = square(folder, "newmtl front\nmap_Kd deep.png\nnewmtl my wood\nmap_Kd grey.png")
    assert (parts["front"].textures.albedo == 128).all()
    assert (parts["my wood"].textures.albedo == 7).all()


def test_pictures_named_where_they_were_made_are_found_beside_the_mesh(folder):
    (folder / "a" / "wood.png").write_bytes(picture())
    (folder / "pictures").mkdir()
    (folder / "pictures" / "up.png").write_bytes(picture(colour=(1, 2, 3)))
    trimesh.creation.box().export(folder / "pictures" / "x.ply")
    parts = square(folder, "newmtl front\nmap_Kd C:\\Users\\me\\wood.png\nnewmtl my wood\nmap_Kd ../pictures/up.png")
    assert parts["front"].textures is not None
    assert (parts["my wood"].textures.albedo == (1, 2, 3)).all()


def test_pictures_outside_the_folder_are_not_read(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes(picture())
    with pytest.raises(ConfigError, match="not there"):
        square(folder, f"newmtl front\nmap_Kd {outside}")


def test_missing_and_broken_pictures_are_named(folder):
    with pytest.raises(ConfigError) as caught:
        square(folder, "newmtl front\nmap_Kd wood.png")
    place = str(folder / "a" / "square.obj")
    assert str(caught.value) == (
        f"{place}: this mesh wants the picture 'wood.png', which is not there; "
        "put the picture beside the mesh, or take it out of the mesh's material"
    )
    for broken in (b"", b"no picture", picture((300, 300))[:120]):
        (folder / "a" / "wood.png").write_bytes(broken)
        with pytest.raises(ConfigError) as caught:
            square(folder, "newmtl front\nmap_Kd wood.png")
        assert str(caught.value).startswith(f"{place}: the picture 'wood.png' of this mesh can't be read (")
        assert "\n" not in str(caught.value)


def test_a_picture_that_no_triangle_wears_may_be_missing(folder):
    assert square(folder, "newmtl front\nnewmtl unworn\nmap_Kd wood.png")


def test_missing_materials_are_named(folder):
    with pytest.raises(ConfigError, match=r"wants the materials 'square.mtl', which are not there; put the .mtl"):
        read(folder, "square.obj", SQUARE)


def test_an_obj_without_materials_has_its_objects_as_parts(folder):
    mesh = read(folder, "two.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\no seat\nf 1 2 3\no leg\nf 1 2 4\n")
    assert [part.name for part in mesh.parts] == ["seat", "leg"]
    assert mesh.parts[0].colour is None


def test_obj_text_in_any_encoding(folder):
    (folder / "a" / "square.mtl").write_bytes("newmtl frönt\nKd 1 0 0\n".encode("latin-1"))
    text = SQUARE.replace("usemtl front", "usemtl frönt").replace("\n", "\r\n")
    part = read(folder, "square.obj", text.encode("latin-1")).parts[0]
    assert (part.name, part.colour) == ("frönt", (1, 0, 0))


def test_mtl_files_are_read_with_care():
    materials = parse_materials("# comment\nKd 1 1 1\nnewmtl  a  b \n kd\t0 0 0\nKd 9 9 9\nmap_Kd\nnewmtl c")
    assert list(materials) == ["a b", "c"]
    assert materials["a b"]["kd"] == "0 0 0"
    assert libraries("mtllib a b.mtl\nv 0 0 0\nmtllib c.mtl") == ["a b.mtl", "c.mtl"]


# --- glTF ---


def glb(material=None, count=1, **tree):
    """A square in a .glb file; `tree` adds to its header."""
    meshes = []
    for _ in range(count):
        mesh = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [(0, 1, 2), (0, 2, 3)], process=False)
        if material is not None:
            mesh.visual = trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2], material=material)
        meshes.append(mesh)
    data = trimesh.Scene(meshes).export(file_type="glb")
    return rewritten(data, lambda header: header.update(tree))


def rewritten(data, change):
    length = struct.unpack_from("<I", data, 12)[0]
    header = json.loads(data[20 : 20 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def pbr(**values):
    return trimesh.visual.material.PBRMaterial(name="paint", **values)


def test_glb_materials(folder):
    base = Image.new("RGBA", (4, 4), (100, 150, 200, 128))
    rough = Image.new("RGB", (4, 4), (1, 2, 3))
    normal = Image.new("RGB", (4, 4), (128, 128, 255))
    material = pbr(
        baseColorTexture=base,
        baseColorFactor=[1.0, 0.2, 0.4, 0.5],
        metallicRoughnessTexture=rough,
        normalTexture=normal,
        metallicFactor=0.25,
        roughnessFactor=0.75,
        alphaMode="BLEND",
    )
    mesh = read(folder, "m.glb", glb(material))
    part = mesh.parts[0]
    assert part.colour == pytest.approx((1, 0.2, 0.4), abs=1 / 255)
    assert (part.metalness, part.roughness) == (0.25, 0.75)
    assert part.opacity == pytest.approx(0.25, abs=0.01)
    assert (part.textures.albedo == (100, 150, 200)).all()
    assert (part.textures.roughness_metalness == (2, 3)).all()
    assert (part.textures.normal == (128, 128, 255)).all()
    corners = mesh.vertices[:, [0, 2]]
    np.testing.assert_allclose(mesh.uvs, (corners - corners.min(axis=0)) / np.ptp(corners, axis=0), atol=1e-5)


def test_glb_materials_that_say_nothing_have_the_formats_defaults(folder):
    part = read(folder, "m.glb", glb(pbr(baseColorFactor=[0.5, 0.5, 0.5, 0.3]))).parts[0]
    assert (part.metalness, part.roughness, part.opacity, part.textures) == (1, 1, None, None)


def test_glb_pictures_outside_the_file(folder):
    image = Image.new("RGB", (4, 4), (9, 8, 7))

    def take_out(header):
        header["images"][0] = {"uri": "my%20wood.png"}

    data = rewritten(glb(pbr(baseColorTexture=image)), take_out)
    with pytest.raises(ConfigError, match=r"m.glb: this mesh wants the picture 'my wood.png', which is not there"):
        read(folder, "m.glb", data)
    (folder / "a" / "my wood.png").write_bytes(picture(colour=(9, 8, 7)))
    assert (read(folder, "m.glb", data).parts[0].textures.albedo == (9, 8, 7)).all()


def test_broken_glb_pictures_are_named(folder):
    data = glb(pbr(baseColorTexture=Image.new("RGB", (4, 4))))
    with pytest.raises(ConfigError, match=r"m.glb: the picture '0' of this mesh can't be read"):
        read(folder, "m.glb", data.replace(b"\x89PNG", b"\x00PNG"))


def test_glb_texture_transforms(folder):
    def move(header):
        transform = {"offset": [0.25, 0.5], "scale": [2, 4]}
        texture = header["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
        texture["extensions"] = {"KHR_texture_transform": transform}

    mesh = read(folder, "m.glb", rewritten(glb(pbr(baseColorTexture=Image.new("RGB", (4, 4)))), move))
    corners = mesh.vertices[:, [0, 2]]
    place = (corners - corners.min(axis=0)) / np.ptp(corners, axis=0)
    np.testing.assert_allclose(mesh.uvs[:, 0], 2 * place[:, 0] + 0.25, atol=1e-5)
    np.testing.assert_allclose(1 - mesh.uvs[:, 1], 4 * (1 - place[:, 1]) + 0.5, atol=1e-5)


def test_glb_files_that_are_compressed_are_refused(folder):
    with pytest.raises(ConfigError, match="needs the glTF extension KHR_draco_mesh_compression, which is not read"):
        read(folder, "m.glb", glb(extensionsRequired=["KHR_draco_mesh_compression"]))


def test_copies_of_a_mesh_are_one_part_and_mirrored_ones_keep_their_front(folder):
    square = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 1, 0)], [(0, 1, 2)], process=False)  # faces +z
    scene = trimesh.Scene()
    scene.add_geometry(square, geom_name="leg")
    for k in range(1, 4):
        transform = np.diag((-1.0 if k % 2 else 1.0, 1.0, 1.0, 1.0))
        transform[0, 3] = 3 * k
        scene.graph.update(frame_to=f"copy {k}", matrix=transform, geometry="leg")
    mesh = read(folder, "m.glb", scene.export(file_type="glb"))
    assert [part.name for part in mesh.parts] == ["leg"]
    assert len(mesh.triangles) == 4
    np.testing.assert_allclose(mesh.normals, np.tile((0.0, -1.0, 0.0), (len(mesh.normals), 1)), atol=1e-6)


def test_primitives_of_a_glb_come_in_the_same_order_in_every_process(folder):
    """Trimesh names the nodes of a mesh with several primitives at random."""
    meshes = [trimesh.creation.box((1, 1, k)) for k in (1, 2, 3)]

    def merge(header):
        header["meshes"] = [{"name": "m", "primitives": [m["primitives"][0] for m in header["meshes"]]}]
        header["nodes"] = [{"mesh": 0, "name": "n"}]
        header["scenes"] = [{"nodes": [0]}]

    data = rewritten(trimesh.Scene(meshes).export(file_type="glb"), merge)
    first = read(folder, "m.glb", data)
    assert len(first.parts) == 3
    for _ in range(3):
        again = FolderCatalogue(folder).mesh("a", 0)
        assert again.parts == first.parts
        np.testing.assert_array_equal(again.vertices, first.vertices)


# --- ply ---


def test_ply_pictures(folder):
    square = trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], [(0, 1, 2), (0, 2, 3)], process=False)
    text = (
        "ply\nformat ascii 1.0\ncomment TextureFile skin.png\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nproperty float s\nproperty float t\nelement face 2\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    text += "".join(f"{x} {y} {z} {x} {z}\n" for x, y, z in square.vertices) + "3 0 1 2\n3 0 2 3\n"
    with pytest.raises(ConfigError, match=r"wants the picture 'skin.png'"):
        read(folder, "m.ply", text)
    (folder / "a" / "skin.png").write_bytes(picture())
    mesh = read(folder, "m.ply", text)
    assert (mesh.parts[0].textures.albedo == (10, 20, 30)).all()
    place = mesh.vertices[:, [0, 2]]
    np.testing.assert_allclose(mesh.uvs, (place - place.min(axis=0)) / np.ptp(place, axis=0), atol=1e-5)


def test_ply_colours_are_means_of_light(folder):
    box = trimesh.creation.box()
    box.visual.vertex_colors = [(255, 0, 0, 255)] * 4 + [(0, 0, 0, 255)] * 4
    assert read(folder, "m.ply", box.export(file_type="ply")).parts[0].colour == pytest.approx((0.5, 0, 0))


# --- shapes ---


def test_double_triangles_and_lines_are_dropped(folder):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 3 2 1\nf 1 2 3\nf 1 1 2\nf 1 2 4\n"
    assert len(read(folder, "m.obj", text).triangles) == 2
    with pytest.raises(ConfigError, match="no triangle of any size"):
        read(folder, "m.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 1 2\n")


def test_each_closed_piece_is_turned_outwards(folder):
    inverted = trimesh.creation.icosphere(subdivisions=1)
    inverted.invert()
    both = trimesh.util.concatenate([trimesh.creation.box((9, 9, 9)), inverted.apply_translation((20, 0, 0))])
    mesh = read(folder, "m.ply", both.export(file_type="ply"))
    ball = mesh.vertices[mesh.triangles][mesh.vertices[mesh.triangles][:, :, 0].min(axis=1) > 0.2].astype(float)
    ball -= ball.reshape(-1, 3).mean(axis=0)
    assert np.einsum("ij,ij->", ball[:, 0], np.cross(ball[:, 1], ball[:, 2])) > 0


def test_simplified_meshes_keep_parts_and_pictures(folder, monkeypatch):
    """Two halves of a ball, each with a picture laid by where its points are: so are those of the simplified ball."""
    monkeypatch.setattr(mesh_shape, "MOST_TRIANGLES", 2000)
    ball = trimesh.creation.icosphere(subdivisions=5)
    upper = ball.triangles_center[:, 2] > 0
    image = Image.new("RGB", (4, 4))
    scene = trimesh.Scene()
    for name, faces, offset in (("top", upper, 0.0), ("bottom", ~upper, 10.0)):
        half = ball.submesh([faces], append=True)
        half.visual = trimesh.visual.TextureVisuals(
            uv=half.vertices[:, :2] + offset, material=pbr(baseColorTexture=image)
        )
        scene.add_geometry(half, geom_name=name)
    mesh = read(folder, "m.glb", scene.export(file_type="glb"))
    assert 1000 < len(mesh.triangles) <= 2000
    assert [part.name for part in mesh.parts] == ["top", "bottom"]
    heights = -mesh.vertices[mesh.triangles].mean(axis=1)[:, 1]  # the file's z is the front
    part = mesh.part_of_triangle
    clear = np.abs(heights) > 0.05
    assert ((heights > 0) == (part == 0))[clear].all()
    for k, offset in enumerate((0.0, 10.0)):
        corners = np.unique(mesh.triangles[part == k])
        place = np.stack([mesh.vertices[corners, 0], mesh.vertices[corners, 2]], axis=1) * 2 + offset
        assert np.abs(mesh.uvs[corners] - place).max() < 0.15
        assert np.abs(mesh.uvs[corners] - place).mean() < 0.02


def test_simplified_meshes_have_no_cracks(folder, monkeypatch):
    from task2sim_studio.uploads import is_closed

    monkeypatch.setattr(mesh_shape, "MOST_TRIANGLES", 3000)
    assert is_closed(read(folder, "m.ply", trimesh.creation.icosphere(subdivisions=5).export(file_type="ply")))


def test_triangles_that_do_not_hang_together_are_simplified_too(folder, monkeypatch):
    monkeypatch.setattr(mesh_shape, "MOST_TRIANGLES", 500)
    vertices = np.random.default_rng(0).random((3000, 3))
    soup = trimesh.Trimesh(vertices, np.arange(3000).reshape(-1, 3), process=False)
    mesh = read(folder, "m.ply", soup.export(file_type="ply"))
    assert 0 < len(mesh.triangles) <= 500
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.5, abs=1e-5)


def test_what_can_not_be_simplified_is_refused(folder, monkeypatch):
    monkeypatch.setattr(mesh_shape, "MOST_TRIANGLES", 3)
    monkeypatch.setattr(mesh_shape, "_simplified", lambda shape: shape)
    with pytest.raises(ConfigError, match="can't be simplified to 3 triangles; simplify it in a modelling program"):
        read(folder, "m.ply", trimesh.creation.icosphere(subdivisions=2).export(file_type="ply"))


# --- gigantic ---


@pytest.mark.parametrize("kind", ["obj", "ply", "glb"])
def test_meshes_with_too_many_triangles_are_refused(folder, kind, monkeypatch):
    monkeypatch.setattr(mesh_files, "MOST_READ_TRIANGLES", 100)
    data = trimesh.creation.icosphere(subdivisions=2).export(file_type=kind)
    with pytest.raises(ConfigError, match=rf"m.{kind}: this mesh has 320 triangles, more than 100; simplify it in"):
        read(folder, f"m.{kind}", data)


def test_a_ply_that_promises_too_many_triangles_is_not_even_read(folder):
    text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nelement face 9000000000\nend_header\n"
    with pytest.raises(ConfigError, match=r"9,000,000,000 triangles, more than 5,000,000"):
        read(folder, "m.ply", text)


def test_copies_count_as_triangles(folder, monkeypatch):
    monkeypatch.setattr(mesh_files, "MOST_READ_TRIANGLES", 100)
    scene = trimesh.Scene(trimesh.creation.box())
    for k in range(10):
        scene.graph.update(frame_to=str(k), geometry=next(iter(scene.geometry)))
    with pytest.raises(ConfigError, match="132 triangles"):
        read(folder, "m.glb", scene.export(file_type="glb"))


def test_files_that_are_too_big_are_not_read(folder):
    with (folder / "a" / "m.obj").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(
        ConfigError, match=r"m.obj: this file is too big to be read: 3.0 GB; make it smaller than 1 GB"
    ):
        FolderCatalogue(folder).mesh("a", 0)


def test_enormous_texture_coordinates_are_read_and_drawn(tmp_path):
    from PIL import Image

    from task2sim_studio.catalogue import open_catalogue
    from task2sim_studio.simulator import Studio

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.mtl").write_text("newmtl m\nmap_Kd m.png\n")
        Image.new("RGB", (4, 4), (200, 30, 30)).save(tmp_path / name / "m.png")
        (tmp_path / name / "m.obj").write_text(
            "mtllib m.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 1e39 0\nvt 0 1e300\nvt nan 1\nf 1/1 2/2 3/3\n"
        )
    mesh = open_catalogue(tmp_path).mesh("a", 0)
    assert np.isfinite(mesh.uvs).all()
    with Studio(Studio.Config(resolution=16, meshes=tmp_path, device="cpu")) as studio:
        (batch,) = studio.render(studio.parameter_space.default(), range(2), 0)
    assert (batch.instance_mask == 1).any()
