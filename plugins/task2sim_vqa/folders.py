"""VQA folders: questions, annotations, pictures, and regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from task2sim import TaskError
from task2sim_vqa.regions import Regions, read_regions
from task2sim_vqa.vqa_v2 import Split, image_files, read_split


@attrs.frozen(eq=False)
class VQAFolder:
    """Pictures with questions, and what is where in them.

    Attributes:
        path: The folder.
        split: Its questions.
        images: The pictures that are asked about, by id.
        regions: Their regions.
    """

    path: Path
    split: Split
    images: Mapping[int, Path] = attrs.field(repr=lambda value: f"<{len(value)}>")
    regions: Mapping[int, Regions] = attrs.field(repr=lambda value: f"<{len(value)}>")

    def chosen(self, keep: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]) -> Split:
        """Those questions for which ``keep(question, annotation)``."""
        pairs = [
            pair for pair in zip(self.split.questions, self.split.annotations, strict=True) if keep(pair[0], pair[1])
        ]
        return Split([question for question, _ in pairs], [note for _, note in pairs], self.split.source)


def read_folder(path: Path) -> VQAFolder:
    """Read a folder that ``task2sim vqa generate`` wrote, or one of real pictures.

    Raises:
        TaskError: it is none, a picture is missing, or its regions are not known.
    """
    files = path / "questions.json", path / "annotations.json"
    for file in files:
        if not file.is_file():
            raise TaskError(
                f"this is no VQA folder: {file.name} is missing",
                place=str(path),
                mend="name one that task2sim vqa generate wrote, or put VQA v2 files there",
            )
    split = read_split(*files, path / "images")
    if not len(split):
        raise TaskError("there are no questions here", place=str(files[0]), mend="choose another folder")
    known = image_files(path / "images")
    images = {number: known[number] for number in sorted({entry["image_id"] for entry in split.questions})}
    return VQAFolder(path, split, images, read_regions(path, images))


def is_of_type(kind: str, question: Mapping[str, Any], note: Mapping[str, Any]) -> bool:
    """Whether a question begins so, or is of that family.

    Args:
        kind: Words such as ``how many``, or a family's name such as ``colour``.
        question: Of a VQA v2 file.
        note: Its annotation.
    """
    if note.get("family") == kind:
        return True
    text, start = str(question["question"]).lower(), kind.lower().strip()
    return text.startswith(start) and not text[len(start) :][:1].isalpha()
