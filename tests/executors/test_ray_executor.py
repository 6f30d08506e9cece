"""On a real cluster of several worker processes, in a session of its own, with another home folder."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from task2sim import ConfigError, PluginError, Progress, StoreError, TaskError, registry, report_progress
from task2sim.config import load_study
from task2sim.generate import generate_dataset, parse_exporter
from task2sim.progress import progress_of
from task2sim.store import Store
from task2sim.study import run_study
from task2sim_executors import ray as ray_executor
from task2sim_executors.ray import RayExecutor

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

HERE = Path(__file__).parent
# The first is where this module is found under the name that pytest gives it.
PATHS = [str(HERE.parent / name) for name in ("..", "", "core", "toy_simulator")]
PLUGINS = (
    "tasks:toy=toys:Tasks,embedders:toy=toys:Embedder,simulators:stripes=toy_stripes:Stripes,trainers:toy=toys:Train"
)
PLUGINS += ",evaluators:toy=toys:Evaluate"
RAY = Path(sys.executable).parent / "ray"

STUDY = {
    "name": "tiny",
    "tasks": {"sources": ["toy"], "seen": ["apples", "birds"], "unseen": ["cars"]},
    "embedder": "toy",
    "policy": "random",
    "simulator": {"type": "stripes", "size": 8},
    "trainer": {
        "type": "resnet",
        "depths": [1, 1],
        "widths": [8, 16],
        "image_size": 16,
        "epochs": 1,
        "device": "cpu",
    },
    "evaluator": {"type": "knn", "neighbours": 1},
    "observers": [],
    "images": 24,
    "pretrainings": 2,
    "comparison": {"seeds": 1, "random": 0},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of two processors as a user starts it, whose workers have a home folder of their own."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "home").mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if os.environ.get('TASK2SIM_TEST_WITHOUT'):\n"
        "    sys.modules[os.environ['TASK2SIM_TEST_WITHOUT']] = None\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("RAY_"):
                patch.delenv(name)
        patch.setenv("TASK2SIM_PLUGINS", PLUGINS)
        patch.setenv("PYTHONPATH", os.pathsep.join([*PATHS, str(folder)]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # The cluster of a test is for this machine alone.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        for path in PATHS[2:]:
            patch.syspath_prepend(path)
        registry.installed_plugins.cache_clear()
        ray_executor._versions.cache_clear()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [RAY, "start", "--head", f"--port={port}", "--num-cpus=2", f"--object-store-memory={80 * 2**20}"]
        command += ["--include-dashboard=false", "--disable-usage-stats", "--block", "--node-ip-address=127.0.0.1"]
        # A short path: those of sockets end after 107 characters.
        temporary = Path(f"/tmp/task2sim-test-{os.getpid()}")
        with (
            (folder / "log").open("w+") as log,
            subprocess.Popen(
                [*map(str, command), f"--temp-dir={temporary}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(folder / "home")},
                start_new_session=True,
            ) as head,
        ):
            try:
                deadline = time.monotonic() + 60
                while "runtime started" not in (folder / "log").read_text():
                    assert head.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.1)
                import ray
                from ray._private import ray_constants

                patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)  # as if imported with what is set above
                yield f"127.0.0.1:{port}"
                ray.shutdown()
            finally:
                head.terminate()
                head.wait(30)
                subprocess.run(["rm", "-rf", str(temporary)], check=False)
    registry.installed_plugins.cache_clear()
    ray_executor._versions.cache_clear()


@pytest.fixture(scope="module")
def connected(cluster: str) -> Iterator[RayExecutor]:
    """An executor whose workers are warm."""
    with executor(cluster) as ray:
        list(ray.map(double, range(4)))
        yield ray


def executor(address: str, **keys: Any) -> RayExecutor:
    return RayExecutor(RayExecutor.Config(address=address, **keys))


# --- what workers do ---


def double(item: int) -> int:
    time.sleep(0.05 * (item % 2))
    return 2 * item


def tell(item: int) -> int:
    with progress_of(f"item {item}"):
        for step in range(2000):
            report_progress("tell", step + 1, 2000, "steps")
        time.sleep(0.3)
        report_progress("tell again", 1, 1, "steps")
    return item


def fail(item: int) -> int:
    if item == 1:
        error = TaskError("no such thing", place="there", mend="look elsewhere")
        error.details = "all of it"
        raise error
    if item == 4:
        raise KeyError("four")
    return item


def process(item: int) -> tuple[int, str, str, str]:
    time.sleep(0.2)
    return os.getpid(), str(Path.cwd()), os.environ["OMP_NUM_THREADS"], str(Path.home())


def die_at_first(folder: str) -> int:
    with (Path(folder) / "attempts").open("a") as file:
        file.write("x")
    if (Path(folder) / "attempts").read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def count_or_die(item: tuple[str, int]) -> int:
    folder, number = item
    with (Path(folder) / f"attempts-{number}").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    if number == 1 and (Path(folder) / "attempts-1").read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


# --- tests ---


def test_results_come_in_order_from_other_processes(connected: RayExecutor, tmp_path: Path) -> None:
    assert connected.workers == 2
    assert list(connected.map(double, range(6))) == [0, 2, 4, 6, 8, 10]
    assert list(connected.map(double, [])) == []
    assert list(connected.map(double, iter([5]))) == [10]
    found = set(connected.map(process, range(6)))
    assert os.getpid() not in {pid for pid, *_ in found}
    assert len({pid for pid, *_ in found}) == 2
    # Paths mean the same there, and sums are divided as they are here.
    assert {folder for _, folder, *_ in found} == {str(Path.cwd())}
    processors = len(os.sched_getaffinity(0))
    assert {threads for *_, threads, _ in found} == {os.environ.get("OMP_NUM_THREADS", str(processors))}
    assert {home for *_, home in found} != {str(Path.home())}


def test_progress_is_heard_here(connected: RayExecutor) -> None:
    heard: list[tuple[int, Progress]] = []
    assert list(connected.map(tell, range(3), lambda progress: heard.append((os.getpid(), progress)))) == [0, 1, 2]
    assert {pid for pid, _ in heard} == {os.getpid()}
    last = {(progress.job, progress.stage): progress.done for _, progress in heard}
    assert last == {
        (f"item {n}", stage): done for n in range(3) for stage, done in (("tell", 2000), ("tell again", 1))
    }
    assert len(heard) < 100  # the latest now and then, not all
    heard.clear()
    list(connected.map(tell, [0]))
    list(connected.map(double, range(2), lambda progress: heard.append((0, progress))))
    assert heard == []


def test_errors_come_back_as_they_were_and_work_goes_on(connected: RayExecutor) -> None:
    results = connected.map(fail, range(3))
    assert next(results) == 0
    with pytest.raises(TaskError) as caught:
        next(results)
    assert type(caught.value) is TaskError
    assert str(caught.value) == "there: no such thing; look elsewhere"
    assert caught.value.details == "all of it"
    with pytest.raises(KeyError, match="four") as other:
        list(connected.map(fail, [4]))
    assert "in fail" in str(other.value.__cause__)
    assert list(connected.map(fail, [0, 2])) == [0, 2]


def test_a_map_that_is_abandoned_takes_back_what_has_not_begun(connected: RayExecutor, tmp_path: Path) -> None:
    results = connected.map(count_or_die, [(str(tmp_path), number) for number in (0, 2, 3, 4, 5, 6, 7, 8)])
    assert next(results) == 0
    results.close()
    assert list(connected.map(double, [1, 2])) == [2, 4]
    time.sleep(0.5)
    assert len(list(tmp_path.glob("attempts-*"))) < 7


def test_a_killed_worker_costs_one_attempt(connected: RayExecutor, tmp_path: Path) -> None:
    assert list(connected.map(count_or_die, [(str(tmp_path), number) for number in range(4)])) == [0, 1, 2, 3]
    attempts = {number: len((tmp_path / f"attempts-{number}").read_text()) for number in range(4)}
    assert attempts == {0: 1, 1: 2, 2: 1, 3: 1}


def test_workers_that_keep_dying_are_said_so(cluster: str, connected: RayExecutor) -> None:
    with pytest.raises(
        PluginError, match="a worker of the cluster died 3 times, each time at the same piece of work"
    ):
        list(connected.map(die, [0]))
    with executor(cluster, retries=0) as strict, pytest.raises(PluginError, match="a worker of the cluster died; if"):
        list(strict.map(die, [0]))


def test_more_than_any_machine_has_is_refused(cluster: str, connected: RayExecutor) -> None:
    with (
        executor(cluster, gpus=1, stages={"render": {"gpus": 0}}) as greedy,
        pytest.raises(ConfigError, match="no machine of the cluster has 1 processor cores and 1 GPUs") as caught,
    ):
        list(greedy.map(double, [1]))
    assert "the largest has 2 and 0" in caught.value.mend
    with executor(cluster, gpus=1, stages={"render": {"gpus": 0}}) as greedy:
        assert greedy.workers == 2  # shards need no GPU
    with executor(cluster, cpus=2) as wide:
        assert wide.workers == 1


@pytest.mark.parametrize(
    "wrong", [{"address": "ray://here:10001"}, {"cpus": 0}, {"gpus": 1.5}, {"stages": {"score": {}}}, {"retries": -1}]
)
def test_wrong_keys_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RayExecutor.Config(**wrong)


def test_other_versions_are_refused(connected: RayExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {**ray_executor._versions(), "task2sim": "0.1", "numpy": "1.0"}
    monkeypatch.setattr(ray_executor, "_versions", lambda: versions)
    with pytest.raises(PluginError, match=r"the worker on \S+ has task2sim \S+, the study 0\.1; install the same"):
        list(connected.map(double, [1]))


def test_workers_without_what_is_needed_are_said_so(
    cluster: str, connected: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASK2SIM_TEST_WITHOUT", "task2sim_executors")
    with (
        executor(cluster) as bare,
        pytest.raises(PluginError, match="the cluster's workers can't import task2sim's executors; install"),
    ):
        list(bare.map(double, [1]))
    monkeypatch.setenv("TASK2SIM_TEST_WITHOUT", double.__module__)
    with executor(cluster) as bare, pytest.raises(PluginError, match="can't read its work: ModuleNotFoundError"):
        list(bare.map(double, [1]))


# --- studies ---


def study(folder: Path, name: str, store: Store, **keys: Any) -> Any:
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**STUDY, **keys}))
    return run_study(load_study(str(folder / f"{name}.yaml")), folder / f"runs-{name}", store)


def contents(run: Any) -> dict[str, Any]:
    """Scores, and the bytes of all weights."""
    rows = run.results.query(
        "SELECT phase, setting, replicate, task, split, value FROM scores ORDER BY 1, 2, 3, 4, 5"
    )
    weights = sorted((run.folder / "backbones").glob("*/model.safetensors"))
    return {
        "scores": [tuple(row) for row in rows],
        "weights": {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weights},
        "embeddings": [
            bytes(row["vector"]) for row in run.results.query("SELECT vector FROM embeddings ORDER BY task")
        ],
    }


def test_a_study_gives_the_same_bits_as_here_through_a_store_of_all_machines(
    cluster: str, connected: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # workers have another
    url = (tmp_path / "shared").as_uri()
    there = study(tmp_path, "ray", Store(url), executor={"type": "ray", "address": cluster, "cpus": 2})
    here = study(tmp_path, "local", Store(tmp_path / "store"), executor={"type": "local", "workers": 1})
    assert contents(there) == contents(here)
    assert len(contents(there)["weights"]) == 3
    # A second time, on a machine that has nothing yet, everything comes from there.
    monkeypatch.setenv("HOME", str(tmp_path / "another"))
    before = sorted(path for path in (tmp_path / "shared").rglob("*"))
    again = study(tmp_path, "again", Store(url), executor={"type": "local", "workers": 1})
    assert contents(again) == contents(here)
    assert sorted(path for path in (tmp_path / "shared").rglob("*")) == before


def test_shards_of_a_dataset_are_the_same_wherever_they_are_rendered(
    cluster: str, connected: RayExecutor, tmp_path: Path
) -> None:
    exported = {}
    for name, keys in {"local": {"type": "local", "workers": 1}, "ray": {"type": "ray", "address": cluster}}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**STUDY, "executor": keys}))
        out = tmp_path / name
        exporter = parse_exporter("image-folder")
        generate_dataset(
            load_study(str(tmp_path / f"{name}.yaml")),
            "colour=1,noise=0.25",
            600,
            0,
            exporter,
            out,
            Store(tmp_path / f"s-{name}"),
        )
        exported[name] = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.png")}
    assert exported["ray"] == exported["local"]
    assert len(exported["ray"]) == 600


def test_a_store_that_workers_do_not_have_is_said_so(
    cluster: str, connected: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    # As on another machine: the same path, another disk.
    monkeypatch.setattr(Store, "address", property(lambda self: str(tmp_path / "other")))
    with pytest.raises(StoreError, match="the store has no images of task 'apples'; if this is a worker on another"):
        study(
            tmp_path,
            "lost",
            store,
            executor={"type": "ray", "address": cluster},
            embedder={"type": "toy", "probe": False},
        )


# --- what a user sees ---


def run_script(folder: Path, text: str, **environment: str) -> subprocess.Popen[str]:
    (folder / "work.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, str(folder / "work.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("stop", ["INT", "KILL"])
def test_work_ends_with_the_study(cluster: str, tmp_path: Path, stop: str) -> None:
    script = (
        "import os, pathlib, time\n"
        "from task2sim_executors.ray import RayExecutor\n"
        "def work(item):\n"
        "    print('noise'); os.system('echo noise >&2')\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'pid-{{os.getpid()}}').touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        f"    with RayExecutor(RayExecutor.Config(address={cluster!r})) as ray:\n"
        "        list(ray.map(work, range(4)))\n"
    )
    with run_script(tmp_path, script) as driver:
        deadline = time.monotonic() + 40
        while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < deadline and driver.poll() is None:
            time.sleep(0.05)
        driver.send_signal(getattr(signal, f"SIG{stop}"))
        out, errors = driver.communicate(timeout=20)
    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert len(pids) == 2, errors
    deadline = time.monotonic() + 15
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)
    assert len(list(tmp_path.glob("pid-*"))) == 2  # what had not begun never did
    assert out == ""
    if stop == "INT":
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert "noise" not in errors
        assert "ray::" not in errors


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


OWN_CLUSTER = """
import os, re, subprocess
from task2sim import PluginError
from task2sim_executors.ray import RayExecutor

