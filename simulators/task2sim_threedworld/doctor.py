"""What a study with ThreeDWorld needs, looked at one by one: each finding is fine or says how to mend it."""

from __future__ import annotations

import math
import os
import platform
import re
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np

from task2sim import Task2SimError

PATIENCE = 5.0
"""Seconds for the network."""
RESOLUTION = 128


@attrs.frozen
class Finding:
    """What a check found.

    Attributes:
        name: What was looked at.
        ok: Whether it is fine; None if it could not be looked at.
        text: What was found.
        mend: What to do about it, if it is not fine.
    """

    name: str
    ok: bool | None
    text: str
    mend: str = ""

    def __str__(self) -> str:
        word = {True: "ok   ", False: "WRONG", None: "skip "}[self.ok]
        return f"{word} {self.name}: {self.text}" + (f"; {self.mend}" if self.mend else "")


@attrs.define
class Patient:
    """What is examined.

    Attributes:
        build: The build's executable; None for the one where ThreeDWorld installs it.
        port: Where it is to call; None for a free port.
        image: Where to save the rendered image; None for nowhere.
        wrong: Names of the checks that failed or were skipped so far.
    """

    build: Path | None = None
    port: int | None = None
    image: Path | None = None
    wrong: set[str] = attrs.field(factory=set)

    @property
    def executable(self) -> Path:
        """The build's executable."""
        from task2sim_threedworld.launcher import default_build

        return self.build or default_build()


Check: TypeAlias = Callable[[Patient], Finding]


def python_version(patient: Patient) -> Finding:
    """Whether this Python is one that ThreeDWorld's package was tried with."""
    found = platform.python_version()
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", ok, found, "" if ok else "use Python 3.11 to 3.13")


def tdw_package(patient: Patient) -> Finding:
    """Whether ThreeDWorld's Python package is there, in the version that the plugin speaks."""
    try:
        found = metadata.version("tdw")
    except metadata.PackageNotFoundError:
        return Finding("tdw", False, "not installed", "pip install 'task2sim[threedworld]'")
    ok = found.startswith("1.13.")
    return Finding("tdw", ok, found, "" if ok else "pip install 'tdw==1.13.0.0'")


def setuptools_package(patient: Patient) -> Finding:
    """Whether setuptools still has what ThreeDWorld's package imports."""
    found = metadata.version("setuptools") if find_spec("setuptools") else "not installed"
    ok = find_spec("pkg_resources") is not None
    return Finding("setuptools", ok, found, "" if ok else "pip install 'setuptools<81'")


def pyzmq_package(patient: Patient) -> Finding:
    """Whether the library is there that carries the conversation with the build."""
    try:
        found = metadata.version("pyzmq")
    except metadata.PackageNotFoundError:
        return Finding("pyzmq", False, "not installed", "pip install 'task2sim[threedworld]'")
    ok = int(found.split(".")[0]) >= 25
    return Finding("pyzmq", ok, found, "" if ok else "pip install 'pyzmq>=25'")


def tdw_import(patient: Patient) -> Finding:
    """Whether ThreeDWorld's package can be imported, on Python 3.12 and later with a stand-in for ``imp``."""
    from task2sim_threedworld.compatibility import import_tdw

    stand_in = " with a stand-in for 'imp'" if find_spec("imp") is None else ""
    try:
        import_tdw()
        import task2sim_threedworld.controller  # noqa: F401
    except Task2SimError as error:
        return Finding("import", False, error.message, error.mend)
    except Exception as error:
        return Finding(
            "import", False, f"{type(error).__name__}: {error}", "pip install 'task2sim[threedworld]' again"
        )
    return Finding("import", True, f"tdw can be imported{stand_in}")


