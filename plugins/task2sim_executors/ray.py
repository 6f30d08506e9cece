"""The ``ray`` executor: workers of a Ray cluster, on this machine or on many (Moritz et al., "Ray", OSDI 2018)."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import attrs
from pydantic import Field, field_validator

from task2sim import ComponentConfig, ConfigError, Executor, PluginError, Progress, Task2SimError, not_in_key
from task2sim.progress import Listener, progress_listener

Item = TypeVar("Item")
Result = TypeVar("Result")
Stage = Literal["trial", "render", "embed"]

TELL_EVERY = 0.2
"""Seconds between two messages of a worker; what it reports meanwhile is told by the latest of each kind."""
OBJECT_STORE = 100 * 2**20
"""Bytes of shared memory of a cluster that is started here; results are small."""
CONNECT_SECONDS = 10.0

_CLUSTER = (
    "start one with `ray start --head`, or have one on this machine while the study runs: executor.address=local"
)
_SAME = "install the same versions on every machine of the cluster"


def _whole_above_one(value: float | None) -> float | None:
    if value is not None and value > 1 and value != int(value):
        raise ValueError("parts of a processor can be had of one only: give a whole number, or one below 1")
    return value


class StageResources(ComponentConfig):
    """What a piece of work of one stage takes; what is not given is as for all."""

    cpus: Annotated[
        Annotated[float, Field(gt=0)] | None, Field(description="processor cores that a piece of work takes")
    ] = None
    gpus: Annotated[
        Annotated[float, Field(ge=0)] | None, Field(description="GPUs that a piece of work takes and sees")
    ] = None

    _whole = field_validator("cpus", "gpus")(_whole_above_one)


class RayExecutor(Executor):
    """Runs work as tasks of a Ray cluster.

    The cluster exists already, unless the address is ``local``. A piece of work whose worker or machine dies is given
    to another; nothing else is lost.
    """

    class Config(ComponentConfig):
        """Keys of ``executor: {type: ray, ...}``."""

        address: Annotated[
            str,
            not_in_key(
                pattern=r"^(auto|local|[^\s:/]+:\d+|\[[0-9a-fA-F:]+\]:\d+)$",
                description="host:port of a cluster; auto finds this machine's or RAY_ADDRESS, local starts one",
            ),
        ] = "auto"
        cpus: Annotated[float, not_in_key(gt=0, description="processor cores that a piece of work takes")] = 1.0
        gpus: Annotated[
            float, not_in_key(ge=0, description="GPUs that a piece of work takes and sees; with 0.5 two share one")
        ] = 0.0
        stages: Annotated[
            dict[Stage, StageResources],
            not_in_key(description="other cpus and gpus for trial, render (shards of one dataset) or embed"),
        ] = Field(default_factory=dict)
        retries: Annotated[
            int, not_in_key(ge=0, le=100, description="so often work is begun anew whose worker or machine died")
        ] = 2

        _whole = field_validator("cpus", "gpus")(_whole_above_one)

    def __init__(self, config: Config) -> None:
        self.config = config
        self._ray: Any = None
        self._ours = False
        self._task: Any = None
        self._options: dict[str, Any] = {}
        self._messages: Any = None
        self._waiting_for_messages: Any = None
        self._running: dict[Any, _Piece] = {}
        self._maps = 0

    @property
    def workers(self) -> int:
        """How many shards of a dataset are rendered at the same time, on all machines together."""
        return max(1, self._room(*self._needs("render")))

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], listener: Listener | None = None
    ) -> Iterator[Result]:
        """Apply a function to each item; see `task2sim.Executor.map`.

        Raises:
            ConfigError: no machine of the cluster has what a piece of work takes.
            PluginError: there is no cluster, its workers have other versions, or they died too often.
        """
        ray = self._connect()
        self._maps += 1
        needs = self._needs(_stage(function))
        pieces = [
            _Piece(self._maps, number, ray.cloudpickle.dumps((function, item)), *needs)
            for number, item in enumerate(items)
        ]
        if pieces and not self._room(*needs):
            cpus, gpus = needs
            raise ConfigError(
                f"no machine of the cluster has {cpus:g} processor cores and {gpus:g} GPUs",
                place="executor",
                mend=f"ask for less (the largest has {self._largest()}), or add such a machine to the cluster first",
            )
        try:
            for piece in pieces:
                self._submit(piece)
            for piece in pieces:
                while not piece.finished:
                    self._step(listener)
                if piece.error is not None:
                    raise piece.error from piece.cause
                yield piece.result
        except BaseException:
            self._abandon(pieces)
            raise

    def close(self) -> None:
        """End what still runs, and the connection; a cluster that was started here ends. May be called twice."""
        if self._ray is None:
            return
        ray, self._ray = self._ray, None
        for reference in self._running:
            with suppress(Exception):
                ray.cancel(reference, force=True)
        self._running = {}
        self._waiting_for_messages = None
        with suppress(Exception):
            ray.kill(self._messages)
        self._messages = self._task = None
        if self._ours:
            ray.shutdown()

    # --- the cluster ---

    def _connect(self) -> Any:
        if self._ray is not None:
            return self._ray
        ray = _import_ray()
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(ray, self.config.address)
        self._ray = ray
        self._task = ray.remote(_work)
        # This executor counts the attempts itself: Ray would repeat work for ever that needs too much memory.
        self._options = {"max_retries": 0, "name": "task2sim", "runtime_env": {"env_vars": _environment_of_workers()}}
        self._messages = ray.remote(num_cpus=0, max_restarts=-1)(_Messages).remote()
        return ray

    def _needs(self, stage: Stage) -> tuple[float, float]:
        """Cores and GPUs of a piece of work."""
        own = self.config.stages.get(stage, StageResources())
        cpus = self.config.cpus if own.cpus is None else own.cpus
        return cpus, self.config.gpus if own.gpus is None else own.gpus

    def _room(self, cpus: float, gpus: float) -> int:
        """How many such pieces of work the cluster does at the same time."""
        return sum(
            int(min(machine.get("CPU", 0.0) / cpus, machine.get("GPU", 0.0) / gpus if gpus else float("inf")) + 1e-9)
            for machine in self._machines()
        )

    def _machines(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._connect().nodes() if node["Alive"]]

    def _largest(self) -> str:
        most = max(
            self._machines(), key=lambda machine: (machine.get("GPU", 0.0), machine.get("CPU", 0.0)), default={}
        )
        return f"{most.get('CPU', 0):g} and {most.get('GPU', 0):g}"

    # --- work ---

    def _submit(self, piece: _Piece) -> None:
        piece.started = False
        task = self._task.options(num_cpus=piece.cpus, num_gpus=piece.gpus, **self._options)
        reference = task.remote(self._messages, piece.map, piece.number, _versions(), str(Path.cwd()), piece.packed)
        self._running[reference] = piece

    def _step(self, listener: Listener | None) -> None:
        """Wait for something to happen, and take it in."""
        self._waiting_for_messages = self._waiting_for_messages or self._messages.take.remote()
        watched = [self._waiting_for_messages, *self._running]
        for reference in self._ray.wait(watched, num_returns=1, timeout=1.0)[0]:
            if reference == self._waiting_for_messages:
                self._hear(listener)
            else:
                self._take_in(reference, self._running.pop(reference), listener)

    def _hear(self, listener: Listener | None) -> None:
        """Take in what workers told; of work that has ended or belongs to an earlier call of `map` it is old."""
        reference, self._waiting_for_messages = self._waiting_for_messages, None
        try:
            messages = self._ray.get(reference)
        except self._ray.exceptions.RayActorError:  # its machine died; Ray starts it again
            time.sleep(0.1)
            return
        by_place = {(piece.map, piece.number): piece for piece in self._running.values()}
        for place, progress in messages:
            if progress is None:
                if place in by_place:
                    by_place[place].started = True
            elif listener is not None and place in by_place and place[0] == self._maps:
                listener(progress)

    def _take_in(self, reference: Any, piece: _Piece, listener: Listener | None) -> None:
        """Keep what came of an attempt, or begin another."""
        errors = self._ray.exceptions
        try:
            piece.result, told = self._ray.get(reference)
        except errors.RayTaskError as error:
            piece.error, piece.cause = _as_it_was(error), error
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        ) as error:
            piece.deaths += 1
            if piece.deaths <= self.config.retries:
                self._submit(piece)
                return
            times = "" if piece.deaths == 1 else f" {piece.deaths} times, each time at the same piece of work"
            memory = isinstance(error, errors.OutOfMemoryError)
            piece.error, piece.cause = (
                PluginError(
                    f"a worker of the cluster {'ran out of memory' if memory else 'died'}{times}",
                    mend="if memory ran out, let fewer run side by side by giving each more with "
                    f"--set executor.cpus={2 * piece.cpus:g}; Ray's logs may say more; finished work is kept",
                ),
                error,
            )
        except errors.RayError as error:
            piece.error, piece.cause = PluginError(f"Ray: {_first_line(error)}"), error
        else:
            for progress in told if listener is not None and piece.map == self._maps else ():
                assert listener is not None
                listener(progress)
        piece.finished = True

    def _abandon(self, pieces: Iterable[_Piece]) -> None:
        """Take back what has not begun; what has is left to end, unless the executor is closed."""
        if self._ray is None:
            return
        theirs = {id(piece) for piece in pieces}
        for reference, piece in list(self._running.items()):
            if id(piece) in theirs and not piece.started:
                # It may have begun this moment: then force ends the worker, which is better than an interrupt that
                # leaves it with half a simulator.
                with suppress(Exception):
                    self._ray.cancel(reference, force=True)
                del self._running[reference]


@attrs.define(eq=False)
class _Piece:
    """A piece of work: one item of one call of `map`."""

    map: int
    number: int
    packed: bytes
    cpus: float
    gpus: float
    started: bool = False
    finished: bool = False
    deaths: int = 0
    result: Any = None
    error: BaseException | None = None
    cause: BaseException | None = None


class _Messages:
    """What workers tell, on its way to the study. Runs as an actor of the cluster, and ends with the study."""

    def __init__(self) -> None:
        self._told: list[tuple[tuple[int, int], Progress | None]] = []
        self._there = asyncio.Event()

    async def put(self, place: tuple[int, int], messages: list[Progress | None]) -> None:
        self._told += [(place, message) for message in messages]
        self._there.set()

    async def take(self) -> list[tuple[tuple[int, int], Progress | None]]:
        """All that was told since the last call; waits until there is something."""
        await self._there.wait()
        self._there.clear()
        told, self._told = self._told, []
        return told


# --- connecting ---


def _import_ray() -> Any:
    try:
        with _environment(RAY_USAGE_STATS_ENABLED="0"):
            import ray
    except ImportError as error:
        raise PluginError(
            f"the executor 'ray' can't import Ray: {error}", mend='pip install "task2sim[ray]"'
        ) from error
    return ray


def _connect(ray: Any, address: str) -> None:
    """Connect this process to a cluster, quietly.

    Raises:
        PluginError: there is none, or it can't be used from here.
    """
    if address == "auto" and os.environ.get("RAY_ADDRESS") == "local":
        address = "local"
    options: dict[str, Any] = {}
    if address == "local":
        options = {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "_node_ip_address": "127.0.0.1"}
        options["num_cpus"] = _processors()
    elif address == "auto" and (named := os.environ.get("RAY_ADDRESS", "")):
        if "://" in named:
            raise PluginError(
                f"this is an address of Ray's client, {named!r}, which does not do",
                place="RAY_ADDRESS",
                mend="run task2sim on a machine of the cluster, with its host:port or without RAY_ADDRESS",
            )
        if named != "auto":
            _knock(named, "RAY_ADDRESS")
    elif address != "auto":
        _knock(address, "executor.address")
    # Ray takes over SIGTERM, whose meaning is the study's.
    handler = _sigterm()
    try:
        with _environment(RAY_USAGE_STATS_ENABLED="0"), _loopback(address == "local"):
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except ConnectionError as error:
        if address == "auto" and "multiple" in str(error).lower():
            raise PluginError(
                "more than one Ray cluster runs on this machine", place="executor.address", mend="give its host:port"
            ) from error
        raise PluginError("found no Ray cluster", place="executor.address", mend=_CLUSTER) from error
    except Exception as error:
        mend = f"{_SAME}, Python and Ray among them" if "ersion mismatch" in str(error) else _CLUSTER
        raise PluginError(
            f"can't connect to the Ray cluster: {' '.join(str(error).split())[:300]}",
            place="executor.address",
            mend=mend,
        ) from error
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
    # Ray prints on standard output, where results belong, that a worker died; the executor says so itself.
    importlib.import_module("ray._private.worker")._worker_logs_enabled = False  # type: ignore[attr-defined]
    if address == "local" and ray.util.get_node_ip_address() not in ("127.0.0.1", "::1"):
        ray.shutdown()
        raise PluginError(
            f"Ray {ray.__version__} would be open to other machines",
            place="executor.address",
            mend="start a cluster yourself, with `ray start --head`, if that is what you want, or take another Ray",
        )


def _knock(address: str, place: str) -> None:
    """See whether someone listens there: Ray would try for minutes, and fill the terminal."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PluginError(f"there is no Ray cluster at {address}: {reason}", place=place, mend=_CLUSTER) from error


