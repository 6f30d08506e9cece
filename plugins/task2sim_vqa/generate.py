"""Rendering pictures with questions into a folder: in shards, by several workers, and so that a kill loses little.

A shard's pictures, masks and scene graphs are written first and its questions last: a shard whose questions are there
is whole. When all are, they are joined into the files of VQA v2, and the manifest gets its name.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import (
    ConfigError,
    FrameBatch,
    ParameterError,
    ParameterSetting,
    ParameterSpace,
    SceneSimulator,
    Simulator,
    StoreError,
    Task2SimError,
    report_progress,
    spawn_seed,
)
from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.config import StudyFile
from task2sim.generate import parse_setting
from task2sim.locking import sole_writer
from task2sim.progress import ProgressSum, progress_of
from task2sim.randomisation import randomise
from task2sim.registry import plugin_call
from task2sim.study import at
from task2sim_vqa.asking import Asked, ask, propose
from task2sim_vqa.balance import Balance, Guess, Judged, question_only
from task2sim_vqa.edits import KINDS, Edit, EditError, edit
from task2sim_vqa.families import Attribute, Count, Exists, Nouns, Question
from task2sim_vqa.language import nouns
from task2sim_vqa.sample_page import SampleImage, write_sample
from task2sim_vqa.visible import Things, View, look
from task2sim_vqa.vqa_v2 import annotation, whole_file, write_annotations, write_questions

MANIFEST = "vqa.json"
UNFINISHED = "vqa.json.unfinished"
BALANCE = "balance.json"
VERSION = 1

SHARD = 32
"""Images of a shard, without their twins."""
PILOT = 1024
"""Images whose questions are counted before, to balance answers."""
PILOT_PIECE = 32
FIRST_IMAGE, FIRST_TWIN = 1_000_000, 2_000_000
"""Ids of the first image and of its twin. Those of MS COCO, to which VQA v2's questions belong, end below."""
MOST_IMAGES = FIRST_TWIN - FIRST_IMAGE
ROUNDS = 3
"""Kinds of edit that are tried on an image before it goes without a twin."""
TWIN_QUESTIONS = 4
"""Questions, with another answer and with the same one, that a twin is asked at most of each."""
SAMPLES = 24
JUDGED = 30_000
"""Questions that the report on question-only guesses looks at, at most."""

ON_BY_DEFAULT = (
    "object_count", "clutter", "floor", "background", "camera_distance", "camera_elevation", "light_intensity",
)  # fmt: skip
"""What varies if no setting is given, as far as the simulator has it: things stand about upright in many places.

Not materials: pictures of ceramic mugs teach more about the colours and numbers of other pictures than such of wooden
ones do (docs/benchmarks.md).
"""
NEEDED = frozenset({"scene-graph", "instance-mask"})


@attrs.frozen
class Work:
    """Some images with their questions, for one worker.

    Attributes:
        simulator: Renders.
        setting: A setting of its parameter space.
        seed: The dataset's seed.
        folder: Where to write.
        first: The first image.
        count: How many.
        twins: Whether to make edited twins.
        balance: Counts of the pilot, as plain data.
    """

    simulator: ComponentSpec
    setting: ParameterSetting
    seed: int
    folder: Path
    first: int
    count: int
    twins: bool
    balance: Mapping[str, Any]


@attrs.frozen
class Generated:
    """What lies in the folder.

    Attributes:
        images: Without twins.
        twins: Edited twins.
        questions: All of them.
        refused: Categories that no question names, since their plural is not known.
        guesses: What questions give away by themselves.
    """

    images: int
    twins: int
    questions: int
    refused: tuple[str, ...]
    guesses: tuple[Guess, ...]


def default_setting(space: ParameterSpace) -> ParameterSetting:
    """Several upright objects on a floor, in varied surroundings, as far as a simulator has that."""
    return space.setting({name: 1 for name in ON_BY_DEFAULT if name in space.names})


