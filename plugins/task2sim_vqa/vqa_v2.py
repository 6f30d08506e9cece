"""The files of VQA v2 (Goyal et al., CVPR 2017): read, checked, written, mixed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import attrs

from task2sim import StoreError, TaskError

ANSWERS = 10
ANSWER_TYPES = ("yes/no", "number", "other")
CONFIDENCES = ("yes", "maybe", "no")
COUNTING = "how many"

QUESTION_TYPES = (
    "how many people are in", "how many people are", "how many", "is there a", "is there", "is the",
    "is this a", "is this", "is it", "is that a", "is", "are there any", "are there", "are the", "are these",
    "are they", "are", "can you", "could", "do you", "do", "does the", "does this", "has", "was",
    "what color is the", "what color are the", "what color is", "what color", "what is the color of the",
    "what is the name", "what is the man", "what is the person", "what is the woman", "what is the",
    "what is this", "what is on the", "what is in the", "what is", "what are the", "what are", "what kind of",
    "what type of", "what animal is", "what brand", "what number is", "what room is", "what sport is",
    "what time", "what does the", "what", "where is the", "where are the", "which", "who is", "why is the",
    "why", "how",
)  # fmt: skip
"""The beginnings that VQA v2 sorts questions by, as far as questions of ours may begin so or theirs often do."""
_LONGEST_FIRST = sorted(QUESTION_TYPES, key=len, reverse=True)


def question_type(text: str) -> str:
    """The longest of VQA v2's beginnings that a question has."""
    lower = text.lower()
    return next(
        (start for start in _LONGEST_FIRST if lower.startswith(start) and not lower[len(start) :][:1].isalpha()),
        "none of the above",
    )


def annotation(question: Mapping[str, Any], answer: str, answer_type: str) -> dict[str, Any]:
    """What VQA v2 says of a question whose answer all ten people give."""
    return {
        "question_id": question["question_id"],
        "image_id": question["image_id"],
        "question_type": question_type(question["question"]),
        "answer_type": answer_type,
        "multiple_choice_answer": answer,
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": number + 1} for number in range(ANSWERS)
        ],
    }


@attrs.frozen(eq=False)
class Split:
    """Questions with their annotations, in the same order.

    Attributes:
        questions: As they stand in the file.
        annotations: One a question.
        source: What the questions came from, for messages.
    """

    questions: Sequence[Mapping[str, Any]] = attrs.field(repr=lambda value: f"<{len(value)}>")
    annotations: Sequence[Mapping[str, Any]] = attrs.field(repr=lambda value: f"<{len(value)}>")
    source: str = ""

    def __len__(self) -> int:
        return len(self.questions)


def read_split(questions: Path, annotations: Path, images: Path | None = None) -> Split:
    """Read a file of questions and one of annotations, and check that they belong together.

    Args:
        questions: Such as ``v2_OpenEnded_mscoco_train2014_questions.json``.
        annotations: Such as ``v2_mscoco_train2014_annotations.json``.
        images: The folder of images; if given, each image must be there, named so that it ends with its id.

    Raises:
        TaskError: a file can't be read, is no VQA v2 file, the two don't match or an image is missing.
    """
    asked, known = _entries(questions, "questions"), _entries(annotations, "annotations")
    for number, entry in enumerate(asked):
        _check_question(entry, f"{questions}: questions[{number}]")
    by_id: dict[int, Mapping[str, Any]] = {}
    for number, entry in enumerate(known):
        place = f"{annotations}: annotations[{number}]"
        _check_annotation(entry, place)
        if by_id.setdefault(entry["question_id"], entry) is not entry:
            raise TaskError(f"question_id {entry['question_id']} stands there twice", place=place)
    ids = set()
    for number, entry in enumerate(asked):
        place = f"{questions}: questions[{number}]"
        identity = entry["question_id"]
        if identity in ids:
            raise TaskError(f"question_id {identity} stands there twice", place=place)
        ids.add(identity)
        if identity not in by_id:
            raise TaskError(f"question_id {identity} has no annotation in {annotations}", place=place, mend=_MATCH)
        if by_id[identity]["image_id"] != entry["image_id"]:
            raise TaskError(
                f"question {identity} is about image {entry['image_id']}, and its annotation about "
                f"{by_id[identity]['image_id']}",
                place=place,
                mend=_MATCH,
            )
    for number, entry in enumerate(known):
        if entry["question_id"] not in ids:
            place = f"{annotations}: annotations[{number}]"
            raise TaskError(f"question_id {entry['question_id']} is not in {questions}", place=place, mend=_MATCH)
    if images is not None:
        there = image_files(images)
        for number, entry in enumerate(asked):
            if entry["image_id"] not in there:
                raise TaskError(
                    f"image {entry['image_id']} is not in {images}",
                    place=f"{questions}: questions[{number}]",
                    mend="name the folder that holds the images of these questions",
                )
    return Split(asked, [by_id[entry["question_id"]] for entry in asked], str(questions))


_MATCH = "give the two files of one split"