def _sigterm() -> Any:
    """The handler of SIGTERM, if it can be set again in this thread."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, handler)
    except (ValueError, TypeError):
        return None
    return handler


@contextmanager
def _loopback(wanted: bool) -> Iterator[None]:
    """Let a cluster that is started inside the block listen on this machine alone.

    Ray puts the machine's own address for 127.0.0.1, unless it is told to behave as on systems whose firewalls ask.
    """
    constants = importlib.import_module("ray._private.ray_constants") if wanted else None
    if constants is None:
        yield
        return
    before = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    constants.ENABLE_RAY_CLUSTER = False  # type: ignore[attr-defined]
    try:
        with _environment(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0"):
            yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before  # type: ignore[attr-defined]


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables inside the block, for what reads them and what is started there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment_of_workers() -> dict[str, str]:
    """What workers must see of this process's environment to compute the same."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("TASK2SIM_")}
    if path := os.environ.get("PYTHONPATH"):
        variables["PYTHONPATH"] = path
    # Ray would set it to the cores of a task, and sums depend on how they are divided.
    variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(_processors())
    return variables


def _stage(function: Callable[..., Any]) -> Stage:
    from task2sim.rendering import render_images
    from task2sim.trial import run_embedding

    return "render" if function is render_images else "embed" if function is run_embedding else "trial"


