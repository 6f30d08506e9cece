"""A VQA folder that takes a moment: squares in the colours of their parts, with masks and scene graphs."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from task2sim_vqa.vqa_v2 import annotation, write_annotations, write_questions

PAINT = {"red": (200, 30, 35), "green": (60, 150, 55), "blue": (40, 90, 195)}
SIZE = 48
FIRST = 7_000_000


def write_tiny(
    folder: Path, images: int, seed: int = 0, categories: tuple[str, ...] = ("mug", "chair"), tone: int = 128
) -> Path:
    """Questions how many there are of a category, and what color one is."""
    draw = Random(seed)
    for name in ("images", "masks", "scenes"):
        (folder / name).mkdir(parents=True)
    questions: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    lines = []
    for k in range(images):
        image_id = FIRST + k
        pixels = np.full((SIZE, SIZE, 3), tone, dtype=np.uint8)
        mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
        objects: list[dict[str, Any]] = []
        for number, place in enumerate(draw.sample(range(9), draw.randint(1, 4)), 1):
            category, colour = draw.choice(categories), draw.choice(tuple(PAINT))
            top, left = 16 * (place // 3) + 2, 16 * (place % 3) + 2
            # Wide ones are of the first category, high ones of the second.
            height, width = (6, 12) if category == categories[0] else (12, 6)
            pixels[top : top + height, left : left + width] = PAINT[colour]
            mask[top : top + height, left : left + width] = number
            box = [left, top, left + width, top + height]
            objects.append(
                {
                    "number": number, "category": category, "position": [left / 10, top / 10, 2.0], "size": 0.5,
                    "visible_box": box, "box": box, "visibility": 1.0, "colour": colour,
                    "parts": [{"material": "wood", "colour_name": colour, "share": 1.0}],
                }
            )  # fmt: skip
        Image.fromarray(pixels).save(folder / "images" / f"{image_id:012d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{image_id:012d}.png")
        camera = {
            "intrinsics": [[50, 0, SIZE / 2], [0, 50, SIZE / 2], [0, 0, 1]],
            "world_to_camera": np.eye(4).tolist(),
        }
        lines.append(json.dumps({"image_id": image_id, "scene": {"camera": camera, "objects": objects}}))
        asked = [
            (f"How many {name}s are there?", str(sum(item["category"] == name for item in objects)), "counting")
            for name in categories
        ]
        if len(objects) == 1:
            asked.append((f"What color is the {objects[0]['category']}?", objects[0]["colour"], "colour"))
        for number, (text, answer, family) in enumerate(asked):
            question = {"question_id": 1000 * image_id + number, "image_id": image_id, "question": text}
            questions.append(question)
            kind = "number" if family == "counting" else "other"
            notes.append({**annotation(question, answer, kind), "family": family})
    (folder / "scenes" / "000000.jsonl").write_text("\n".join(lines) + "\n")
    write_questions(folder / "questions.json", questions)
    write_annotations(folder / "annotations.json", notes)
    return folder
