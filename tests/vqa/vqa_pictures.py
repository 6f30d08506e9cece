"""Made-up pictures for the tests: objects as they are seen, and scene graphs."""

from __future__ import annotations

from random import Random
from typing import Any

from task2sim_vqa.visible import SeenObject, View

CATEGORIES = ("apple", "chair", "fork", "mug", "wardrobe", "helicopter")
COLOURS = ("red", "green", "blue")
MATERIALS = ("wood", "metal")


def seen(number: int = 1, category: str = "mug", **changes: Any) -> SeenObject:
    values: dict[str, Any] = {
        "number": number,
        "category": category,
        "visibility": 1.0,
        "colours": {"red": 0.9, "black": 0.1},
        "unsure_colours": {},
        "materials": {"wood": 1.0},
        "size": 0.5,
        "position": (0.0, 0.0, 0.0),
        "depth": 3.0,
        "left": 0.4,
        "right": 0.5,
        "extent": 0.1,
        "cut": False,
        **changes,
    }
    values.setdefault("middle", 0.5 * (values["left"] + values["right"]))
    return SeenObject(**values)


def some_view(seed: int, clear: bool = True) -> View:
    """A random picture; not all of a picture that is not clear can be told."""
    draw = Random(seed)
    objects = []
    for number in range(1, 2 + int(draw.random() * 9)):
        colour, other = draw.sample(COLOURS, 2)
        material, second = draw.sample(MATERIALS, 2)
        left = draw.random() * 0.9
        mixed = not clear and draw.random() < 0.3
        objects.append(
            seen(
                number,
                draw.choice(CATEGORIES),
                visibility=draw.choice((0.3, 0.7, 1.0)) if not clear else 1.0,
                colours={colour: 0.5, other: 0.5} if mixed else {colour: 0.95, other: 0.05},
                materials={material: 0.5, second: 0.5} if mixed else {material: 1.0},
                size=draw.choice((0.2, 0.5, 1.0)),
                position=(draw.random() * 4, draw.random() * 4, 0.0),
                depth=1.0 + 5 * draw.random(),
                left=left,
                right=left + 0.08,
                extent=0.05 + 0.2 * draw.random(),
            )
        )
    return View(objects)


def graph_object(number: int, category: str, box: list[int] | None, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "category": category,
        "instance": 0,
        "position": [0.0, 0.0, 0.0],
        "rotation": [0.0, 0.0, 0.0, 1.0],
        "size": 0.5,
        "parts": [{"name": "body", "material": "wood", "colour_name": "red"}],
        "box": None if box is None else [float(x) for x in box],
        "visible_box": box,
        "visibility": 1.0,
        **changes,
    }


def graph_of(objects: list[dict[str, Any]], side: int = 100) -> dict[str, Any]:
    """A scene graph seen from (0, -4, 0) along y."""
    return {
        "index": 0,
        "objects": objects,
        "camera": {
            "intrinsics": [[100.0, 0.0, side / 2], [0.0, 100.0, side / 2], [0.0, 0.0, 1.0]],
            "world_to_camera": [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 4.0], [0, 0, 0, 1]],
        },
        "sun": {"direction": [0.0, 0.0, 1.0], "colour": [1, 1, 1], "intensity": 1.0},
        "floor": None,
    }
