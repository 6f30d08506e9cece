"""Several processes that train one network together, each on a GPU of its own where there are GPUs."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from task2sim import PluginError, Task2SimError, report_progress
from task2sim.interrupts import ignore_interrupts, interrupts_held
from task2sim.progress import Progress, progress_listener

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


@attrs.frozen
class Part:
    """Which of the processes that train together this one is.

    Attributes:
        number: In [0, of).
        of: How many there are; 1 outside `in_processes`.
    """

    number: int = 0
    of: int = 1
    _accelerator: Accelerator | None = None

    def share(self, network: Any) -> Any:
        """The network, made to average its gradients with those of the other processes."""
        return network if self._accelerator is None else self._accelerator.prepare_model(network)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Add up what the processes have."""
        if self._accelerator is None:
            return values
        total: torch.Tensor = self._accelerator.reduce(values, reduction="sum")
        return total


_part = Part()


def this_part() -> Part:
    """Which of the processes that train together this one is."""
    return _part


def count_of(processes: int | Literal["auto"], device: str) -> int:
    """How many processes are meant: with ``"auto"`` one for each GPU that is seen, and one without GPUs."""
    if processes != "auto":
        return processes
    if device == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def in_processes(function: Callable[..., None], arguments: tuple[Any, ...], processes: int, device: str) -> None:
    """Call a function with the same arguments in several new processes, of which each knows its part.

    They find one another through a file and talk over the loopback interface alone. When one fails, or this process
    ends, however it ends, all end. Progress that the first reports is passed on.

    Args:
        function: What to call; it and its arguments can be pickled.
        arguments: What to call it with.
        processes: How many.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        Task2SimError: what the function raised, in whichever process it did first.
        RuntimeError: the same, of other errors.
        PluginError: a process died, or there are fewer GPUs than processes.
    """
    gpus = _gpus() if device != "cpu" else []
    if gpus and len(gpus) < processes:
        raise PluginError(
            f"{processes} processes can't train on {len(gpus)} GPUs",
            place="processes",
            mend="give one process a GPU at most, or choose device: cpu",
        )
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    children: dict[Connection, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number in range(processes):
                ours, theirs = context.Pipe(duplex=False)
                meeting = (Path(folder) / "meeting").as_uri()
                gpu = gpus[number] if gpus else None
                child = context.Process(
                    target=_run, args=(theirs, number, processes, gpu, meeting, function, arguments)
                )
                children[ours] = child
                with interrupts_held():
                    child.start()
                theirs.close()
            working = set(children)
            while working:
                for end in wait(list(working)):
                    assert isinstance(end, Connection)
                    try:
                        told = end.recv()
                    except EOFError:
                        working.remove(end)
                        children[end].join()
                        if children[end].exitcode:
                            raise PluginError(
                                "one of the processes that train together died", mend="if memory ran out, use fewer"
                            ) from None
                        continue
                    if isinstance(told, Progress):
                        report_progress(told.stage, told.done, told.total, told.unit)
                    else:
                        raise told
        finally:
            for end, child in children.items():
                if child.pid is not None:
                    child.kill()
                    child.join()
                end.close()


def _gpus() -> list[str]:
    """Names of the GPUs that this process sees, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def _run(
    parent: Connection,
    number: int,
    processes: int,
    gpu: str | None,
    meeting: str,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    ignore_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _join(number, processes, gpu, meeting)
        with progress_listener(lambda progress: parent.send(progress) if number == 0 else None):
            function(*arguments)
    except Exception as error:
        parent.send(error if isinstance(error, Task2SimError) else _as_told(error))
        threading.Event().wait()  # Until it is ended: else the others' errors about its end could be told first.
    # What libraries do at the end of a process may wait for a process that has ended already.
    parent.close()
    os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _join(number: int, processes: int, gpu: str | None, meeting: str) -> None:
    """Meet the other processes, and make accelerate know of them."""
    global _part
    # Each process sees its own GPU alone, which is its first.
    os.environ.update(RANK=str(number), WORLD_SIZE=str(processes), LOCAL_RANK="0", LOCAL_WORLD_SIZE=str(processes))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # accelerate would warn; trainers set the threads themselves
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.update(GLOO_SOCKET_IFNAME=loopback, NCCL_SOCKET_IFNAME=loopback)
    import torch.distributed
    from accelerate import Accelerator

    torch.distributed.init_process_group(
        "gloo" if gpu is None else "nccl", init_method=meeting, rank=number, world_size=processes
    )
    _part = Part(number, processes, Accelerator(cpu=gpu is None))


def _as_told(error: Exception) -> RuntimeError:
    """An error that travels between processes for certain, with the traceback as a note."""
    told = RuntimeError(f"{type(error).__name__}: {error}")
    told.add_note("".join(traceback.format_exception(error)))
    return told
