import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim_studio.catalogue import ProceduralCatalogue
from task2sim_studio.mesh import MATERIALS, Mesh

EVERY = 1000
CATALOGUE = ProceduralCatalogue(None, EVERY)
CATEGORIES = tuple(CATALOGUE.instances)


def welded(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Vertices at one place as one, and the triangles that still have an area."""
    places, ids = np.unique(np.round(mesh.vertices, 5), axis=0, return_inverse=True)
    triangles = ids.reshape(-1)[mesh.triangles]
    a, b, c = triangles.T
    return places.astype(float), triangles[(a != b) & (b != c) & (c != a)]


def faces(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.triangles].astype(float)
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def digest(mesh: Mesh) -> str:
    arrays = (mesh.vertices, mesh.normals, mesh.uvs, mesh.triangles, mesh.part_of_triangle)
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays) + repr(mesh.parts).encode()).hexdigest()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CATEGORIES), st.integers(0, EVERY - 1))
def test_every_object_is_a_sound_mesh(category, instance):
    mesh = CATALOGUE.mesh(category, instance)
    count = len(mesh.vertices)
    assert 60 <= len(mesh.triangles) <= 9000
    assert mesh.normals.shape == (count, 3)
    assert mesh.uvs.shape == (count, 2)
    assert mesh.part_of_triangle.shape == (len(mesh.triangles),)
    assert all(np.isfinite(a).all() for a in (mesh.vertices, mesh.normals, mesh.uvs))
    assert mesh.triangles.min() >= 0
    assert mesh.triangles.max() < count
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-4)
    radius = np.linalg.norm(mesh.vertices, axis=1).max()
    assert radius == pytest.approx(0.5, abs=1e-4)
    areas = np.linalg.norm(faces(mesh), axis=1)
    assert (areas < 1e-12).mean() < 0.05
    assert np.abs(mesh.uvs).max() < 20


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CATEGORIES), st.integers(0, EVERY - 1))
def test_parts_are_closed_and_face_outwards(category, instance):
    mesh = CATALOGUE.mesh(category, instance)
    for part in range(len(mesh.parts)):
        chosen = mesh.part_of_triangle == part
        corners = mesh.vertices[mesh.triangles[chosen]].astype(float)
        # Closed: the face vectors of a closed surface cancel.
        vectors = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
        assert np.abs(vectors.sum(axis=0)).max() < 1e-4 * max(np.linalg.norm(vectors, axis=1).sum(), 1e-3)
        volume = np.einsum("ij,ij->", corners.mean(axis=1) - corners.mean(axis=(0, 1)), vectors) / 3
        assert volume > 0, mesh.parts[part].name
    agree = (faces(mesh) * mesh.normals[mesh.triangles].mean(axis=1)).sum(axis=1)
    assert (agree < -1e-9).mean() < 0.06


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CATEGORIES), st.integers(0, EVERY - 1))
def test_every_edge_lies_between_two_triangles(category, instance):
    _, triangles = welded(CATALOGUE.mesh(category, instance))
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    there, back = (np.sort(e[:, 0] * 2**32 + e[:, 1]) for e in (edges, edges[:, ::-1]))
    assert (there != back).mean() < 0.02


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CATEGORIES), st.integers(0, EVERY - 1))
def test_parts_are_named_and_finished(category, instance):
    mesh = CATALOGUE.mesh(category, instance)
    assert mesh.parts
    assert len({part.name for part in mesh.parts}) == len(mesh.parts)
    assert set(mesh.part_of_triangle) == set(range(len(mesh.parts)))
    for part in mesh.parts:
        assert part.material.name in MATERIALS
        assert 0 <= part.material.seed < 2**31
        assert len(part.colour) == 3
        assert all(0 <= c <= 1 for c in part.colour)


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_two_instances_are_the_same(category):
    meshes = [CATALOGUE.mesh(category, k) for k in range(6)]
    shapes = {hashlib.sha256(mesh.vertices.tobytes()).hexdigest() for mesh in meshes}
    assert len(shapes) == len(meshes)
    assert len({mesh.parts[0].material.seed for mesh in meshes}) == len(meshes)


def test_most_categories_vary_in_their_parts():
    varied = sum(
        len({(len(mesh.triangles), tuple(part.name for part in mesh.parts)) for mesh in meshes}) > 1
        for meshes in ([CATALOGUE.mesh(category, k) for k in range(6)] for category in CATEGORIES)
    )
    assert varied > 0.8 * len(CATEGORIES)


def test_categories_differ_in_shape():
    """The mean silhouettes of no two categories are the same."""

    def outline(mesh: Mesh) -> np.ndarray:
        corners = mesh.vertices[mesh.triangles].mean(axis=1)
        areas = np.linalg.norm(faces(mesh), axis=1)
        histogram = [np.histogram(corners[:, k], 12, (-0.5, 0.5), weights=areas)[0] for k in range(3)]
        return np.concatenate(histogram) / areas.sum()

    means = np.stack([np.mean([outline(CATALOGUE.mesh(name, k)) for k in range(4)], axis=0) for name in CATEGORIES])
    distances = np.abs(means[:, None] - means[None]).sum(axis=2) + 9 * np.eye(len(CATEGORIES))
    assert distances.min() > 0.05


def test_there_are_enough_categories():
    assert len(CATEGORIES) >= 60
    assert list(CATEGORIES) == sorted(CATEGORIES)
    assert set(CATALOGUE.instances.values()) == {EVERY}


def test_objects_are_the_same_in_every_process():
    wanted = [(CATEGORIES[k], 7 * k) for k in range(0, len(CATEGORIES), 9)]
    program = (
        "import sys, hashlib\n"
        "from task2sim_studio.catalogue import ProceduralCatalogue\n"
        "assert 'trimesh' not in sys.modules and 'scipy' not in sys.modules\n"
        f"catalogue = ProceduralCatalogue({[name for name, _ in wanted]}, 1000)\n"
        f"for name, k in {list(reversed(wanted))}:\n"
        "    m = catalogue.mesh(name, k)\n"
        "    arrays = (m.vertices, m.normals, m.uvs, m.triangles, m.part_of_triangle)\n"
        "    print(hashlib.sha256(b''.join(a.tobytes() for a in arrays) + repr(m.parts).encode()).hexdigest())\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [digest(CATALOGUE.mesh(*which)) for which in reversed(wanted)]


def test_objects_do_not_depend_on_the_catalogue_or_global_random_state():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    small = ProceduralCatalogue(["teapot", "car"], 3)
    assert tuple(small.instances) == ("teapot", "car")
    assert digest(small.mesh("car", 2)) == digest(CATALOGUE.mesh("car", 2))
    assert small.mesh("car", 2) is small.mesh("car", 2)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_bad_categories_are_named_with_a_mend():
    with pytest.raises(ConfigError, match="unknown category 'chiar'; did you mean 'chair'"):
        ProceduralCatalogue(["chair", "chiar"], 1)
    with pytest.raises(ConfigError, match="unknown category 'qqqq'; choose from aeroplane"):
        ProceduralCatalogue(["qqqq"], 1)
    with pytest.raises(ConfigError, match="no categories"):
        ProceduralCatalogue([], 1)
    with pytest.raises(ConfigError, match="named twice"):
        ProceduralCatalogue(["chair", "chair"], 1)
    with pytest.raises(ConfigError, match="at least one instance"):
        ProceduralCatalogue(None, 0)


def test_objects_that_are_not_there():
    catalogue = ProceduralCatalogue(["chair", "mug"], 2)
    with pytest.raises(KeyError):
        catalogue.mesh("car", 0)
    for instance in (-1, 2):
        with pytest.raises(IndexError):
            catalogue.mesh("chair", instance)


def test_a_foot_is_below_a_head():
    """z is up and the front faces -y: told from parts that have their place."""

    def middle(category: str, name: str, axis: int) -> float:
        mesh = CATALOGUE.mesh(category, 0)
        chosen = mesh.part_of_triangle == [part.name for part in mesh.parts].index(name)
        return float(mesh.vertices[mesh.triangles[chosen]].mean(axis=(0, 1))[axis])

    assert middle("chair", "leg", 2) < middle("chair", "back", 2)
    assert middle("chair", "back", 1) > 0
    assert middle("tree", "trunk", 2) < middle("tree", "crown", 2)
    assert middle("car", "headlamp", 1) < 0 < middle("car", "tail lamp", 1)
    assert middle("penguin", "beak", 1) < 0
    assert middle("robot", "eye", 1) < 0
