from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from task2sim import ConfigError, PluginError
from task2sim.progress import progress_listener
from task2sim_training.loop import fit, rate
from task2sim_training.processes import _gpus, count_of, in_processes, this_part
from task2sim_training.surroundings import reproducible

COUNT = 21


def fit_line(folder: Path, learning_rate: float = 0.1) -> None:
    """What each process does: it writes its weights, the examples it saw, and on what it listened."""
    import torch

    number = this_part().number
    inputs = torch.linspace(-1, 1, COUNT)[:, None]
    seen, drawn = [], []

    def measure(network, chosen):
        seen.append(chosen)
        drawn.append(float(torch.rand(())))
        error = network(inputs[chosen]) - (3 * inputs[chosen] + 1)
        return error.square().mean(), error.detach().abs().mean()

    with reproducible(5, threads=1):
        line = torch.nn.Linear(1, 1)
        means = fit(
            line, COUNT, measure, epochs=9, batch_size=7, learning_rate=learning_rate, weight_decay=0.0, stage="draw"
        )
    weights = [float(line.weight.detach()), float(line.bias.detach())]
    listening = [entry.laddr.ip for entry in psutil.Process().net_connections() if entry.status == psutil.CONN_LISTEN]
    np.savez(
        folder / f"{number}.npz",
        weights=weights,
        means=means,
        drawn=drawn,
        seen=np.concatenate(seen),
        sizes=[len(batch) for batch in seen],
        listening=listening,
        interface=[os.environ[f"{library}_SOCKET_IFNAME"] for library in ("GLOO", "NCCL")],
    )


def one_fails(folder: Path) -> None:
    if this_part().number == 1:
        raise ValueError("the second one fails")
    fit_line(folder)


def one_dies(folder: Path) -> None:
    if this_part().number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    fit_line(folder)


def all_wait(folder: Path) -> None:
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(600)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    told = []
    with progress_listener(told.append):
        in_processes(fit_line, (folder,), 2, "cpu")
    return [dict(np.load(folder / f"{number}.npz")) for number in range(2)], told


def test_each_batch_is_divided_and_every_example_seen_once_an_epoch(parts):
    (first, second), _ = parts
    assert first["sizes"].tolist() == [4] * 27
    assert second["sizes"].tolist() == [3] * 27
    for epoch in range(9):
        seen = [*first["seen"][12 * epoch : 12 * epoch + 12], *second["seen"][9 * epoch : 9 * epoch + 9]]
        assert sorted(seen) == list(range(COUNT))


def test_all_end_with_the_weights_that_one_process_would_have(parts):
    """Gradients are averaged by examples: nothing but rounding tells two processes from one."""
    import torch

    (first, second), _ = parts
    assert first["weights"].tolist() == second["weights"].tolist()
    assert first["means"].tolist() == second["means"].tolist()
    inputs = torch.linspace(-1, 1, COUNT)[:, None]
    with reproducible(5, threads=1):
        line = torch.nn.Linear(1, 1)
        order = torch.Generator().manual_seed(5)
        optimiser = torch.optim.AdamW(line.parameters(), lr=0.1, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, 27))
        for _ in range(9):
            losses = []
            for chosen in torch.randperm(COUNT, generator=order).tensor_split(3):
                loss = (line(inputs[chosen]) - (3 * inputs[chosen] + 1)).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                losses.append(float(loss.detach()))
    assert first["weights"] == pytest.approx([float(line.weight.detach()), float(line.bias.detach())], rel=1e-5)
    assert first["means"][0] == pytest.approx(np.mean(losses), rel=1e-5)


def test_what_is_drawn_beside_the_order_differs_from_process_to_process(parts):
    (first, second), _ = parts
    assert not set(first["drawn"]) & set(second["drawn"])


def test_progress_of_the_first_is_passed_on(parts):
    assert [(p.stage, p.done) for p in parts[1]] == [("draw", done) for done in range(10)]


def test_nothing_listens_beyond_this_machine(parts):
    for part in parts[0]:
        assert set(part["listening"].tolist()) <= {"127.0.0.1", "::1"}
        # Where a machine's name means another address, only this keeps the libraries from it.
        assert part["interface"].tolist() == ["lo", "lo"]


def test_an_error_arrives_as_it_was_raised(tmp_path):
    with pytest.raises(ConfigError, match=r"training diverged.*try a lower one than 1e"):
        in_processes(fit_line, (tmp_path, 1e30), 2, "cpu")


def test_an_unexpected_error_arrives_with_its_place_and_ends_the_others(tmp_path):
    with pytest.raises(RuntimeError, match="ValueError: the second one fails") as caught:
        in_processes(one_fails, (tmp_path,), 2, "cpu")
    assert "in one_fails" in "".join(caught.value.__notes__)
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_process_that_dies_is_told_of(tmp_path):
    with pytest.raises(PluginError, match="one of the processes that train together died; if memory ran out"):
        in_processes(one_dies, (tmp_path,), 2, "cpu")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_the_process_that_started_them(tmp_path, how):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from test_processes import all_wait\n"
        "    from task2sim_training.processes import in_processes\n"
        f"    in_processes(all_wait, (Path({str(tmp_path)!r}),), 2, 'cpu')\n"
    )
    (tmp_path / "start.py").write_text(code)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "start.py")], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while len(found := list(tmp_path.glob("*.pid"))) < 2:
            assert time.monotonic() < until
            assert parent.poll() is None
            time.sleep(0.1)
        if how == signal.SIGINT:  # Ctrl-C reaches all
            os.killpg(parent.pid, how)
            said = parent.communicate(timeout=60)[1]
            assert said.count("KeyboardInterrupt") == 1
    finally:
        parent.kill()
        parent.communicate()
    _, alive = psutil.wait_procs([psutil.Process(int(f.stem)) for f in found if psutil.pid_exists(int(f.stem))], 30)
    assert not alive


def test_auto_is_one_for_each_gpu_and_one_without(monkeypatch):
    import torch

    assert count_of(3, "cpu") == 3
    assert count_of("auto", "cpu") == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert count_of("auto", "auto") == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert count_of("auto", "auto") == 4


def test_more_processes_than_gpus_are_refused_before_any_is_started(monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(PluginError, match="processes: 3 processes can't train on 2 GPUs; give one process a GPU"):
        in_processes(fit_line, (tmp_path,), 3, "auto")


def test_each_process_gets_a_gpu_of_those_that_this_one_sees(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert _gpus() == ["5", "7"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _gpus() == ["0", "1"]
