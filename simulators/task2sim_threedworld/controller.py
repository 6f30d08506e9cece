"""A controller of ThreeDWorld builds that never waits for ever.

ThreeDWorld's own listens on all interfaces, blocks until a build answers, and does not notice one that died.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import zmq
import zmq.utils.monitor

from task2sim import ConfigError, PluginError
from task2sim_threedworld.compatibility import import_tdw

import_tdw()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its librarian imports pkg_resources, which says that it is old
    from tdw.controller import Controller
    from tdw.output_data import LogMessage, QuitSignal, Version
    from tdw.version import __version__ as TDW_VERSION

Command: TypeAlias = dict[str, Any]
Launch: TypeAlias = Callable[[int], "subprocess.Popen[bytes]"]

LOADS = {
    "add_object": "name",
    "add_material": "name",
    "add_hdri_skybox": "name",
    "load_scene": "scene_name",
    "add_scene": "name",
}
"""Commands that may download something, and the key that says what."""

MOST_RESENT = 10
"""How often one request is sent again to a build that did not receive it."""
SLICE = 100
"""Milliseconds between two looks at whether the build still lives."""


class BuildLost(Exception):
    """The build died, fell silent, restarted or answered nonsense: ask a fresh one the same again."""


class CommandRejected(PluginError):
    """The build quit because of a command; another build would quit too."""


class GuardedController(Controller):  # type: ignore[misc]
    """Takes the place of `tdw.controller.Controller`, add-ons included, for one build.

    It listens on this machine alone, knows the build that called first from any other, looks after the build while it
    waits, and raises where ThreeDWorld's own would print or hang.

    Args:
        port: Where the build calls; 0 takes a free port.
        launch: Starts a build that calls at the port it is given; None waits for one that somebody else starts.
        timeout: Seconds without an answer after which the build counts as lost.
        load_timeout: The same while the build loads something for the first time.
        start_timeout: Seconds until a build must have called.
        log: The file that the launched build writes to, for error messages.

    Attributes:
        port: Where it listens.
        version: The build's version.
        unity_version: The version of Unity it was made with.
        requests: How many requests were answered.

    Raises:
        ConfigError: the port is taken, or no build called in time.
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
        self._launch, self._log = launch, log
        self._timeout, self._load_timeout, self._start_timeout = timeout, load_timeout, start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._build: bytes | None = None
        self._known: set[bytes] = set()
        self._waiting: list[bytes] = []
        self._flying: list[Command] | None = None
        self._loaded: set[tuple[str, str]] = set()
        self._context = zmq.Context()
        # A ROUTER knows who speaks: a second build, or one that restarted, is not taken for the first.
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            self.port = self._bind(port)
            self.restart()
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        """Leave the build there is, if any, start another or wait for one, and load the empty scene in it.

        Raises:
            ConfigError: no build called in time, or it has another version.
            BuildLost: it was lost while it started.
        """
        self._build, self._flying, self._loaded = None, None, set()
        if self._launch is not None:
            if self._process is not None:
                _end(self._process, patience=0.0)
            self._waiting.clear()
            self._process = self._launch(self.port)
        self._build = self._next_build()
        answer = self.communicate(
            [
                {"$type": "set_error_handling"},
                {"$type": "send_version"},
                {"$type": "send_log_messages"},
                {"$type": "load_scene", "scene_name": "ProcGenScene"},
            ]
        )
        self.version, self.unity_version = _versions(answer)

    def communicate(self, commands: Command | list[Command]) -> list[bytes]:
        """Send commands, with those of the add-ons, and wait for the answer.

        Returns:
            The frames of the answer; the last is the number of the frame.

        Raises:
            BuildLost: the build was lost.
            CommandRejected: the build quit because of a command.
        """
        commands = [commands] if isinstance(commands, dict) else commands
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
        self._request = json.dumps(commands, separators=(",", ":"), allow_nan=False).encode()
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
        loads = {(c["$type"], str(c.get(LOADS[c["$type"]]))) for c in self._flying if c.get("$type") in LOADS}
        patience = self._timeout if loads <= self._loaded else self._load_timeout
        for _ in range(MOST_RESENT + 1):
            answer = self._answer(patience)
            kinds = [frame[4:8] for frame in answer[:-1]]
            if b"ftre" not in kinds:
                break
            self._transmit()  # it closed its socket before it had read the request
        else:
            raise BuildLost(f"it did not receive a request, sent {MOST_RESENT} times")
        flying, self._flying = self._flying, None
        if b"quit" in kinds:
            self._quit(answer, flying)
        if len(answer[-1]) != 4 or any(not _is_whole(frame) for frame in answer[:-1]):
            raise BuildLost("its answer was cut off")
        self._loaded |= loads
        self.requests += 1
        return answer

    def close(self) -> None:
        """End the build and stop listening; may be called twice."""
        if self._context.closed:
            return
        if self._build is not None and self._flying is None:
            with contextlib.suppress(Exception):  # it may be gone already
                self.send([{"$type": "terminate"}])
        self._flying = None
        with contextlib.suppress(zmq.ZMQError):
            self._socket.disable_monitor()
        self._monitor.close(0)
        # What was sent last leaves the socket within this time, or never.
        self._socket.close(200 if self._build is not None else 0)
        self._context.term()
        self._build = None
        if self._process is not None:
            _end(self._process, patience=1.0)

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

    def _next_build(self) -> bytes:
        """Wait for the first word of a build that did not call before."""
        end = time.monotonic() + self._start_timeout
        while not self._waiting and time.monotonic() < end:
            self._check_process("it ended before it called")
            if self._socket.poll(SLICE):
                self._meet(self._socket.recv_multipart()[0])
        self._drain_monitor()
        if self._waiting:
            return self._waiting.pop()
        raise ConfigError(
            f"no ThreeDWorld build called at 127.0.0.1:{self.port} within {self._start_timeout:g} s"
            + self._last_words(),
            place="simulator",
            mend="task2sim threedworld doctor looks for the cause"
            if self._launch is not None
            else f"start one with -address 127.0.0.1 -port {self.port}",
        )

    def _meet(self, sender: bytes) -> None:
        """Remember a build that calls for the first time; what one says that was left means nothing."""
        if sender not in self._known:
            self._known.add(sender)
            self._waiting.append(sender)

    def _transmit(self) -> None:
        if self._build is None:
            raise BuildLost("there is no build any more")
        with contextlib.suppress(zmq.ZMQError):  # the wait for the answer notices what is wrong
            self._socket.send_multipart([self._build, b"", self._request])

    def _answer(self, seconds: float) -> list[bytes]:
        """The frames of the next message of the build; all else that may happen meanwhile is noticed."""
        end = time.monotonic() + seconds
        while True:
            if self._socket.poll(min(SLICE, max(1, int(1000 * (end - time.monotonic()))))):
                sender, _, *frames = self._socket.recv_multipart()
                if sender not in self._known and any(frame[4:8] == b"ftre" for frame in frames):
                    # A build that receives nothing takes a new socket to say so.
                    self._known.add(sender)
                    self._build = sender
                    self._drain_monitor()
                if sender == self._build:
                    if not frames:
                        raise BuildLost("it sent an empty answer")
                    return list(frames)
                # A second build, or this one after a restart.
                self._meet(sender)
                if self._gone():
                    self._lose("it restarted")
                continue
            self._check_process("it ended")
            if self._gone():
                self._lose("it closed the connection")
            if time.monotonic() >= end:
                raise BuildLost(f"it did not answer for {seconds:g} s")

    def _gone(self) -> bool:
        """Whether a connection was closed since the build called."""
        return any(event == zmq.EVENT_DISCONNECTED for event in self._drain_monitor())

    def _drain_monitor(self) -> list[int]:
        events = []
        while self._monitor.poll(0):
            events.append(int(zmq.utils.monitor.recv_monitor_message(self._monitor)["event"]))
        return events

    def _lose(self, what: str) -> NoReturn:
        """The connection is gone; if that is because the build ended, its exit code says more."""
        self._build = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.3)
            self._check_process("it ended")
        raise BuildLost(what)

    def _check_process(self, what: str) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            self._build = None
            raise BuildLost(f"{what} (exit code {code}){self._last_words()}")

    def _last_words(self) -> str:
        """The last line that the build wrote, for messages."""
        if self._log is None:
            return ""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"; its last words: {lines[-1].strip()[:200]}"
        return ""

    def _quit(self, answer: list[bytes], commands: list[Command]) -> None:
        """The build said that it quits."""
        self._build = None
        if any(frame[4:8] == b"quit" and QuitSignal(frame).get_ok() for frame in answer[:-1]):
            raise BuildLost("it quit")
        said = [LogMessage(frame) for frame in answer[:-1] if frame[4:8] == b"logm"]
        names = list(dict.fromkeys(str(command.get("$type")) for command in commands))
        for message in reversed(said):
            about = message.get_object_type()
            name = next((name for name in names if name.replace("_", "") == about.replace("_", "").lower()), about)
            raise CommandRejected(f"the build rejected {name}: {' '.join(message.get_message().split())}")
        raise CommandRejected(f"the build rejected one of {', '.join(names)}{self._last_words()}")


def _is_whole(frame: bytes) -> bool:
    """Whether a frame can be what it says: long enough for its kind, and for the root of its FlatBuffer."""
    if len(frame) < 8:
        return False
    return frame[4:8] == b"vers" or struct.unpack("<I", frame[:4])[0] + 4 <= len(frame)


def _versions(answer: Sequence[bytes]) -> tuple[str, str]:
    """Of the build and of Unity.

    Raises:
        ConfigError: the build is of another version than the Python package.
    """
    for frame in answer[:-1]:
        if frame[4:8] == b"vers":
            version = Version(frame)
            theirs, ours = version.get_tdw_version(), TDW_VERSION
            if theirs.split(".")[:2] != ours.split(".")[:2]:
                raise ConfigError(
                    f"the build is of ThreeDWorld {theirs}, the Python package of {ours}",
                    place="simulator.build",
                    mend=f"download the build of {'.'.join(ours.split('.')[:2])}",
                )
            return theirs, version.get_unity_version()
    raise BuildLost("it did not tell its version")


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Let a build end that was told to, for some seconds, or make it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()  # its keeper ends it
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
