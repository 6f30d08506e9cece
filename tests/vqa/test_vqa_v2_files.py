from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from task2sim import StoreError, TaskError
from task2sim_vqa.vqa_v2 import (
    annotation,
    counts_by_type,
    mix,
    question_type,
    read_split,
    write_annotations,
    write_questions,
)

QUESTIONS = [
    {"image_id": 458752, "question": "What is this photo taken looking through?", "question_id": 458752000},
    {"image_id": 458752, "question": "How many people are there?", "question_id": 458752001},
    {"image_id": 262146, "question": "Is there a dog?", "question_id": 262146000},
]
TYPES = ["other", "number", "yes/no"]


def write(folder: Path, questions: list[Any], annotations: list[Any]) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    paths = folder / "questions.json", folder / "annotations.json"
    write_questions(paths[0], questions)
    write_annotations(paths[1], annotations)
    return paths


def split(start: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    questions = copy.deepcopy(QUESTIONS)
    for entry in questions:
        entry["image_id"] += start
        entry["question_id"] += 1000 * start
    notes = [annotation(q, a, t) for q, a, t in zip(questions, ["net", "1", "yes"], TYPES, strict=True)]
    return questions, notes


def test_round_trip(tmp_path: Path) -> None:
    questions, notes = split()
    found = read_split(*write(tmp_path, questions, notes[::-1]))  # annotations may come in any order
    assert list(found.questions) == questions
    assert list(found.annotations) == notes
    assert counts_by_type(found.annotations) == {"yes/no": 1, "number": 1, "other": 1}
    note = found.annotations[1]
    assert note["question_type"] == "how many people are"
    assert [answer["answer_id"] for answer in note["answers"]] == list(range(1, 11))
    assert json.loads((tmp_path / "questions.json").read_text())["task_type"] == "Open-Ended"


def test_question_types() -> None:
    assert question_type("How many mugs are there?") == "how many"
    assert question_type("What color is the mug?") == "what color is the"
    assert question_type("Island life?") == "none of the above"
    assert question_type("Which is larger, the mug or the fork?") == "which"


Change = Callable[[list[dict[str, Any]], list[dict[str, Any]]], Any]


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (lambda q, a: a.pop(1), "questions[1]", "question_id 458752001 has no annotation"),
        (lambda q, a: q.pop(1), "annotations[1]", "question_id 458752001 is not in"),
        (lambda q, a: q.append(q[0]), "questions[3]", "question_id 458752000 stands there twice"),
        (lambda q, a: a.append(dict(a[0])), "annotations[3]", "question_id 458752000 stands there twice"),
        (lambda q, a: a[2].update(image_id=7), "questions[2]", "is about image 262146, and its annotation about 7"),
        (lambda q, a: q[0].update(image_id="7"), "questions[0]", 'image_id is "7" and not a whole number'),
        (lambda q, a: q[0].update(question_id=True), "questions[0]", "question_id is true and not a whole number"),
        (lambda q, a: q[0].update(question=" "), "questions[0]", "the question is empty"),
        (lambda q, a: q[0].update(question="\ud800 is it?"), "questions[0]", "holds half of a character; correct it"),
        (lambda q, a: q[1].pop("question"), "questions[1]", "the key 'question' is missing"),
        (lambda q, a: q.append(5), "questions[3]", "5 stands where a mapping is due"),
        (lambda q, a: a[0].update(answer_type="colour"), "annotations[0]", "answer_type 'colour' is none of yes/no"),
        (lambda q, a: a[0]["answers"].pop(), "annotations[0]", "there are 9 answers instead of 10"),
        (lambda q, a: a[0]["answers"][3].pop("answer"), "annotations[0].answers[3]", "the key 'answer' is missing"),
        (
            lambda q, a: a[0]["answers"][3].update(answer_confidence="sure"),
            "annotations[0].answers[3]",
            "answer_confidence 'sure' is none of yes, maybe, no",
        ),
    ],
)
def test_bad_files(tmp_path: Path, change: Change, place: str, message: str) -> None:
    questions, notes = split()
    change(questions, notes)
    paths = write(tmp_path, questions, notes)
    with pytest.raises(TaskError) as caught:
        read_split(*paths)
    assert caught.value.place.endswith(f": {place}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    good = write(tmp_path, *split())
    (tmp_path / "broken.json").write_text('{"questions": [')
    for path, message in [
        (tmp_path / "missing.json", "can't read this"),
        (tmp_path / "broken.json", "this is not JSON"),
        (good[1], "this file has no list 'questions', but 'annotations'; questions come first"),
    ]:
        with pytest.raises(TaskError, match=message) as caught:
            read_split(path, good[1])
        assert caught.value.place == str(path)


def test_a_missing_image(tmp_path: Path) -> None:
    paths = write(tmp_path, *split())
    images = tmp_path / "images"
    images.mkdir()
    (images / "COCO_train2014_000000458752.jpg").touch()
    with pytest.raises(TaskError, match=r"questions\[2\]: image 262146 is not in"):
        read_split(*paths, images)
    (images / "000000262146.png").touch()
    assert len(read_split(*paths, images)) == 3
    with pytest.raises(TaskError, match="there is no such folder"):
        read_split(*paths, tmp_path / "nowhere")


def test_mixing_replaces_counting(tmp_path: Path) -> None:
    real = read_split(*write(tmp_path / "real", *split()))
    synthetic = read_split(*write(tmp_path / "synthetic", *split(1_000_000)))
    mixed = mix(real, synthetic)
    assert [(q["source"], q["question_id"]) for q in mixed.questions] == [
        ("real", 458752000),
        ("real", 262146000),
        ("synthetic", 1458752001),
    ]
    assert [note["question_id"] for note in mixed.annotations] == [q["question_id"] for q in mixed.questions]
    assert len(mix(real, synthetic, without="", only="")) == 6
    with pytest.raises(TaskError, match="no synthetic questions are left"):
        mix(real, synthetic, only="why")
    with pytest.raises(TaskError, match="question_id 458752001 is in both splits"):
        mix(real, real, without="")


def test_nothing_half_written(tmp_path: Path) -> None:
    def entries() -> Any:
        yield QUESTIONS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        write_questions(tmp_path / "questions.json", entries())
    assert list(tmp_path.iterdir()) == []
