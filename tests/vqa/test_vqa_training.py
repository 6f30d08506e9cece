from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner
from vqa_tiny import FIRST, write_tiny

from task2sim import ConfigError, StoreError, Task2SimError, TaskError
from task2sim.cli import app
from task2sim_vqa import training
from task2sim_vqa.answerer import Answerer, open_answerer
from task2sim_vqa.swapping import FeaturePool
from task2sim_vqa.training import Config, evaluate, train

FAST = Config(epochs=1, region_epochs=1, width=16, layers=1, heads=2, least=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("training") / "tiny", 30)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other domain: of the same ids, and its own category."""
    return write_tiny(tmp_path_factory.mktemp("training") / "other", 20, 1, ("mug", "fork"), tone=230)


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("training") / "model"
    train(tiny, out, config=FAST)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_learns_to_count_and_to_name_colours(tmp_path: Path) -> None:
    learnt = write_tiny(tmp_path / "learnt", 200, 3)
    asked = write_tiny(tmp_path / "asked", 60, 4)
    config = Config(epochs=30, region_epochs=10, width=32, layers=1, batch_size=32, learning_rate=4e-3)
    train(learnt, tmp_path / "model", config=config)
    found = evaluate(tmp_path / "model", asked)
    # Without the picture: the most frequent number, a third of the colours.
    assert found.by_family["counting"][0] > 0.8
    assert found.by_family["colour"][0] > 0.6
    assert sum(count for _, count in found.by_family.values()) == len(found.answers)


def test_the_same_seed_gives_the_same_bits(tiny: Path, model: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    train(tiny, tmp_path / "again", config=FAST)
    assert torch.equal(state, torch.random.get_rng_state())
    train(tiny, tmp_path / "otherwise", config=FAST, seed=1)
    assert set(files(model)) == {
        "answers.safetensors", "regions.safetensors", "text/config.json", "text/tokenizer.json",
        "text/tokenizer_config.json", "vqa_model.json",
    }  # fmt: skip
    assert files(tmp_path / "again") == files(model)
    assert files(tmp_path / "otherwise")["answers.safetensors"] != files(model)["answers.safetensors"]


def test_synthetic_questions_take_the_place_of_real_ones(
    tiny: Path, other: Path, model: Path, tmp_path: Path
) -> None:
    def run(name: str, **more: object) -> Answerer:
        return train(tiny, tmp_path / name, synthetic=other, config=FAST, **more)  # type: ignore[arg-type]

    texts = json.loads((tiny / "questions.json").read_text())["questions"]
    colours = sum(entry["question"].startswith("What") for entry in texts)
    mixed, swapped = run("mixed"), run("swapped", swap=True)
    assert mixed.manifest.questions == (colours, 40)
    assert {"red", "0", "2"} <= set(mixed.manifest.answers)
    assert mixed.manifest.categories == ("fork", "mug")  # Regions are learnt from the synthetic folder.
    before, after = mixed.network.feature[-1].weight, swapped.network.feature[-1].weight
    assert not torch.equal(before, after)
    by_family = run("family", question_type="colour")
    assert by_family.manifest.questions[0] == 60
    ours = run("ours", swap=True)
    assert torch.equal(after, ours.network.feature[-1].weight)
    assert train(tiny, tmp_path / "left", without="how many", config=FAST).manifest.questions == (colours, 0)
    # Another model's region encoder is taken as it is.
    config = FAST.model_copy(update={"region_encoder": model})
    taken = train(tiny, tmp_path / "taken", synthetic=other, config=config)
    assert taken.manifest.categories == ("chair", "mug")
    assert files(tmp_path / "taken")["regions.safetensors"] == files(model)["regions.safetensors"]


def test_features_come_from_the_other_domain(
    tiny: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set()

    def spy(features: Any, classes: tuple[str, ...], pool: FeaturePool, random: Any) -> Any:
        asked.update((name, pool.classes) for name in classes)
        return features

    monkeypatch.setattr(training, "swap", spy)
    train(tiny, tmp_path / "model", synthetic=other, swap=True, config=FAST)
    ours, theirs = frozenset({"mug", "chair"}), frozenset({"mug", "fork"})
    assert asked == {("mug", theirs), ("chair", theirs), ("mug", ours), ("fork", ours)}


def test_a_saved_model_answers_as_before(tiny: Path, model: Path, other: Path) -> None:
    assert evaluate(model, other).answers == evaluate(model, other).answers
    assert set(evaluate(model, other).answers.values()) <= set(open_answerer(model).manifest.answers)


def test_a_text_encoder_from_disk(tiny: Path, model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path / "text"
    tokenizer = AutoTokenizer.from_pretrained(model / "text")
    tokenizer.save_pretrained(folder)
    BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=12,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=12,
        )
    ).save_pretrained(folder)
    config = FAST.model_copy(update={"text_encoder": folder})
    made = train(tiny, tmp_path / "model", config=config)
    assert made.network.text.config.hidden_size == 12
    assert len(evaluate(tmp_path / "model", tiny).answers) > 60
    (folder / "model.safetensors").unlink()
    with pytest.raises(StoreError, match="no text encoder here"):
        train(tiny, tmp_path / "none", config=config)


def test_commands(tiny: Path, model: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    done = run(
        app,
        ["vqa", "train", str(tiny), "--out", str(tmp_path / "m"), "--epochs", "1", "--region-encoder", str(model)],
    )
    assert done.exit_code == 0, done.output
    out = tmp_path / "results.json"
    done = run(app, ["vqa", "evaluate", str(tmp_path / "m"), str(tiny), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert all(word in done.output for word in ("number", "other", "counting", "colour", "all"))
    results = json.loads(out.read_text())
    questions = json.loads((tiny / "questions.json").read_text())["questions"]
    assert [entry["question_id"] for entry in results] == [entry["question_id"] for entry in questions]
    assert all(set(entry) == {"question_id", "answer"} for entry in results)
    done = run(app, ["vqa", "evaluate", str(tmp_path / "m"), str(tiny), "--out", str(out)])
    assert isinstance(done.exception, StoreError)


def test_a_kill_leaves_no_model_and_no_obstacle(tiny: Path, model: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from task2sim_vqa import answerer, training\n"
        "dump = answerer.Manifest.model_dump_json\n"
        "answerer.Manifest.model_dump_json = lambda self, **_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fast = training.Config.model_validate_json(sys.argv[3])\n"
        "training.train(Path(sys.argv[1]), Path(sys.argv[2]), config=fast)\n"
    )
    out = tmp_path / "model"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny), str(out), FAST.model_dump_json()], check=False, capture_output=True
    )
    assert done.returncode == -9, done.stderr.decode()
    assert not out.exists()
    train(tiny, out, config=FAST)
    assert files(out) == files(model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, o, m: train(t, m, config=FAST), "not an empty folder; choose"),
        (lambda t, o, m: train(t, m / "new", swap=True), "--swap: features are swapped between two folders"),
        (
            lambda t, o, m: train(t, m.parent / "n", synthetic=o, question_type="why"),
            "no question of type 'why' is left",
        ),
        (lambda t, o, m: train(t, m.parent / "n", synthetic=o, without="how many"), "of type 'how many' is left"),
        (lambda t, o, m: evaluate(t, t), "no model here: vqa_model.json is missing"),
        (lambda t, o, m: evaluate(m, m), "no VQA folder"),
        (lambda t, o, m: train(t, m.parent / "n", config=Config(region_encoder=o)), "no model here"),
        (lambda t, o, m: train(t, m.parent / "n", config=Config(text_encoder=o)), "no text encoder here"),
        (lambda t, o, m: train(t, m.parent / "n", config=Config(least=999)), "no answer comes 999 times"),
    ],
)
def test_bad_input_is_refused(
    tiny: Path, other: Path, model: Path, call: Callable[[Path, Path, Path], object], message: str
) -> None:
    with pytest.raises(Task2SimError) as caught:
        call(tiny, other, model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path for path in model.parent.iterdir() if path != model] == []


def test_swapping_needs_categories_in_common(tiny: Path, tmp_path: Path) -> None:
    strange = write_tiny(tmp_path / "strange", 4, categories=("ship", "duck"))
    with pytest.raises(TaskError, match="no category is in both folders: 'chair' is in the one, 'duck' in the other"):
        train(tiny, tmp_path / "model", synthetic=strange, swap=True, config=FAST)


def test_a_damaged_picture_or_model_is_named(tiny: Path, model: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny, tmp_path / "broken"))
    (broken / "images" / f"{FIRST:012d}.png").write_bytes(b"no picture")
    with pytest.raises(TaskError, match=f"{FIRST:012d}.png: this picture can't be read"):
        train(broken, tmp_path / "out", config=FAST)
    damaged = Path(shutil.copytree(model, tmp_path / "damaged"))
    (damaged / "answers.safetensors").write_bytes(b"")
    with pytest.raises(StoreError, match="the model is damaged"):
        evaluate(damaged, tiny)


def test_a_wild_rate_is_named(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learning_rate: training diverged in epoch"):
        train(tiny, tmp_path / "out", config=FAST.model_copy(update={"learning_rate": 1e30, "epochs": 3}))


def test_importing_the_commands_imports_nothing_heavy() -> None:
    code = (
        "import sys, task2sim_vqa.commands, task2sim_vqa.training\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
