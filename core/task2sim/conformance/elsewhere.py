"""A process that was started afresh, as workers are: does a component work there, and give the same?

It is a plain Python process that answers over its standard streams. (Those of `multiprocessing` run the main script
once more, which a script that calls the kit need not be fit for.)
"""

from __future__ import annotations

import atexit
import functools
import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from task2sim.conformance.checks import NotApplicable

HEAVY = frozenset(
    [
        "bpy",
        "cv2",
        "diffusers",
        "jax",
        "kornia",
        "matplotlib",
        "mitsuba",
        "moderngl",
        "mujoco",
        "open3d",
        "optuna",
        "pandas",
        "pybullet",
        "pyrender",
        "sklearn",
        "skimage",
        "tensorflow",
        "timm",
        "torch",
        "torchvision",
        "transformers",
        "trimesh",
        "warp",
    ]
)
"""Packages that take long to import, or start a renderer."""

PATIENCE = 300.0
"""Seconds after which the other process counts as stuck."""

_SERVE = "from task2sim.conformance.elsewhere import serve; serve()"
_IMPORT = "from task2sim.conformance.elsewhere import tell_import; tell_import()"


@attrs.frozen
class Answer:
    """What the other process has to tell.

    Attributes:
        value: What the function returned.
        error: What it raised, in one line; empty if it did not.
        place: ``file:line`` of that.
    """

    value: Any = None
    error: str = ""
    place: str = ""


@attrs.frozen
class ModuleImport:
    """What the import of a module brought along.

    Attributes:
        heavy: Those of `HEAVY` that it imported.
        seconds: How long it took beyond the core's import.
    """

    heavy: tuple[str, ...]
    seconds: float


def call_elsewhere(function: Callable[..., Any], *arguments: Any) -> Answer:
    """Call a function in the other process, which stays for the next call.

    Raises:
        NotApplicable: the function or its arguments can't be sent.
    """
    try:
        payload = pickle.dumps((function, arguments))
    except Exception as error:
        raise NotApplicable(
            f"it can't be built in another process ({error}): give its class, or a factory at module level"
        ) from None
    # pytest tells in a variable which test is running; no component looks at it.
    environment = tuple(sorted(item for item in os.environ.items() if item[0] != "PYTEST_CURRENT_TEST"))
    key = (tuple(sys.path), environment, str(Path.cwd()))
    return _server(key).ask((_modules_of(payload), payload))


@functools.cache
def import_elsewhere(module: str, file: str) -> ModuleImport:
    """Import a module in a process of its own and say what that brought along."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, json.dumps([module, file, sys.path])],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise NotApplicable(f"module {module} can't be imported by its name: {done.stderr.strip().splitlines()[-1]}")
    heavy, seconds = json.loads(done.stdout.splitlines()[-1])
    return ModuleImport(tuple(heavy), seconds)


def file_of(module: str) -> str:
    """The file of a loaded module; empty if there is none."""
    return str(getattr(sys.modules.get(module), "__file__", None) or "")


def _modules_of(payload: bytes) -> list[tuple[str, str]]:
    """The modules a pickle names that lie outside the search path's reach, such as test modules, with their files."""
    import pickletools

    texts = [argument for _, argument, _ in pickletools.genops(payload) if isinstance(argument, str)]
    names = {part for text in texts for part in text.split()}
    return [(name, file_of(name)) for name in sorted(names) if name in sys.modules and file_of(name)]


class _Server:
    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        # Another hash seed than here: what depends on the order of sets gives itself away.
        environment = {**os.environ, "PYTHONHASHSEED": "4242"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        self._send(sys.path)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Any) -> Answer:
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            self._send(question)
            assert self._process.stdout is not None
            answer: Answer = pickle.load(self._process.stdout)
            return answer
        except (EOFError, OSError, pickle.UnpicklingError):
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            said = f": {last[0]}" if last else ""
            return Answer(error=f"the process ended with code {self._process.returncode}{said}")
        finally:
            watch.cancel()

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(value, self._process.stdin)
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


_servers: dict[Any, _Server] = {}


def _server(key: Any) -> _Server:
    """The other process; a new one where it would be given another environment, or has ended."""
    if key not in _servers or not _servers[key].is_alive:
        close_elsewhere()
        _servers[key] = _Server()
    return _servers[key]


@atexit.register
def close_elsewhere() -> None:
    """End the other process; the next call starts another."""
    while _servers:
        _servers.popitem()[1].close()


# --- what runs over there ---


def serve() -> None:
    """Answer questions until the other end is closed."""
    asked: BinaryIO = os.fdopen(os.dup(0), "rb")
    told: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a component prints must not get between the answers
    sys.path[:] = pickle.load(asked)
    while True:
        try:
            modules, payload = pickle.load(asked)
        except EOFError:
            return
        pickle.dump(_answer(modules, payload), told)
        told.flush()


def _answer(modules: list[tuple[str, str]], payload: bytes) -> Answer:
    from task2sim.conformance.subject import line_of_error, place_of_error

    try:
        for name, file in modules:
            _import(name, file)
        function, arguments = pickle.loads(payload)
        return Answer(function(*arguments))
    except (Exception, SystemExit) as error:
        return Answer(error=line_of_error(error), place=place_of_error(error))


def _import(name: str, file: str) -> Any:
    """Import a module by its name, or from its file if it has no name here, as test modules of pytest."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        return importlib.import_module(name)
    except ImportError:
        if not file.endswith(".py"):
            raise
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def tell_import() -> None:
    """Import the module that the command line names, and print what that brought along."""
    name, file, path = json.loads(sys.argv[1])
    sys.path[:] = path
    importlib.import_module("task2sim.registry")
    before = set(sys.modules)
    start = time.perf_counter()
    _import(name, file)
    seconds = time.perf_counter() - start
    heavy = sorted(HEAVY & {module.partition(".")[0] for module in set(sys.modules) - before})
    print(json.dumps([heavy, seconds]))
