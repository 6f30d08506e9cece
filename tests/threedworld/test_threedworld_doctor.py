"""The doctor: every line is ok or says the mend, and what can't be looked at is skipped."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import Message
from http.client import BadStatusLine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from task2sim import PluginError
from task2sim_threedworld import doctor
from task2sim_threedworld.doctor import CHECKS, NAMES, Finding, Patient, examine

INSTALLED = pytest.mark.skipif(
    doctor.find_spec("tdw") is None, reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'"
)


def task2sim(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "task2sim", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_peer_is_in_good_health(peer_build, tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    said = task2sim("threedworld", "doctor", "--build", str(peer_build()), "--image", str(picture))
    lines = said.stdout.splitlines()
    assert said.returncode == 0, said.stdout
    assert [line.split()[1] for line in lines] == [f"{NAMES.get(check, check.__name__)}:" for check, _ in CHECKS]
    assert all(line.startswith("ok ") for line in lines)
    assert picture.stat().st_size > 1000
    assert "task2sim peer" in said.stdout
    assert said.stderr == ""


def test_without_a_build_it_says_what_to_do_and_skips_the_rest(tmp_path: Path) -> None:
    said = task2sim("threedworld", "doctor", HOME=str(tmp_path), DISPLAY="")
    assert said.returncode == 2
    lines = {line.split()[1].rstrip(":"): line for line in said.stdout.splitlines()}
    assert lines["display"].startswith("WRONG display: DISPLAY is not set; start Xorg")
    assert "download version 1.13" in lines["build"]
    assert lines["start"] == "skip  start: needs build"
    assert lines["image"] == "skip  image: needs start"
    assert "Traceback" not in said.stderr


def test_what_is_missing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patient = Patient(tmp_path / "none")
    monkeypatch.setattr(doctor.sys, "version_info", (3, 14, 0))
    assert doctor.python_version(patient).mend == "use Python 3.11 to 3.13"
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"tdw": "1.12.9.0"}.get(name, "84.0"))
    assert doctor.tdw_package(patient) == Finding("tdw", False, "1.12.9.0", "pip install 'tdw==1.13.0.0'")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "pkg_resources" else object())
    assert doctor.setuptools_package(patient) == Finding("setuptools", False, "84.0", "pip install 'setuptools<81'")

    def missing(name: str) -> str:
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", missing)
    assert doctor.tdw_package(patient).mend == "pip install 'task2sim[threedworld]'"
    assert doctor.pyzmq_package(patient) == Finding(
        "pyzmq", False, "not installed", "pip install 'task2sim[threedworld]'"
    )


@pytest.mark.parametrize(("version", "ok"), [("24.0.1", False), ("25.0.0", True), ("27.1.0", True)])
def test_an_old_pyzmq_is_found(monkeypatch: pytest.MonkeyPatch, version: str, ok: bool) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda name: version)
    assert doctor.pyzmq_package(Patient()) == Finding("pyzmq", ok, version, "" if ok else "pip install 'pyzmq>=25'")


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 11, 0), (3, 13, 9)])
def test_pythons(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", version)
    assert doctor.python_version(Patient()).ok is (version[1] >= 11)


def test_a_tdw_that_can_not_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PluginError("it is broken", mend="install it again")

    monkeypatch.setattr("task2sim_threedworld.compatibility.import_tdw", refuse)
    assert doctor.tdw_import(Patient()) == Finding("import", False, "it is broken", "install it again")

    def fail() -> None:
        raise SyntaxError("of another Python")

    monkeypatch.setattr("task2sim_threedworld.compatibility.import_tdw", fail)
    finding = doctor.tdw_import(Patient())
    assert (finding.ok, finding.text) == (False, "SyntaxError: of another Python")


def test_the_commands_import_nothing_heavy() -> None:
    code = "import sys, task2sim_threedworld.commands; print(*{'tdw', 'zmq', 'PIL'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (said.stdout.strip(), said.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "DISPLAY is not set"),
        ("nonsense", "is no display"),
        (":9999", "does not answer"),
        ("127.0.0.1:1", "does not"),
    ],
)
def test_displays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, said: str) -> None:
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", name)
    finding = doctor.display(Patient(tmp_path / "none"))
    assert finding.ok is False
    assert said in finding.text
    assert "Xorg" in finding.mend


def test_a_display_that_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{port - 6000}.0")
        assert doctor.display(Patient(tmp_path / "none")).ok


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_a_local_display_that_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    number = 40000 + os.getpid() % 20000
    monkeypatch.setenv("DISPLAY", f":{number}.0")
    patient = Patient(tmp_path / "none")
    assert doctor.display(patient).ok is False
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0/tmp/.X11-unix/X{number}")
        server.listen()
        assert doctor.display(patient) == Finding("display", True, f":{number}.0 answers")


def test_who_needs_no_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer_build) -> None:
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setattr(doctor.sys, "platform", "linux")
    assert doctor.display(Patient(peer_build())).ok
    assert doctor.display(Patient(tmp_path / "none")).ok is False
    monkeypatch.setattr(doctor.sys, "platform", "darwin")
    assert doctor.display(Patient(tmp_path / "none")).ok


def test_a_build_that_is_not_executable(tmp_path: Path) -> None:
    file = tmp_path / "TDW.x86_64"
    file.write_text("")
    finding = doctor.build_file(Patient(file))
    assert finding.ok is False
    assert f"chmod +x {file}" in finding.mend


def test_a_port_that_was_in_use_a_moment_ago() -> None:
    """The side that hangs up first keeps the port in the state TIME_WAIT for a minute; ZeroMQ does not mind."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            client.recv(1)
    assert doctor.free_port(Patient(port=port)).ok


