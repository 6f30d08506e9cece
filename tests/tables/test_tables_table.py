from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from task2sim import TASK2SIM_PARAMETERS, ParameterError, Score, TaskError, registry
from task2sim_tables.table import Table

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "task2sim-cvpr22"

Write = Callable[[dict[str, Any]], Path]


def table(path: Path, **values: Any) -> Table:
    return Table(Table.Config(path=path, **values))


def refusal(action: Callable[[], object]) -> TaskError:
    with pytest.raises(TaskError) as caught:
        action()
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    return caught.value


def test_looks_up(data: dict[str, Any], write: Write) -> None:
    known = table(write(data))
    assert known.names() == ("cats", "dogs")
    assert known.embedding("dogs").task == "dogs"
    assert known.embedding("dogs").vector.tolist() == [2, 0.5]
    setting = known.parameter_space.setting(data["settings"][1])
    assert known.score("cats", setting, "val") == Score(0.5, "accuracy", 0)
    assert known.score("cats", setting, "test") == Score(0.9, "accuracy", 0)


def test_one_score_serves_both_splits(data: dict[str, Any], write: Write) -> None:
    del data["scores"]["test"]
    known = table(write(data))
    setting = known.parameter_space.setting(data["settings"][2])
    assert known.score("dogs", setting, "test") == known.score("dogs", setting, "val") == Score(0.3, "accuracy", 0)


def test_a_file_will_do(data: dict[str, Any], write: Write) -> None:
    folder = write(data)
    (folder / "table.json").rename(folder / "other.json")
    assert table(folder / "other.json").embedding("cats").vector.tolist() == [1, 2]


def test_unknown_tasks_and_settings_are_refused(data: dict[str, Any], write: Write) -> None:
    known = table(write(data))
    setting = known.parameter_space.setting(data["settings"][0])
    assert refusal(lambda: known.score("eels", setting, "val")).mend == "choose among cats, dogs"
    assert refusal(lambda: known.embedding("eels")).message == "there is no task 'eels'"
    with pytest.raises(ParameterError):
        known.score("cats", TASK2SIM_PARAMETERS.default(), "val")
    with pytest.raises(ParameterError, match="there is no setting"):
        known.score("cats", type(known.parameter_space)(known.parameter_space).setting(fog=1, sun=3), "val")