def generate(file: StudyFile, setting: str | None, images: int, seed: int, twins: bool, folder: Path) -> Generated:
    """Make a dataset of pictures with questions and answers.

    Args:
        file: The study; its simulator renders, its executor's workers work.
        setting: See `task2sim.generate.parse_setting`; None is `default_setting`.
        images: How many; image i with its questions depends on (setting, seed, i) alone.
        seed: The dataset's seed.
        twins: Whether each image gets an edited twin.
        folder: New, empty, or one in which the same command was stopped.

    Raises:
        Task2SimError: something is wrong; the message says what. Nothing half-written is left under a final name.
    """
    chosen = file.study.simulator
    if chosen is None:
        raise ConfigError("this study renders nothing", place=file.source, mend="name a study with a simulator")
    with at(file.place("simulator")), plugin_call(chosen.entry.title), chosen.build() as simulator:
        _check_simulator(simulator, twins, chosen)
        space, categories = simulator.parameter_space, tuple(simulator.categories)
        point = default_setting(space) if setting is None else parse_setting(setting, space, seed)
    known, refused = nouns(categories)
    if not known:
        raise ConfigError(
            f"no plural is known of any category, {categories[0]!r} first",
            place=file.place("simulator"),
            mend="name some with English nouns",
        )
    manifest = {
        "format": "task2sim vqa",
        "version": VERSION,
        "simulator": chosen.key_data(),
        "setting": point.as_dict(),
        "images": images,
        "seed": seed,
        "twins": twins,
    }
    with sole_writer(folder):
        is_new = not folder.exists()
        _prepare(folder, manifest)
        if not (folder / MANIFEST).exists():
            try:
                _fill(file, ComponentSpec.of(chosen), point, images, seed, twins, folder)
            except Task2SimError:
                _leave_nothing(folder, is_new)
                raise
            (folder / UNFINISHED).replace(folder / MANIFEST)
            shutil.rmtree(folder / "shards", ignore_errors=True)
    result = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    guesses = tuple(Guess(**guess) for guess in result["guesses"])
    return Generated(images, result["twins"], result["questions"], refused, guesses)


def _check_simulator(simulator: Simulator, twins: bool, chosen: Chosen) -> None:
    lacks = NEEDED - simulator.capabilities
    if lacks:
        raise ConfigError(
            f"{chosen.entry.title} makes no {min(lacks)}, which questions are made from",
            mend="choose a simulator that does, such as studio",
        )
    if twins and not isinstance(simulator, SceneSimulator):
        raise ConfigError(
            f"{chosen.entry.title} does not render scenes of the core, so they can't be edited",
            mend="leave --twins out",
        )


