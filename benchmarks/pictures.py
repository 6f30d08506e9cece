"""Make the pictures of README and docs: ``python benchmarks/pictures.py docs/images``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from task2sim import TASK2SIM_PARAMETERS, ParameterSetting
from task2sim_studio.simulator import Studio

CATEGORIES = ["car", "teapot", "pineapple", "chair", "bicycle", "mug", "house", "windmill", "lamp", "tree"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with Studio(Studio.Config(resolution=128, categories=CATEGORIES, further_parameters="all")) as studio:
        space = studio.parameter_space
        eight = space.setting(dict.fromkeys(TASK2SIM_PARAMETERS.names, 1))
        sheet(studio, [space.default(), eight], 4).save(folder / "studio.png", optimize=True)
        scenes = space.setting(object_count=1, clutter=1, floor=1, shadow_softness=1, time_of_day=1, background=1)
        lens = space.setting(scenes, camera_elevation=1, field_of_view=1, fog=1, focus_blur=1)
        sheet(studio, [scenes, lens], 7).save(folder / "scenes.png", optimize=True)


def sheet(studio: Studio, settings: list[ParameterSetting], seed: int) -> Image.Image:
    """A row of the same images for each setting."""
    rows = []
    for setting in settings:
        batches = studio.render(setting, range(2 * len(CATEGORIES)), seed=seed)
        images = np.concatenate([batch.rgb for batch in batches])[len(CATEGORIES) :]
        rows.append(np.concatenate(images, axis=1))
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    main()