def test_other_embeddings(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    folder = write(data)
    np.savez(tmp_path / "other.npz", cats=np.ones(5, np.float32), eels=np.ones(3))
    own, other = table(folder), table(folder, embeddings=tmp_path / "other.npz")
    assert len(other.embedding("cats").vector) == 5
    assert other.embedding("cats").method != own.embedding("cats").method
    assert own.embedding("dogs").method == own.embedding("cats").method
    assert refusal(lambda: other.embedding("dogs")).message == "there is no embedding of task 'dogs'"
    other.parameter_space.sample(np.random.default_rng(0))
    assert other.names() == ("cats", "dogs")


def test_embeddings_are_needed_only_when_asked_for(data: dict[str, Any], write: Write) -> None:
    folder = write(data)
    (folder / "embeddings.npz").unlink()
    known = table(folder)
    known.score("cats", known.parameter_space.setting(data["settings"][0]), "val")
    assert known.fingerprint()
    error = refusal(lambda: known.embedding("cats"))
    assert error.place == str(folder / "embeddings.npz")
    assert error.message == "there is no such file"
    assert "put it there" in error.mend


def test_embeddings_that_are_named_must_be_there(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    known = table(write(data), embeddings=tmp_path / "lost.npz")
    for action in (known.fingerprint, lambda: known.embedding("cats")):
        assert refusal(action).place == str(tmp_path / "lost.npz")


def test_fingerprint_follows_the_contents_alone(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    folder = write(data)
    first = table(folder).fingerprint()
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("table.json", "embeddings.npz"):
        shutil.copy(folder / name, moved / name)
    assert table(moved).fingerprint() == table(moved / "table.json").fingerprint() == first
    np.savez(tmp_path / "other.npz", cats=np.ones(5, np.float32))
    assert table(moved, embeddings=tmp_path / "other.npz").fingerprint() != first
    data["scores"]["val"]["cats"][0] += 0.01
    write(data)
    assert table(folder).fingerprint() != first


def test_paths_are_not_in_the_key() -> None:
    for field in Table.Config.model_fields.values():
        assert field.json_schema_extra == {"task2sim_not_in_key": True}


def test_reads_nothing_before_it_is_asked(tmp_path: Path) -> None:
    known = table(tmp_path / "nowhere")
    actions: list[Callable[[], object]] = [
        lambda: known.parameter_space,
        known.names,
        known.fingerprint,
        lambda: known.embedding("cats"),
        lambda: known.score("cats", TASK2SIM_PARAMETERS.default(), "val"),
    ]
    for action in actions:
        error = refusal(action)
        assert (error.message, error.place) == ("there is no such file", str(tmp_path / "nowhere"))


def test_folders_without_a_table_or_with_two_are_refused(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = refusal(table(tmp_path / "empty").names)
    assert error.message == "this folder holds no table.json or reward_db.json"
    write(data)
    (tmp_path / "reward_db.json").write_text("{}")
    assert refusal(table(tmp_path).names).message == "this folder holds both table.json and reward_db.json"


def test_unreadable_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table.json").mkdir()
    error = refusal(table(tmp_path).names)
    assert error.message.startswith("can't read the file: ")
    assert error.place == str(tmp_path / "table.json")

    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    assert refusal(table(tmp_path).names).message == "can't read the file: Permission denied"


def test_imports_little() -> None:
    code = "import sys, task2sim_tables.table; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"yaml", "typer", "rich", "torch", "task2sim.run"} & set(done.stdout.split())


STUDY = """\
name: table
tasks: {seen: [cats], unseen: [dogs]}
rewards: {type: looked-up, path: PATH}
policy: random
observers: []
comparison: {random: 1}
pretrainings: 2
"""


@pytest.fixture
def _looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TASK2SIM_PLUGINS", "rewards:looked-up=task2sim_tables.table:Table")
    registry.installed_plugins.cache_clear()
    yield
    registry.installed_plugins.cache_clear()


@pytest.mark.usefixtures("_looked_up")
def test_a_study_on_a_table(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    from task2sim.config import load_study
    from task2sim.store import Store
    from task2sim.study import check_study, run_study
    from task2sim.summary import final_table

    (tmp_path / "study.yaml").write_text(STUDY.replace("PATH", json.dumps(str(write(data)))))
    file = load_study(str(tmp_path / "study.yaml"), ())
    run = run_study(file, tmp_path / "runs", Store(tmp_path / "store"))
    oracle = {row.method: row for row in final_table(run.results)}["oracle"]
    assert {task: cell.mean for task, cell in oracle.tasks.items()} == {"cats": 0.9, "dogs": 0.6}
    data["scores"]["test"]["dogs"][0] = None
    write(data)
    error = refusal(lambda: check_study(file))
    assert str(error).startswith(f"{tmp_path / 'table.json'}: task 'dogs', setting 'sky=grey+sun=45.0': there is no")


# --- the published table ---

published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published table is not in ../shared/data")

SEEN = {"CropDisease", "EuroSAT", "SVHN", "ChestX", "Sketch", "DTD", "Flowers102", "DeepWeeds", "Resisc45"}
SEEN |= {"Omniglot", "ISIC", "Kaokore"}


@published
@pytest.mark.parametrize("path", [PUBLISHED, PUBLISHED / "reward_db.json"])
def test_published_table_has_the_figures_of_its_readme(path: Path) -> None:
    known = table(path)
    space = known.parameter_space
    assert space == TASK2SIM_PARAMETERS
    assert set(known.names()) > SEEN
    assert len(known.names()) == 20

    def mean(tasks: set[str], *settings: Any) -> float:
        return 100 * float(np.mean([[known.score(t, s, "val").value for s in settings] for t in tasks]))

    unseen = set(known.names()) - SEEN
    for tasks, random, varied in ((SEEN, 25.12, 24.07), (unseen, 51.75, 50.75)):
        assert mean(tasks, *space.enumerate()) == pytest.approx(random, abs=0.006)
        assert mean(tasks, space.everything_varied()) == pytest.approx(varied, abs=0.006)
    best = max(space.enumerate(), key=lambda setting: mean(SEEN, setting))
    assert mean(SEEN, best) == pytest.approx(29.89, abs=0.006)
    assert {known.embedding(name).vector.shape for name in known.names()} == {(9600,)}


@published
def test_published_table_cell_by_cell() -> None:
    raw = json.loads((PUBLISHED / "reward_db.json").read_text())
    known = table(PUBLISHED)
    setting = known.parameter_space.setting(light_colour=1, materials=1, object_rotation=1)
    assert known.score("SVHN", setting, "val").value == raw["SVHN"]["0_0_1_0_0_3_0_1_0"] / 100
    setting = known.parameter_space.setting(background=1, light_intensity=1, camera_distance=1)
    assert known.score("ISIC", setting, "val").value == raw["ISIC"]["1_0_0_0_1_1_0_0_1"] / 100
