"""Getting ready to render: in processes of their own, with a folder of compiled kernels of their own."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warp
from filelock import FileLock

SCRIPT = """
import sys
from task2sim import Task2SimError
from task2sim.progress import progress_listener
from task2sim_studio.device import load_kernels, resolve_device

def tell(progress):
    print(progress.stage, progress.done, progress.total, progress.unit, flush=True)

try:
    with progress_listener(tell):
        load_kernels(resolve_device(sys.argv[1]))
except Task2SimError as error:
    print("error:", error)
"""
WHOLE = [f"compile {done} 3 kernel modules" for done in range(4)]


def start(cache: Path, device: str = "cpu", **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, device],
        env={**os.environ, "WARP_CACHE_PATH": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def told(process: subprocess.Popen) -> list[str]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.splitlines()


def kernels(cache: Path) -> list[Path]:
    return sorted(cache.glob("*/wp_task2sim_studio.*"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled kernels; the first process that compiled there was killed."""
    cache = tmp_path_factory.mktemp("kernels")
    with start(cache) as victim:
        while not kernels(cache):
            time.sleep(0.02)
        victim.send_signal(signal.SIGKILL)
    (left,) = kernels(cache)  # what it was at
    os.utime(left, (0, 0))
    processes = [start(cache) for _ in range(2)]
    assert [told(process) for process in processes] == [WHOLE, WHOLE]
    return cache


def test_a_killed_compile_leaves_no_lock_and_no_rubbish(compiled: Path) -> None:
    assert len(kernels(compiled)) == 3
    assert len(list(compiled.glob("*/*/*.o"))) == 3


def test_a_folder_in_which_another_process_compiles_is_left_alone(compiled: Path, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(compiled, tmp_path / "kernels"))
    busy = kernels(cache)[0].with_name("wp_task2sim_studio.film_0123456_p1_t2")
    busy.mkdir()
    told(start(cache))
    assert busy.exists()
    os.utime(busy, (0, 0))
    told(start(cache))
    assert not busy.exists()


def test_compiled_kernels_are_loaded_at_once(compiled: Path) -> None:
    with start(compiled) as process:
        assert process.stdout.readline() == WHOLE[0] + "\n"
        begun = time.perf_counter()
        assert told(process) == WHOLE[1:]
        assert time.perf_counter() - begun < 3.0  # compiling takes longer


def test_others_wait_while_one_compiles(compiled: Path) -> None:
    (cache,) = compiled.iterdir()
    with FileLock(cache / "task2sim_studio.lock"):
        process = start(compiled)
        assert process.stdout.readline() == WHOLE[0] + "\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
    assert told(process) == WHOLE[1:]


def heed_permissions() -> None:
    """Make the process that is about to start heed the permissions of files even if it is root's."""
    if os.geteuid() == 0:
        drop, write_anything = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
        if ctypes.CDLL(None).prctl(drop, write_anything, 0, 0, 0) != 0:
            raise OSError


@pytest.mark.skipif(sys.platform != "linux", reason="permissions are taken away as Linux does it")
@pytest.mark.parametrize("lock", ["there", "not there"])
def test_compiled_kernels_can_be_used_where_nothing_can_be_written(compiled: Path, tmp_path: Path, lock: str) -> None:
    cache = Path(shutil.copytree(compiled, tmp_path / "kernels"))
    if lock == "not there":
        next(cache.glob("*/*.lock")).unlink()
    before = sorted(cache.rglob("*"))
    try:
        for path in before:
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert told(start(cache, preexec_fn=heed_permissions)) == WHOLE
        assert sorted(cache.rglob("*")) == before
    finally:
        for path in before:
            path.chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="permissions are taken away as Linux does it")
def test_kernels_that_can_t_be_written_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (error,) = told(start(tmp_path / "file"))
    mend = "name a folder that can be written in the environment variable WARP_CACHE_PATH"
    where = f"{tmp_path}/file/{warp.__version__}"
    assert error == f"error: {where}: the renderer's kernels can't be compiled: Not a directory; {mend}"
    cache = tmp_path / "kernels"
    (cache / warp.__version__).mkdir(parents=True)
    for folder in cache.rglob(""):
        folder.chmod(0o555)
    *_, error = told(start(cache, preexec_fn=heed_permissions))
    assert error.startswith(f"error: {cache}")
    assert error.endswith(f": the renderer's kernels can't be compiled: Permission denied; {mend}")


def test_broken_kernels_are_told_in_one_line(compiled: Path, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(compiled, tmp_path / "kernels"))
    for path in cache.glob("*/*/*.o"):
        os.truncate(path, 5000)
    *_, error = told(start(cache))
    assert error.startswith(f"error: {cache}")
    assert "Warp can't load the renderer's kernels: " in error
    assert error.endswith("; remove this folder, they are then compiled anew")


def test_cuda_that_is_absent_is_told_in_one_line(compiled: Path) -> None:
    process = start(compiled, "cuda")
    output, errors = process.communicate(timeout=120)
    if warp.get_cuda_device_count():
        pytest.skip("there is a GPU")
    assert output == "error: simulator.device: no CUDA device was found; use 'auto' or 'cpu'\n"
    assert errors == ""


def test_too_little_memory_is_known_by_warps_words() -> None:
    from task2sim_studio.device import out_of_memory, resolve_device

    assert resolve_device("cpu") == "cpu"
    with pytest.raises(RuntimeError) as caught:
        warp.empty((2**30, 2**20), dtype=warp.uint8, device="cpu")
    assert out_of_memory(caught.value)
    assert out_of_memory(MemoryError())
    # As warp._src.context raises them for a GPU: CudaDefaultAllocator, CudaMempoolAllocator; verify_cuda_device.
    assert out_of_memory(RuntimeError("Failed to allocate 1073741824 bytes on device 'cuda:0'"))
    assert out_of_memory(RuntimeError("CUDA error 2 detected on device cuda:0: out of memory"))
    assert out_of_memory(
        RuntimeError("Warp CUDA error 2: out of memory (in function wp_cuda_launch_kernel, warp.cu:1)")
    )
    assert not out_of_memory(RuntimeError("CUDA error 700 detected on device cuda:0: an illegal memory access"))
    assert not out_of_memory(RuntimeError("CUDA error 209: no kernel image"))
    assert not out_of_memory(ValueError("Failed to allocate"))
