"""Surroundings as light: octahedral radiance maps in levels of growing blur, and harmonics of irradiance.

Octahedral maps (Engelhardt and Dachsbacher, "Octahedron environment maps", VMV 2008) need no trigonometry to look
up and have no poles.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim import ConfigError, Sky
from task2sim_studio.cache import read_arrays, write_arrays
from task2sim_studio.daylight import daylight_skies, paint_daylight
from task2sim_studio.openexr_file import read_openexr
from task2sim_studio.radiance_hdr import read_radiance
from task2sim_studio.skies import SKIES, paint

_COARSEST = 32
_ROUGH_BLURS = (0.133, 0.266, 0.532)
"""Blur of the last three levels: standard deviation in radians. They go on doubling where halving ends."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_PANORAMA_MEAN = 0.42
_PANORAMA_LIMIT = 24.0
"""A panorama from a file is exposed to this mean luminance, and its sun cut to the limit: scenes have their own."""


@attrs.frozen(eq=False)
class Environment:
    """One prefiltered surrounding.

    Attributes:
        texels: float32 array of shape (sum of (size + 2)**2 over levels, 3): radiance, each level with a border.
        harmonics: float32 array of shape (9, 3): irradiance over pi, see `task2sim_studio.surroundings.irradiance`.
    """

    texels: NDArray[np.float32]
    harmonics: NDArray[np.float32]


