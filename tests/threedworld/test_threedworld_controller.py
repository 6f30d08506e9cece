"""The controller that never waits for ever, against builds that say whatever a test wants."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

import psutil
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from task2sim import ConfigError
from task2sim_threedworld.controller import BuildLost, CommandRejected, GuardedController
from task2sim_threedworld.testing.messages import failed_to_receive, log_message, quit_signal

VERSION = bytes(4) + b"vers\x01" + bytes([8]) + b"1.13.0.0" + b"2020.3"
ONE = struct.pack(">I", 1)
FTRE = [failed_to_receive(), bytes(1)]
NEWS = struct.pack("<I", 8) + b"imag" + bytes(4)
NOTHING = {"$type": "do_nothing"}

Answer = Sequence[bytes] | Callable[["Stub"], Sequence[bytes] | None]


class Stub:
    """A build in a thread: it says hello, answers the handshake, and then what the test says, request by request."""

    def __init__(self, port: int, *answers: Answer, handshake: Answer = (VERSION, ONE)) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.port = port
        self._answers = [handshake, *answers]
        self._context = zmq.Context()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def connect(self, first: Sequence[bytes] = (b"hello",)) -> None:
        """Come over a new connection."""
        self.socket = self._context.socket(zmq.REQ)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 10)  # it may be there before the controller
        self.socket.connect(f"tcp://127.0.0.1:{self.port}")
        self.socket.send_multipart(first)

    def reconnect(self, first: Sequence[bytes] = (b"hello",)) -> None:
        """Leave without an answer, and come over a new connection."""
        self.socket.close(0)
        self.connect(first)

    def close(self) -> None:
        self._context.term()  # wakes the thread, which alone may close its socket
        self._thread.join()

    def _run(self) -> None:
        self.connect()
        try:
            for answer in self._answers:
                self.requests.append(json.loads(self.socket.recv()))
                frames = answer(self) if callable(answer) else answer
                if frames is not None:
                    self.socket.send_multipart(frames)
            self.requests.append(json.loads(self.socket.recv()))
            self.socket.send_multipart([quit_signal(ok=True), ONE])
            silent(self)
        except zmq.ZMQError:  # the test is over, or it told the stub to leave
            self.socket.close(0)


def silent(stub: Stub) -> None:
    """Alive, and no more than that, until the test is over."""
    stub.socket.poll(60_000)


def leave(stub: Stub) -> None:
    """The connection closes without an answer."""
    stub.socket.close(0)


def after(seconds: float, *frames: bytes) -> Answer:
    """A slow answer."""

    def answer(stub: Stub) -> Sequence[bytes]:
        time.sleep(seconds)
        return frames or [ONE]

    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def meeting(*answers: Answer, timeout: float = 2.0, **options: Any) -> Iterator[tuple[GuardedController, Stub]]:
    """A controller and the build that called it."""
    port = free_port()
    stub = Stub(port, *answers)
    try:
        guarded = GuardedController(port, timeout=timeout, start_timeout=5.0, **options)
        try:
            yield guarded, stub
        finally:
            guarded.close()
    finally:
        stub.close()


@contextmanager
def lasting(least: float, most: float) -> Iterator[None]:
    """Fail a block that takes too long or too little."""
    start = time.monotonic()
    yield
    assert least <= time.monotonic() - start < most


def program(body: str) -> Callable[[int], subprocess.Popen[bytes]]:
    """What launches a build that answers the handshake and then runs `body`."""
    head = (
        "import sys, zmq\n"
        "socket = zmq.Context().socket(zmq.REQ)\n"
        "socket.connect('tcp://127.0.0.1:' + sys.argv[1])\n"
        f"socket.send(b'hello'); socket.recv(); socket.send_multipart([{VERSION!r}, {ONE!r}])\n"
    )
    return lambda port: subprocess.Popen([sys.executable, "-c", head + body, str(port)])


# --- what it does when all is well ---


def test_it_shakes_hands_and_listens_on_this_machine_alone() -> None:
    with meeting([NEWS, ONE]) as (guarded, stub):
        assert (guarded.version, guarded.unity_version) == ("1.13.0.0", "2020.3")
        names = [command["$type"] for command in stub.requests[0]]
        assert names == ["set_error_handling", "send_version", "send_log_messages", "load_scene"]
        (address,) = [
            connection.laddr.ip
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == guarded.port
        ]
        assert address == "127.0.0.1"
    with meeting([ONE]) as (guarded, stub):
        assert guarded.communicate({"$type": "say", "text": "straße"}) == [ONE]
        assert guarded.sent == b'[{"$type":"say","text":"stra\\u00dfe"}]'
        assert (guarded.requests, stub.requests[1]) == (2, [{"$type": "say", "text": "straße"}])


def test_any_free_port_will_do(tmp_path: Path) -> None:
    guarded = GuardedController(0, launch=program("socket.recv()"), start_timeout=20.0)
    assert guarded.port > 1024
    guarded.close()


def test_the_next_request_can_be_sent_before_the_last_answer_is_read_but_only_one_flies() -> None:
    with meeting([ONE], [ONE]) as (guarded, _):
        guarded.send([NOTHING])
        with pytest.raises(RuntimeError, match="receive its answer first"):
            guarded.send([NOTHING])
        assert guarded.receive() == [ONE]
        with pytest.raises(RuntimeError, match="no request"):
            guarded.receive()
        guarded.send([NOTHING])
        assert guarded.receive() == [ONE]


def test_numbers_that_json_does_not_know_never_leave_and_do_no_harm() -> None:
    with meeting([ONE]) as (guarded, stub):
        with pytest.raises(ValueError, match="not JSON compliant"):
            guarded.communicate({"$type": "teleport_object", "x": float("nan")})
        assert guarded.communicate(NOTHING) == [ONE]
        assert stub.requests[1:] == [[NOTHING]]


def test_add_ons_work_as_with_tdws_own_controller() -> None:
    from tdw.add_ons.add_on import AddOn
    from tdw.controller import Controller

    class Early(AddOn):
        def get_early_initialization_commands(self) -> list[dict[str, Any]]:
            return [{"$type": "first"}, {"$type": "second"}]

        def get_initialization_commands(self) -> list[dict[str, Any]]:
            return [{"$type": "last"}]

        def before_send(self, commands: list[dict[str, Any]]) -> None:
            self.seen = [command["$type"] for command in commands]

        def on_send(self, resp: list[bytes]) -> None:
            self.commands.append({"$type": "later", "answer": len(resp)})

    def names(request: list[dict[str, Any]]) -> list[str]:
        return [command["$type"] for command in request]

    with meeting([ONE], [ONE]) as (guarded, stub):
        assert isinstance(guarded, Controller)
        guarded.add_ons.append(add_on := Early())
        guarded.communicate(NOTHING)
        assert names(stub.requests[1]) == add_on.seen == ["first", "second", "do_nothing", "last"]
        commands = [NOTHING]
        guarded.communicate(commands)
        assert stub.requests[2] == [NOTHING, {"$type": "later", "answer": 1}]
        assert commands == [NOTHING]


def test_add_ons_begin_anew_with_another_build() -> None:
    from tdw.add_ons.add_on import AddOn

    class Once(AddOn):
        def get_initialization_commands(self) -> list[dict[str, Any]]:
            return [{"$type": "once"}]

        def on_send(self, resp: list[bytes]) -> None:
            pass

    with meeting([ONE], [quit_signal(ok=True), ONE]) as (guarded, stub):
        guarded.add_ons.append(Once())
        guarded.communicate(NOTHING)
        second = Stub(guarded.port, [ONE])
        try:
            guarded.restart()
            assert stub.requests[2] == [{"$type": "terminate"}]  # it was idle
            guarded.communicate(NOTHING)
            assert second.requests[1] == [NOTHING, {"$type": "once"}]
        finally:
            second.close()


# --- no build ---


def test_no_build_ever_connects() -> None:
    with (
        lasting(0.3, 2.0),
        pytest.raises(
            ConfigError, match=r"no ThreeDWorld build called at 127.0.0.1:\d+ within 0.3 s; start one with -"
        ),
    ):
        GuardedController(free_port(), start_timeout=0.3)


def test_a_launched_program_that_never_calls_is_ended_and_its_last_words_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("loading\nno display   \n\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(
            ConfigError, match=r"within 0.2 s; its last words: no display; task2sim threedworld doctor"
        ):
            GuardedController(0, launch=lambda port: process, start_timeout=0.2, log=log)
        assert process.poll() is not None


def test_a_launched_program_that_ends_at_once_is_not_awaited() -> None:
    def launch(port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])

    with lasting(0.0, 5.0), pytest.raises(BuildLost, match=r"it ended before it called \(exit code 7\)"):
        GuardedController(0, launch=launch, start_timeout=30.0)


def test_a_build_that_is_silent_after_its_hello_is_given_the_time_to_start_and_no_more() -> None:
    port = free_port()
    stub = Stub(port, handshake=silent)
    try:
        with lasting(0.5, 3.0), pytest.raises(BuildLost, match=r"did not answer for 0.5 s"):
            GuardedController(port, start_timeout=0.5)
    finally:
        stub.close()


@pytest.mark.parametrize(
    ("frames", "error", "said"),
    [
        (
            [VERSION.replace(b"1.13.0.0", b"1.12.9.0"), ONE],
            ConfigError,
            r"ThreeDWorld 1\.12\.9\.0.*the build of 1\.13",
        ),
        ([ONE], BuildLost, "did not tell its version"),
        ([VERSION[:9], ONE], BuildLost, "cut off"),
    ],
)
def test_a_build_whose_version_is_not_ours_is_refused(frames: list[bytes], error: type[Exception], said: str) -> None:
    port = free_port()
    stub = Stub(port, handshake=frames)
    try:
        with pytest.raises(error, match=said):
            GuardedController(port, start_timeout=5.0)
    finally:
        stub.close()


# --- a build that is lost ---


def test_a_build_that_dies_in_a_request_is_noticed_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("out of memory")
    launch = program("socket.recv(); raise SystemExit(3)")
    guarded = GuardedController(0, launch=launch, start_timeout=20.0, timeout=30.0, log=log)
    try:
        with (
            lasting(0.0, 1.5),
            pytest.raises(BuildLost, match=r"^it ended \(exit code 3\); its last words: out of mem"),
        ):
            guarded.communicate(NOTHING)
        with pytest.raises(BuildLost, match="no build any more"):
            guarded.send([NOTHING])
        guarded.restart()
        guarded.send([NOTHING])
    finally:
        guarded.close()


def test_a_build_that_died_between_two_requests_is_noticed() -> None:
    guarded = GuardedController(0, launch=program("raise SystemExit(4)"), start_timeout=20.0, timeout=30.0)
    try:
        time.sleep(0.5)
        with lasting(0.0, 1.0), pytest.raises(BuildLost, match=r"exit code 4"):
            guarded.communicate(NOTHING)
    finally:
        guarded.close()


def test_the_last_answer_of_a_build_that_ends_counts() -> None:
    launch = program(
        f"socket.recv(); socket.send_multipart([{ONE!r}]); socket.close(); zmq.Context.instance().term()"
    )
    guarded = GuardedController(0, launch=launch, start_timeout=20.0, timeout=30.0)
    try:
        guarded.send([NOTHING])
        time.sleep(0.5)  # by now it has ended
        assert guarded.receive() == [ONE]
    finally:
        guarded.close()


def test_a_connection_that_closes_is_noticed_at_once() -> None:
    with (
        meeting(leave, timeout=30.0) as (guarded, _),
        lasting(0.0, 0.8),
        pytest.raises(BuildLost, match="it closed the connection"),
    ):
        guarded.communicate(NOTHING)


def test_a_silent_build_is_lost_after_the_timeout_and_its_late_answer_means_nothing() -> None:
    with meeting(after(0.8, NEWS, ONE), timeout=0.3) as (guarded, _):
        with lasting(0.3, 0.7), pytest.raises(BuildLost, match=r"it did not answer for 0.3 s"):
            guarded.communicate(NOTHING)
        with pytest.raises(BuildLost, match="no build any more"):
            guarded.communicate(NOTHING)
        second = Stub(guarded.port, after(0.6, ONE))
        try:
            guarded.restart()
            guarded._timeout = 2.0
            assert guarded.communicate(NOTHING) == [ONE]
        finally:
            second.close()


def test_a_load_may_take_longer_but_only_the_first_time() -> None:
    load = {"$type": "add_object", "name": "chair", "id": 1, "url": ""}
    with meeting(after(0.6), after(0.6), after(0.6), timeout=0.3, load_timeout=5.0) as (guarded, _):
        guarded.communicate(load)
        guarded.communicate([{**load, "name": "table"}, load])
        with pytest.raises(BuildLost, match=r"did not answer for 0.3 s"):
            guarded.communicate(load)


def test_another_build_has_loaded_nothing_yet() -> None:
    load = {"$type": "add_object", "name": "chair", "id": 1, "url": ""}
    with meeting([ONE], leave, timeout=0.3, load_timeout=5.0) as (guarded, _):
        guarded.communicate(load)
        with pytest.raises(BuildLost):
            guarded.communicate(load)
        second = Stub(guarded.port, after(0.6))
        try:
            guarded.restart()
            assert guarded.communicate(load) == [ONE]
        finally:
            second.close()


def test_a_build_that_restarts_by_itself_is_lost_and_its_new_self_taken() -> None:
    with meeting(Stub.reconnect, (VERSION, ONE), [NEWS, ONE], timeout=30.0) as (guarded, stub):
        with lasting(0.0, 0.8), pytest.raises(BuildLost, match="it restarted"):
            guarded.communicate(NOTHING)
        guarded.restart()
        assert stub.requests[2][0]["$type"] == "set_error_handling"
        guarded.send([NOTHING])
        assert guarded.receive() == [NEWS, ONE]


# --- others on the port ---


def test_a_second_build_is_ignored_even_when_it_leaves_and_is_taken_when_the_first_is_lost() -> None:
    with meeting(after(0.4), after(0.4), after(0.4, NEWS, ONE), leave) as (guarded, _):
        passing = Stub(guarded.port)
        guarded.send([NOTHING])
        assert guarded.receive() == [ONE]  # its hello came in between
        guarded.send([NOTHING])
        passing.close()
        assert guarded.receive() == [ONE]
        assert passing.requests == []
        second = Stub(guarded.port)
        try:
            assert guarded.communicate(NOTHING) == [NEWS, ONE]
            with pytest.raises(BuildLost):
                guarded.communicate(NOTHING)
            guarded.restart()
            assert second.requests[0][0]["$type"] == "set_error_handling"
        finally:
            second.close()


def test_whoever_speaks_something_else_on_the_port_does_no_harm() -> None:
    with meeting(after(0.4), after(0.4)) as (guarded, _), zmq.Context() as context:
        guarded.send([NOTHING])
        with socket.create_connection(("127.0.0.1", guarded.port)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with context.socket(zmq.DEALER) as dealer:
            dealer.connect(f"tcp://127.0.0.1:{guarded.port}")
            for frames in ([b""], [b"x"], [b"", b"", b""], [b"x" * 9, b"y"]):
                dealer.send_multipart(frames)
            assert guarded.receive() == [ONE]
        assert guarded.communicate(NOTHING) == [ONE]


def test_a_port_that_is_taken_is_said() -> None:
    with meeting() as (guarded, _), pytest.raises(ConfigError, match=f"port {guarded.port} is taken"):
        GuardedController(guarded.port, start_timeout=0.1)


def test_it_closes_twice_and_the_port_is_free_at_once() -> None:
    with meeting([quit_signal(ok=True), ONE]) as (guarded, stub):
        guarded.close()
        assert stub.requests[1:] == [[{"$type": "terminate"}]]
        guarded.close()
        second = Stub(guarded.port)
        try:
            GuardedController(guarded.port, start_timeout=5.0).close()
        finally:
            second.close()


def test_an_idle_build_that_waits_until_its_goodbye_is_taken_ends_by_itself() -> None:
    goodbye = f"socket.recv(); socket.send_multipart([{quit_signal(ok=True)!r}, {ONE!r}])\nsocket.close(9000)\n"
    processes = []

    def launch(port: int) -> subprocess.Popen[bytes]:
        processes.append(program(goodbye)(port))
        return processes[-1]

    guarded = GuardedController(0, launch=launch, start_timeout=20.0)
    guarded.close()
    assert processes[0].returncode == 0


def test_closing_amid_a_request_ends_a_build_that_hangs() -> None:
    processes = []

    def launch(port: int) -> subprocess.Popen[bytes]:
        processes.append(program("import time; time.sleep(60)")(port))
        return processes[-1]

    guarded = GuardedController(0, launch=launch, start_timeout=20.0)
    guarded.send([NOTHING])
    with lasting(0.0, 2.0):
        guarded.close()
    assert processes[0].poll() is not None
    with pytest.raises(BuildLost):
        guarded.send([NOTHING])


# --- answers that make no sense, or say that something is wrong ---


@pytest.mark.parametrize(
    "answer",
    [
        [b"too short", b"no number at all"],
        [b"imag", ONE],
        [b"", ONE],
        [b""],
        [struct.pack("<I", 5000) + b"imag" + bytes(20), ONE],
        [bytes(4) + b"quit", ONE],
        [struct.pack("<I", 8) + b"quit" + b"\xff" * 8, ONE],
    ],
)
def test_an_answer_that_makes_no_sense_is_a_lost_build(answer: list[bytes]) -> None:
    with meeting(answer) as (guarded, _):
        with pytest.raises(BuildLost, match="its answer was cut off"):
            guarded.communicate(NOTHING)
        with pytest.raises(BuildLost, match="no build any more"):
            guarded.communicate(NOTHING)


def test_an_answer_of_no_frames_at_all_is_a_lost_build() -> None:
    """A REQ socket can't send one, but who knows what calls."""
    body = (
        "import sys, zmq\n"
        "socket = zmq.Context().socket(zmq.DEALER); socket.connect('tcp://127.0.0.1:' + sys.argv[1])\n"
        "socket.send(b''); socket.recv(); socket.send(b''); socket.recv()\n"
    )
    with pytest.raises(BuildLost, match="cut off"):
        GuardedController(
            0, launch=lambda port: subprocess.Popen([sys.executable, "-c", body, str(port)]), start_timeout=20.0
        )


