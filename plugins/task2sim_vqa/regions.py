"""Regions of pictures: where something is and of which class it is.

A folder of synthetic pictures knows that from its masks and scene graphs. Of real pictures a detector tells, which
writes ``regions.jsonl``: a line an image, with ``image_id``, ``boxes`` (left, top, right, bottom as shares of the
picture's width and height) and ``classes``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import TaskError, report_progress
from task2sim_vqa.visible import look
from task2sim_vqa.vqa_v2 import image_files

REGIONS = "regions.jsonl"
MOST = 50
"""Regions of a picture; of more, those that fill most are kept."""


@attrs.frozen(eq=False)
class Regions:
    """The regions of one picture.

    Attributes:
        boxes: float32 array of shape (R, 4): left, top, right, bottom as shares of width and height, in [0, 1].
        classes: What is in them.
        colours: Basic colour terms, or None where there is no clear one or nobody knows.
        materials: Words for materials, or None.
    """

    boxes: NDArray[np.float32]
    classes: tuple[str, ...]
    colours: tuple[str | None, ...]
    materials: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def positions(self) -> NDArray[np.float32]:
        """Boxes with their areas, and the whole picture at last: float32 array of shape (R + 1, 5)."""
        boxes = np.concatenate([self.boxes.reshape(-1, 4), np.array([[0, 0, 1, 1]], dtype=np.float32)])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return np.concatenate([boxes, areas[:, None]], axis=1)


def read_regions(folder: Path, images: Mapping[int, Path]) -> dict[int, Regions]:
    """Find the regions of pictures: in ``regions.jsonl`` if a folder has that, else from masks and scene graphs.

    Args:
        folder: A VQA folder.
        images: The pictures that are needed, by id.

    Raises:
        TaskError: the folder has neither, an image is missing there, or something is damaged.
    """
    if (folder / REGIONS).is_file():
        found = _listed(folder / REGIONS)
        for number in images:
            if number not in found:
                raise TaskError(
                    f"image {number} has no line here",
                    place=str(folder / REGIONS),
                    mend="remove this file and run task2sim vqa detect again",
                )
        return {number: found[number] for number in images}
    if (folder / "scenes").is_dir() and (folder / "masks").is_dir():
        return _rendered(folder, images)
    raise TaskError(
        f"this folder has neither masks and scenes nor {REGIONS}",
        place=str(folder),
        mend=f"find its regions: task2sim vqa detect {folder} --detector DETECTOR",
    )


def write_regions(path: Path, found: Iterable[tuple[int, Regions]]) -> int:
    """Write ``regions.jsonl``, a picture at a time; the file is there when it is whole.

    Raises:
        StoreError: it can't be written.
    """
    from task2sim_vqa.vqa_v2 import whole_file

    count = 0
    with whole_file(path) as file:
        for number, regions in found:
            boxes = [[round(float(side), 5) for side in box] for box in regions.boxes]
            file.write(json.dumps({"image_id": number, "boxes": boxes, "classes": regions.classes}) + "\n")
            count += 1
    return count


def _listed(path: Path) -> dict[int, Regions]:
    found: dict[int, Regions] = {}
    for place, entry in _lines(path):
        number, boxes, classes = (entry.get(key) for key in ("image_id", "boxes", "classes"))
        if type(number) is not int or not isinstance(boxes, list) or not isinstance(classes, list):
            raise TaskError("this line lacks image_id, boxes or classes", place=place, mend=_AGAIN)
        if number in found:
            raise TaskError(f"image {number} has two lines", place=place, mend=_AGAIN)
        if len(boxes) != len(classes):
            raise TaskError(f"there are {len(boxes)} boxes and {len(classes)} classes", place=place, mend=_AGAIN)
        for k, box in enumerate(boxes):
            if not _is_box(box):
                raise TaskError(
                    f"boxes[{k}] is {json.dumps(box)[:60]}",
                    place=place,
                    mend="give left, top, right, bottom as shares of the picture, each in [0, 1]",
                )
            if type(classes[k]) is not str:
                raise TaskError(f"classes[{k}] is {json.dumps(classes[k])[:40]} and not a text", place=place)
        found[number] = _regions(
            [(box, name, None, None) for box, name in zip(boxes, classes, strict=True)],
        )
    return found


_AGAIN = "remove this file and run task2sim vqa detect again"


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) in (int, float) for side in box):
        return False
    left, top, right, bottom = box
    return bool(0 <= left < right <= 1 and 0 <= top < bottom <= 1)


Entry = tuple[Sequence[float], str, str | None, str | None]


def _regions(entries: Sequence[Entry]) -> Regions:
    def area(entry: Entry) -> float:
        left, top, right, bottom = entry[0]
        return (right - left) * (bottom - top)

    kept = sorted(entries, key=area, reverse=True)[:MOST] if len(entries) > MOST else entries
    boxes = np.array([entry[0] for entry in kept], dtype=np.float32).reshape(-1, 4)
    return Regions(boxes, *(tuple(entry[k] for entry in kept) for k in (1, 2, 3)))  # type: ignore[arg-type]


def _rendered(folder: Path, images: Mapping[int, Path]) -> dict[int, Regions]:
    graphs: dict[int, Mapping[str, Any]] = {}
    for path in sorted((folder / "scenes").glob("*.jsonl")):
        for place, entry in _lines(path):
            if type(entry.get("image_id")) is not int or not isinstance(entry.get("scene"), dict):
                raise TaskError("this line lacks image_id or scene", place=place, mend=_MAKE)
            if entry["image_id"] in images:
                graphs[entry["image_id"]] = entry["scene"]
    masks = image_files(folder / "masks")
    found = {}
    for done, (number, path) in enumerate(images.items()):
        if done % 100 == 0:
            report_progress("look", done, len(images), "images")
        for kind, known in (("mask", masks), ("scene graph", graphs)):
            if number not in known:
                raise TaskError(f"image {number} has no {kind}", place=str(folder), mend=_MAKE)
        found[number] = _seen(path, masks[number], graphs[number])
    report_progress("look", len(images), len(images), "images")
    return found


_MAKE = "make this folder anew with task2sim vqa generate"


def _seen(picture: Path, mask_file: Path, graph: Mapping[str, Any]) -> Regions:
    from scipy.ndimage import find_objects

    rgb, mask = open_picture(picture), _open_mask(mask_file)
    if rgb.shape[:2] != mask.shape:
        raise TaskError("the mask is not of the picture's size", place=str(mask_file), mend=_MAKE)
    try:
        view = look(graph, mask, rgb)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise TaskError(f"the scene graph of {picture.name} is damaged: {error!r}", place=str(picture.parent.parent),
                        mend=_MAKE) from None  # fmt: skip
    height, width = mask.shape
    slices = find_objects(mask.astype(np.int32))
    entries: list[Entry] = []
    for item in view.objects:
        place = slices[item.number - 1] if item.number <= len(slices) else None
        if place is not None:
            rows, columns = place
            box = (columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
            entries.append((box, item.category, item.colour, item.material))
    return _regions(entries)


def open_picture(path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture, uint8 array of shape (height, width, 3).

    Raises:
        TaskError: it can't be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise TaskError(f"this picture can't be read: {error}", place=str(path), mend="replace it") from None


def _open_mask(path: Path) -> NDArray[np.uint16]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            mask = np.asarray(image)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise TaskError(f"this mask can't be read: {error}", place=str(path), mend=_MAKE) from None
    if mask.ndim != 2:
        raise TaskError("this mask has several channels", place=str(path), mend=_MAKE)
    return mask.astype(np.uint16)


def _lines(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                place = f"{path}:{number}"
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise TaskError(f"this is not JSON: {error}", place=place) from None
                if not isinstance(entry, dict):
                    raise TaskError("this is no mapping", place=place)
                yield place, entry
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"can't read this: {error}", place=str(path)) from None
