from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMMANDS = ["run", "validate", "explain", "diff", "plugins", "schema", "generate", "embed", "predict", "report"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(task2sim, command: str) -> None:
    done = task2sim(command, "--help")
    assert done.returncode == 0
    assert "Example: task2sim " in done.stdout


def test_help_is_fast_and_imports_nothing_heavy(task2sim) -> None:
    code = (
        "import sys, runpy; sys.argv = ['task2sim', '--help']\n"
        "try: runpy.run_module('task2sim', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'warp', 'transformers', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    # Of processor time: how long it takes here depends on what else runs; `benchmarks/plugins.py` tells that.
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    task2sim("--help")
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime < 1.0


def test_a_study_from_the_command_line(task2sim, study: Path, tmp_path: Path) -> None:
    done = task2sim("run", study)
    assert done.returncode == 0, done.stderr
    assert "policy" in done.stdout
    assert "mean unseen" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"run folder: {Path('runs') / folder.name}" in done.stdout
    again = task2sim("run", study)
    assert again.stdout == done.stdout  # the same lines, taken from the store


def test_validate_looks_at_everything_and_renders_nothing(task2sim, study: Path, tmp_path: Path) -> None:
    done = task2sim("validate", study)
    assert done.returncode == 0
    assert "seen    apples: 2 classes, 12 train, 6 validation and 6 test images" in done.stdout
    assert "unseen  cars" in done.stdout
    assert "toy: 3 categories; parameters: object_rotation" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "error: nowhere.yaml: there is no such study file; give a .yaml file or one of"),
        (
            ["run", "study.yaml", "--set", "simulatr=x"],
            "error: --set simulatr=x: simulatr: unknown key; did you",
        ),
        (
            ["run", "study.yaml", "--set", "simulator.fault=raise"],
            "raised RuntimeError: the lens is broken; report it",
        ),
        (["validate", "study.yaml", "--set", "tasks.unseen=[crs]"], "there is no task 'crs'; did you mean 'cars'?"),
        (["predict", "nowhere", "photos"], "error: nowhere: this is no run folder: config.resolved.yaml is missing"),
        (["report", "nowhere"], "error: nowhere: this is no run folder"),
        (["generate", "out", "--exporter", "zip"], "error: --exporter: there is no exporter 'zip'"),
        (["generate", "out", "--exporter", "{"], "error: --exporter: the exporter is not YAML"),
        (["generate", "out", "--study", "study.yaml", "--setting", "x"], "error: --setting: can't read 'x'"),
        (
            ["generate", "out", "--study", "study.yaml", "--setting", "fog=1"],
            "error: --setting: unknown parameter",
        ),
        (
            ["generate", "out", "--study", "study.yaml", "--images", str(10**15)],
            "images of 4 x 4 pixels need 56000000.0 GB,",
        ),
        (
            ["generate", "study.yaml", "--study", "study.yaml"],
            "study.yaml: can't write here: File exists; name a new or empty folder",
        ),
        (
            ["generate", "study.yaml/out", "--study", "study.yaml"],
            "study.yaml/out: can't write here: Not a directory; name a new or empty folder",
        ),
        (["embed", "study.yaml", "--out", "x.txt"], "error: x.txt: vectors are written as .npz"),
        (["run", "study.yaml", "--store", "study.yaml/store"], "can't write here"),
        (["run", "study.yaml", "--runs", "study.yaml/runs"], "can't write here"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(task2sim, study: Path, arguments: list[str], message: str) -> None:
    done = task2sim(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) <= 2


def test_a_plugin_that_raises_leaves_its_traceback_in_a_file(task2sim, study: Path) -> None:
    done = task2sim("run", study, "--set", "simulator.fault=raise")
    error, where = done.stderr.splitlines()
    assert "toys.py:" in error
    log = Path(where.removeprefix("the traceback is in "))
    assert "RuntimeError: the lens is broken" in log.read_text()
    log.unlink()


def test_plugins_as_a_table_and_as_json(task2sim) -> None:
    assert "domain-randomisation" in task2sim("plugins").stdout
    rows = json.loads(task2sim("plugins", "--json", "--load").stdout)
    states = {(row["kind"], row["name"]): row["state"] for row in rows}
    assert states["simulators", "toy"] == "ok"
    assert {state for (kind, name), state in states.items()} == {"ok"}


def test_plugins_say_what_is_wrong_with_them(task2sim) -> None:
    rows = json.loads(task2sim("plugins", "--json", "--load", TASK2SIM_PLUGINS="simulators:bad=nowhere:Sim").stdout)
    (bad,) = [row for row in rows if row["name"] == "bad"]
    assert "ModuleNotFoundError" in bad["state"]


def test_the_schema_knows_the_plugins(task2sim) -> None:
    schema = json.loads(task2sim("schema").stdout)
    assert "toy" in schema["properties"]["simulator"]["anyOf"][0]["enum"]


def test_explain_and_diff_from_the_command_line(task2sim, study: Path, tmp_path: Path) -> None:
    assert task2sim("run", study).returncode == 0
    (folder,) = (tmp_path / "runs").iterdir()
    done = task2sim("explain", study, "--set", "simulator.resolution=5")
    assert done.returncode == 0, done.stderr
    assert "    simulator.resolution: 4 -> 5\n" in done.stdout
    assert json.loads(task2sim("explain", study, "--json").stdout)["amounts"]["renders"]["to_do"] == 0
    other = task2sim("run", study, "--set", "simulator.resolution=5", "--set", "executor.workers=2")
    assert other.returncode == 0, other.stderr
    (second,) = [path for path in (tmp_path / "runs").iterdir() if path != folder]
    done = task2sim("diff", folder, second)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "simulator.resolution 4 5 datasets" in lines
    assert "executor.workers 1 2 nothing (not in any key)" in lines
    assert any(line.startswith("policy mean unseen ") for line in lines)
    keys = json.loads(task2sim("diff", folder, study, "--json").stdout)["keys"]
    assert keys == []
    nothing = task2sim("diff", tmp_path, study)
    assert nothing.returncode == 2
    assert "this is no run folder: config.resolved.yaml is missing" in nothing.stderr


def test_generate_writes_images_and_goes_on(task2sim, study: Path, tmp_path: Path) -> None:
    command = ["generate", "out", "--study", study, "--setting", "background=1", "--images", "9", "--seed", "4"]
    done = task2sim(*command)
    assert done.returncode == 0, done.stderr
    assert "9 images of 3 categories (background) in out" in done.stdout
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 9
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*/*.png")}
    task2sim(*command)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").glob("*/*.png")}
    other = task2sim("generate", "out", "--study", study, "--setting", "default", "--images", "9")
    assert other.returncode == 2  # the folder holds another dataset
    assert "Traceback" not in other.stderr


def test_generate_renders_with_the_studys_workers(task2sim, study: Path, tmp_path: Path) -> None:
    datasets = []
    for workers in ("1", "2"):
        log, store = tmp_path / f"log{workers}", tmp_path / f"store{workers}"
        arguments = ["generate", f"out{workers}", "--study", study, "--images", "300"]
        arguments += ["--store", store, "--set", f"executor.workers={workers}"]
        done = task2sim(*arguments, TOY_LIFE_LOG=str(log))
        assert done.returncode == 0, done.stderr
        lines = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
        opened, closed = ({rest for word, rest in lines if word == wanted} for wanted in ("open", "close"))
        assert opened <= closed  # no simulator outlives the command
        own = lines[0][1].split()[0]  # where the study's simulator was asked for its parameters
        assert (own in {rest.split()[0] for rest in opened}) == (workers == "1")
        (folder,) = (store / "datasets").iterdir()
        datasets.append([(folder / name).read_bytes() for name in ("images.npy", "labels.npy")])
        assert len(list((tmp_path / f"out{workers}").glob("*/*.png"))) == 300
    assert datasets[0] == datasets[1]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder in which not even root can write")
def test_generate_notices_a_folder_that_can_t_be_written_before_it_renders(
    task2sim, study: Path, tmp_path: Path
) -> None:
    done = task2sim("generate", "/proc", "--study", study, TOY_LOG=str(tmp_path / "log"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: /proc")
    assert done.stderr.endswith("; name a new or empty folder that can be written\n")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("images", ["0", "-3", "many"])
def test_generate_wants_a_number_of_images(task2sim, study: Path, tmp_path: Path, images: str) -> None:
    done = task2sim("generate", "out", "--study", study, "--images", images)
    assert done.returncode == 2
    assert "Error: Invalid value for '--images': " in done.stderr
    assert not (tmp_path / "out").exists()


def test_embed_prints_distances_and_writes_vectors(task2sim, study: Path, tmp_path: Path) -> None:
    done = task2sim("embed", study, "--out", "vectors.npz")
    assert done.returncode == 0, done.stderr
    assert "0.000" in done.stdout
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as vectors:
        assert sorted(vectors) == ["apples", "birds", "cars"]
        assert vectors["cars"].dtype == np.float32


def test_predict_asks_a_finished_run(task2sim, study: Path, tmp_path: Path) -> None:
    from PIL import Image

    assert task2sim("run", study).returncode == 0
    (folder,) = (tmp_path / "runs").iterdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (9, 7), (20 * i, 9, 9)).save(tmp_path / "photos" / name / f"{i}.png")
    done = task2sim("predict", folder, "photos", "--json")
    assert done.returncode == 0, done.stderr
    prediction = json.loads(done.stdout)
    assert set(prediction["setting"]) == set(prediction["probabilities"])
    assert set(prediction["nearest"]) == {"apples", "birds", "cars"}
    text = task2sim("predict", folder, "photos").stdout
    assert "task2sim generate OUT --study" in text
    assert "(probability 0.75)" in text or "(probability 0.25)" in text
    unfinished = task2sim("embed", study, "--set", "name=half")
    assert unfinished.returncode == 0
    (half,) = (tmp_path / "runs").glob("half-*")
    done = task2sim("predict", half, "photos")
    assert done.returncode == 2
    assert "this run has no policy yet; let task2sim run finish it" in done.stderr


def test_interrupting_is_clean_and_loses_nothing(study: Path, tmp_path: Path) -> None:
    study.write_text(study.read_text().replace("trainer: toy", "trainer: {type: toy, sleep: 0.3}"))
    command = [sys.executable, "-m", "task2sim", "run", str(study), "--store", str(tmp_path / "store")]
    command += ["--set", "executor.workers=2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:  # type: ignore[union-attr]
        if line.startswith("search"):
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "stopped; the same command goes on from here\n"