def test_a_port_that_is_taken() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        finding = doctor.free_port(Patient(port=port))
        assert (finding.ok, finding.name) == (False, "port")
        assert str(port) in finding.text
    assert doctor.free_port(Patient(port=port)).ok


@INSTALLED
@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route"),
        urllib.error.HTTPError("https://example.org", 403, "no route", Message(), None),
        TimeoutError("no route"),
        BadStatusLine("no route"),
    ],
)
def test_a_bucket_that_can_not_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer_build, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(doctor.urllib.request, "urlopen", refuse)
    finding = doctor.bucket(Patient(tmp_path / "none"))
    assert finding.ok is False
    assert "no route" in finding.text
    assert "libraries" in finding.mend
    assert doctor.bucket(Patient(peer_build())).ok


@INSTALLED
def test_a_bucket_that_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    class Answer(contextlib.nullcontext):
        headers: ClassVar = {"Content-Length": "2500000"}

    def answer(request: urllib.request.Request, timeout: float) -> Answer:
        asked.append((request.get_method(), request.full_url, timeout))
        found = Answer()
        found.enter_result = found
        return found

    monkeypatch.setattr(doctor.urllib.request, "urlopen", answer)
    finding = doctor.bucket(Patient(tmp_path / "none"))
    assert finding.ok
    assert "2.5 MB" in finding.text
    ((method, url, timeout),) = asked
    assert (method, timeout) == ("HEAD", 5.0)
    assert url.startswith("https://tdw-public.s3.amazonaws.com/")


def test_a_build_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'Failed to initialize graphics' >&2\nexit 1\n")
    broken.chmod(0o755)
    finding = doctor.start(Patient(broken))
    assert finding.ok is False
    assert "Failed to initialize graphics" in finding.text


def idle(command: str) -> str:
    return f"World._{command} = lambda self, **values: None"


def other_depth(expression: str) -> str:
    return f"messages.encode_depth = lambda depth, *planes, right=messages.encode_depth: right({expression}, *planes)"


RAYS = "np.hypot(1, np.hypot(*np.meshgrid(*2 * [np.linspace(-1, 1, 128) * 3**-0.5])))"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (idle("rotate_directional_light_by"), "it turns about other axes"),
        (idle("scale_object"), "another scale or pivot"),
        (idle("teleport_object"), "does not place the pivot"),
        (idle("rotate_object_to"), "does not set the rotation"),
        (
            "peer.outputs = lambda world, right=peer.outputs: [f for f in right(world) if f[4:8] != b'boun']",
            "lacks boun",
        ),
        (
            "World._add_hdri_skybox = lambda self, right=World._add_hdri_skybox, **values:"
            " right(self, **values | {'sun_intensity': 0.1})",
            "does not set the sun's intensity",
        ),
        (other_depth("depth[::-1]"), "the depth is"),
        (other_depth("depth[:, ::-1]"), "the depth is"),
        (other_depth("1.1 * depth"), "the depth is"),
        (other_depth("0.9 * depth"), "the depth is"),
        (other_depth(f"{RAYS} * depth"), "the depth is"),
    ],
)
def test_a_build_that_does_otherwise_is_found_out(peer_build, tmp_path: Path, change: str, said: str) -> None:
    """The peer with one thing changed stands for a Unity that has other conventions."""
    spoilt = tmp_path / "spoilt.py"
    spoilt.write_text(
        "import sys\n"
        "import numpy as np\n"
        "from task2sim_threedworld.testing import messages, peer\n"
        "from task2sim_threedworld.testing.world import World\n"
        f"{change}\n"
        "from task2sim_threedworld.testing.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    build = peer_build()
    build.write_text(build.read_text().replace("-m task2sim_threedworld.testing", str(spoilt)))
    finding = doctor.conventions(Patient(build))
    assert finding.ok is False
    assert said in finding.text


class FakeSimulator:
    """Renders what a test wants to see."""

    batch: ClassVar[Any] = None
    parameter_space = SimpleNamespace(everything_varied=lambda: None)
    Config = SimpleNamespace

    def __init__(self, config: object) -> None:
        pass

    def __enter__(self) -> FakeSimulator:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def render(self, *_: object) -> list[Any]:
        if isinstance(self.batch, Exception):
            raise self.batch
        return [self.batch]


NOISE = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)


