"""What a bundle holds, and opening one that somebody else has sent."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
import zipfile
import zlib
from contextlib import closing
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from task2sim import StoreError
from task2sim.strict import StrictModel

FORMAT = "task2sim bundle"
VERSION = 1
MANIFEST = "manifest.json"
SUMMARY = "summary.json"
STUDY = "study"
"""The folder in a bundle that holds the run, or the ablation with its runs, at the places they have at home."""
DATA = "data"
"""The folder in a bundle that holds small files the studies read."""

ABLATION = "ablation.sqlite"

LARGEST_MANIFEST = 64 * 2**20
ASK_AGAIN = "ask for the bundle again, and compare the size of the file"


class BundledFile(StrictModel):
    """A file of a bundle."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class BundledCell(StrictModel):
    """A study of a bundle.

    Attributes:
        name: Its name in the ablation; that of the run folder if there is no ablation.
        folder: Where its run lies in the bundle.
    """

    name: str
    folder: str


class Manifest(StrictModel):
    """What a bundle holds.

    Attributes:
        kind: Whether it was made from a run or from an ablation.
        name: The name of the study or the ablation.
        cells: Its finished studies.
        failed: For each study that failed, the reason.
        packed: For each path that a study names, where the bundle holds what lies there.
        needed: Paths that studies name and the bundle does not hold.
        files: Every file but the manifest.
    """

    format: Literal["task2sim bundle"]
    version: Literal[1]
    kind: Literal["run", "ablation"]
    name: str
    cells: Annotated[tuple[BundledCell, ...], Field(min_length=1)]
    failed: dict[str, str]
    packed: dict[str, str]
    needed: tuple[str, ...]
    files: dict[str, BundledFile]


def describe(data: bytes) -> BundledFile:
    """What the manifest says of a file."""
    return BundledFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def open_bundle(path: Path, folder: Path) -> Manifest:
    """Check a bundle and unpack it.

    Args:
        path: The bundle.
        folder: An empty folder for its files.

    Raises:
        StoreError: it is no bundle, or not as its manifest says. Nothing is then unpacked outside of `folder`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, path, folder)
    except FileNotFoundError:
        raise StoreError("there is no such file", place=str(path), mend="name a bundle") from None
    except zipfile.BadZipFile as error:
        whole = "this is no zip file, or only a part of one"
        text = whole if "not a zip file" in str(error) else f"the zip file is damaged: {error}"
        raise StoreError(text, place=str(path), mend=ASK_AGAIN) from None
    except (zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise StoreError(f"the zip file can't be read: {error}", place=str(path), mend=ASK_AGAIN) from None
    except OSError as error:
        raise StoreError(
            f"can't read the bundle: {error.strerror or error}", place=str(error.filename or path)
        ) from error


def _unpack(archive: zipfile.ZipFile, path: Path, folder: Path) -> Manifest:
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        _check_path(info, path)
        if info.filename in infos:
            raise StoreError(f"{info.filename!r} is in it twice", place=str(path), mend=ASK_AGAIN)
        infos[info.filename] = info
    if MANIFEST not in infos:
        raise StoreError(f"this is no bundle: {MANIFEST} is missing", place=str(path), mend="name a bundle")
    if infos[MANIFEST].file_size > LARGEST_MANIFEST:
        raise StoreError(f"{MANIFEST} is too large", place=str(path), mend=ASK_AGAIN)
    manifest = _parse(archive.read(MANIFEST), path)
    if missing := sorted(manifest.files.keys() - infos.keys()):
        raise StoreError(f"{_some(missing)} missing from the bundle", place=str(path), mend=ASK_AGAIN)
    if extra := sorted(infos.keys() - manifest.files.keys() - {MANIFEST}):
        raise StoreError(f"{_some(extra)} not in the manifest", place=str(path), mend=ASK_AGAIN)
    for name, expected in manifest.files.items():
        # The size is compared before anything is read: a small file may claim to unpack to a huge one.
        if infos[name].file_size != expected.size or describe(archive.read(name)) != expected:
            raise StoreError(f"{name!r} is not what the manifest says", place=str(path), mend=ASK_AGAIN)
    for name in manifest.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(name))
    return manifest


def _check_path(info: zipfile.ZipInfo, place: Path) -> None:
    """Refuse names that would leave the folder, and links."""
    name = info.filename
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive
    if outside or str(path) != name or stat.S_ISLNK(info.external_attr >> 16):
        raise StoreError(f"it has a file that no bundle has: {name!r}", place=str(place), mend="don't unpack it")


def _parse(text: bytes, path: Path) -> Manifest:
    try:
        data = json.loads(text)
    except ValueError:
        raise StoreError(f"{MANIFEST} is no JSON", place=str(path), mend=ASK_AGAIN) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StoreError(f"this is no bundle: {MANIFEST} is another's", place=str(path), mend="name a bundle")
    if data.get("version") != VERSION:
        raise StoreError(
            f"this bundle has version {data.get('version')!r}, {VERSION} is understood",
            place=str(path),
            mend="install the version of task2sim that its README.md names",
        )
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StoreError(f"{MANIFEST} is wrong at {where}: {first['msg']}", place=str(path), mend=ASK_AGAIN) from None
    for name in (SUMMARY, *(f"{cell.folder}/config.resolved.yaml" for cell in manifest.cells)):
        if name not in manifest.files:
            raise StoreError(f"this is no whole bundle: {name!r} is missing", place=str(path), mend=ASK_AGAIN)
    for place in manifest.packed.values():
        if place not in manifest.files and not any(name.startswith(f"{place}/") for name in manifest.files):
            raise StoreError(f"this is no whole bundle: {place!r} is missing", place=str(path), mend=ASK_AGAIN)
    return manifest


def _some(names: list[str]) -> str:
    """A few names with their verb."""
    shown = ", ".join(map(repr, names[:3]))
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{shown}{rest} {'is' if len(names) == 1 else 'are'}"


def query(path: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of a SELECT on a database that is only read.

    Raises:
        StoreError: it can't be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql)]
    except sqlite3.Error as error:
        raise StoreError(f"can't read this database: {error}", place=str(path)) from error


def snapshot(path: Path) -> bytes:
    """The bytes of a database as one file, also while its log lies beside it.

    Raises:
        StoreError: it can't be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.serialize()
    except sqlite3.Error as error:
        raise StoreError(f"can't read this database: {error}", place=str(path)) from error
