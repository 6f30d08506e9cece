"""Finding and starting builds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from task2sim import ConfigError
from task2sim_threedworld.launcher import build_fingerprint, check_build, default_build, launch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the builds here are scripts")


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


def test_a_build_is_awaited_where_tdw_puts_it() -> None:
    pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")
    from tdw.backend.paths import BUILD_PATH

    assert default_build() == BUILD_PATH


@pytest.mark.parametrize(
    "call", [check_build, build_fingerprint, lambda path: launch(path, 1, path.with_name("log"))]
)
def test_a_build_that_is_not_there_or_not_executable_is_said_with_the_mend(call, tmp_path: Path) -> None:
    path = tmp_path / "TDW.x86_64"
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"there is no ThreeDWorld build at .*x86_64; download .*tdw/releases"):
            call(path)
        path.mkdir(exist_ok=True)  # its folder is no build either
    path.rmdir()
    path.write_text("")
    with pytest.raises(ConfigError, match=r"x86_64 is not executable; chmod \+x /"):
        call(path)


def test_the_fingerprint_tells_builds_apart(tmp_path: Path) -> None:
    first = script(tmp_path / "TDW.x86_64", "pass")
    seen = {build_fingerprint(first)}
    assert build_fingerprint(first) in seen
    script(first, "pass # another")
    seen.add(build_fingerprint(first))
    settings = tmp_path / "TDW_Data" / "globalgamemanagers"
    settings.parent.mkdir()
    for content in (b"1.13.0", b"1.13.1"):
        settings.write_bytes(content)
        seen.add(build_fingerprint(first))
    assert len(seen) == 4
    (tmp_path / "log").write_text("nothing to do with it")
    assert build_fingerprint(first) in seen


def test_the_build_gets_its_flags_and_the_users_environment_and_the_log_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    (tmp_path / "subprocess.py").write_text("raise SystemExit('the keeper took what is not its own')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "with a space"
    folder.mkdir()
    body = (
        "import json, os, sys\n"
        "said = [sys.argv, os.environ['DISPLAY'], os.environ['PYTHONPATH'], sys.stdin.read()]\n"
        "print(json.dumps(said), flush=True)\n"
        "print('alas', file=sys.stderr)\nsys.exit(9)\n"
    )
    build, log = script(folder / "TDW.x86_64", body), tmp_path / "build.log"
    log.write_text("before\n")
    with launch(build, 1234, log) as keeper:
        assert keeper.wait(20) == 9
    before, said, alas = log.read_text().splitlines()
    arguments = [str(build), "-port", "1234", "-address", "127.0.0.1", "-logFile", "-"]
    assert (before, json.loads(said), alas) == ("before", [arguments, ":7", str(tmp_path), ""], "alas")


def test_a_build_named_from_here_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "TDW.x86_64", "import sys; print(sys.argv[0])")
    monkeypatch.chdir(tmp_path)
    with launch(Path("TDW.x86_64"), 1234, Path("log")) as keeper:
        assert keeper.wait(20) == 0
    assert Path("log").read_text() == f"{(tmp_path / 'TDW.x86_64').resolve()}\n"


def test_a_file_that_is_no_program_is_said_in_the_log(tmp_path: Path) -> None:
    build, log = tmp_path / "TDW.x86_64", tmp_path / "log"
    build.write_bytes(b"\x7fnothing")
    build.chmod(0o755)
    with launch(build, 1234, log) as keeper:
        assert keeper.wait(20) == 127
    assert "Exec format error" in log.read_text()


def test_closing_the_keepers_input_ends_the_build(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    build = script(tmp_path / "TDW.x86_64", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    log = tmp_path / "log"
    with launch(build, 1234, log) as keeper:
        while not log.read_text().endswith("\n"):
            assert keeper.poll() is None
        process = psutil.Process(int(log.read_text()))
        assert keeper.stdin is not None
        keeper.stdin.close()
        psutil.wait_procs([process], timeout=5)
        assert not process.is_running()