def test_whatever_a_build_answers_nothing_but_the_two_errors_comes_of_it() -> None:
    kinds = st.sampled_from([b"quit", b"logm", b"imag", b"vers", b"ftre", b"\xff\xff\xff\xff"])
    frame = st.builds(
        lambda root, kind, rest: root + kind + rest, st.binary(max_size=4), kinds, st.binary(max_size=40)
    )

    @settings(max_examples=60, deadline=None)
    @given(st.lists(frame | st.binary(max_size=20), min_size=1, max_size=4))
    def check(frames: list[bytes]) -> None:
        with meeting(*[frames] * 12) as (guarded, _), suppress(BuildLost, CommandRejected):
            assert guarded.communicate(NOTHING) == frames

    check()


def test_a_request_that_was_not_received_is_sent_again_also_over_a_new_connection() -> None:
    def elsewhere(stub: Stub) -> None:
        stub.reconnect(FTRE)

    with meeting(FTRE, elsewhere, [NEWS, ONE], [ONE]) as (guarded, stub):
        assert guarded.communicate([NOTHING, {"$type": "mark"}]) == [NEWS, ONE]
        assert stub.requests[1:] == [[NOTHING, {"$type": "mark"}]] * 3
        assert guarded.requests == 2
        assert guarded.communicate(NOTHING) == [ONE]