def _prepare(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a folder that holds anything but this dataset, whole or begun; begin it otherwise."""
    text = json.dumps(manifest, indent=1, default=str)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, UNFINISHED):
            path = folder / name
            if path.exists():
                there = path.read_text(encoding="utf-8")
                if there != text:
                    raise StoreError(
                        f"the folder holds another dataset{_of_other(there, text)}",
                        place=str(path),
                        mend="choose a new or empty folder",
                    )
                return
        others = [entry.name for entry in folder.iterdir() if entry.name != f"{UNFINISHED}.part"]
        if others:
            raise StoreError(
                f"the folder is not empty: it holds {min(others)!r}",
                place=str(folder),
                mend="choose a new or empty folder",
            )
        with whole_file(folder / UNFINISHED) as file:
            file.write(text)
    except OSError as error:
        raise StoreError(
            f"can't write here: {error.strerror or error}", place=str(folder), mend="choose another folder"
        ) from error


def _of_other(there: str, text: str) -> str:
    """Which keys of two manifests differ, in words."""
    try:
        known, new = json.loads(there), json.loads(text)
        keys = [key for key, value in new.items() if known.get(key) != value]
    except (ValueError, AttributeError):
        return ""
    return f", of other {' and '.join(keys)}"


def _leave_nothing(folder: Path, is_new: bool) -> None:
    """Clear a folder away of which nothing but its beginning was written."""
    if [entry.name for entry in folder.iterdir()] == [UNFINISHED]:
        (folder / UNFINISHED).unlink()
        if is_new:
            folder.rmdir()


def _fill(
    file: StudyFile,
    spec: ComponentSpec,
    setting: ParameterSetting,
    images: int,
    seed: int,
    twins: bool,
    folder: Path,
) -> None:
    with at(file.place("executor")):
        executor = file.study.executor.build()
    try:
        with executor:
            balance = _balance(spec, setting, seed, folder, executor)
            for name in ("images", "masks", "scenes", "shards"):
                (folder / name).mkdir(exist_ok=True)
            jobs = [
                Work(spec, setting, seed, folder, first, min(SHARD, images - first), twins, balance)
                for first in range(0, images, SHARD)
                if not _shard(folder, first).exists()
            ]
            missing = sum(job.count for job in jobs)
            progress = ProgressSum("ask", images - missing, images, "images")
            for job, _ in zip(jobs, executor.map(write_shard, jobs, progress), strict=True):
                progress.reached(str(job.first), job.count)
    finally:
        close_components()
    _join(folder, images)


def _balance(
    spec: ComponentSpec, setting: ParameterSetting, seed: int, folder: Path, executor: Any
) -> Mapping[str, Any]:
    """The counts of the pilot; kept in the folder, though the same would come out again."""
    path = folder / BALANCE
    if path.exists():
        kept: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    jobs = [
        Work(spec, setting, spawn_seed(seed, "vqa", "pilot"), folder, first, PILOT_PIECE, False, {})
        for first in range(0, PILOT, PILOT_PIECE)
    ]
    progress = ProgressSum("pilot", 0, PILOT, "images")
    balance, most = Balance(), 0
    for job, (data, objects) in zip(jobs, executor.map(count_answers, jobs, progress), strict=True):
        balance.add(Balance.from_dict(data))
        most = max(most, objects)
        progress.reached(str(job.first), job.count)
    if most < 2:
        raise ParameterError(
            f"the scenes of this setting hold {'one object' if most else 'no objects'}: there is nothing to ask",
            place="--setting",
            mend="turn on object_count or clutter; studio has them with further_parameters: "
            "[object_count, clutter, floor]",
        )
    with whole_file(path) as file:
        json.dump(balance.as_dict(), file)
    return balance.as_dict()


def count_answers(work: Work) -> tuple[dict[str, Any], int]:
    """Count answers to all questions that some images of the pilot allow; also the most objects in a scene."""
    known, _ = nouns(work.simulator.component().categories)
    balance, most = Balance(), 0
    with progress_of(str(work.first)):
        for done, (index, view, objects) in enumerate(_views(work), 1):
            most = max(most, objects)
            for question, answer in propose(view, known, _random(work.seed, index, "questions")):
                balance.count(question, answer)
            report_progress("pilot", done, work.count, "images")
    return balance.as_dict(), most


def _views(work: Work) -> Iterator[tuple[int, View, int]]:
    simulator: Simulator = work.simulator.component()
    with plugin_call(work.simulator.title):
        for frames in simulator.render(work.setting, range(work.first, work.first + work.count), work.seed):
            for k in range(len(frames)):
                graph = _graph(frames, k)
                yield int(frames.indices[k]), _look(frames, k, graph), len(graph["objects"])


def write_shard(work: Work) -> None:
    """Render some images, write them, and their questions last. This is what worker processes run."""
    maker = _Maker(work)
    with progress_of(str(work.first)):
        records = list(maker.records())
    with whole_file(_scenes(work.folder, work.first)) as file:
        for record in records:
            for image_id, graph in record.graphs:
                file.write(json.dumps({"image_id": image_id, "scene": graph}) + "\n")
    with whole_file(_shard(work.folder, work.first)) as file:
        json.dump([attrs.asdict(record, filter=lambda field, _: field.name != "graphs") for record in records], file)


@attrs.frozen
class Record:
    """One image of a shard, with its twin if it has one.

    Attributes:
        image_id: The image.
        twin_id: Its twin, or None.
        edit: What was edited, or an empty text.
        kind: Which kind of edit that is.
        asked: Questions: question_id, image_id, question, family, answer, answer_type, form, balanced.
        changed: Ids of the same question on image and twin, where the answers differ.
        unchanged: The same where they must not.
        graphs: Ids and scene graphs.
    """

    image_id: int
    twin_id: int | None
    edit: str
    kind: str
    asked: list[dict[str, Any]]
    changed: list[list[int]]
    unchanged: list[list[int]]
    graphs: list[tuple[int, Mapping[str, Any]]]


class _Maker:
    """Makes the images of a shard with their questions."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.simulator: Simulator = work.simulator.component()
        self.nouns, _ = nouns(self.simulator.categories)
        self.balance = Balance.from_dict(work.balance)

    def records(self) -> Iterator[Record]:
        work = self.work
        with plugin_call(work.simulator.title):
            batches = self.simulator.render(work.setting, range(work.first, work.first + work.count), work.seed)
            done = 0
            for frames in batches:
                graphs = [_graph(frames, k) for k in range(len(frames))]
                views = [_look(frames, k, graph) for k, graph in enumerate(graphs)]
                twins = self._twins(frames, graphs, views) if work.twins else {}
                for k, index in enumerate(frames.indices.tolist()):
                    yield self._record(index, frames, k, graphs[k], views[k], twins.get(k))
                    done += 1
                    report_progress("ask", done, work.count, "images")

    def _twins(
        self, frames: FrameBatch, graphs: Sequence[Mapping[str, Any]], views: Sequence[View]
    ) -> dict[int, tuple[Edit, FrameBatch, int, Mapping[str, Any], View]]:
        """A twin of each image of a batch, as far as one of its kinds of edit works."""
        simulator, work = self.simulator, self.work
        assert isinstance(simulator, SceneSimulator)
        assets, indices = simulator.assets, frames.indices.tolist()
        randoms = [_random(work.seed, index, "edit") for index in indices]
        scenes = [randomise(work.setting, assets, index, work.seed) for index in indices]
        made: dict[int, tuple[Edit, FrameBatch, int, Mapping[str, Any], View]] = {}
        for turn in range(ROUNDS):
            edits: dict[int, Edit] = {}
            for k, index in enumerate(indices):
                if k not in made:
                    kind = KINDS[(index + turn) % len(KINDS)]
                    try:
                        edits[k] = edit(scenes[k], graphs[k], views[k], kind, assets, randoms[k])
                    except EditError:
                        continue
            if not edits:
                continue
            numbers = list(edits)
            for start in range(0, len(numbers), simulator.batch_size):
                some = numbers[start : start + simulator.batch_size]
                drawn = simulator.render_scenes([edits[k].scene for k in some])
                for j, k in enumerate(some):
                    graph = _graph(drawn, j)
                    view = _look(drawn, j, graph)
                    if _took(edits[k], views[k], view, frames.rgb[k], drawn.rgb[j]):
                        made[k] = (edits[k], drawn, j, graph, view)
        return made

    def _record(
        self,
        index: int,
        frames: FrameBatch,
        k: int,
        graph: Mapping[str, Any],
        view: View,
        twin: tuple[Edit, FrameBatch, int, Mapping[str, Any], View] | None,
    ) -> Record:
        random = _random(self.work.seed, index, "questions")
        asked = ask(view, self.nouns, self.balance, random)
        image_id, twin_id = FIRST_IMAGE + index, FIRST_TWIN + index
        _write_picture(self.work.folder, image_id, frames, k)
        if twin is None:
            questions = [self._question(image_id, number, entry) for number, entry in enumerate(asked)]
            return Record(image_id, None, "", "", questions, [], [], [(image_id, graph)])
        made, drawn, j, twin_graph, twin_view = twin
        _write_picture(self.work.folder, twin_id, drawn, j)
        pairs = self._pairs(made, view, twin_view, asked, random)
        for entry, _ in pairs:
            if entry not in asked:
                asked.append(entry)
        questions = [self._question(image_id, number, entry) for number, entry in enumerate(asked)]
        changed: list[list[int]] = []
        unchanged: list[list[int]] = []
        for number, (entry, answer) in enumerate(pairs):
            ours = self._question(twin_id, number, attrs.evolve(entry, answer=answer))
            ids = [questions[asked.index(entry)]["question_id"], ours["question_id"]]
            (unchanged if answer == entry.answer else changed).append(ids)
            questions.append(ours)
        graphs = [(image_id, graph), (twin_id, twin_graph)]
        return Record(image_id, twin_id, made.text, made.kind, questions, changed, unchanged, graphs)

    def _pairs(
        self, made: Edit, view: View, twin: View, asked: Sequence[Asked], random: Random
    ) -> list[tuple[Asked, str]]:
        """Questions that a twin is asked, with its answers: some whose answer changes and some whose must not."""
        candidates = list(asked)
        for question in _about(made, view, twin, self.nouns):
            answer = question.answer(view)
            if answer is not None:
                candidates.append(Asked(question, answer, int(random.random() * question.wordings)))
        found: dict[bool, list[tuple[Asked, str]]] = {True: [], False: []}
        met = set()
        for entry in candidates:
            answer = entry.question.answer(twin)
            if answer is not None and entry.question not in met:
                met.add(entry.question)
                found[answer != entry.answer].append((entry, answer))
        return [
            pair
            for pairs in found.values()
            for pair in (random.sample(pairs, TWIN_QUESTIONS) if len(pairs) > TWIN_QUESTIONS else pairs)
        ]

    def _question(self, image_id: int, number: int, entry: Asked) -> dict[str, Any]:
        return {
            "question_id": 1000 * image_id + number,
            "image_id": image_id,
            "question": entry.text(self.nouns),
            "family": entry.question.family,
            "answer": entry.answer,
            "answer_type": entry.question.answer_type,
            "form": entry.question.form,
            "balanced": entry.question.balanced(entry.answer),
        }


def _about(made: Edit, view: View, twin: View, known: Nouns) -> Iterator[Question]:
    """Questions about what was edited, whose answers may have changed."""
    edited = [item for item in view.objects if item.number in made.before]
    edited += [item for item in twin.objects if item.number in made.after]
    yield Count(Things())
    for item in edited:
        if item.category in known:
            things = Things(item.category)
            yield Count(things)
            yield Exists(things)
            yield Attribute("colour", things)
            yield Attribute("material", things)
        if item.colour is not None:
            yield Count(Things(None, item.colour))
            yield Exists(Things(None, item.colour))
        if item.material is not None:
            yield Exists(Things(None, None, item.material))


def _took(made: Edit, view: View, twin: View, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether a person sees what was edited."""
    if made.kind == "sun":
        return float(np.abs(before.astype(np.int16) - after).mean()) > 1.0
    now = [item for item in twin.objects if item.number in made.after]
    if made.kind == "remove":
        return True
    if len(now) != len(made.after) or any(item.visibility < 0.5 for item in now):
        return False
    then = [item for item in view.objects if item.number in made.before]
    if made.kind == "recolour":
        return now[0].colour is not None and now[0].colour != then[0].colour
    if made.kind == "material":
        return now[0].material is not None and now[0].material != then[0].material
    return True


def _random(seed: int, index: int, stage: str) -> Random:
    return Random(spawn_seed(seed, f"vqa {stage}", str(index)))


def _graph(frames: FrameBatch, k: int) -> Mapping[str, Any]:
    assert frames.scenes is not None
    return frames.scenes[k]


def _look(frames: FrameBatch, k: int, graph: Mapping[str, Any]) -> View:
    assert frames.instance_mask is not None
    return look(graph, frames.instance_mask[k], frames.rgb[k])


def _write_picture(folder: Path, image_id: int, frames: FrameBatch, k: int) -> None:
    from PIL import Image

    assert frames.instance_mask is not None
    mask = frames.instance_mask[k]
    small = mask.astype(np.uint8) if mask.max(initial=0) < 256 else mask
    for name, pixels in (("images", frames.rgb[k]), ("masks", small)):
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, format="PNG", compress_level=3)
        path = folder / name / picture_name(image_id)
        part = path.with_suffix(".part")
        part.write_bytes(data.getvalue())
        part.replace(path)


def picture_name(image_id: int) -> str:
    """The file of an image, in ``images``, and of its instance mask, in ``masks``."""
    return f"{image_id:012d}.png"


def _shard(folder: Path, first: int) -> Path:
    return folder / "shards" / f"{first:06d}.json"


def _scenes(folder: Path, first: int) -> Path:
    return folder / "scenes" / f"{first:06d}.jsonl"


def _join(folder: Path, images: int) -> None:
    """Join the shards, one at a time."""

    def records() -> Iterator[dict[str, Any]]:
        for first in range(0, images, SHARD):
            yield from json.loads(_shard(folder, first).read_text(encoding="utf-8"))

    def asked() -> Iterator[dict[str, Any]]:
        return (entry for record in records() for entry in record["asked"])

    keys = ("image_id", "question", "question_id")
    count = write_questions(folder / "questions.json", ({key: entry[key] for key in keys} for entry in asked()))
    write_annotations(
        folder / "annotations.json",
        (
            {**annotation(entry, entry["answer"], entry["answer_type"]), "family": entry["family"]}
            for entry in asked()
        ),
    )
    judged: list[Judged] = []
    samples: list[SampleImage] = []
    twins = 0
    with whole_file(folder / "complementary_pairs.json") as pairs, whole_file(folder / "twins.jsonl") as listed:
        pairs.write("[")
        written = 0
        for record in records():
            if len(judged) < JUDGED:
                judged += [
                    Judged(
                        entry["image_id"],
                        entry["family"],
                        entry["question"],
                        entry["answer"],
                        entry["form"],
                        entry["balanced"],
                    )
                    for entry in record["asked"]
                ]
            if len(samples) < SAMPLES:
                samples.append(_sample(folder, record))
            if record["twin_id"] is None:
                continue
            twins += 1
            keep = ("image_id", "twin_id", "kind", "edit", "changed", "unchanged")
            listed.write(json.dumps({key: record[key] for key in keep}) + "\n")
            for pair in record["changed"]:
                pairs.write((", " if written else "") + json.dumps(pair))
                written += 1
        pairs.write("]\n")
    guesses = question_only(judged)
    write_sample(folder / "sample.html", samples, guesses, images, twins, count)
    with whole_file(folder / "report.json") as file:
        report = {"questions": count, "twins": twins, "guesses": [attrs.asdict(guess) for guess in guesses]}
        json.dump(report, file, indent=1)


def _sample(folder: Path, record: Mapping[str, Any]) -> SampleImage:
    changed = {number for pair in record["changed"] for number in pair}
    rows: dict[int, list[tuple[str, str, str, bool]]] = {}
    for entry in record["asked"]:
        row = (entry["family"], entry["question"], entry["answer"], entry["question_id"] in changed)
        rows.setdefault(entry["image_id"], []).append(row)
    ids = [number for number in (record["image_id"], record["twin_id"]) if number is not None]
    pictures = [(folder / "images" / picture_name(number)).read_bytes() for number in ids]
    return SampleImage(record["image_id"], pictures, [rows.get(number, []) for number in ids], record["edit"])
