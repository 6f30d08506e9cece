"""The controller that never waits for ever, against builds that say whatever a test wants."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

import zmq

from task2sim import ConfigError
from task2sim_threedworld.controller import BuildLost, CommandRejected, GuardedController
from task2sim_threedworld.testing.messages import failed_to_receive, log_message, quit_signal

VERSION = bytes(4) + b"vers\x01" + bytes([8]) + b"1.13.0.0" + b"2020.3"
ONE = struct.pack(">I", 1)


class Over(Exception):
    """The test is over, or the stub leaves."""


class Stub:
    """A build in a thread: answers the handshake, then what the test says, request by request."""

    def __init__(self, port: int, answers: list[list[bytes] | Callable[[Stub], list[bytes] | None]]) -> None:
        self.requests: list[list[dict]] = []
        self.port, self.answers = port, answers
        self.context = zmq.Context()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def connect(self) -> None:
        self.socket = self.context.socket(zmq.REQ)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"tcp://127.0.0.1:{self.port}")

    def run(self) -> None:
        """Sockets belong to their thread, so everything happens here."""
        self.connect()
        with contextlib.suppress(Over):
            self.socket.send(b"hello")
            for answer in [[VERSION, ONE], *self.answers]:
                self.requests.append(json.loads(self.receive()))
                frames = answer(self) if callable(answer) else answer
                if frames is not None:
                    self.socket.send_multipart(frames)
            self.stop.wait(10.0)
        self.socket.close(0)

    def receive(self) -> bytes:
        while not self.socket.poll(20):
            if self.stop.is_set():
                raise Over
        return self.socket.recv()

    def close(self) -> None:
        self.stop.set()
        self.thread.join(5.0)
        self.context.term()


@contextmanager
def controller(*answers, **options) -> Iterator[tuple[GuardedController, Stub]]:
    """A controller and the stub it talks to."""
    with zmq.Context() as context, context.socket(zmq.REP) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    stub = Stub(port, list(answers))
    guarded = GuardedController(port, timeout=options.pop("timeout", 1.0), start_timeout=5.0, **options)
    try:
        yield guarded, stub
    finally:
        guarded.close()
        stub.close()


NOTHING = {"$type": "do_nothing"}


def test_it_listens_on_this_machine_alone_and_shakes_hands() -> None:
    with controller([ONE]) as (guarded, stub):
        assert (guarded.version, guarded.unity_version) == ("1.13.0.0", "2020.3")
        names = [command["$type"] for command in stub.requests[0]]
        assert names == ["set_error_handling", "send_version", "send_log_messages", "load_scene"]
        listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
        if listening:
            (line,) = [row for row in listening.splitlines() if f":{guarded.port} " in row]
            assert f"127.0.0.1:{guarded.port}" in line
        assert guarded.communicate(NOTHING) == [ONE]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([b"too short", b"no number at all"], "cut off"),
        ([b"imag", ONE], "cut off"),
        ([struct.pack("<I", 5000) + b"imag" + bytes(20), ONE], "cut off"),
        ([b""], "cut off"),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_lost_build(answer: list[bytes], said: str) -> None:
    with controller(answer) as (guarded, _), pytest.raises(BuildLost, match=said):
        guarded.communicate(NOTHING)


def test_a_silent_build_is_lost_after_the_timeout_and_a_load_may_take_longer() -> None:
    def slow(stub: Stub) -> list[bytes]:
        time.sleep(0.6)
        return [ONE]

    load = {"$type": "add_object", "name": "chair", "id": 1, "url": ""}
    with controller(slow, slow, timeout=0.3, load_timeout=5.0) as (guarded, _):
        guarded.communicate(load)
        with pytest.raises(BuildLost, match=r"did not answer for 0.3 s"):
            guarded.communicate(load)  # by now the model is in the build's memory


def test_a_connection_that_closes_is_noticed_at_once() -> None:
    def leave(stub: Stub) -> None:
        raise Over

    with controller(leave, timeout=30.0) as (guarded, _):
        start = time.monotonic()
        with pytest.raises(BuildLost, match="closed the connection"):
            guarded.communicate(NOTHING)
        assert time.monotonic() - start < 1.0


def test_a_request_that_was_not_received_is_sent_again_also_on_a_new_socket() -> None:
    def elsewhere(stub: Stub) -> list[bytes]:
        stub.socket.close(0)
        stub.connect()
        return [failed_to_receive(), bytes(4)]

    def nothing_yet(stub: Stub) -> None:
        stub.socket.close(0)
        stub.connect()
        stub.socket.send_multipart([failed_to_receive(), bytes(4)])

    with controller([failed_to_receive(), bytes(4)], nothing_yet, [ONE]) as (guarded, stub):
        assert guarded.communicate([NOTHING, {"$type": "do_nothing", "mark": 5}]) == [ONE]
        assert stub.requests[1] == stub.requests[2] == stub.requests[3]
    with (
        controller(*[[failed_to_receive(), bytes(4)]] * 30) as (guarded, _),
        pytest.raises(BuildLost, match="did not receive a request"),
    ):
        guarded.communicate(NOTHING)


def test_a_rejected_command_is_named_by_the_log_or_among_the_sent() -> None:
    logged = [log_message("RotateObjectTo", "no object 7"), quit_signal(ok=False), ONE]
    with controller(logged) as (guarded, _):
        with pytest.raises(CommandRejected, match="the build rejected rotate_object_to: no object 7"):
            guarded.communicate([NOTHING, {"$type": "rotate_object_to", "id": 7}])
        with pytest.raises(BuildLost, match="no build any more"):
            guarded.communicate(NOTHING)
    with (
        controller([quit_signal(ok=False), ONE]) as (guarded, _),
        pytest.raises(CommandRejected, match="one of do_nothing, look_at"),
    ):
        guarded.communicate([NOTHING, {"$type": "look_at"}, NOTHING])
    with controller([quit_signal(ok=True), ONE]) as (guarded, _), pytest.raises(BuildLost, match="it quit"):
        guarded.communicate(NOTHING)


def test_a_second_build_on_the_port_changes_nothing_and_takes_over_when_the_first_is_lost() -> None:
    def late(stub: Stub) -> list[bytes]:
        time.sleep(0.5)
        return [ONE]

    with controller([ONE], late, timeout=3.0) as (guarded, stub):
        second = Stub(guarded.port, [[ONE, ONE], [ONE]])
        try:
            assert guarded.communicate(NOTHING) == [ONE]
            assert guarded.communicate(NOTHING) == [ONE]  # the second's hello came in between
            assert second.requests == []
            stub.close()
            with pytest.raises(BuildLost):
                guarded.communicate(NOTHING)
            guarded.restart()
            assert second.requests[0][0]["$type"] == "set_error_handling"
        finally:
            second.close()


def test_a_port_that_is_taken_is_said_and_a_closed_one_is_free_at_once() -> None:
    with controller([ONE]) as (guarded, _), pytest.raises(ConfigError, match=f"port {guarded.port} is taken"):
        GuardedController(guarded.port, start_timeout=0.1)
    guarded.close()
    with pytest.raises(ConfigError, match=r"no ThreeDWorld build called.*-port"):
        GuardedController(guarded.port, start_timeout=0.1)


def test_a_build_of_another_version_is_refused(tmp_path: Path) -> None:
    old = bytes(4) + b"vers\x01" + bytes([8]) + b"1.12.9.0" + b"2020.3"
    with zmq.Context() as context, context.socket(zmq.REP) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    program = (
        "import zmq, sys\n"
        "socket = zmq.Context().socket(zmq.REQ)\n"
        f"socket.connect('tcp://127.0.0.1:{port}')\n"
        "socket.send(b'hello'); socket.recv()\n"
        f"socket.send_multipart([{old!r}, b'0001']); socket.poll(5000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as build:
        with pytest.raises(
            ConfigError, match=r"the build is of ThreeDWorld 1\.12\.9\.0.*download the build of 1\.13"
        ):
            GuardedController(port, start_timeout=10.0)
        build.kill()


def test_numbers_that_json_does_not_know_never_leave() -> None:
    with controller([ONE]) as (guarded, _), pytest.raises(ValueError, match="not JSON compliant"):
        guarded.communicate({"$type": "teleport_object", "x": float("nan")})


def test_add_ons_work_as_with_tdws_own_controller() -> None:
    class AddOn:
        initialized = False
        commands = [{"$type": "later"}]  # noqa: RUF012
        said: list = []  # noqa: RUF012

        def get_early_initialization_commands(self):
            return [{"$type": "first"}]

        def get_initialization_commands(self):
            return [{"$type": "second"}]

        def before_send(self, commands):
            self.count = len(commands)

        def on_send(self, resp):
            self.said.append(resp)

    with controller([ONE], [ONE]) as (guarded, stub):
        guarded.add_ons.append(add_on := AddOn())
        guarded.communicate(NOTHING)
        guarded.communicate([NOTHING])
        assert [[c["$type"] for c in request] for request in stub.requests[1:]] == [
            ["first", "do_nothing", "second"],
            ["do_nothing", "later"],
        ]
        assert (add_on.count, add_on.said) == (2, [[ONE], [ONE]])


def test_one_request_at_a_time() -> None:
    with controller([ONE]) as (guarded, _):
        guarded.send([NOTHING])
        with pytest.raises(RuntimeError):
            guarded.send([NOTHING])
        assert guarded.receive() == [ONE]
        with pytest.raises(RuntimeError):
            guarded.receive()