def die(item):
    print('noise')
    os.kill(os.getpid(), 9)

def lines(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()

if __name__ == '__main__':
    with RayExecutor(RayExecutor.Config(address='local', retries=0)) as ray:
        try:
            list(ray.map(die, [0, 1]))
        except PluginError as error:
            print(error.message)
        parents = dict(map(int, line.split()) for line in lines('ps', '-eo', 'pid=,ppid='))
        def ours(pid):
            while pid in parents and pid != os.getpid():
                pid = parents[pid]
            return pid == os.getpid()
        for line in lines('ss', '-Hltnp'):
            if any(ours(int(pid)) for pid in re.findall(r'pid=(\\d+)', line)):
                print('listens', line.split()[3].rpartition(':')[0])
        print('processes', *(pid for pid in parents if ours(pid) and pid != os.getpid()))
"""


def test_a_cluster_of_its_own_is_quiet_closed_to_others_and_ends(tmp_path: Path) -> None:
    if shutil.which("ss") is None:
        pytest.skip("ss, which lists what listens, is not installed")
    with run_script(tmp_path, OWN_CLUSTER) as driver:
        out, errors = driver.communicate(timeout=60)
    assert driver.returncode == 0, errors
    assert errors == ""
    lines = out.splitlines()
    assert lines[0] == "a worker of the cluster died"
    listening = {line.removeprefix("listens ") for line in lines if line.startswith("listens ")}
    assert listening <= {"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"}
    assert listening
    pids = [int(pid) for line in lines if line.startswith("processes ") for pid in line.split()[1:]]
    assert len(pids) > 3
    deadline = time.monotonic() + 15
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if _alive(pid)]


@pytest.mark.parametrize(
    ("address", "environment", "message"),
    [
        ("auto", {}, "executor.address: found no Ray cluster; start one with `ray start --head`"),
        ("127.0.0.1:9", {}, "executor.address: there is no Ray cluster at 127.0.0.1:9: Connection refused"),
        ("auto", {"RAY_ADDRESS": "127.0.0.1:9"}, "RAY_ADDRESS: there is no Ray cluster at 127.0.0.1:9"),
        ("auto", {"RAY_ADDRESS": "ray://h:1"}, "RAY_ADDRESS: this is an address of Ray's client"),
    ],
)
def test_a_cluster_that_is_not_there_is_said_so(
    address: str, environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    script = (
        "import ray._private.services as services\n"
        "import functools; services.find_gcs_addresses = functools.cache(set)\n"  # those of other tests
        "from task2sim import PluginError\n"
        "from task2sim_executors.ray import RayExecutor\n"
        "try:\n"
        f"    RayExecutor(RayExecutor.Config(address={address!r})).workers\n"
        "except PluginError as error:\n"
        "    print(error)\n"
    )
    with run_script(tmp_path, script, RAY_TMPDIR=str(tmp_path), **environment) as driver:
        out, errors = driver.communicate(timeout=60)
    assert out.startswith(message), errors


def test_importing_the_module_does_not_import_ray() -> None:
    script = (
        "import task2sim, sys, time; start = time.process_time(); import task2sim_executors.ray;"
        " print(time.process_time() - start, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, imported = done.stdout.split()
    assert imported == "False"
    assert float(seconds) < 0.05


# --- the conformance kit ---


def test_it_keeps_the_promises_of_executors(cluster: str, connected: RayExecutor) -> None:
    from task2sim.conformance import check_component

    report = check_component("executors", "ray", config={"address": cluster}, quick=True)
    assert [(outcome.check.name, outcome.reason) for outcome in report.failures] == []