@functools.cache
def _versions() -> Mapping[str, str]:
    """Versions that must be the same everywhere: task2sim, its plugins and the libraries they compute with."""
    from packaging.requirements import Requirement

    from task2sim.registry import core_version, installed_plugins

    versions = {"task2sim": core_version()}
    versions |= {entry.distribution: entry.version for entry in installed_plugins()}
    for text in metadata.requires("task2sim") or ():
        requirement = Requirement(text)
        if requirement.marker is None or "extra" not in str(requirement.marker):
            with suppress(metadata.PackageNotFoundError):
                versions[requirement.name] = metadata.version(requirement.name)
    return versions


def _as_it_was(error: Any) -> BaseException:
    """What a worker raised."""
    cause: BaseException = error.cause
    if isinstance(cause, RuntimeError) and "failed to import on the worker" in str(cause):
        return PluginError("the cluster's workers can't import task2sim's executors", mend=_SAME)
    return cause


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


# --- in the worker ---


def _work(
    messages: Any, number: int, place: int, versions: Mapping[str, str], folder: str, packed: bytes
) -> tuple[Any, list[Progress]]:
    """Do a piece of work; returns its result and the last of its progress, which may not have arrived before."""
    _compare_versions(versions)
    with suppress(OSError):  # paths in a study start from the folder in which it was started
        os.chdir(folder)
    function, item = _unpack(packed)
    teller = _Teller(messages, (number, place))
    with progress_listener(teller):
        result = function(item)
    return result, list(teller.latest.values())