def test_a_request_that_is_never_received_is_sent_again_ten_times() -> None:
    with meeting(*[FTRE] * 30) as (guarded, stub):
        with pytest.raises(BuildLost, match="did not receive a request, sent again 10 times"):
            guarded.communicate(NOTHING)
        assert len(stub.requests) == 12  # the handshake, the request, and ten more


def test_a_rejected_command_is_named_by_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    from tdw.FBOutput.MessageType import MessageType

    with monkeypatch.context() as patch:
        patch.setattr(MessageType, "error", MessageType.warning)
        warning = log_message("LookAt", "it looks at nothing")
    answer = [warning, log_message("RotateObjectTo", "no  object\n7"), quit_signal(ok=False), ONE]
    with meeting(answer) as (guarded, _):
        with pytest.raises(CommandRejected) as caught:
            guarded.communicate([NOTHING, {"$type": "rotate_object_to", "id": 7}, {"$type": "look_at"}])
        assert str(caught.value) == "the build rejected rotate_object_to: no object 7"
        with pytest.raises(BuildLost, match="no build any more"):
            guarded.communicate(NOTHING)


def test_a_rejected_command_that_the_log_does_not_name_is_among_those_sent(tmp_path: Path) -> None:
    with (
        meeting([log_message("AssetBundles", "no chair"), quit_signal(ok=False), ONE]) as (guarded, _),
        pytest.raises(CommandRejected, match=r"rejected one of do_nothing, look_at: AssetBundles: no chair$"),
    ):
        guarded.communicate([NOTHING, {"$type": "look_at"}, NOTHING])
    log = tmp_path / "log"
    log.write_text("Unknown command\n")
    with (
        meeting([quit_signal(ok=False), ONE], log=log) as (guarded, _),
        pytest.raises(CommandRejected, match=r"one of do_nothing, look_at; its last words: Unknown command$"),
    ):
        guarded.communicate([NOTHING, {"$type": "look_at"}, NOTHING])


def test_a_build_that_quits_by_itself_is_lost_but_one_that_was_told_to_is_not() -> None:
    goodbye = [quit_signal(ok=True), ONE]
    with meeting(goodbye) as (guarded, _), pytest.raises(BuildLost, match="it quit"):
        guarded.communicate(NOTHING)
    with meeting(goodbye) as (guarded, _):
        assert guarded.communicate({"$type": "terminate"}) == goodbye  # how scripts for tdw's own controller end
