"""The studio's objects: everyday things built from code, or a folder of meshes."""

from task2sim_studio.catalogue.folder import FolderCatalogue
from task2sim_studio.catalogue.procedural import ProceduralCatalogue

__all__ = ["FolderCatalogue", "ProceduralCatalogue"]