def display(patient: Patient) -> Finding:
    """Whether Unity would find a display."""
    if sys.platform != "linux":
        return Finding("display", True, f"{platform.system()} has its own")
    mend = "start Xorg on the GPU and set DISPLAY, or use xvfb-run (about fifteen times slower)"
    name = os.environ.get("DISPLAY", "")
    if not name:
        found, ok = "DISPLAY is not set", False
    elif not (match := re.fullmatch(r"(.*):(\d+)(\.\d+)?", name)):
        found, ok = f"DISPLAY={name} is no display", False
    elif match[1] in ("", "unix"):
        ok = _answers_unix(f"/tmp/.X11-unix/X{match[2]}") or _answers_unix(f"\0/tmp/.X11-unix/X{match[2]}")
        found = f"{name} {'answers' if ok else 'does not answer'}"
    else:
        ok = _answers_tcp(match[1], 6000 + int(match[2]))
        found = f"{name} {'answers' if ok else 'does not answer'}"
    if ok:
        return Finding("display", True, found)
    if _is_peer(patient.executable):
        return Finding("display", True, f"{found}, and the peer needs none")
    return Finding("display", False, found, mend)


def build_file(patient: Patient) -> Finding:
    """Whether there is a build to start."""
    from task2sim_threedworld.launcher import check_build

    path = patient.executable
    try:
        check_build(path)
    except Task2SimError as error:
        return Finding("build", False, error.message, error.mend)
    return Finding("build", True, f"{path}{' (a peer, not Unity)' if _is_peer(path) else ''}")


def free_port(patient: Patient) -> Finding:
    """Whether the port is free."""
    if patient.port is None:
        return Finding("port", True, "any free one")
    with socket.socket() as probe:
        if os.name == "posix":
            # As ZeroMQ does: the connections of a run that has just ended don't keep the port from the next.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", patient.port))
        except OSError as error:
            return Finding(
                "port", False, f"{patient.port}: {error.strerror}", "end the program that uses it, or give another"
            )
    return Finding("port", True, f"{patient.port} is free")


def bucket(patient: Patient) -> Finding:
    """Whether models can be downloaded."""
    from task2sim_threedworld.library import Library

    model = next(iter(Library(None, None, ()).models.values()))[0]
    request = urllib.request.Request(model.url, method="HEAD")
    mend = "let the build reach it, or put asset bundles into a folder and name it in 'libraries'"
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            size = int(answer.headers.get("Content-Length", 0))
    except (OSError, ValueError, HTTPException) as error:
        if _is_peer(patient.executable):
            return Finding("bucket", True, "not reachable, and the peer downloads nothing")
        return Finding("bucket", False, f"{request.host} can't be reached: {_reason(error)}", mend)
    return Finding("bucket", True, f"{request.host} answers ({model.name}: {size / 1e6:.1f} MB)")


def start(patient: Patient) -> Finding:
    """Whether the build starts and calls, and of which version it is."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            controller = _controller(patient, Path(folder))
        except Exception as error:
            return Finding("start", False, *_words(error, "see its log; a missing display is the usual cause"))
        with_unity = f"ThreeDWorld {controller.version}, Unity {controller.unity_version}"
        controller.close()
    return Finding("start", True, f"{with_unity}, {time.monotonic() - began:.1f} s")


def conventions(patient: Patient) -> Finding:
    """Whether the build does what the plugin takes for granted where TDW's documentation is silent."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            controller = _controller(patient, Path(folder))
            try:
                wrong = list(_broken_conventions(controller))
            finally:
                controller.close()
        except Exception as error:
            return Finding("conventions", False, *_words(error, "see its log"))
    if wrong:
        return Finding("conventions", False, ", ".join(wrong), "please report this with the build's version")
    return Finding("conventions", True, "order, placing, scale, sun and depth are as the plugin takes them to be")


