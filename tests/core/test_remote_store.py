from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from task2sim import ImageSet, Score, StoreError, Task, TaskEmbedding
from task2sim.store import Store, hash_key

fsspec = pytest.importorskip("fsspec")

KEY = {"stage": "backbone", "a": 1}


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else (tmp_path / "shared").as_uri()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str):
    """The store as another machine opens it, with a home folder of its own."""

    def opened(name: str) -> Store:
        with monkeypatch.context() as patch:
            patch.setenv("HOME", str(tmp_path / name))
            return Store(url)

    return opened


def make(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "deep" / "er" / "note").write_text("n")


def never(folder: Path) -> None:
    raise AssertionError("it is there already")


def test_what_one_machine_makes_another_has(machine) -> None:
    first, second = machine("first"), machine("second")
    key = hash_key(KEY)
    assert not second.has("backbones", key)
    folder = first.artefact("backbones", KEY, make)
    assert folder.parent.parent == first.root != second.root
    assert second.has("backbones", key)
    fetched = second.path("backbones", key)
    assert fetched.is_relative_to(second.root)
    assert (fetched / "weights").read_bytes() == b"w" * 1000
    assert (fetched / "deep" / "er" / "note").read_text() == "n"
    assert Store.key(fetched) == key
    assert machine("third").artefact("backbones", KEY, never).name == key
    assert list(machine("fourth").determined("backbones")) == [KEY]
    assert not first.path("backbones", "unknown").exists()


def test_an_artefact_is_there_when_its_marker_is(machine, url: str) -> None:
    first, second = machine("first"), machine("second")
    key = hash_key(KEY)
    first.artefact("backbones", KEY, make)
    files, root = fsspec.core.url_to_fs(url)
    marker = f"{root}/backbones/{key}.json"
    text = files.cat_file(marker)
    files.rm(marker)
    assert not second.has("backbones", key)
    assert not first.has("backbones", key)  # its own copy does not count
    files.pipe_file(marker, text[:-5])  # half written
    assert not second.has("backbones", key)
    assert first.artefact("backbones", KEY, never).is_dir()  # and sends it again
    assert second.path("backbones", key).is_dir()


def test_a_damaged_artefact_is_not_taken(machine, url: str) -> None:
    machine("first").artefact("backbones", KEY, make)
    key = hash_key(KEY)
    files, root = fsspec.core.url_to_fs(url)
    (weights,) = [path for path in files.find(f"{root}/backbones/{key}") if path.endswith("weights")]
    files.pipe_file(weights, b"short")
    with pytest.raises(StoreError, match="'weights' has 5 bytes, not 1000; remove"):
        machine("second").path("backbones", key)
    files.rm(weights)
    with pytest.raises(StoreError, match="lacks 'weights'"):
        machine("second").path("backbones", key)
    marker = json.loads(files.cat_file(f"{root}/backbones/{key}.json"))
    marker["files"] = {"../../outside": 1}
    files.pipe_file(f"{root}/backbones/{key}.json", json.dumps(marker).encode())
    with pytest.raises(StoreError, match="names a file outside itself"):
        machine("second").path("backbones", key)


def test_scores_times_tasks_and_embeddings_travel(machine) -> None:
    first, second = machine("first"), machine("second")
    data = [{"stage": "score", "n": n} for n in range(40)]
    for number, one in enumerate(data):
        first.put_score(one, Score(number / 100, "accuracy", 10))
    keys = [hash_key(one) for one in data]
    assert second.scores([*keys, "unknown"]) == {k: Score(n / 100, "accuracy", 10) for n, k in enumerate(keys)}
    assert sorted(one["n"] for one in second.determined("scores")) == list(range(40))
    first.put_seconds("a", 1.5)
    first.put_seconds("b", 2.0)
    assert second.seconds(["a", "b", "c", ""]) == 3.5
    assert second.seconds(["a"]) == 1.5
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
    part = ImageSet(images, np.arange(4) % 2)
    task = Task(name="t", classes=("a", "b"), train=part, val=part, test=part, domain="d")
    fingerprint = first.put_task(task)
    assert second.has_task("t", fingerprint)
    assert second.get_task("t", fingerprint).fingerprint == fingerprint
    embedding = TaskEmbedding("t", np.arange(3, dtype=np.float32), {"m": 1})
    first.embedding({"e": 1}, lambda: embedding)
    assert second.embedding({"e": 1}, lambda: never(Path())).vector.tobytes() == embedding.vector.tobytes()


def test_the_address_opens_it_again(machine, url: str, tmp_path: Path) -> None:
    store = machine("first")
    assert store.is_remote
    assert store.address == url
    assert not Store(tmp_path / "here").is_remote
    assert Store(Store(tmp_path / "here").address).root == tmp_path / "here"


@pytest.mark.parametrize("wrong", ["nonsense://x", "s3://bucket/store"])
def test_a_protocol_that_is_not_there_is_said_so(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(StoreError, match=rf"^{wrong}: can't open this store: .*; install what brings this protocol"):
        Store(wrong)


def test_a_store_that_can_not_be_written_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't use this store"):
        Store((tmp_path / "file").as_uri()).put_seconds("a", 1.0)
