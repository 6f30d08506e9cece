"""Make the pictures of README and docs: ``python benchmarks/pictures.py docs/images``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from task2sim import TASK2SIM_PARAMETERS
from task2sim_studio.simulator import Studio

CATEGORIES = ["car", "teapot", "pineapple", "chair", "bicycle", "mug", "house", "windmill", "lamp", "tree"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with Studio(Studio.Config(resolution=128, categories=CATEGORIES)) as studio:
        rows = []
        for setting in (TASK2SIM_PARAMETERS.default(), TASK2SIM_PARAMETERS.everything_varied()):
            batches = studio.render(setting, range(2 * len(CATEGORIES)), seed=4)
            images = np.concatenate([batch.rgb for batch in batches])[len(CATEGORIES) :]
            rows.append(np.concatenate(images, axis=1))
    Image.fromarray(np.concatenate(rows)).save(folder / "studio.png", optimize=True)


if __name__ == "__main__":
    main()
