"""The embedded simulator: procedural objects, materials and skies, rendered by Warp kernels on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from task2sim import (
    FURTHER_PARAMETERS,
    TASK2SIM_PARAMETERS,
    ComponentConfig,
    ConfigError,
    FrameBatch,
    Scene,
    SceneAssets,
    SceneSimulator,
    fingerprint_folder,
    fingerprint_libraries,
    not_in_key,
)
from task2sim_studio.mesh import MATERIALS

if TYPE_CHECKING:
    from task2sim_studio.renderer import Renderer


FurtherParameter: TypeAlias = Literal[
    "object_count",
    "clutter",
    "floor",
    "camera_elevation",
    "field_of_view",
    "shadow_softness",
    "fog",
    "sensor_noise",
    "motion_blur",
    "time_of_day",
]


def _all_or_some(value: Any) -> Any:
    """Say what is wrong with what is neither `all` nor a list of names."""
    names = FURTHER_PARAMETERS.names
    if value == "all":
        return value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"write a list of names, such as [{names[0]}], or all")
    for number, name in enumerate(value):
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            raise ValueError(
                f"there is no further parameter {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}")
            )
        if name in value[:number]:
            raise ValueError(f"{name!r} stands there twice")
    return value


class Studio(SceneSimulator):
    """Renders scenes, with masks, depth, normals and the scene graph; honours all parameters that the core knows."""

    class Config(ComponentConfig):
        """What to render with."""

        resolution: Annotated[int, Field(ge=16, le=1024, description="Height and width of the images in pixels.")] = (
            64
        )
        categories: Annotated[
            tuple[str, ...] | None, Field(min_length=2, description="Categories to render; null takes all.")
        ] = None
        instances: Annotated[
            int, Field(ge=1, le=1000, description="Different objects in each category of the procedural catalogue.")
        ] = 24
        meshes: Annotated[
            Path | None,
            not_in_key(
                description="Folder of .obj, .glb or .ply files by class, a Sweet Home 3D library (.sh3f) or a "
                "folder of those, instead of the procedural catalogue."
            ),
        ] = None
        environments: Annotated[
            Path | None,
            not_in_key(description="Folder of .hdr and .exr panoramas, instead of the procedural surroundings."),
        ] = None
        further_parameters: Annotated[
            tuple[FurtherParameter, ...] | Literal["all"],
            BeforeValidator(_all_or_some),
            Field(description="Parameters that a policy may choose beyond Task2Sim's eight; `all` takes all."),
        ] = ()
        device: Annotated[
            Literal["auto", "cpu", "cuda"],
            Field(description="Where to render; CPU and CUDA may differ a little."),
        ] = "auto"

    def __init__(self, config: Config) -> None:
        from task2sim_studio.catalogue import ProceduralCatalogue, open_catalogue
        from task2sim_studio.environments import FolderEnvironments, ProceduralEnvironments

        if config.device == "cuda":
            from task2sim_studio.device import resolve_device

            resolve_device(config.device)  # says so if there is none, before a study begins
        self._config = config
        self._renderer: Renderer | None = None
        # About a million samples a batch: enough to fill a launch, little enough to stay in the caches.
        self.batch_size = max(1, min(64, 2**20 // config.resolution**2))
        self._catalogue = (
            ProceduralCatalogue(config.categories, config.instances)
            if config.meshes is None
            else open_catalogue(config.meshes)
        )
        self._environments = (
            ProceduralEnvironments() if config.environments is None else FolderEnvironments(config.environments)
        )
        further = FURTHER_PARAMETERS.names if config.further_parameters == "all" else config.further_parameters
        skies = self._environments.skies if "time_of_day" in further else {}
        if "time_of_day" in config.further_parameters and not skies:
            raise ConfigError(
                "time_of_day needs the procedural surroundings", mend="remove 'environments' or 'time_of_day'"
            )
        self._assets = SceneAssets(
            instances=self._chosen(dict(self._catalogue.instances)),
            materials=MATERIALS,
            backgrounds=self._environments.names,
            skies=skies,
        )
        # Folders of panoramas have no times of day: "all" is then all the others.
        offered = frozenset(further) - (frozenset() if skies else {"time_of_day"})
        self.scene_features = frozenset(TASK2SIM_PARAMETERS.names) | offered

    def fingerprint(self) -> str:
        """The folders of meshes and panoramas, where they are given, and the versions of what reads and renders."""
        from task2sim_studio.catalogue.mesh_reader import LIBRARIES

        folders = (self._config.meshes, self._config.environments)
        contents = ["-" if folder is None else fingerprint_folder(folder) for folder in folders]
        libraries = ("numpy",) if self._config.meshes is None else LIBRARIES
        return " ".join([*contents, fingerprint_libraries("warp-lang", *libraries)])

    def _chosen(self, instances: dict[str, int]) -> dict[str, int]:
        for name in self._config.categories or ():
            if name not in instances:
                near = get_close_matches(name, instances, 1)
                raise ConfigError(
                    f"there is no category {name!r}",
                    mend=f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(sorted(instances))}",
                )
        return {name: instances[name] for name in self._config.categories or instances}

    @property
    def assets(self) -> SceneAssets:
        """The chosen categories, the procedural materials and the surroundings."""
        return self._assets

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, both the resolution."""
        return (self._config.resolution, self._config.resolution)

    @property
    def capabilities(self) -> frozenset[str]:
        """Everything a frame can hold."""
        return frozenset({"rgb", "instance-mask", "category-mask", "depth", "normals", "scene-graph"})

    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render scenes, one image each.

        Raises:
            ConfigError: CUDA was asked for and there is none, or a mesh or panorama can't be read.
        """
        if self._renderer is None:
            from task2sim_studio.renderer import Renderer

            self._renderer = Renderer(
                self._config.resolution,
                self._catalogue.mesh,
                self._environments.load,
                self._assets.categories,
                self._config.device,
            )
        return self._renderer.render(scenes)

    def close(self) -> None:
        """Give the device's memory back; rendering again starts afresh."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
