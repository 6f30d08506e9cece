"""A controller of ThreeDWorld builds that never waits for ever.

ThreeDWorld's own listens on all interfaces, blocks until a build answers, and does not notice one that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from task2sim import ConfigError, PluginError
from task2sim_threedworld.compatibility import import_tdw

import_tdw()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its librarian imports pkg_resources, which says that it is old
    from tdw.controller import Controller
    from tdw.output_data import LogMessage, QuitSignal, Version
    from tdw.version import __version__ as TDW_VERSION

import zmq  # noqa: E402
import zmq.utils.monitor  # noqa: E402

Command: TypeAlias = dict[str, Any]
Launch: TypeAlias = Callable[[int], "subprocess.Popen[bytes]"]
Load: TypeAlias = tuple[str, str]

LOADS = {
    "add_object": "name",
    "add_material": "name",
    "add_hdri_skybox": "name",
    "load_scene": "scene_name",
    "add_scene": "name",
}
"""Commands that may download something, and the key that says what."""

EMPTY_SCENE = "ProcGenScene"
"""The scene that a build starts with, as under ThreeDWorld's own controller; it is part of the build."""

MOST_RESENT = 10
"""How often one request is sent again to a build that did not receive it."""
SLICE = 100
"""Milliseconds between two looks at whether the build's process still lives; all else is noticed as it happens."""
GRACE = 0.3
"""Seconds that a build which seems to be gone has to say something yet, be it over a new connection."""

GOODBYE = 0.5
"""Seconds that a build which was told to end has to answer."""


class BuildLost(Exception):
    """The build died, fell silent, restarted or answered nonsense: ask a fresh one the same again."""


class CommandRejected(PluginError):
    """The build quit because of a command; another build would quit too."""