def image(patient: Patient) -> Finding:
    """Whether a whole image comes out."""
    from task2sim_threedworld.simulator import ThreeDWorld

    config = ThreeDWorld.Config(build=patient.executable, port=patient.port, resolution=RESOLUTION)
    began = time.monotonic()
    try:
        with ThreeDWorld(config) as simulator:
            (batch,) = simulator.render(simulator.parameter_space.everything_varied(), [0], 0)
    except Task2SimError as error:
        return Finding("image", False, *_words(error, ""))
    rgb, mask = batch.rgb[0], batch.instance_mask
    if rgb.std() < 1.0:
        return Finding("image", False, "it is one colour", "look at the build's window and log")
    if mask is None or not mask.any():
        return Finding("image", False, "no object shows", "look at the build's window and log")
    if patient.image is not None:
        from PIL import Image

        try:
            Image.fromarray(rgb).save(patient.image)
        except (OSError, ValueError) as error:
            text = f"{patient.image} can't be written: {_reason(error)}"
            return Finding("image", False, text, "name a .png file in a folder that exists")
    saved = f", saved as {patient.image}" if patient.image else ""
    return Finding("image", True, f"{RESOLUTION} x {RESOLUTION} in {time.monotonic() - began:.1f} s{saved}")


CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (python_version, ()),
    (tdw_package, ()),
    (setuptools_package, ()),
    (pyzmq_package, ()),
    (tdw_import, ("tdw", "setuptools", "pyzmq")),
    (display, ()),
    (build_file, ()),
    (free_port, ()),
    (bucket, ("import",)),
    (start, ("import", "build", "port")),
    (conventions, ("start",)),
    (image, ("start",)),
)
"""Each check with the names of the findings that it needs."""

NAMES: dict[Check, str] = {
    python_version: "python",
    tdw_package: "tdw",
    setuptools_package: "setuptools",
    pyzmq_package: "pyzmq",
    tdw_import: "import",
    build_file: "build",
    free_port: "port",
}


def examine(patient: Patient) -> Iterator[Finding]:
    """Make all checks, one after another; those that need one that failed are skipped."""
    for check, needed in CHECKS:
        missing = [name for name in needed if name in patient.wrong]
        name = NAMES.get(check, check.__name__)
        if missing:
            finding = Finding(name, None, f"needs {', '.join(missing)}")
        else:
            try:
                finding = check(patient)
            except Exception as error:  # what nobody foresaw must not hide the checks after it
                finding = Finding(name, False, f"{type(error).__name__}: {error}", "please report this")
        if not finding.ok:
            patient.wrong.add(finding.name)
        yield finding


def _controller(patient: Patient, folder: Path) -> Any:
    from task2sim_threedworld.controller import GuardedController
    from task2sim_threedworld.launcher import launch

    log = folder / "build.log"
    return GuardedController(
        patient.port or 0, launch=lambda port: launch(patient.executable, port, log), log=log, load_timeout=300.0
    )


