"""ThreeDWorld's library files: what stands in the `tdw` package, and what a person's library folders add to it.

tdw's own librarian keeps everything that stands in them, so `models_full.json` takes it 0.3 s and 40 MB. Read here,
checked and without what is not needed, the same records take half of that.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import attrs
import pydantic
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12, and brings it

from task2sim import ConfigError, fingerprint_folder
from task2sim_threedworld.compatibility import import_tdw

PRIVATE = ("https://tdw-private.s3.amazonaws.com/", "https://s3.amazonaws.com/tdw_test_dev/")
"""Where the asset bundles lie that ThreeDWorld's makers don't hand out to everybody."""

LOCAL = "file:///"
ABSOLUTE = (LOCAL, "http://", "https://")


class _Shape(pydantic.BaseModel):
    """A part of a library file; whatever else stands there does not matter here."""

    model_config = pydantic.ConfigDict(frozen=True, allow_inf_nan=False)


class Point(TypedDict):
    """A point in a model's own Unity axes, in metres."""

    x: float
    y: float
    z: float


class Part(TypedDict):
    """A sub-object of a model and the materials that it wears."""

    name: str
    materials: tuple[str, ...]


def _has_extent(bounds: dict[str, Point]) -> dict[str, Point]:
    if not any(point != other for point in bounds.values() for other in bounds.values()):
        raise ValueError("these points make no box")
    return bounds


class Record(_Shape):
    """What every record has."""

    name: Annotated[str, Field(min_length=1)]
    urls: dict[str, str]

    @property
    def url(self) -> str:
        """Where this platform's asset bundle lies."""
        return self.urls[platform.system()]

    @property
    def is_private(self) -> bool:
        """Whether only some people can download the asset bundle."""
        return self.url.startswith(PRIVATE)


class ModelRecord(Record):
    """A model; `bounds` holds points on its box, `wcategory` its category's synonyms."""

    wnid: str
    wcategory: Annotated[str, Field(min_length=1)]
    scale_factor: Annotated[float, Field(gt=0)]
    do_not_use: bool
    do_not_use_reason: str = ""
    bounds: Annotated[dict[str, Point], AfterValidator(_has_extent)]
    substructure: tuple[Part, ...]


class MaterialRecord(Record):
    """A material."""

    type: str


class SkyboxRecord(Record):
    """A skybox and its sun."""

    location: str
    exposure: float
    initial_skybox_rotation: float
    sun_elevation: float
    sun_initial_angle: float
    sun_intensity: float


R = TypeVar("R", bound=Record)


class _File(_Shape, Generic[R]):
    """A library file."""

    records: dict[str, R]


class Models(_File[ModelRecord]):
    """A library file of models."""


class Materials(_File[MaterialRecord]):
    """A library file of materials."""


class Skyboxes(_File[SkyboxRecord]):
    """A library file of skyboxes."""


@cache
def packaged(form: type[_File[R]], file: str) -> Mapping[str, R]:
    """The records by name in one of the `tdw` package's library files, which is read once a process.

    Args:
        form: What the file holds.
        file: Its name, such as ``"models_core.json"``.

    Raises:
        PluginError: tdw is not installed.
    """
    import_tdw()
    return read_library(form, Path(str(resources.files("tdw"))) / "metadata_libraries" / file)


def read_library(form: type[_File[R]], path: Path) -> dict[str, R]:
    """The records of a library file by name; as in tdw, a relative URL starts at the file's folder.

    Args:
        form: What the file holds.
        path: A JSON file of ThreeDWorld's form, ``{"records": {name: record}}``.

    Raises:
        ConfigError: the file can't be read, is no JSON, or a record lacks something.
    """
    try:
        records = form.model_validate_json(read_bytes(path)).records
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ": ".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{where}: {first['msg']}" if where else first["msg"],
            place=str(path),
            mend="give it the form of tdw's own library files",
        ) from None
    found = {}
    for record in records.values():
        if platform.system() not in record.urls:
            raise ConfigError(f"{record.name!r} has no URL for {platform.system()}", place=str(path), mend="add it")
        if not record.url.startswith(ABSOLUTE):
            urls = {platform.system(): _local_url(path.parent / record.url)}
            record = record.model_copy(update={"urls": urls})
        found[record.name] = record
    return found


def read_bytes(path: Path) -> bytes:
    """What a file holds.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"can't read the file: {error.strerror or error}", place=str(path), mend="name a file that is there"
        ) from None


@attrs.frozen
class Additions(Generic[R]):
    """What library folders hold of one kind; a later folder's takes the place of an earlier's.

    Attributes:
        records: Records by name, which add to tdw's or replace them.
        bundles: Local asset bundles by name, which take the place of downloads.
    """

    records: dict[str, R]
    bundles: Mapping[str, Path]

    def url(self, record: R) -> str:
        """Where to load a record's asset bundle from.

        Raises:
            ConfigError: the record names a local file that is not there.
        """
        url = _local_url(self.bundles[record.name]) if record.name in self.bundles else record.url
        if url.startswith(LOCAL) and not _local_path(url).is_file():
            raise ConfigError(
                f"there is no asset bundle of {record.name!r}",
                place=str(_local_path(url)),
                mend="put it there, or correct the URL in the library folder",
            )
        return url

    def contents(self, record: R) -> str:
        """What a person's own record brings: the hash of its local asset bundle, or its URL; empty for tdw's own.

        A local bundle of tdw's own is taken to be what tdw would download, so it does not tell.
        """
        if record.name not in self.records:
            return ""
        url = self.url(record)
        return fingerprint_folder(_local_path(url)) if url.startswith(LOCAL) else url


def read_additions(form: type[_File[R]], kind: str, folders: Sequence[Path]) -> Additions[R]:
    """Read what library folders hold of one kind.

    Args:
        form: What the library files hold.
        kind: The name of the library file without suffix, and of the folder of asset bundles beside it.
        folders: The library folders.

    Raises:
        ConfigError: a library file can't be used.
    """
    records: dict[str, R] = {}
    bundles: dict[str, Path] = {}
    for folder in folders:
        if (folder / f"{kind}.json").exists():
            records.update(read_library(form, folder / f"{kind}.json"))
        if (folder / kind).is_dir():
            bundles.update({path.name: path for path in sorted((folder / kind).iterdir()) if path.is_file()})
    return Additions(records, bundles)


def check_library_folder(folder: Path, kinds: Sequence[str]) -> None:
    """See that a library folder is one.

    Raises:
        ConfigError: there is no such folder, or it holds nothing of any kind.
    """
    if not folder.is_dir():
        raise ConfigError("no such library folder", place=str(folder))
    if not any((folder / kind).is_dir() or (folder / f"{kind}.json").exists() for kind in kinds):
        raise ConfigError(
            "this library folder holds neither records nor asset bundles",
            place=str(folder),
            mend=f"put asset bundles into its folder {kinds[0]!r}, or records into {kinds[0]}.json",
        )


def _local_url(path: Path) -> str:
    # As tdw writes them: nothing is percent-encoded. On Linux tdw's have a fourth slash, which changes nothing.
    return LOCAL + path.resolve().as_posix().lstrip("/")


def _local_path(url: str) -> Path:
    path = url.removeprefix(LOCAL)
    return Path(path) if platform.system() == "Windows" else Path("/" + path.lstrip("/"))
