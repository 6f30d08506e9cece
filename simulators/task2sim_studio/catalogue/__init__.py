"""The studio's objects: everyday things built from code, a folder of meshes, or furniture libraries."""

from __future__ import annotations

from pathlib import Path

from task2sim import ConfigError
from task2sim_studio.catalogue.folder import FolderCatalogue
from task2sim_studio.catalogue.procedural import ProceduralCatalogue
from task2sim_studio.catalogue.sweet_home import SUFFIX, SweetHomeCatalogue

__all__ = ["FolderCatalogue", "ProceduralCatalogue", "SweetHomeCatalogue", "open_catalogue"]


def open_catalogue(path: Path) -> FolderCatalogue | SweetHomeCatalogue:
    """Open a folder of meshes by class, a furniture library (.sh3f), or a folder with furniture libraries.

    Raises:
        ConfigError: there is nothing of the kind.
    """
    if path.is_file() and path.suffix.lower() != SUFFIX:
        raise ConfigError(
            "this is no furniture library (.sh3f)",
            place=str(path),
            mend="name a folder that has a folder of meshes for each class",
        )
    if path.is_file():
        return SweetHomeCatalogue([path])
    libraries = [entry for entry in path.glob(f"*{SUFFIX}") if entry.is_file()] if path.is_dir() else []
    return SweetHomeCatalogue(libraries) if libraries else FolderCatalogue(path)
