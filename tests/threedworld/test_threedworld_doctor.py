"""The doctor: every line is ok or says the mend, and what can't be looked at is skipped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from task2sim_threedworld import doctor
from task2sim_threedworld.doctor import CHECKS, NAMES, Finding, Patient, examine


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


def test_a_port_that_is_taken() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        finding = doctor.free_port(Patient(port=port))
        assert (finding.ok, finding.name) == (False, "port")
        assert str(port) in finding.text
    assert doctor.free_port(Patient(port=port)).ok


def test_a_bucket_that_can_not_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise doctor.urllib.error.URLError("no route")

    monkeypatch.setattr(doctor.urllib.request, "urlopen", refuse)
    finding = doctor.bucket(Patient(tmp_path / "none"))
    assert finding.ok is False
    assert "no route" in finding.text
    assert "libraries" in finding.mend


def test_a_build_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'Failed to initialize graphics' >&2\nexit 1\n")
    broken.chmod(0o755)
    finding = doctor.start(Patient(broken))
    assert finding.ok is False
    assert "Failed to initialize graphics" in finding.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("_rotate_directional_light_by", "it turns about other axes"),
        ("_scale_object", "another scale or pivot"),
        ("_teleport_object", "does not place the pivot"),
        ("_rotate_object_to", "does not set the rotation"),
    ],
)
def test_a_build_that_does_otherwise_is_found_out(peer_build, tmp_path: Path, name: str, said: str) -> None:
    """The peer with one command that does nothing stands for a Unity that has other conventions."""
    spoilt = tmp_path / "spoilt.py"
    spoilt.write_text(
        "import sys\n"
        "from task2sim_threedworld.testing.world import World\n"
        f"setattr(World, {name!r}, lambda self, **values: None)\n"
        "from task2sim_threedworld.testing.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    build = peer_build()
    build.write_text(build.read_text().replace("-m task2sim_threedworld.testing", str(spoilt)))
    finding = doctor.conventions(Patient(build))
    assert finding.ok is False
    assert said in finding.text


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
