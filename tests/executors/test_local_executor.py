from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from task2sim import PluginError, Progress, TaskError, report_progress
from task2sim.progress import progress_of
from task2sim_executors.local import LocalExecutor


def executor(workers: int | str) -> LocalExecutor:
    return LocalExecutor(LocalExecutor.Config(workers=workers))


def double(item: int) -> int:
    with progress_of(f"item {item}"):
        for step in range(3):
            report_progress("double", step + 1, 3, "steps")
    time.sleep(0.05 * (item % 2))
    return 2 * item


def chatter(item: int) -> int:
    for step in range(20_000):
        report_progress("chatter" * 20, step, 20_000, "words")
    return item


def fail(item: int) -> int:
    if item == 1:
        raise TaskError("no such thing", place="there", mend="look elsewhere")
    return item


def die(item: int) -> int:
    os._exit(9)


def process(item: int) -> int:
    return os.getpid()


def state(item: int) -> list[str]:
    return [name for name in ("torch", "warp") if name in sys.modules]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_progress_is_heard(workers: int) -> None:
    heard: list[Progress] = []
    with executor(workers) as local:
        assert local.workers == workers
        assert list(local.map(double, range(6), heard.append)) == [0, 2, 4, 6, 8, 10]
        assert list(local.map(double, [])) == []
        assert list(local.map(double, [5])) == [10]
    jobs = {progress.job for progress in heard}
    assert jobs <= {f"item {i}" for i in range(6)}
    assert len(jobs) >= 5
    assert all(progress.stage == "double" for progress in heard)


def test_work_is_done_elsewhere_unless_there_is_one_worker() -> None:
    with executor(1) as alone:
        assert list(alone.map(process, [0])) == [os.getpid()]
    with executor(2) as local:
        assert os.getpid() not in set(local.map(process, range(4)))
        assert list(local.map(state, [0])) == [[]]  # spawned afresh, not forked with what is loaded here


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_back_as_they_were(workers: int) -> None:
    with executor(workers) as local:
        results = local.map(fail, range(3))
        assert next(results) == 0
        with pytest.raises(TaskError) as caught:
            next(results)
        assert str(caught.value) == "there: no such thing; look elsewhere"
        assert list(local.map(fail, [0, 2])) == [0, 2]  # and the executor still works


def test_a_worker_that_dies_is_said_so() -> None:
    with executor(2) as local, pytest.raises(PluginError, match="a worker process died; if memory ran out"):
        list(local.map(die, [0]))


def test_closing_twice_and_while_working() -> None:
    local = executor(2)
    results = local.map(time.sleep, [60, 60])
    with pytest.raises(TimeoutError):
        _first(results)
    start = time.monotonic()
    local.close()
    local.close()
    assert time.monotonic() - start < 10


def test_closing_does_not_wait_for_unread_progress() -> None:
    local = executor(2)
    assert list(local.map(chatter, [0, 1], lambda progress: time.sleep(0.01))) == [0, 1]
    start = time.monotonic()
    local.close()
    assert time.monotonic() - start < 10


def test_progress_that_nobody_read_is_not_told_to_the_next() -> None:
    heard: list[Progress] = []
    with executor(2) as local:
        list(local.map(chatter, [0, 1]))
        assert list(local.map(double, [0, 1, 2, 3], heard.append)) == [0, 2, 4, 6]
    assert {progress.stage for progress in heard} <= {"double"}


def _first(results) -> None:
    import signal

    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        next(results)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("stop", ["KILL", "INT"])
def test_workers_end_with_the_study(tmp_path: Path, stop: str) -> None:
    import signal

    script = tmp_path / "work.py"
    script.write_text(
        "import os, pathlib, time\n"
        "from task2sim_executors.local import LocalExecutor\n"
        "def work(item):\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'pid-{{os.getpid()}}').touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    with LocalExecutor(LocalExecutor.Config(workers=2)) as local:\n"
        "        list(local.map(work, [0, 1]))\n"
    )
    with subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True) as study:
        deadline = time.monotonic() + 30
        while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        study.send_signal(getattr(signal, f"SIG{stop}"))
        _, errors = study.communicate(timeout=20)
    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)
    # After kill -9 Python itself tells of the locks that the study could not remove.
    assert stop == "KILL" or "leaked" not in errors


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_workers_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        LocalExecutor.Config(workers=0)
    assert 1 <= executor("auto").workers <= 8
