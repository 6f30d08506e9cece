from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image

from task2sim import ConfigError, ParameterError, StoreError
from task2sim.cli import app
from task2sim.config import StudyFile, load_study
from task2sim.locking import sole_writer
from task2sim_vqa import generate as module
from task2sim_vqa.generate import FIRST_IMAGE, FIRST_TWIN, generate
from task2sim_vqa.vqa_v2 import read_split

SETS = [
    "simulator.resolution=64",
    "simulator.categories=[mug,chair,apple,table,car]",
    "simulator.instances=4",
    "simulator.device=cpu",
    "executor.workers=1",
]


def study(*more: str) -> StudyFile:
    return load_study("questions", [*SETS, *more])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PILOT", 96)
    monkeypatch.setattr(module, "SHARD", 8)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vqa") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PILOT", 96)
        patch.setattr(module, "SHARD", 8)
        made = generate(study(), None, 20, 5, True, folder)
    assert made.images == 20
    assert made.twins >= 15
    return folder


def test_what_lies_in_the_folder(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {
        "annotations.json", "balance.json", "complementary_pairs.json", "images", "masks", "questions.json",
        "report.json", "sample.html", "scenes", "twins.jsonl", "vqa.json",
    }  # fmt: skip
    split = read_split(whole / "questions.json", whole / "annotations.json", whole / "images")
    assert len(split) == json.loads((whole / "report.json").read_text())["questions"] > 60
    scenes = [json.loads(line) for path in sorted(whole.glob("scenes/*")) for line in path.open()]
    ids = {scene["image_id"] for scene in scenes}
    assert {FIRST_IMAGE + k for k in range(20)} < ids
    assert {f"{number:012d}.png" for number in ids} == {path.name for path in (whole / "images").iterdir()}
    for scene in scenes:
        with Image.open(whole / "masks" / f"{scene['image_id']:012d}.png") as mask:
            seen = set(np.unique(np.asarray(mask)).tolist()) - {0}
        boxed = {item["number"] for item in scene["scene"]["objects"] if item["visible_box"]}
        assert seen == boxed


def test_twins_are_asked_the_same(whole: Path) -> None:
    split = read_split(whole / "questions.json", whole / "annotations.json")
    texts = {entry["question_id"]: entry for entry in split.questions}
    answers = {entry["question_id"]: entry["multiple_choice_answer"] for entry in split.annotations}
    pairs = json.loads((whole / "complementary_pairs.json").read_text())
    twins = [json.loads(line) for line in (whole / "twins.jsonl").open()]
    assert [pair for twin in twins for pair in twin["changed"]] == pairs
    assert len(pairs) > 10
    for twin in twins:
        assert twin["twin_id"] - twin["image_id"] == FIRST_TWIN - FIRST_IMAGE
        for name in ("changed", "unchanged"):
            for first, second in twin[name]:
                assert texts[first]["question"] == texts[second]["question"]
                assert (texts[first]["image_id"], texts[second]["image_id"]) == (twin["image_id"], twin["twin_id"])
                assert (answers[first] != answers[second]) == (name == "changed")
    assert {twin["kind"] for twin in twins} >= {"add", "remove", "recolour", "material", "sun"}


def test_an_image_depends_on_its_index_alone(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 5)
    generate(study("executor.workers=2"), None, 6, 5, True, tmp_path / "few")
    few, many = files(tmp_path / "few"), files(whole)
    for name, data in few.items():
        if name.startswith(("images", "masks")) or name == "balance.json":
            assert data == many[name], name
    last = FIRST_IMAGE + 5

    def asked(folder: Path) -> list[object]:
        return [q for q in json.loads((folder / "questions.json").read_text())["questions"] if q["image_id"] <= last]

    assert asked(tmp_path / "few") == asked(whole)


def test_it_goes_on_after_a_stop(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stopped"
    original = module.write_shard

    def stops(work: module.Work) -> None:
        if work.first == 8:
            raise KeyboardInterrupt
        original(work)

    monkeypatch.setattr(module, "write_shard", stops)
    with pytest.raises(KeyboardInterrupt):
        generate(study(), None, 20, 5, True, folder)
    assert not (folder / "vqa.json").exists()
    assert not (folder / "questions.json").exists()
    rendered: list[int] = []

    def counts(work: module.Work) -> None:
        rendered.append(work.first)
        original(work)

    monkeypatch.setattr(module, "write_shard", counts)
    generate(study(), None, 20, 5, True, folder)
    assert rendered == [8, 16]
    assert files(folder) == files(whole)
    generate(study(), None, 20, 5, True, folder)  # it is whole: nothing is done
    assert rendered == [8, 16]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
def test_kill_minus_nine_loses_next_to_nothing(tmp_path: Path) -> None:
    words = [*(word for item in SETS for word in ("--set", item)), "--images", "70", "--seed", "1"]
    script = (
        "import sys; from task2sim_vqa import generate; generate.PILOT = 32; from task2sim.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "vqa", "generate", "questions", *words, "--out"]
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, str(killed)], start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(killed.glob("shards/*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "vqa.json").exists()
    subprocess.run([*command, str(killed)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*command, str(tmp_path / "whole")], check=True, stdout=subprocess.DEVNULL)
    assert files(killed) == files(tmp_path / "whole")


def test_bad_folders(whole: Path, tmp_path: Path) -> None:
    before = files(whole)
    with pytest.raises(
        StoreError, match="the folder holds another dataset, of other images; choose a new or empty folder"
    ):
        generate(study(), None, 21, 5, True, whole)
    assert files(whole) == before
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"the folder is not empty: it holds 'thesis.tex'"):
        generate(study(), None, 2, 0, False, tmp_path)
    with pytest.raises(StoreError, match="can't write here"):
        generate(study(), None, 2, 0, False, tmp_path / "thesis.tex")


def test_one_object_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="the scenes of this setting hold one object") as caught:
        generate(study(), "background=1", 4, 0, False, tmp_path / "one")
    assert caught.value.place == "--setting"
    assert "object_count" in caught.value.mend
    assert not (tmp_path / "one").exists()


def test_two_at_a_time_do_not_mix(tmp_path: Path) -> None:
    with (
        sole_writer(tmp_path / "shared"),
        ThreadPoolExecutor() as other,
        pytest.raises(StoreError, match="another process writes into this folder; wait until it has ended"),
    ):
        other.submit(generate, study(), None, 2, 0, False, tmp_path / "shared").result()


def test_simulators_that_do_not_suit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK2SIM_PLUGINS", "simulators:toy=toys:Sim")
    from task2sim import registry

    registry.installed_plugins.cache_clear()
    try:
        file = load_study("quickstart", ["simulator.type=toy"])
        with pytest.raises(ConfigError, match="makes no instance-mask"):
            generate(file, None, 4, 0, False, tmp_path / "toy")
    finally:
        monkeypatch.undo()
        registry.installed_plugins.cache_clear()
    assert not (tmp_path / "toy").exists()


def test_the_commands(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = typer.main.get_command(app)

    def call(*words: str) -> str:
        command.main(["vqa", *words], standalone_mode=False)
        return capsys.readouterr().out

    split = [str(whole / "questions.json"), str(whole / "annotations.json")]
    assert "on " in call("check", *split, "--images", str(whole / "images"))
    real = tmp_path / "real"
    (real).mkdir()
    for name in ("questions", "annotations"):
        data = json.loads((whole / f"{name}.json").read_text())
        for entry in data[name]:
            entry["image_id"] += 5_000_000
            entry["question_id"] += 5_000_000_000
        (real / f"{name}.json").write_text(json.dumps(data))
    both = ["--real", str(real / "questions.json"), str(real / "annotations.json"), "--synthetic", *split]
    assert "questions in" in call("mix", *both, "--out", str(tmp_path / "mixed"))
    mixed = read_split(tmp_path / "mixed" / "questions.json", tmp_path / "mixed" / "annotations.json")
    entries = zip(mixed.questions, mixed.annotations, strict=True)
    kinds = {(question["source"], note["question_type"] == "how many") for question, note in entries}
    assert kinds == {("real", False), ("synthetic", True)}
    with pytest.raises(StoreError, match="this is not an empty folder"):
        call("mix", *both, "--out", str(tmp_path / "mixed"))