class GuardedController(Controller):  # type: ignore[misc]
    """Takes the place of `tdw.controller.Controller`, add-ons included, for one build.

    It listens on this machine alone, knows the build that called first from any other, looks after the build while it
    waits, and raises where ThreeDWorld's own would print or hang. Once the build is lost, `restart` takes another.

    Args:
        port: Where the build calls; 0 takes a free port.
        launch: Starts a build that calls at the port it is given; None waits for one that somebody else starts.
        timeout: Seconds without an answer after which the build counts as lost.
        load_timeout: The same while the build loads something for the first time.
        start_timeout: Seconds until a build must have called, and then until it must have loaded the empty scene.
        log: The file that the launched build writes to, for error messages.

    Attributes:
        port: Where it listens.
        version: The build's version.
        unity_version: The version of Unity it was made with.
        requests: How many requests were answered.
        sent: The last request, as it was sent.

    Raises:
        ConfigError: the port is taken, no build called in time, or it has another version.
        BuildLost: the build was lost while it started.
    """

    def __init__(
        self,
        port: int = 1071,
        *,
        launch: Launch | None = None,
        timeout: float = 60.0,
        load_timeout: float = 1800.0,
        start_timeout: float = 120.0,
        log: Path | None = None,
    ) -> None:
        self.add_ons: list[Any] = []
        self.requests = 0
        self.sent = b""
        self._launch, self._log = launch, log
        self._timeout, self._load_timeout, self._start_timeout = timeout, load_timeout, start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._build: bytes | None = None
        self._connection: int | None = None
        self._known: set[bytes] = set()
        self._waiting: dict[bytes, int] = {}
        self._flying: list[Command] | None = None
        self._loaded: set[Load] = set()
        self._context = zmq.Context()
        # A ROUTER knows who speaks: a second build, or one that restarted, is not taken for the first.
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            self.port = self._bind(port)
            self.restart()
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        """Leave the build there is, if any, start another or wait for one, and load the empty scene in it.

        A build that is idle is told to end: one that somebody else started, too. Add-ons are initialised anew.

        Raises:
            ConfigError: no build called in time, or it has another version.
            BuildLost: it was lost while it started.
        """
        idle = self._dismiss()
        self._loaded = {("load_scene", EMPTY_SCENE)}
        if self._launch is not None:
            if self._process is not None:
                _end(self._process, patience=1.0 if idle else 0.0)
            self._waiting.clear()
            self._process = self._launch(self.port)
        self._build, self._connection = self._next_build()
        self.send(
            [
                {"$type": "set_error_handling"},
                {"$type": "send_version"},
                {"$type": "send_log_messages"},
                {"$type": "load_scene", "scene_name": EMPTY_SCENE},
            ]
        )
        self.version, self.unity_version = self._versions(self._receive(self._start_timeout))
        for add_on in self.add_ons:
            add_on.initialized = False

    def communicate(self, commands: Command | list[Command]) -> list[bytes]:
        """Send commands, with those of the add-ons, and wait for the answer.

        Returns:
            The frames of the answer; the last is the number of the frame.

        Raises:
            BuildLost: the build was lost.
            CommandRejected: the build quit because of a command.
        """
        commands = [commands] if isinstance(commands, dict) else list(commands)
        for add_on in self.add_ons:
            if add_on.initialized:
                commands.extend(add_on.commands)
                add_on.commands.clear()
            else:
                commands[:0] = add_on.get_early_initialization_commands()
                commands.extend(add_on.get_initialization_commands())
                add_on.initialized = True
        for add_on in self.add_ons:
            add_on.before_send(commands)
        self.send(commands)
        answer = self.receive()
        for add_on in self.add_ons:
            add_on.on_send(resp=answer)
        return answer

    def send(self, commands: Sequence[Command]) -> None:
        """Send a request without waiting for its answer; `receive` must follow before the next.

        Raises:
            BuildLost: there is no build any more.
            ValueError: a number is not finite.
        """
        if self._flying is not None:
            raise RuntimeError("a request is under way; receive its answer first")
        if self._build is None:
            raise BuildLost("there is no build any more")
        self.sent = json.dumps(commands, separators=(",", ":"), allow_nan=False).encode()
        self._flying = list(commands)
        self._transmit()

    def receive(self) -> list[bytes]:
        """Wait for the answer to the request that was sent.

        Raises:
            BuildLost: the build was lost, or its answer makes no sense.
            CommandRejected: the build quit because of a command.
        """
        if self._flying is None:
            raise RuntimeError("no request is under way")
        loads = _loads(self._flying)
        answer = self._receive(self._timeout if loads <= self._loaded else self._load_timeout)
        self._loaded |= loads
        return answer

    def close(self) -> None:
        """End the build and stop listening; may be called twice."""
        if self._context.closed:
            return
        idle = self._dismiss()
        with contextlib.suppress(zmq.ZMQError):
            self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)
        self._context.term()
        if self._process is not None:
            _end(self._process, patience=1.0 if idle else 0.0)

    def _bind(self, port: int) -> int:
        try:
            if port == 0:
                return int(self._socket.bind_to_random_port("tcp://127.0.0.1"))
            self._socket.bind(f"tcp://127.0.0.1:{port}")
        except zmq.ZMQError as error:
            raise ConfigError(
                f"port {port} is taken" if error.errno == zmq.EADDRINUSE else f"can't listen on port {port}: {error}",
                place="simulator.port",
                mend="end the program that uses it, or give another port",
            ) from None
        return port

    def _next_build(self) -> tuple[bytes, int]:
        """Wait for the first word of a build that did not call before; returns its identity and connection."""
        end = time.monotonic() + self._start_timeout
        while True:
            # Even where one waits already: it may have left meanwhile.
            said = self._hear(0 if self._waiting else SLICE)
            if said is not None:
                self._meet(*said[:2])
            if self._waiting:
                build = next(iter(self._waiting))
                return build, self._waiting.pop(build)
            if (code := self._exit_code()) is not None:
                raise BuildLost(f"it ended before it called (exit code {code}){self._last_words()}")
            if time.monotonic() >= end:
                raise ConfigError(
                    f"no ThreeDWorld build called at 127.0.0.1:{self.port} within {self._start_timeout:g} s"
                    + self._last_words(),
                    place="simulator",
                    mend="task2sim threedworld doctor looks for the cause"
                    if self._launch is not None
                    else f"start one with -address 127.0.0.1 -port {self.port}",
                )

    def _meet(self, sender: bytes, connection: int) -> bool:
        """Remember a build that calls for the first time; what one says that was left means nothing."""
        if sender in self._known:
            return False
        self._known.add(sender)
        self._waiting[sender] = connection
        return True

    def _dismiss(self) -> bool:
        """Have no build from here on; one that waits for a request is told to end. Returns whether there was one."""
        idle = self._build is not None and self._connection is not None and self._flying is None
        if idle:
            self.sent = b'[{"$type":"terminate"}]'
            self._transmit()
            end = time.monotonic() + GOODBYE
            # It waits for somebody to take its last answer, so that one is worth a moment.
            while self._connection is not None and time.monotonic() < end:
                said = self._hear(SLICE)
                if said is not None and said[0] == self._build:
                    break
                if said is not None:
                    self._meet(*said[:2])
        self._build = self._connection = self._flying = None
        return idle

    def _transmit(self) -> None:
        assert self._build is not None
        try:
            self._socket.send_multipart([self._build, b"", self.sent])
        except zmq.ZMQError:
            self._connection = None  # whoever waits for the answer finds out why

    def _receive(self, patience: float) -> list[bytes]:
        """The answer to the request under way, each frame of which is whole."""
        for resent in range(MOST_RESENT + 1):
            answer = self._answer(patience)
            kinds = [frame[4:8] for frame in answer[:-1]]
            if b"ftre" not in kinds:
                break
            if resent == MOST_RESENT:
                self._lose(f"it did not receive a request, sent again {MOST_RESENT} times")
            self._transmit()  # it closed its socket before it had read the request
        if not answer or len(answer[-1]) != 4 or not all(map(_is_whole, answer[:-1])):
            self._lose("its answer was cut off")
        commands, self._flying = self._flying or [], None
        self.requests += 1
        if b"quit" in kinds:
            self._quit(answer, commands)
        return answer

    def _answer(self, patience: float) -> list[bytes]:
        """The frames of the next message of the build; all else that may happen meanwhile is noticed."""
        end = time.monotonic() + patience
        missed: float | None = None  # since when it seems to be gone
        restarted = False
        while True:
            left = max(1, int(1000 * (end - time.monotonic())))
            said = self._hear(min(SLICE, left) if missed is None else SLICE // 10)
            if said is not None:
                sender, connection, frames = said
                if sender not in self._known and any(frame[4:8] == b"ftre" for frame in frames):
                    # A build that receives nothing takes a new socket to say so.
                    self._known.add(sender)
                    self._build, self._connection = sender, connection
                if sender == self._build:
                    return frames
                restarted |= self._meet(sender, connection)  # or a second build
            now = time.monotonic()
            gone, ended = self._connection is None, self._exit_code() is not None
            if gone or ended:
                # What it sent before it went may be on its way, hence one more round at least.
                if missed is not None and ((gone and (ended or restarted)) or now >= missed + GRACE):
                    self._lose("it restarted" if restarted else "it closed the connection")
                missed = missed or now
            elif now >= end:
                self._lose(f"it did not answer for {patience:g} s")

    def _hear(self, milliseconds: int) -> tuple[bytes, int, list[bytes]] | None:
        """Wait for a message, or for a connection to be closed, which is noted.

        Returns:
            Who sent the message, over which connection, and its frames; None if there was none.
        """
        ready = dict(self._poller.poll(milliseconds))
        # First: what a connection that was closed is called, a new one may be called as well.
        while self._monitor.poll(0):
            closed = int(zmq.utils.monitor.recv_monitor_message(self._monitor)["value"])
            if closed == self._connection:
                self._connection = None
            self._waiting = {build: known for build, known in self._waiting.items() if known != closed}
        if self._socket not in ready:
            return None
        sender, *frames = self._socket.recv_multipart(copy=False)
        # A REQ socket sends an empty frame before the others.
        return sender.bytes, int(frames[-1].get(zmq.SRCFD)), [frame.bytes for frame in frames[1:]]

    def _lose(self, what: str) -> NoReturn:
        """There is no build any more; if its process ended, the exit code says more than `what`."""
        self._build = self._connection = self._flying = None
        if (code := self._exit_code()) is not None:
            what = f"it ended (exit code {code}){self._last_words()}"
        raise BuildLost(what)

    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def _last_words(self) -> str:
        """The last line that the build wrote, for messages."""
        if self._log is None:
            return ""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
            for line in reversed(lines):
                if line.strip():
                    return f"; its last words: {line.strip()[:200]}"
        return ""

    def _quit(self, answer: Sequence[bytes], commands: Sequence[Command]) -> None:
        """The build said that it quits: fine if it was told to."""
        names = list(dict.fromkeys(str(command.get("$type")) for command in commands))
        try:
            well = all(QuitSignal(frame).get_ok() for frame in answer[:-1] if frame[4:8] == b"quit")
            logged = [LogMessage(frame) for frame in answer[:-1] if frame[4:8] == b"logm"]
            errors = [
                (log.get_object_type(), " ".join(log.get_message().split()))
                for log in sorted(logged, key=lambda log: log.get_message_type() != "error")
            ]
        except Exception:  # FlatBuffers raises whatever comes up where a frame is broken inside
            self._lose("its answer was cut off")
        self._build = self._connection = None
        if well and "terminate" in names:
            return
        if well:
            self._lose("it quit")
        # It logs the names of classes: RotateObjectTo is the command rotate_object_to.
        by_class = {name.replace("_", "").lower(): name for name in names}
        for about, message in errors:
            if name := by_class.get(about.lower()):
                raise CommandRejected(f"the build rejected {name}: {message}")
        said = "".join(f": {about}: {message}" for about, message in errors[:1]) or self._last_words()
        raise CommandRejected(f"the build rejected one of {', '.join(names)}{said}")

    def _versions(self, answer: Sequence[bytes]) -> tuple[str, str]:
        """Of the build, which must be that of the Python package, and of Unity."""
        for frame in answer[:-1]:
            if frame[4:8] != b"vers":
                continue
            try:
                version = Version(frame)
                theirs, unity = str(version.get_tdw_version()), str(version.get_unity_version())
            except Exception:  # it is read without looking where it ends
                self._lose("its answer was cut off")
            ours = ".".join(TDW_VERSION.split(".")[:2])
            if theirs.split(".")[:2] != ours.split("."):
                raise ConfigError(
                    f"the build is of ThreeDWorld {theirs}, the Python package of {TDW_VERSION}",
                    place="simulator.build",
                    mend=f"download the build of {ours}",
                )
            return theirs, unity
        self._lose("it did not tell its version")


def _loads(commands: Iterable[Command]) -> set[Load]:
    """What commands load."""
    return {(name, str(command.get(LOADS[name]))) for command in commands if (name := command.get("$type")) in LOADS}


def _is_whole(frame: bytes) -> bool:
    """Whether a frame can be what it says: long enough for its kind, and for the root of its FlatBuffer."""
    if len(frame) < 8:
        return False
    return frame[4:8] == b"vers" or 8 <= struct.unpack("<I", frame[:4])[0] <= len(frame) - 4


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Let a build end that was told to, for some seconds, or make it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    if process.stdin is None:
        process.terminate()
    else:
        with contextlib.suppress(OSError):
            process.stdin.close()  # its keeper ends it
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
