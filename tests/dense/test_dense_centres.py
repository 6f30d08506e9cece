from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from task2sim_dense.augmentation import scene_augmentation
from task2sim_dense.centres import FURTHER, centre_loss, found_objects, targets_of
from task2sim_dense.heads import mean_average_precision
from task2sim_dense.objects import Objects, objects_of
from task2sim_training.surroundings import reproducible


def perfect(targets) -> torch.Tensor:
    """What a network should give for these targets."""
    return torch.cat([torch.where(targets.heat == 1, 8.0, -8.0), targets.boxes], dim=1)


def test_objects_are_the_extents_of_what_is_seen() -> None:
    instances, categories = np.zeros((2, 10, 20), np.uint16)
    instances[2:6, 4:10], categories[2:6, 4:10] = 1, 3
    instances[4:8, 8:18], categories[4:8, 8:18] = 7, 1
    instances[9, 0] = 9  # of no category
    found = objects_of(instances, categories)
    np.testing.assert_allclose(found.boxes, [[0.2, 0.2, 0.5, 0.6], [0.4, 0.4, 0.9, 0.8]], atol=1e-6)
    assert found.classes.tolist() == [2, 0]
    assert len(objects_of(0 * instances, categories)) == 0


places = st.tuples(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.1, 0.3), st.floats(0.1, 0.3))


@given(st.lists(places, min_size=1, max_size=4), st.integers(0, 2))
def test_boxes_come_back_from_a_perfect_map(drawn: list[tuple[float, ...]], kind: int) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in drawn], np.float32)
    middles = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 * 16)
    apart = np.abs(middles[:, None] - middles[None]).max(axis=2)
    if len(drawn) > 1 and (apart[~np.eye(len(drawn), dtype=bool)] < 2).any():
        return  # centres in neighbouring cells are one peak
    truth = Objects(boxes, np.full(len(boxes), kind))
    ((found, scores),) = found_objects(perfect(targets_of([truth], 3, (16, 16))))
    sure = scores > 0.5
    assert sure.sum() == len(boxes)
    order = np.lexsort(found.boxes[sure].T), np.lexsort(boxes.T)
    np.testing.assert_allclose(found.boxes[sure][order[0]], boxes[order[1]], atol=1e-4)
    assert set(found.classes[sure].tolist()) == {kind}


def test_the_loss_is_least_where_all_is_right() -> None:
    truth = [Objects(np.array([[0.1, 0.2, 0.5, 0.6]], np.float32), np.array([1]))]
    targets = targets_of(truth, 2, (8, 8))
    right = perfect(targets)
    wrong_class, wrong_place, wrong_box = right.clone(), right.roll(1, dims=3), right.clone()
    wrong_class[:, :2] = wrong_class[:, [1, 0]]
    wrong_box[:, -FURTHER:] += 1
    best = float(centre_loss(right, targets))
    assert best < 0.01
    assert all(float(centre_loss(wrong, targets)) > best + 0.1 for wrong in (wrong_class, wrong_place, wrong_box))
    # By hand: a map of no opinion costs (1 - 1/2)^2 ln 2 at the centre, (1 - heat)^4 (1/2)^2 ln 2 elsewhere.
    none = right.clone()
    none[:, :2] = 0
    due = 0.25 * np.log(2) * (1 + float(((1 - targets.heat) ** 4).sum()))
    np.testing.assert_allclose(float(centre_loss(none, targets)), due, rtol=1e-5)


def test_average_precision_of_cases_worked_by_hand() -> None:
    box = np.array([[0.0, 0.0, 0.5, 0.5]], np.float32)
    truth = [Objects(box, np.array([0])), Objects(box, np.array([1]))]

    def precision(*found: tuple[np.ndarray, int, float]) -> float:
        given = [(Objects(b, np.array([k])), np.array([s], np.float32)) for b, k, s in found]
        return mean_average_precision(given, truth, (40, 40), 3)

    assert precision((box, 0, 0.9), (box, 1, 0.8)) == pytest.approx(1)
    # One class is found, the other is not; the third has no objects and does not count.
    assert precision((box, 0, 0.9), (box, 0, 0.8)) == pytest.approx(0.5)
    assert precision((box + np.float32(0.5), 0, 0.9), (box + np.float32(0.5), 1, 0.8)) == 0.0
    # 16.5 of 20 columns: an overlap of 0.825 is enough for seven of the ten thresholds 0.5, 0.55, ... 0.95.
    narrow = np.array([[0.0, 0.0, 0.4125, 0.5]], np.float32)
    assert precision((narrow, 0, 0.9), (narrow, 1, 0.8)) == pytest.approx(0.7)
    nothing = (Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64)), np.zeros(0, np.float32))
    assert mean_average_precision([nothing, nothing], truth, (40, 40), 3) == 0.0


def test_masks_go_where_their_images_go() -> None:
    masks = torch.zeros(16, 2, 32, 32)
    masks[:, 0, 8:24, 4:20], masks[:, 1, 8:24, 4:20] = 60000, 3
    images = (masks[:, :1] > 0).float().expand(-1, 3, -1, -1) * 0.8
    with reproducible(3, 1):
        seen, moved = scene_augmentation(32)(images, masks)
    assert set(moved[:, 0].unique().tolist()) == {0, 60000}
    assert torch.equal(moved[:, 0] > 0, moved[:, 1] == 3)
    assert float(((seen[:, 0] > 0.3) == (moved[:, 0] > 0)).float().mean()) > 0.97
    assert not torch.equal(moved, masks)


def test_a_hill_is_as_wide_as_its_object() -> None:
    objects = Objects(np.array([[0.0, 0.25, 1.0, 0.75]], np.float32), np.array([0]))
    heat = targets_of([objects], 1, (16, 16)).heat[0, 0]
    assert heat.max() == heat[8, 8] == 1
    assert heat[8, 14] == pytest.approx(np.exp(-(6**2) / (2 * (16 / 6) ** 2)), rel=1e-5)
    assert heat[14, 8] == pytest.approx(np.exp(-(6**2) / (2 * (8 / 6) ** 2)), rel=1e-5)


def test_the_smaller_of_two_objects_with_one_centre_is_kept() -> None:
    small, large = [0.4, 0.4, 0.6, 0.6], [0.1, 0.1, 0.9, 0.9]
    for boxes in ([small, large], [large, small]):
        targets = targets_of([Objects(np.array(boxes, np.float32), np.array([0, 0]))], 1, (10, 10))
        assert targets.boxes[0, :2, 5, 5].tolist() == pytest.approx([2, 2])