def _compare_versions(versions: Mapping[str, str]) -> None:
    own = _versions()
    for name in sorted({*own, *versions}, key=lambda name: (name != "task2sim", name)):
        here, there = own.get(name), versions.get(name)
        if here != there:
            raise PluginError(
                f"the worker on {socket.gethostname()} has {name} {here}, the study {there}"
                if here and there
                else f"the worker on {socket.gethostname()} has {'no ' if there else ''}{name}, the study "
                f"{'has' if there else 'has not'}",
                mend=_SAME,
            )


def _unpack(packed: bytes) -> Any:
    import ray

    try:
        return ray.cloudpickle.loads(packed)
    except Task2SimError:
        raise
    except Exception as error:
        raise PluginError(
            f"the worker on {socket.gethostname()} can't read its work: {type(error).__name__}: {error}",
            mend=f"{_SAME}, or put the folder of what is missing on PYTHONPATH everywhere",
        ) from error


class _Teller:
    """A listener that tells the study, now and then."""

    def __init__(self, messages: Any, place: tuple[int, int]) -> None:
        self._messages, self._place = messages, place
        self.latest: dict[tuple[str, str], Progress] = {}
        self._untold: set[tuple[str, str]] = set()
        self._told = time.monotonic()
        self._messages.put.remote(self._place, [None])  # it has begun

    def __call__(self, progress: Progress) -> None:
        kind = progress.stage, progress.job
        self.latest[kind] = progress
        self._untold.add(kind)
        if time.monotonic() - self._told >= TELL_EVERY:
            self._messages.put.remote(
                self._place, [self.latest[kind] for kind in self.latest if kind in self._untold]
            )
            self._untold.clear()
            self._told = time.monotonic()
