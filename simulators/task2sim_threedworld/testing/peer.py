"""A process that a controller of ThreeDWorld can't tell from a build, save by its pictures.

It connects to the controller as a build does (ZeroMQ, REQ to the controller's REP), says hello, and then answers
each request, a JSON list of commands, with what they ask for and the number of the frame. What it can't do, it
rejects as a build does: it logs an error, says that it quits, and exits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import zmq

from task2sim_threedworld.testing.faults import Faults
from task2sim_threedworld.testing.messages import failed_to_receive, log_message, outputs, quit_signal
from task2sim_threedworld.testing.schema import Rejected
from task2sim_threedworld.testing.world import World

LINGER = 5000
"""Milliseconds that the last answer has to leave before the peer exits."""

HELLO = b"\x00"
"""The first frame; nobody reads it."""

ORDERED = Rejected("send_images", "this fault was ordered")
"""Why a peer quits that was told to reject."""


class Peer:
    """One build.

    Args:
        address: Where the controller is.
        port: Where it listens.
        faults: When to misbehave.
        slow_seconds: How long a slow answer takes.
    """

    def __init__(self, address: str, port: int, faults: Faults, slow_seconds: float) -> None:
        self._endpoint = f"tcp://{address}:{port}"
        self._faults = faults
        self._slow_seconds = slow_seconds
        self._context = zmq.Context()
        self._socket = self._connect()
        self._world = World()

    def run(self) -> int:
        """Serve the controller until it ends the peer; returns the exit code."""
        self._socket.send(HELLO)
        while True:
            commands = _read(self._socket.recv())
            fault = self._faults.next() if _asks_for_image(commands, self._world) else None
            if fault is not None:
                _log(f"fault: {fault}")
            if fault == "die":
                return 1
            if fault in ("hang", "disconnect", "restart", "ftre"):
                self._leave_unanswered(fault)
                continue
            if fault == "slow":
                time.sleep(self._slow_seconds)
            answer = self._reject(ORDERED) if fault == "reject" else self._answer(commands)
            if fault == "short":
                answer = [frame[: len(frame) // 2] if frame[4:8] == b"imag" else frame for frame in answer]
            self._socket.send_multipart([*answer, self._world.frames.to_bytes(4, "big")])
            self._world.finish_frame()
            if any(frame[4:8] == b"quit" for frame in answer):
                self._socket.close(LINGER)
                self._context.term()
                return 0 if answer[-1] == quit_signal(ok=True) else 1

    def _leave_unanswered(self, fault: str) -> None:
        """Do what a fault asks for in place of an answer; the next request may come over a new connection."""
        if fault == "hang":
            _sleep_for_ever()
        self._socket.close(0)
        if fault == "disconnect":
            _sleep_for_ever()
        self._socket = self._connect()
        if fault == "restart":
            self._world = World()
            self._socket.send(HELLO)
        else:
            # A build that did not receive a request complains over a new socket.
            self._socket.send_multipart([failed_to_receive(), bytes(4)])

    def _answer(self, commands: list[Any]) -> list[bytes]:
        """Carry out commands one after the other, and give what they ask for."""
        said: list[bytes] = []
        for command in commands:
            try:
                if isinstance(command, Rejected):
                    raise command
                self._world.execute(command)
            except Rejected as error:
                if self._world.quit_on_error:
                    return [*said, *self._reject(error)]
                said += self._logged(error)
        return [*said, *outputs(self._world)]

    def _reject(self, error: Rejected) -> list[bytes]:
        """Log an error and quit."""
        return [*self._logged(error), quit_signal(ok=False)]

    def _logged(self, error: Rejected) -> list[bytes]:
        """Log an error; to the controller as well where it asked for that."""
        _log(f"error: {error}")
        # Commands are logged by the names of their classes.
        about = error.command.title().replace("_", "") or "Request"
        return [log_message(about, error.message)] if self._world.log_messages else []

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.REQ)
        socket.connect(self._endpoint)
        return socket


def _read(request: bytes) -> list[Any]:
    """Read a request; in place of one that is no list of commands comes the error that it leads to."""
    try:
        commands = json.loads(request.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return [Rejected("", f"the request is no JSON: {error}")]
    return commands if isinstance(commands, list) else [Rejected("", "the request is no list of commands")]


def _asks_for_image(commands: list[Any], world: World) -> bool:
    """Whether the answer to a request will hold an image."""
    return any(kind == "images" for kind, _ in world.due) or any(
        isinstance(command, dict) and command.get("$type") == "send_images" and command.get("frequency") != "never"
        for command in commands
    )


def read_flag(arguments: Sequence[str], name: str, default: str) -> str:
    """Read one of Unity's flags, however it was written: `-port 1071` in one argument or two, or `-port=1071`."""
    found = re.search(rf"(?:^|\s)-{name}[\s=]+(\S+)", " ".join(arguments))
    return found[1] if found else default


def _log(line: str) -> None:
    print(line, flush=True)


def _sleep_for_ever() -> NoReturn:
    while True:
        time.sleep(3600)