@INSTALLED
@pytest.mark.parametrize(
    ("rgb", "mask", "file", "said"),
    [
        (NOISE * 0, 1, None, "it is one colour"),
        (NOISE, 0, None, "no object shows"),
        (NOISE, 1, "nowhere/first.png", "first.png can't be written: No such file or directory"),
        (NOISE, 1, "first.nonsense", "first.nonsense can't be written"),
        (NOISE, 1, "first.png", ""),
    ],
)
def test_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rgb: np.ndarray, mask: int, file: str | None, said: str
) -> None:
    monkeypatch.setattr("task2sim_threedworld.simulator.ThreeDWorld", FakeSimulator)
    monkeypatch.setattr(FakeSimulator, "batch", SimpleNamespace(rgb=rgb, instance_mask=np.full((1, 8, 8), mask)))
    finding = doctor.image(Patient(tmp_path / "none", image=tmp_path / file if file else None))
    assert finding.ok is (not said)
    assert said in finding.text
    assert bool(finding.mend) is bool(said)


@INSTALLED
def test_a_simulator_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("task2sim_threedworld.simulator.ThreeDWorld", FakeSimulator)
    monkeypatch.setattr(FakeSimulator, "batch", PluginError("the build was lost", mend="look at its log"))
    assert doctor.image(Patient(tmp_path / "none")) == Finding(
        "image", False, "the build was lost", "look at its log"
    )


def test_without_pyzmq_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "24.0")
    both = (doctor.pyzmq_package, doctor.tdw_import)
    monkeypatch.setattr(
        doctor,
        "CHECKS",
        tuple((check, [n for n in needed if n == "pyzmq"]) for check, needed in CHECKS if check in both),
    )
    assert [str(finding) for finding in examine(Patient())][1] == "skip  import: needs pyzmq"


def test_a_check_that_breaks_hides_none_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(patient: Patient) -> Finding:
        raise KeyError("unforeseen")

    monkeypatch.setattr(doctor, "CHECKS", ((breaks, ()), (doctor.free_port, ()), (doctor.image, ("breaks",))))
    first, second, third = examine(Patient())
    assert (first.name, first.ok, first.text) == ("breaks", False, "KeyError: 'unforeseen'")
    assert second.ok
    assert third.ok is None


def test_what_failed_makes_others_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, fails := lambda patient: Finding("first", False, "no", "do"), "first")
    monkeypatch.setattr(doctor, "CHECKS", ((fails, ()), (doctor.start, ("first",)), (doctor.image, ("start",))))
    assert [(f.name, f.ok) for f in examine(Patient())] == [("first", False), ("start", None), ("image", None)]


def test_the_peer_command_writes_a_build_and_never_over_something(tmp_path: Path) -> None:
    said = task2sim("threedworld", "peer", str(tmp_path / "peer"))
    assert said.returncode == 0
    assert said.stdout.splitlines()[1] == f"simulator: {{type: threedworld, build: {tmp_path / 'peer'}}}"
    again = task2sim("threedworld", "peer", str(tmp_path / "peer"))
    assert again.returncode == 2
    assert "there is something already" in again.stderr
    nowhere = task2sim("threedworld", "peer", str(tmp_path / "a" / "b"))
    assert nowhere.returncode == 2
    assert "Traceback" not in nowhere.stderr
