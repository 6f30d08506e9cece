"""The keeper: a build lives as long as somebody needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from task2sim_threedworld import keeper

psutil = pytest.importorskip("psutil", reason="it comes with ThreeDWorld")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")

FAMILY = """
import os, signal, subprocess, sys, time
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def keep(*command: str, **options: object) -> subprocess.Popen[bytes]:
    """Start a keeper as the launcher does."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, "--", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def family(stubborn: bool = False) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A keeper, and the build and the child of the build that it keeps."""
    process = keep(sys.executable, "-c", FAMILY.format(stubborn=stubborn))
    assert process.stdout is not None
    return process, [psutil.Process(int(word)) for word in process.stdout.readline().split()]


def assert_gone(processes: list[psutil.Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    while alive := [process for process in processes if is_alive(process)]:
        assert time.monotonic() < end, alive
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """A zombie, whom nobody asks how it ended, is not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("code", [0, 3, 255])
def test_it_exits_as_the_command_does(code: int) -> None:
    with keep(sys.executable, "-c", f"import sys; print(sys.argv[1]); sys.exit({code})", "-port") as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"-port\n"
        assert process.wait(10) == code


def test_a_signal_that_ended_the_command_is_told_as_a_shell_does() -> None:
    with keep(sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") as process:
        assert process.wait(10) == 128 + signal.SIGSEGV


def test_a_command_that_can_not_be_run_is_said_in_one_line(tmp_path: Path) -> None:
    with keep(str(tmp_path / "nothing")) as process:
        assert process.stdout is not None
        assert process.stdout.read().decode() == f"{tmp_path / 'nothing'}: No such file or directory\n"
        assert process.wait(10) == 127


def test_the_build_and_its_children_end_when_the_pipe_is_closed() -> None:
    process, kept = family()
    assert process.stdin is not None
    time.sleep(0.2)
    assert all(one.is_running() for one in kept)
    process.stdin.close()
    assert_gone(kept, seconds=1.5)
    assert process.wait(5) == 128 + signal.SIGTERM


def test_a_build_that_does_not_listen_is_killed() -> None:
    process, kept = family(stubborn=True)
    assert process.stdin is not None
    process.stdin.close()
    assert_gone(kept, seconds=keeper.GRACE + 3.0)
    assert process.wait(5) == 128 + signal.SIGKILL


def test_the_build_ends_with_the_process_that_started_it_however_that_ended() -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            f"command = [sys.executable, '-I', '-S', {keeper.__file__!r}, '--', sys.executable, '-c', sys.argv[1]]\n"
            "subprocess.Popen(command, stdin=subprocess.PIPE)\n"
            "time.sleep(60)",
            FAMILY.format(stubborn=False),
        ],
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None
        kept = [psutil.Process(int(word)) for word in owner.stdout.readline().split()]
        owner.send_signal(signal.SIGKILL)
        assert_gone(kept, seconds=5.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_build_ends_with_a_keeper_that_is_told_to_end(number: int) -> None:
    process, kept = family()
    process.send_signal(number)
    assert_gone(kept, seconds=3.0)
    assert process.wait(5) != 0
    process.communicate()


def test_what_a_build_leaves_behind_ends_with_it() -> None:
    orphan = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    )
    with keep(sys.executable, "-c", orphan) as process:
        assert process.stdout is not None
        kept = [psutil.Process(int(process.stdout.readline()))]
        assert process.wait(10) == 0
        assert_gone(kept, seconds=3.0)


def test_it_needs_the_standard_library_alone_and_runs_as_a_module() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = (
        "import sys; before = set(sys.modules); import task2sim_threedworld.keeper; print(set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    loaded = {name.split(".")[0] for name in eval(done.stdout)} - {"task2sim_threedworld"}
    assert loaded <= set(sys.stdlib_module_names)
    module = [sys.executable, "-m", "task2sim_threedworld.keeper", "--", sys.executable, "-c", "raise SystemExit(5)"]
    with subprocess.Popen(module, stdin=subprocess.PIPE, env=environment) as process:
        assert process.wait(10) == 5
