from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task2sim import TaskError
from task2sim_tables.vectors import read_vectors, write_vectors

FILE = Path("some.npz")


def packed(*nameless: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, *nameless, **arrays)
    return file.getvalue()


def vector(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


def refusal(data: bytes, *tasks: str) -> str:
    with pytest.raises(TaskError) as caught:
        read_vectors(data, tasks, FILE)
    assert caught.value.place == "some.npz"
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    return caught.value.message


def test_reads_what_numpy_writes() -> None:
    data = packed(a=vector(1, 2), b=vector(3, 4), other=np.array(["x"]))
    vectors = read_vectors(data, ["b", "c", "a"], FILE)
    assert {task: array.tolist() for task, array in vectors.items()} == {"b": [3, 4], "a": [1, 2]}
    assert all(array.dtype == np.float32 for array in vectors.values())


def test_reads_compressed_archives() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=vector(1, 2))
    assert read_vectors(file.getvalue(), ["a"], FILE)["a"].tolist() == [1, 2]


@pytest.mark.parametrize("task", ["file", "allow_pickle", "x.npy", "a/b", "ä ö", "x"])
def test_any_name_survives(tmp_path: Path, task: str) -> None:
    path = tmp_path / "e.npz"
    write_vectors({"x": vector(0, 0), task: vector(1, 2)}, path)
    assert read_vectors(path.read_bytes(), [task], path)[task].tolist() == [1, 2]
    with np.load(path, allow_pickle=False) as archive:
        assert task in archive.files or task == "x.npy"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(2), "the embedding of task 'b' is float64 of shape (2,)"),
        (np.ones(2, np.int32), "the embedding of task 'b' is int32 of shape (2,)"),
        (np.array(["x", "y"]), "the embedding of task 'b' is <U1 of shape (2,)"),
        (np.ones((2, 1), np.float32), "the embedding of task 'b' is float32 of shape (2, 1)"),
        (np.float32(2), "the embedding of task 'b' is float32 of shape ()"),
        (np.ones(0, np.float32), "the embedding of task 'b' is float32 of shape (0,)"),
        (vector(1, np.nan), "the embedding of task 'b' is not finite"),
        (vector(np.inf, 0), "the embedding of task 'b' is not finite"),
        (vector(1, 2, 3), "embeddings differ in length: 2 for task 'a', 3 for 'b'"),
        (np.array([1, "x"], dtype=object), "the embedding of task 'b' holds pickled objects"),
    ],
)
def test_what_is_no_embedding_is_refused(array: Any, message: str) -> None:
    data = packed(a=vector(1, 2), b=array)
    assert refusal(data, "a", "b") == message
    assert list(read_vectors(data, ["a"], FILE)) == ["a"]  # nobody asked for b


@pytest.mark.parametrize("data", [b"", b"text", packed(a=vector(1))[:40], b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refusal(data, "a") == "this is no .npz file"


def members(*arrays: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of a name that it writes twice
        for name, data in arrays:
            archive.writestr(name, data)
    return file.getvalue()


def test_two_embeddings_of_a_task_are_refused() -> None:
    array = io.BytesIO()
    np.save(array, vector(1))
    assert refusal(members(*[("a.npy", array.getvalue())] * 2), "a") == "task 'a' has two embeddings"


def test_huge_headers_are_refused() -> None:
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)})
    message = refusal(members(("a.npy", array.getvalue())), "a")
    assert message.startswith("can't read the embedding of task 'a': ")


GOOD = packed(a=vector(1, 2), b=vector(3, 4))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.booleans())
def test_spoilt_bytes_raise_nothing_else(place: int, byte: int, cut: bool) -> None:
    data = GOOD[:place] if cut else GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    try:
        vectors = read_vectors(data, ["a", "b"], FILE)
    except TaskError:
        return
    assert all(array.dtype == np.float32 and array.ndim == 1 for array in vectors.values())
