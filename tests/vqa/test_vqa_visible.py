from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vqa_pictures import graph_object, graph_of, seen

from task2sim_vqa.visible import Things, View, look, material_word


def picture(*fills: tuple[int, tuple[int, int, int, int], tuple[int, int, int]]) -> tuple[Any, Any]:
    mask = np.zeros((100, 100), dtype=np.uint16)
    rgb = np.full((100, 100, 3), 200, dtype=np.uint8)
    for number, (left, top, right, bottom), colour in fills:
        mask[top:bottom, left:right] = number
        rgb[top:bottom, left:right] = colour
    return mask, rgb


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((200, 20, 20), "red"),
        ((250, 250, 250), "white"),
        ((10, 10, 10), "black"),
        ((30, 60, 200), "blue"),
        ((120, 120, 120), "grey"),
        ((250, 220, 30), "yellow"),
        ((40, 140, 50), "green"),
        ((100, 60, 35), "brown"),
        ((245, 130, 20), "orange"),
        ((245, 150, 190), "pink"),
        ((120, 50, 160), "purple"),
    ],
)
def test_colours_are_those_of_the_pixels(rgb: tuple[int, int, int], name: str) -> None:
    graph = graph_of([graph_object(1, "mug", [20, 20, 60, 60])])
    (item,) = look(graph, *picture((1, (20, 20, 60, 60), rgb))).objects
    assert item.colour == name
    assert item.has_colour(name) is True
    assert item.has_colour("red" if name != "red" else "blue") is False


@pytest.mark.parametrize(
    ("rgb", "may_be"),
    [
        ((167, 118, 122), {"pink", "red", "brown"}),
        ((126, 164, 146), {"green"}),
        ((144, 145, 119), {"green", "brown", "yellow"}),
        ((101, 135, 142), {"blue", "green"}),
        ((55, 79, 100), {"blue"}),
        ((55, 38, 22), {"brown"}),
    ],
)
def test_what_has_a_hue_is_never_called_grey(rgb: tuple[int, int, int], may_be: set[str]) -> None:
    (item,) = look(graph_of([graph_object(1, "mug", [20, 20, 60, 60])]), *picture((1, (20, 20, 60, 60), rgb))).objects
    assert item.colour in {*may_be, None}
    assert item.has_colour("grey") is not True
    assert any(item.has_colour(name) is not False for name in may_be)


def test_of_a_few_pixels_no_colour_is_named() -> None:
    graph = graph_of([graph_object(1, "mug", [20, 20, 26, 26])])
    (item,) = look(graph, *picture((1, (20, 20, 26, 26), (200, 20, 20)))).objects
    assert item.visibility == 1.0
    assert (item.colour, item.has_colour("red"), item.has_colour("blue")) == (None, None, None)


def test_between_grey_and_a_hue_is_either() -> None:
    graph = graph_of([graph_object(1, "mug", [20, 20, 60, 60])])
    (item,) = look(graph, *picture((1, (20, 20, 60, 60), (104, 122, 142)))).objects
    assert item.colour is None
    assert (item.has_colour("grey"), item.has_colour("blue"), item.has_colour("red")) == (None, None, False)


def test_a_colour_that_is_not_clear_is_not_named() -> None:
    graph = graph_of([graph_object(1, "mug", [20, 20, 60, 60])])
    mask, rgb = picture((1, (20, 20, 60, 60), (200, 20, 20)))
    rgb[20:60, 40:60] = (30, 60, 200)
    (item,) = look(graph, mask, rgb).objects
    assert item.colour is None
    assert item.has_colour("red") is None
    assert item.has_colour("green") is False


def test_without_pixels_the_graph_counts() -> None:
    parts = [
        {"name": "top", "material": "wood", "colour_name": "brown", "share": 0.8},
        {"name": "leg", "material": "metal", "colour_name": "grey", "share": 0.2},
    ]
    (item,) = look(graph_of([graph_object(1, "table", [20, 20, 60, 60], parts=parts)])).objects
    assert (item.colour, item.material) == ("brown", "wood")
    assert item.is_made_of("metal") is None
    assert item.is_made_of("glass") is False


def test_parts_without_material_or_colour_are_not_clear() -> None:
    parts = [{"name": "body", "material": None}]  # as threedworld has them
    (item,) = look(graph_of([graph_object(1, "table", [20, 20, 60, 60], parts=parts)])).objects
    assert (item.colour, item.material) == (None, None)
    assert item.has_colour("red") is None
    assert item.is_made_of("wood") is None


def test_who_is_not_seen_does_not_count() -> None:
    objects = [
        graph_object(1, "mug", [20, 20, 60, 60]),
        graph_object(2, "chair", None, visibility=0.0),
        graph_object(3, "fork", [70, 70, 71, 71]),  # one pixel
        graph_object(4, "apple", [80, 80, 84, 83]),  # twelve: too few to be sure
    ]
    fills = [(k, tuple(o["visible_box"]), (9, 9, 9)) for k, o in enumerate(objects, 1) if o["visible_box"]]
    view = look(graph_of(objects), *picture(*fills))  # type: ignore[arg-type]
    assert [(item.number, item.visibility) for item in view.objects] == [(1, 1.0), (4, 0.0)]


def test_nobody_counted_visibility() -> None:
    half = {**graph_object(1, "mug", [20, 20, 40, 60], visibility=None), "box": [20.0, 20.0, 60.0, 60.0]}
    (item,) = look(graph_of([half])).objects
    assert item.visibility == pytest.approx(0.5)


def test_depth_and_place() -> None:
    item = graph_object(1, "mug", [20, 20, 60, 60], position=[0.0, 1.5, 0.0])
    (found,) = look(graph_of([item])).objects
    assert found.depth == pytest.approx(5.5)
    assert (found.left, found.middle, found.right) == pytest.approx((0.2, 0.4, 0.6))
    assert not found.cut
    assert look(graph_of([{**item, "box": [-5.0, 20.0, 60.0, 60.0]}])).objects[0].cut


def test_lookalikes_and_half_hidden_are_unsure() -> None:
    view = View([seen(1, "table"), seen(2, "desk"), seen(3, "mug"), seen(4, "mug", visibility=0.3)])
    assert [len(found) for found in view.find(Things("table"), 0.5)] == [1, 1]
    assert [len(found) for found in view.find(Things("mug"), 0.5)] == [1, 1]
    assert view.only(Things("mug"), 0.5) is None
    assert view.only(Things("mug"), 0.2) is None
    assert view.only(Things("table"), 0.5) is None


def test_material_words() -> None:
    assert material_word("wood_american_chestnut") == "wood"
    assert material_word("parquet") is None
    assert material_word("glass_on_metal") is None
    assert material_word(None) is None