def image_files(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by image id: the number that their names end with.

    Raises:
        TaskError: there is no such folder.
    """
    if not folder.is_dir():
        raise TaskError("there is no such folder", place=str(folder), mend="name the folder of images")
    found = {}
    for path in folder.iterdir():
        if path.suffix.lower() in (".png", ".jpg", ".jpeg") and (number := re.search(r"(\d+)$", path.stem)):
            found[int(number[1])] = path
    return found


def mix(real: Split, synthetic: Split, without: str = COUNTING, only: str = COUNTING) -> Split:
    """Real questions without those of one type, and synthetic ones of one type, as SimVQA trains on them.

    Args:
        real: The real split.
        synthetic: The synthetic one.
        without: Real questions whose type begins so are left out; empty leaves none out.
        only: Synthetic questions whose type begins so are taken; empty takes all.

    Returns:
        Real questions first. Each has a key more, ``source``: ``"real"`` or ``"synthetic"``.

    Raises:
        TaskError: an id is in both, or nothing is left of one of them.
    """

    def chosen(split: Split, source: str, keep: Any) -> list[tuple[dict[str, Any], Mapping[str, Any]]]:
        found = [
            ({**question, "source": source}, note)
            for question, note in zip(split.questions, split.annotations, strict=True)
            if keep(str(note["question_type"]))
        ]
        if not found:
            raise TaskError(f"no {source} questions are left", place=split.source, mend="choose other question types")
        return found

    mine = chosen(real, "real", lambda kind: not (without and kind.startswith(without)))
    theirs = chosen(synthetic, "synthetic", lambda kind: kind.startswith(only))
    for key in ("question_id", "image_id"):
        both = {question[key] for question, _ in mine} & {question[key] for question, _ in theirs}
        if both:
            raise TaskError(
                f"{key} {min(both)} is in both splits", place=synthetic.source, mend="give splits of different images"
            )
    questions, notes = zip(*mine, *theirs, strict=True)
    return Split(questions, notes, f"{real.source} + {synthetic.source}")


def counts_by_type(annotations: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many annotations there are of each answer type."""
    counts = Counter(entry["answer_type"] for entry in annotations)
    return {kind: counts[kind] for kind in ANSWER_TYPES}


def write_questions(path: Path, questions: Iterable[Mapping[str, Any]]) -> int:
    """Write a file of questions, an entry at a time; the file is there when it is whole."""
    return _write(path, "questions", questions, {"task_type": "Open-Ended"})


def write_annotations(path: Path, annotations: Iterable[Mapping[str, Any]]) -> int:
    """Write a file of annotations, an entry at a time; the file is there when it is whole."""
    return _write(path, "annotations", annotations, {})


def _write(path: Path, key: str, entries: Iterable[Mapping[str, Any]], more: Mapping[str, str]) -> int:
    head = {
        "info": {"description": "made by task2sim", "version": "2.0"},
        "license": {},
        "data_type": "task2sim",
        "data_subtype": "synthetic",
        **more,
    }
    count = 0
    with whole_file(path) as file:
        file.write(json.dumps(head)[:-1] + f', "{key}": [')
        for entry in entries:
            file.write((",\n" if count else "\n") + json.dumps(entry))
            count += 1
        file.write("\n]}\n")
    return count


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name once it is whole.

    Raises:
        StoreError: it can't be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"can't write this: {error.strerror or error}", place=str(path)) from error


def _entries(path: Path, key: str) -> list[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            data = json.load(file)
    except OSError as error:
        raise TaskError(
            f"can't read this: {error.strerror or error}", place=str(path), mend=f"give a file of VQA v2 {key}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise TaskError(f"this is not JSON: {error}", place=str(path), mend=f"give VQA v2 {key}") from None
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list):
        other = "annotations" if key == "questions" else "questions"
        swapped = isinstance(data, dict) and other in data
        raise TaskError(
            f"this file has no list {key!r}" + (f", but {other!r}" if swapped else ""),
            place=str(path),
            mend="questions come first, annotations second" if swapped else f"give VQA v2 {key}",
        )
    return entries


def _check_question(entry: Any, place: str) -> None:
    _check_keys(entry, {"image_id": int, "question": str, "question_id": int}, place)
    if not entry["question"].strip():
        raise TaskError("the question is empty", place=place)


def _check_annotation(entry: Any, place: str) -> None:
    kinds = {
        "question_id": int,
        "image_id": int,
        "question_type": str,
        "answer_type": str,
        "multiple_choice_answer": str,
        "answers": list,
    }
    _check_keys(entry, kinds, place)
    if entry["answer_type"] not in ANSWER_TYPES:
        raise TaskError(f"answer_type {entry['answer_type']!r} is none of {', '.join(ANSWER_TYPES)}", place=place)
    if len(entry["answers"]) != ANSWERS:
        raise TaskError(f"there are {len(entry['answers'])} answers instead of {ANSWERS}", place=place)
    for number, answer in enumerate(entry["answers"]):
        here = f"{place}.answers[{number}]"
        _check_keys(answer, {"answer": str, "answer_confidence": str, "answer_id": int}, here)
        if answer["answer_confidence"] not in CONFIDENCES:
            raise TaskError(
                f"answer_confidence {answer['answer_confidence']!r} is none of {', '.join(CONFIDENCES)}", place=here
            )


def _check_keys(entry: Any, kinds: Mapping[str, type], place: str) -> None:
    if type(entry) is not dict:
        raise TaskError(f"{json.dumps(entry)[:40]} stands where a mapping is due", place=place)
    for key, kind in kinds.items():
        if key not in entry:
            raise TaskError(f"the key {key!r} is missing", place=place)
        if type(entry[key]) is not kind:
            name = {int: "a whole number", str: "a text", list: "a list"}[kind]
            raise TaskError(f"{key} is {json.dumps(entry[key])[:40]} and not {name}", place=place)
        if kind is str:
            try:
                entry[key].encode()
            except UnicodeEncodeError:
                shown = json.dumps(entry[key])[:40]
                raise TaskError(f"{key} {shown} holds half of a character", place=place, mend="correct it") from None
