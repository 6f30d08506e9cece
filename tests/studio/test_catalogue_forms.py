import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim_studio import forms
from task2sim_studio.forms import Form

FORMS = {
    "box": forms.box(1, 2, 3),
    "bevelled box": forms.box(1, 2, 3, bevel=0.1),
    "cylinder": forms.cylinder(1, 2),
    "bevelled cylinder": forms.cylinder(1, 2, bevel=0.1),
    "cone": forms.cylinder(1, 2, 0),
    "ellipsoid": forms.ellipsoid(1, 2, 3),
    "cushion": forms.superellipsoid(1, 2, 3),
    "lathe": forms.lathe([(1, 0), (2, 1), (1, 2)]),
    "ring": forms.torus(2, 0.5),
    "vessel": forms.vessel([(1, 0), (1.5, 2)], 0.1),
    "tube": forms.tube([(0, 0, 0), (1, 0, 0), (1, 0, 2)], 0.2),
    "domed tube": forms.tube([(0, 0, 0), (0, 0, 2)], 0.2, round_ends=True),
    "square tube": forms.tube([(0, 0, 0), (0, 1, 2)], 0.2, section=forms.rectangle(1, 2)),
    "hoop": forms.tube(forms.in_plane(forms.circle(2, 20), "x"), 0.2, loop=True),
    "plate": forms.extrude([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (0, 1)], 0.5),
    "bevelled plate": forms.extrude([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (0, 1)], 0.5, bevel=0.05),
    "leaf": forms.leaf(1, 0.4),
}


def volume(form: Form) -> float:
    a, b, c = (form.vertices[form.triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def open_edges(form: Form) -> int:
    """Directed edges without their counterpart, once vertices at one place are one."""
    _, ids = np.unique(np.round(form.vertices, 7), axis=0, return_inverse=True)
    t = ids.reshape(-1)[form.triangles]
    edges = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
    keys = edges[:, 0] * 10**6 + edges[:, 1]
    back = edges[:, 1] * 10**6 + edges[:, 0]
    return int((np.sort(keys) != np.sort(back)).sum())


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_closed_and_face_outwards(name):
    form = FORMS[name]
    assert open_edges(form) == 0
    assert volume(form) > 0
    assert len(form.uvs) == len(form.smoothing) == len(form.vertices)
    normals = forms.normals(form)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    a, b, c = (form.vertices[form.triangles[:, k]] for k in range(3))
    assert ((np.cross(b - a, c - a) * normals[form.triangles].mean(axis=1)).sum(axis=1) > 0).all()


@pytest.mark.parametrize("name", FORMS)
def test_changes_keep_forms_closed_and_facing_outwards(name):
    form = FORMS[name]
    for changed in (
        form.mirror("x"),
        form.scale(-1, 2, 3),
        form.turn("y", 40).move(1, 2, 3),
        form.taper(0.5),
        form.move(x=-0.1).bend(30),
        form + form.move(x=9),
        forms.both(form.move(y=5), "y"),
        forms.corners(form, 4, 4),
        forms.around(form.move(x=4), 5),
        forms.scatter(form, [(0, 0, 0), (9, 0, 0)], [(0, 0, 1), (1, 1, 0)], [1, 2]),
    ):
        assert open_edges(changed) == 0
        assert volume(changed) > 0


def test_known_volumes():
    assert volume(FORMS["box"]) == pytest.approx(6)
    assert volume(forms.cylinder(1, 2, sides=200)) == pytest.approx(2 * np.pi, rel=1e-3)
    assert volume(forms.cylinder(1, 3, 0, sides=200)) == pytest.approx(np.pi, rel=1e-3)
    assert volume(forms.ellipsoid(2, 2, 2, 100, 60)) == pytest.approx(4 / 3 * np.pi, rel=5e-3)
    assert volume(forms.torus(2, 0.5, 100, 60)) == pytest.approx(2 * np.pi**2 * 2 * 0.25, rel=5e-3)
    assert volume(FORMS["plate"]) == pytest.approx(5 * 0.5)
    assert volume(forms.around(FORMS["box"].move(x=5), 4)) == pytest.approx(24)
    assert volume(FORMS["box"].scale(2)) == pytest.approx(48)


def test_creases_follow_the_angle():
    """The steps of a lathe are sharp, its sides smooth; a sphere is smooth everywhere."""
    side = forms.lathe([(1, 0), (1, 1), (0.5, 1), (0.5, 2)], 16)
    normals = forms.normals(side)
    assert (np.isclose(np.abs(normals[:, 2]), 1) | np.isclose(normals[:, 2], 0, atol=1e-9)).all()
    sphere = forms.ellipsoid(2, 2, 2, 32, 24)
    assert ((forms.normals(sphere) * sphere.vertices).sum(axis=1) > 0.99).all()


def test_flat_boxes_have_flat_normals():
    normals = forms.normals(forms.box(1, 2, 3))
    assert np.isclose(np.abs(normals).max(axis=1), 1).all()


def test_bends_turn_the_head_by_the_angle():
    bent = forms.tube([(0, 0, z) for z in np.linspace(0, 2, 20)], 0.05).bend(90)
    radius = 2 / (np.pi / 2)
    np.testing.assert_allclose(bent.vertices[-10:].mean(axis=0), (radius, 0, radius), atol=1e-6)


def test_swell_and_shift_move_vertices():
    form = forms.cylinder(1, 2)
    assert np.ptp(form.swell(lambda turn, z: 1 + z).vertices[:, 0]) == pytest.approx(6)
    assert form.shift("x", lambda x, y, z: 3 * z).vertices[:, 0].max() == pytest.approx(7)


def test_curves_pass_through_their_points():
    points = np.array([(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)])
    line = forms.curve(points, 9)
    np.testing.assert_allclose(line[[0, 4, 8]], points)


@given(st.integers(4, 24), st.floats(0.2, 0.95), st.booleans())
def test_triangulation_covers_a_star(points, dent, reverse):
    angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radius = np.where(np.arange(2 * points) % 2, dent, 1.0)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    if reverse:
        outline = outline[::-1]
    triangles = forms.triangulate(outline)
    assert triangles.shape == (2 * points - 2, 3)
    a, b, c = (outline[triangles[:, k]] for k in range(3))
    u, v = b - a, c - a
    areas = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
    after = np.roll(outline, -1, axis=0)
    whole = (outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0]).sum() / 2
    assert areas.sum() == pytest.approx(whole)
    assert (areas * np.sign(whole) > 0).all()


def test_texture_follows_arc_length():
    form = forms.cylinder(1, 5, sides=64)
    sides = form.uvs[: 2 * 65]
    assert np.ptp(sides[:, 0]) == pytest.approx(2 * np.pi, rel=1e-2)
    assert np.ptp(sides[:, 1]) == pytest.approx(5)
