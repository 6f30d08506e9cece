"""ThreeDWorld, the simulator of the paper, as a scene simulator."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from task2sim import (
    ComponentConfig,
    ConfigError,
    FrameBatch,
    Scene,
    SceneAssets,
    SceneSimulator,
    fingerprint_libraries,
    not_in_key,
)
from task2sim_threedworld.compatibility import import_tdw

if TYPE_CHECKING:
    from task2sim_threedworld.builds import Builds, Session
    from task2sim_threedworld.library import Library

FIRST_PORT = 1071
"""ThreeDWorld's own default, where a build that somebody else starts is awaited."""


class ThreeDWorld(SceneSimulator):
    """Renders scenes with ThreeDWorld builds, with masks, depth and the scene graph."""

    class Config(ComponentConfig):
        """What to render, and which builds to use."""

        resolution: Annotated[int, Field(ge=16, le=2048, description="Height and width of the images in pixels.")] = (
            64
        )
        categories: Annotated[
            tuple[str, ...] | None,
            Field(min_length=2, description="Categories to render; null takes 100 public ones, or all of `models`."),
        ] = None
        models: Annotated[
            Path | None,
            not_in_key(description="JSON file of model names by category, such as the paper's list."),
        ] = None
        materials: Annotated[
            Path | None, not_in_key(description="Text file with a material's name a line, such as the paper's list.")
        ] = None
        libraries: Annotated[
            tuple[Path, ...],
            not_in_key(description="Folders of records and of local asset bundles that are not downloaded."),
        ] = ()
        annotations: Annotated[
            bool, not_in_key(description="Also masks, depth and scene graphs; a real build is slower with them.")
        ] = True
        build: Annotated[
            Path | None,
            not_in_key(description="The build's executable; null takes it from where ThreeDWorld installs it."),
        ] = None
        address: Annotated[
            Literal["127.0.0.1", "localhost"] | None,
            not_in_key(description="Launch nothing: wait here for builds that somebody else starts."),
        ] = None
        port: Annotated[
            int | None,
            Field(ge=1024, le=65500),
            not_in_key(description="Port of the first build; null takes free ones, or 1071 with `address`."),
        ] = None
        builds: Annotated[int, Field(ge=1, le=16), not_in_key(description="Builds that render side by side.")] = 1
        restart_after: Annotated[
            int,
            Field(ge=1),
            not_in_key(description="Objects after which a launched build is replaced, since its memory grows."),
        ] = 2000
        timeout: Annotated[
            float, Field(gt=0), not_in_key(description="Seconds without an answer after which a build is replaced.")
        ] = 60.0
        load_timeout: Annotated[
            float, Field(gt=0), not_in_key(description="The same while something is downloaded for the first time.")
        ] = 1800.0
        start_timeout: Annotated[
            float, Field(gt=0), not_in_key(description="Seconds that a build may take to start.")
        ] = 120.0

        @model_validator(mode="after")
        def _one_source_of_builds(self) -> ThreeDWorld.Config:
            if self.build is not None and self.address is not None:
                raise ValueError("give either 'build', to launch it, or 'address', to wait for one that runs")
            return self

    def __init__(self, config: Config) -> None:
        import_tdw()
        from task2sim_threedworld.categories import nearest
        from task2sim_threedworld.launcher import check_build
        from task2sim_threedworld.library import Library
        from task2sim_threedworld.scene_commands import STAGING

        self._config = config
        if config.address is None:
            check_build(self._build())  # says so before a study begins
        self._library = Library(config.models or config.categories, config.materials, config.libraries)
        if self._library.left_out:
            warnings.warn(_left_out(self._library), stacklevel=2)
        chosen = dict(self._library.models)
        if config.models is not None and config.categories is not None:
            for name in config.categories:
                if name not in chosen:
                    raise ConfigError(f"{config.models} has no category {name!r}", mend=nearest(name, chosen))
            chosen = {name: chosen[name] for name in config.categories}
        self.batch_size = 32 * config.builds
        self._builds: Builds | None = None
        self._logs: tempfile.TemporaryDirectory[str] | None = None
        self._assets = SceneAssets(
            instances={name: len(models) for name, models in chosen.items()},
            materials=tuple(self._library.materials),
            backgrounds=tuple(self._library.skyboxes),
            staging=STAGING,
        )

    def fingerprint(self) -> str:
        """The lists and records that were read, the build, and ThreeDWorld's version.

        Raises:
            ConfigError: there is no build to launch.
        """
        from task2sim_threedworld.launcher import build_fingerprint

        build = "running" if self._config.address else build_fingerprint(self._build())
        return f"{self._library.fingerprint()} {build} {fingerprint_libraries('tdw', 'numpy', 'pillow')}"

    @property
    def assets(self) -> SceneAssets:
        """The models, materials and skyboxes, and the paper's staging."""
        return self._assets

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, both the resolution."""
        return (self._config.resolution, self._config.resolution)

    @property
    def capabilities(self) -> frozenset[str]:
        """Images; with `annotations` also masks, depth and scene graphs."""
        more = {"instance-mask", "category-mask", "depth", "scene-graph"} if self._config.annotations else set()
        return frozenset({"rgb", *more})

    def render_scenes(self, scenes: Sequence[Scene]) -> FrameBatch:
        """Render scenes, one image each, on all builds.

        Raises:
            ConfigError: a build can't be started.
            PluginError: a build rejected a command, or builds were lost again and again.
        """
        if self._builds is None:
            from task2sim_threedworld.builds import Builds

            self._logs = tempfile.TemporaryDirectory(prefix="task2sim-threedworld-")
            # Nobody may be there to start another of the builds that somebody else started.
            most = None if self._config.address else self._config.restart_after
            self._builds = Builds(self._open, self._config.builds, most)
        frames = self._builds.render(scenes)
        label = {name: position for position, name in enumerate(self._assets.categories)}
        batch = FrameBatch(
            indices=np.array([scene.index for scene in scenes], dtype=np.int64),
            rgb=np.stack([frame.rgb for frame in frames]),
            labels=np.array([label[scene.objects[0].category] for scene in scenes], dtype=np.int64),
        )
        if not self._config.annotations:
            return batch
        instances = np.stack([frame.instance_mask for frame in frames if frame.instance_mask is not None])
        categories = np.zeros_like(instances)
        for mask, known, scene in zip(categories, instances, scenes, strict=True):
            table = [0, *(label[item.category] + 1 for item in scene.objects)]
            mask[:] = np.array(table, dtype=np.uint16)[known]
        return FrameBatch(
            indices=batch.indices,
            rgb=batch.rgb,
            labels=batch.labels,
            instance_mask=instances,
            category_mask=categories,
            depth=np.stack([frame.depth for frame in frames if frame.depth is not None]),
            scenes=[frame.graph for frame in frames if frame.graph is not None],
        )

    def close(self) -> None:
        """End the builds; rendering again starts others."""
        if self._builds is not None:
            self._builds.close()
            self._builds = None
        if self._logs is not None:
            self._logs.cleanup()
            self._logs = None

    def _build(self) -> Path:
        from task2sim_threedworld.launcher import default_build

        return self._config.build or default_build()

    def _open(self, number: int) -> Session:
        """Start build `number`, or wait for it, and set it up."""
        from task2sim_threedworld.builds import Session
        from task2sim_threedworld.controller import GuardedController
        from task2sim_threedworld.launcher import launch

        config = self._config
        first = config.port or (FIRST_PORT if config.address else None)
        assert self._logs is not None
        log = Path(self._logs.name) / f"build-{number + 1}.log"
        controller = GuardedController(
            0 if first is None else first + number,
            launch=None if config.address else lambda port: launch(self._build(), port, log),
            timeout=config.timeout,
            load_timeout=config.load_timeout,
            start_timeout=config.start_timeout,
            log=None if config.address else log,
        )
        try:
            return Session(controller, self._library, config.resolution, config.annotations)
        except BaseException:
            controller.close()
            raise


def _left_out(library: Library) -> str:
    """How many models of a list can't be used, with the first reasons."""
    reasons = library.left_out
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f"{len(reasons)} left out: {'; '.join(reasons[:3])}{more}"
