"""Bundles that were damaged on the way, or made to do damage."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task2sim import StoreError
from task2sim_bundle.contents import MANIFEST, open_bundle

Changed = Callable[..., Path]


def opened(path: Path, folder: Path) -> None:
    target = folder / "unpacked"
    target.mkdir()
    open_bundle(path, target)


def test_a_whole_one(bundle: Path, tmp_path: Path) -> None:
    opened(bundle, tmp_path)
    assert (tmp_path / "unpacked" / "study" / "results.sqlite").is_file()


def test_not_a_zip(tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_text("notes")
    with pytest.raises(StoreError, match=r"notes.zip: this is no zip file, or only a part of one"):
        opened(tmp_path / "notes.zip", tmp_path)


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no such file"):
        opened(tmp_path / "no.zip", tmp_path)


def test_truncated(bundle: Path, tmp_path: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"only a part of one; ask for the bundle again"):
        opened(bundle, tmp_path)


def test_another_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(StoreError, match=r"this is no bundle: manifest.json is missing"):
        opened(tmp_path / "z.zip", tmp_path)


@pytest.mark.parametrize("spoil", [lambda data: data + b" ", lambda data: data.replace(b"1", b"2")])
def test_a_changed_file(bundle: Path, tmp_path: Path, changed: Changed, spoil: Callable[[bytes], bytes]) -> None:
    path = changed(bundle, lambda files: files.update({"summary.json": spoil(files["summary.json"])}), fitting=False)
    with pytest.raises(StoreError, match=r"'summary.json' is not what the manifest says"):
        opened(path, tmp_path)


def test_a_missing_file(bundle: Path, tmp_path: Path, changed: Changed) -> None:
    path = changed(bundle, lambda files: files.pop("study/results.sqlite"), fitting=False)
    with pytest.raises(StoreError, match=r"'study/results.sqlite' is missing from the bundle"):
        opened(path, tmp_path)


def test_an_extra_file(bundle: Path, tmp_path: Path, changed: Changed) -> None:
    path = changed(bundle, lambda files: files.update({"study/more": b"", "z": b""}), fitting=False)
    with pytest.raises(StoreError, match=r"'study/more', 'z' are not in the manifest"):
        opened(path, tmp_path)


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "a\\..\\out", "C:/out", "a//b", "./a", "a/", "study/../../out"]
)
def test_names_that_lead_elsewhere(bundle: Path, tmp_path: Path, changed: Changed, name: str) -> None:
    path = changed(bundle, lambda files: files.update({name: b"x"}))
    with pytest.raises(StoreError, match=r"it has a file that no bundle has"):
        opened(path, tmp_path)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "unpacked").iterdir())


def test_links(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle, "a") as archive:
        info = zipfile.ZipInfo("study/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(StoreError, match=r"it has a file that no bundle has: 'study/link'"):
        opened(bundle, tmp_path)


def test_twice_the_same(bundle: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("README.md", "another")
    with pytest.raises(StoreError, match=r"'README.md' is in it twice"):
        opened(bundle, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 2, r"this bundle has version 2, 1 is understood; install the version"),
        ("format", "zip", r"this is no bundle: manifest.json is another's"),
        ("cells", [], r"manifest.json is wrong at cells"),
        ("cells", [{"name": "a", "folder": "nowhere"}], r"'nowhere/config.resolved.yaml' is missing"),
        ("packed", {"a": "data/0/a"}, r"'data/0/a' is missing"),
        ("kind", "other", r"manifest.json is wrong at kind"),
    ],
)
def test_wrong_manifests(
    bundle: Path, tmp_path: Path, changed: Changed, key: str, value: object, message: str
) -> None:
    def change(files: dict[str, bytes]) -> None:
        files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), key: value}).encode()

    with pytest.raises(StoreError, match=message):
        opened(changed(bundle, change), tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255))
def test_any_changed_byte_is_noticed_or_harmless(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory, position: float, flipped: int
) -> None:
    data = bytearray(bundle.read_bytes())
    data[int(position * len(data))] ^= flipped
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "b.zip").write_bytes(data)
    with zipfile.ZipFile(bundle) as archive:
        good = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
    try:
        opened(folder / "b.zip", folder)
    except StoreError:
        return
    # The byte was a date, or something else that is not content.
    got = {p.relative_to(folder / "unpacked").as_posix(): p.read_bytes() for p in (folder / "unpacked").rglob("*.*")}
    assert got == good