def level_sizes(size: int) -> tuple[int, ...]:
    """Texels along a side of each level of a map, without borders."""
    halved = [size]
    while halved[-1] > _COARSEST:
        halved.append(halved[-1] // 2)
    return (*halved, 32, 16, 16)


def texel_angle(size: int) -> float:
    """Mean angle between neighbouring texels of a map's first level, in radians."""
    return math.sqrt(4.0 * math.pi) / size


def sharpest(size: int) -> float:
    """Standard deviation in radians of the blur of a map's first level; each level doubles it."""
    return 0.6 * texel_angle(size)


@cache
def directions(size: int) -> NDArray[np.float32]:
    """Directions of an octahedral map's texels: float32 array of shape (size, size, 3), unit vectors."""
    folded = _folded(size)
    return np.asarray(folded / np.linalg.norm(folded, axis=-1, keepdims=True), dtype=np.float32)


@cache
def solid_angles(size: int) -> NDArray[np.float32]:
    """Solid angles of an octahedral map's texels: float32 array of shape (size, size); they sum to about 4 pi."""
    return np.asarray((2.0 / size) ** 2 / np.linalg.norm(_folded(size), axis=-1) ** 3, dtype=np.float32)


def _folded(size: int) -> NDArray[np.float64]:
    at = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    x, y = np.meshgrid(at, at)
    z = 1.0 - np.abs(x) - np.abs(y)
    below = z < 0.0
    fx = np.where(below, np.sign(x) * (1.0 - np.abs(y)), x)
    fy = np.where(below, np.sign(y) * (1.0 - np.abs(x)), y)
    return np.stack([fx, fy, z], axis=-1)


def prefilter(radiance: NDArray[np.float32]) -> Environment:
    """Make the levels and harmonics of an octahedral map.

    Args:
        radiance: float32 array of shape (size, size, 3); size is a power of two, 64 or more.
    """
    levels = [radiance]
    while len(levels[-1]) > _COARSEST:
        levels.append(_halve(levels[-1]))
    source = levels[-1]
    flat = source.reshape(-1, 3)
    for size, blur in zip(level_sizes(len(radiance))[-3:], _ROUGH_BLURS, strict=True):
        levels.append((_blur_weights(len(source), size, blur) @ flat).reshape(size, size, 3))
    return Environment(
        texels=np.concatenate([_bordered(level).reshape(-1, 3) for level in levels]).astype(np.float32),
        harmonics=_harmonics(source),
    )


def _halve(radiance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Halve a map with a (1, 3, 3, 1) filter, smoother than averaging four."""
    wide = _bordered(radiance)
    rows = 0.125 * (wide[0:-2:2] + wide[3::2]) + 0.375 * (wide[1:-1:2] + wide[2::2])
    across = 0.125 * (rows[:, 0:-2:2] + rows[:, 3::2]) + 0.375 * (rows[:, 1:-1:2] + rows[:, 2::2])
    return np.asarray(across, dtype=np.float32)


def _bordered(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add a border of one texel: across an edge of the square lies its mirror image."""
    size = len(level)
    wide = np.empty((size + 2, size + 2, 3), dtype=np.float32)
    wide[1:-1, 1:-1] = level
    wide[0, 1:-1], wide[-1, 1:-1] = level[0, ::-1], level[-1, ::-1]
    wide[1:-1, 0], wide[1:-1, -1] = level[::-1, 0], level[::-1, -1]
    wide[0, 0] = wide[0, -1] = wide[-1, 0] = wide[-1, -1] = level[[0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=0)
    return wide


@cache
def _blur_weights(source: int, target: int, blur: float) -> NDArray[np.float32]:
    """Rows that average a map of `source` texels a side over a von Mises-Fisher lobe about each target texel."""
    cosine = directions(target).reshape(-1, 3) @ directions(source).reshape(-1, 3).T
    weights = np.exp((cosine - 1.0) / blur**2) * solid_angles(source).ravel()
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _harmonics(radiance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project radiance onto nine real spherical harmonics and convolve with the cosine lobe.

    Ramamoorthi and Hanrahan (SIGGRAPH 2001), equations 3 and 8; each coefficient carries its basis constant once
    more, so that the kernels evaluate plain polynomials.
    """
    size = len(radiance)
    x, y, z = np.moveaxis(directions(size).astype(np.float64), -1, 0)
    one = np.ones_like(x)
    basis = np.stack([one, y, z, x, x * y, y * z, 3.0 * z * z - 1.0, x * z, x * x - y * y])
    constants = np.array([0.282095, *[0.488603] * 3, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274])
    lobes = np.array([1.0, *[2.0 / 3.0] * 3, *[0.25] * 5])
    weights = solid_angles(size).astype(np.float64)
    weights *= 4.0 * math.pi / weights.sum()
    projected = np.einsum("kij,ij,ijc->kc", basis, weights, radiance)
    return np.asarray(projected * (constants**2 * lobes)[:, None], dtype=np.float32)


# --- where they come from ---


class ProceduralEnvironments:
    """The surroundings of `task2sim_studio.skies`, and those of `task2sim_studio.daylight` as skies."""

    def __init__(self) -> None:
        self.names = tuple(SKIES)

    @property
    def skies(self) -> Mapping[str, tuple[Sky, ...]]:
        """The physical skies at all times of day, by the ground below them; computed when asked for."""
        return daylight_skies()

    def load(self, name: str, size: int) -> Environment:
        """Paint one, as a map of `size` texels a side."""
        return _painted(name, size)


def _painted(name: str, size: int) -> Environment:
    """Paint surroundings, or take them from the cache: painting takes a tenth of a second and more."""

    def radiance() -> NDArray[np.float32]:
        if name in SKIES:
            return _exposed(paint(name, directions(size), texel_angle(size)), SKIES[name].mean)
        return paint_daylight(name, directions(size), texel_angle(size))

    return _cached(name, size, radiance)


def _cached(what: str, size: int, radiance: Callable[[], NDArray[np.float32]]) -> Environment:
    """Take an environment from the cache, or make it of what `radiance` gives and keep it.

    Half precision is enough for light, and halves the files; what is fresh is rounded as what is cached.
    """
    key = hashlib.sha256(f"{_made_by()} {what} {size}".encode()).hexdigest()
    arrays = read_arrays("surroundings", key)
    if arrays is None or not {"texels", "harmonics"} <= set(arrays):
        made = prefilter(radiance())
        arrays = {"texels": made.texels.astype(np.float16), "harmonics": made.harmonics}
        write_arrays("surroundings", key, arrays)
    return Environment(arrays["texels"].astype(np.float32), arrays["harmonics"])


@cache
def _made_by() -> str:
    """A hash of the code that paints and reads, and of the library that it computes with."""
    digest = hashlib.sha256(np.__version__.encode())
    for module in (
        "atmosphere",
        "daylight",
        "environments",
        "grounds",
        "openexr_file",
        "radiance_hdr",
        "relief",
        "skies",
    ):
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()


READERS = {".hdr": read_radiance, ".exr": read_openexr}
"""How panoramas are read, by the ending of their names."""


class FolderEnvironments:
    """Panoramas in a folder of equirectangular pictures (.hdr, .exr); the middle column lies along +y.

    Raises:
        ConfigError: the folder is missing, has no such file, or two of the same name.
    """

    def __init__(self, folder: Path) -> None:
        self.skies: Mapping[str, tuple[Sky, ...]] = {}
        if not folder.is_dir():
            raise ConfigError("there is no such folder of environments", place=str(folder))
        # Hidden files, such as other systems leave, don't count; nor do they in the fingerprint.
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in READERS and not file.name.startswith(".")
        ]
        if not files:
            raise ConfigError(
                "the folder of environments has no .hdr or .exr file", place=str(folder), mend="put panoramas there"
            )
        self._files = {file.stem: file for file in files}
        if len(self._files) < len(files):
            twice = next(file for file in files if self._files[file.stem] != file)
            raise ConfigError(f"two panoramas are called {twice.stem!r}", place=str(folder), mend="rename one")
        self.names = tuple(self._files)

    def load(self, name: str, size: int) -> Environment:
        """Read one, as a map of `size` texels a side.

        Raises:
            ConfigError: the file can't be read, is no such picture, or not twice as wide as high.
        """
        path = self._files[name]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"can't read the panorama: {error.strerror or error}", place=str(path)) from error
        return _cached(hashlib.sha256(content).hexdigest(), size, lambda: self._radiance(path, size))

    def _radiance(self, path: Path, size: int) -> NDArray[np.float32]:
        panorama = READERS[path.suffix.lower()](path)
        height, width = panorama.shape[:2]
        if not 1.9 * height <= width <= 2.1 * height:
            raise ConfigError(
                f"a panorama of {width} x {height} pixels is not equirectangular",
                place=str(path),
                mend="use one that is twice as wide as high",
            )
        radiance = _exposed(_looked_up(panorama, directions(size)), _PANORAMA_MEAN)
        return np.minimum(radiance, _PANORAMA_LIMIT)


def _exposed(radiance: NDArray[np.float32], mean: float) -> NDArray[np.float32]:
    # The brightest parts, such as a sun in a panorama, don't count: they would leave the rest dark.
    luminance = radiance @ _LUMINANCE
    typical = np.minimum(luminance, 8.0 * np.median(luminance) + 1e-6)
    present = float(np.average(typical, weights=solid_angles(len(radiance))))
    return np.asarray(radiance * (mean / max(present, 1e-6)), dtype=np.float32)


def _looked_up(panorama: NDArray[np.float32], towards: NDArray[np.float32]) -> NDArray[np.float32]:
    """Look directions up in an equirectangular panorama, shrunk first where it is finer than they are."""
    factor = max(1, panorama.shape[0] // (2 * len(towards)), panorama.shape[1] // (4 * len(towards)))
    height, width = panorama.shape[0] // factor, panorama.shape[1] // factor
    small = panorama[: height * factor, : width * factor].reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    across = (0.5 + np.arctan2(towards[..., 0], towards[..., 1]) / (2.0 * math.pi)) * width - 0.5
    down = np.arccos(np.clip(towards[..., 2], -1.0, 1.0)) / math.pi * height - 0.5
    left, top = np.floor(across).astype(np.int64), np.floor(down).astype(np.int64)
    fx, fy = (across - left)[..., None], (down - top)[..., None]
    columns = left % width, (left + 1) % width
    rows = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
    upper = small[rows[0], columns[0]] * (1.0 - fx) + small[rows[0], columns[1]] * fx
    lower = small[rows[1], columns[0]] * (1.0 - fx) + small[rows[1], columns[1]] * fx
    return np.asarray(upper * (1.0 - fy) + lower * fy, dtype=np.float32)