def _broken_conventions(controller: Any) -> Iterator[str]:
    """What is not as the plugin takes it to be."""
    from tdw.output_data import Bounds, Images, Lights, OutputData, Transforms
    from tdw.tdw_utils import TDWUtils

    from task2sim_threedworld.axes import matrix_of, sun_turns
    from task2sim_threedworld.library import Library
    from task2sim_threedworld.scene_commands import FAR, FIELD_OF_VIEW, NEAR, add_model, add_skybox, scale_of, set_up

    library = Library(None, None, ())
    skybox = next(iter(library.skyboxes.values()))
    model = library.models["bowl"][0]
    scale, travel = scale_of(model, 1.0), np.array((0.36, -0.48, 0.8))
    yaw, pitch = sun_turns(travel, skybox.sun_elevation, skybox.sun_initial_angle)
    # To the side and far away, for its size: were depth measured along the rays, none of its parts could be so near.
    camera, pivot = np.array((0.3, 0.5, 0.0)), np.array((4.3, 0.5, 9.0))
    turn = {"x": 0.0, "y": math.sin(0.5), "z": 0.0, "w": math.cos(0.5)}
    controller.communicate(set_up(RESOLUTION, True, skybox))
    answer = controller.communicate(
        [
            add_skybox(skybox),
            add_model(model, 1),
            {"$type": "scale_object", "id": 1, "scale_factor": {"x": scale, "y": scale, "z": scale}},
            {"$type": "teleport_object", "id": 1, "position": dict(zip("xyz", pivot.tolist(), strict=True))},
            {"$type": "rotate_object_to", "id": 1, "rotation": turn},
            {
                "$type": "teleport_avatar_to",
                "position": dict(zip("xyz", camera.tolist(), strict=True)),
                "avatar_id": "a",
            },
            {"$type": "rotate_sensor_container_to", "rotation": {"x": 0, "y": 0, "z": 0, "w": 1}, "avatar_id": "a"},
            {"$type": "reset_directional_light_rotation", "index": 0},
            {"$type": "rotate_directional_light_by", "axis": "yaw", "angle": yaw, "index": 0},
            {"$type": "rotate_directional_light_by", "axis": "pitch", "angle": pitch, "index": 0},
            {"$type": "send_images", "frequency": "once", "ids": ["a"]},
            *({"$type": f"send_{kind}", "frequency": "once"} for kind in ("transforms", "bounds", "lights")),
        ]
    )
    parts = {OutputData.get_data_type_id(frame): frame for frame in answer[:-1]}
    for kind in ("imag", "tran", "boun", "ligh"):
        if kind not in parts:
            yield f"an answer to one request lacks {kind}"
            return
    transforms, bounds = Transforms(parts["tran"]), Bounds(parts["boun"])
    lights, images = Lights(parts["ligh"]), Images(parts["imag"])
    if not np.allclose(transforms.get_position(0), pivot, atol=1e-3):
        yield f"teleport_object does not place the pivot ({transforms.get_position(0)})"
    if abs(float(np.dot(transforms.get_rotation(0), [turn[k] for k in "xyzw"]))) < 0.9999:
        yield "rotate_object_to does not set the rotation"
    centre = pivot + matrix_of((turn["x"], turn["y"], turn["z"], turn["w"])) @ (scale * np.array(model.centre))
    if not np.allclose(bounds.get_center(0), centre, atol=0.02):
        yield f"the bounds' centre is {bounds.get_center(0)} instead of {centre}: another scale or pivot"
    shines = matrix_of(tuple(float(x) for x in lights.get_directional_light_rotation(0))) @ (0.0, 0.0, 1.0)  # type: ignore[arg-type]
    if float(shines @ travel) < 0.999:
        yield f"the sun shines towards {np.round(shines, 2)} instead of {travel}: it turns about other axes"
    if abs(lights.get_directional_light_intensity(0) - skybox.sun_intensity) > 1e-3:
        yield "the skybox does not set the sun's intensity"
    raw = [images.get_image(k) for k in range(images.get_num_passes()) if images.get_pass_mask(k) == "_depth"]
    if not raw:
        yield "there is no _depth pass"
        return
    depth = TDWUtils.get_depth_values(
        np.asarray(raw[0]), width=RESOLUTION, height=RESOLUTION, near_plane=NEAR, far_plane=FAR
    )
    right, up, away = centre - camera
    focal = 0.5 * RESOLUTION / math.tan(math.radians(0.5 * FIELD_OF_VIEW))
    row, column = 0.5 * RESOLUTION - focal * up / away, 0.5 * RESOLUTION + focal * right / away
    seen = float(depth[int(row), int(column)])
    # It is turned about the vertical: no part is nearer than half the diagonal of its base, the first one seen
    # before its centre.
    nearest = away - 0.5 * scale * math.hypot(model.high[0] - model.low[0], model.high[2] - model.low[2])
    if not nearest - 0.02 < seen < away + 0.02:
        yield f"the depth is {seen:.2f} m where the object is {nearest:.2f} to {away:.2f} m away"


def _is_peer(path: Path) -> bool:
    """Whether the file is a stand-in for a build, which starts without a display."""
    try:
        with path.open("rb") as file:
            return b"task2sim_threedworld.testing" in file.read(65536)
    except OSError:
        return False


def _answers_unix(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _answers_tcp(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=PATIENCE):
            return True
    except OSError:
        return False


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason)


def _words(error: Exception, mend: str) -> tuple[str, str]:
    """What an error says, and what to do about it."""
    if isinstance(error, Task2SimError):
        return error.message, error.mend or mend
    return f"{error}" or type(error).__name__, mend
