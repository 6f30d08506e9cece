from __future__ import annotations

import multiprocessing
from pathlib import Path

import attrs
import numpy as np
import pytest

from task2sim import ImageSet, Score, StoreError, Task, TaskEmbedding
from task2sim.store import Store, hash_key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_artefact_is_made_once(store: Store) -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "x").write_text("x")

    first = store.artefact("datasets", {"a": 1}, make)
    assert store.artefact("datasets", {"a": 1}, make) == first
    assert len(calls) == 1
    assert (first / "x").read_text() == "x"
    assert store.has("datasets", hash_key({"a": 1}))
    assert not store.has("datasets", hash_key({"a": 2}))


def test_a_half_made_artefact_never_looks_whole_and_is_taken_up(store: Store) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError

    def finish(folder: Path) -> None:
        assert (folder / "half").exists()

    with pytest.raises(RuntimeError):
        store.artefact("datasets", {"a": 1}, fail)
    assert not store.has("datasets", hash_key({"a": 1}))
    assert store.artefact("datasets", {"a": 1}, finish).is_dir()


def test_a_folder_without_its_key_is_made_again(store: Store) -> None:
    broken = store.path("datasets", hash_key({"a": 1}))
    broken.mkdir()
    (broken / "junk").write_text("")
    assert not (store.artefact("datasets", {"a": 1}, lambda folder: None) / "junk").exists()


def _make_slowly(root: Path) -> int:
    import time

    made = []

    def make(folder: Path) -> None:
        time.sleep(0.3)
        made.append(1)
        assert not (folder / "x").exists()
        (folder / "x").write_text("")

    Store(root).artefact("datasets", {"a": 1}, make)
    Store(root).put_score({"b": len(made)}, Score(0.5, "m", 1))
    return len(made)


def test_processes_that_want_the_same_wait_for_each_other(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert sum(pool.map(_make_slowly, [tmp_path / "store"] * 4)) == 1


def _open_many(roots: list[Path]) -> int:
    for root in roots:
        Store(root).put_seconds("k", 1.0)
    return len(roots)


def test_a_fresh_store_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    roots = [tmp_path / str(i) for i in range(20)]
    with multiprocessing.get_context("fork").Pool(6) as pool:
        assert sum(pool.map(_open_many, [roots] * 6)) == 120


def test_scores_and_times(store: Store) -> None:
    store.put_score({"a": 1}, Score(0.25, "accuracy", 10))
    store.put_score({"a": 1}, Score(0.75, "accuracy", 10))  # the first stays: a finished score is final
    assert store.scores([hash_key({"a": 1}), "unknown"]) == {hash_key({"a": 1}): Score(0.25, "accuracy", 10)}
    store.put_seconds("k", 1.5)
    store.put_seconds("l", 2.0)
    assert store.seconds(["k", "l", "unknown"]) == 3.5
    assert store.seconds([]) == 0.0


def test_many_scores_can_be_asked_for_at_once(store: Store) -> None:
    assert store.scores([str(i) for i in range(5000)]) == {}


def test_tasks_and_embeddings_come_back_as_they_were(store: Store) -> None:
    part = ImageSet(np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3), [0, 1, 0, 1])
    task = Task(name="a b", classes=("x", "y"), train=part, val=part, test=part, domain="d")
    again = store.get_task("a b", store.put_task(task))
    assert again.fingerprint == task.fingerprint
    assert (again.name, again.classes, again.domain) == ("a b", ("x", "y"), "d")
    assert not again.is_dense
    masks = np.arange(16, dtype=np.uint16).reshape(4, 2, 2)
    part = attrs.evolve(part, category_mask=masks % 3, instance_mask=masks)
    dense = Task(name="a b", classes=("x", "y"), train=part, val=part, test=part, domain="d")
    again = store.get_task("a b", store.put_task(dense))
    assert again.fingerprint == dense.fingerprint != task.fingerprint
    assert np.array_equal(again.val.instance_mask, masks)
    vector = np.array([1.5, -2.0], np.float32)
    made = store.embedding({"e": 1}, lambda: TaskEmbedding("t", vector, {"how": 1}))
    read = store.embedding({"e": 1}, lambda: pytest.fail("made twice"))
    assert np.array_equal(read.vector, made.vector)
    assert (read.task, read.method) == ("t", {"how": 1})


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't write here.*choose another folder, as with --runs, --ablations"):
        Store(tmp_path / "file" / "store")


def test_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.sqlite").write_text("this is no database, " * 100)
    with pytest.raises(StoreError, match=r"store.sqlite: can't use the store's database: file is not a database"):
        Store(tmp_path / "store")


def test_keys_do_not_depend_on_order_and_refuse_nan() -> None:
    assert hash_key({"a": 1, "b": 2}) == hash_key({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        hash_key({"a": float("nan")})
