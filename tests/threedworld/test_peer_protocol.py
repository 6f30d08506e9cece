"""The peer speaks the protocol: to tdw's own controller, and frame by frame to a bare socket."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tdw", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")
pytest.importorskip("zmq", reason="ThreeDWorld is not installed: pip install 'task2sim[threedworld]'")

import zmq

from task2sim import ConfigError
from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.testing import PeerProcess, count_requests, start_peer
from task2sim_threedworld.testing.faults import FAULTS
from task2sim_threedworld.testing.peer import read_flag

import_tdw()

from tdw import output_data as data  # noqa: E402
from tdw.controller import Controller  # noqa: E402
from tdw.tdw_utils import TDWUtils  # noqa: E402

CHAIR = "chair_billiani_doll"
IMAGE = [{"$type": "send_images", "frequency": "once"}]
SET_UP = [
    {"$type": "set_screen_size", "width": 16, "height": 16},
    {"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": "a"},
    {"$type": "send_log_messages"},
]


class Wire:
    """The controller's end of the protocol, bare: it waits some seconds, never for ever."""

    def __init__(self, context: zmq.Context) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")

    def hello(self) -> list[bytes]:
        return self.socket.recv_multipart()

    def ask(self, request: Any) -> list[bytes]:
        self.socket.send(request if isinstance(request, bytes) else json.dumps(request).encode())
        return self.socket.recv_multipart()

    def is_silent(self, seconds: float) -> bool:
        return not self.socket.poll(1000 * seconds)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with zmq.Context() as context:
        wire = Wire(context)
        yield wire
        wire.socket.close()


@pytest.fixture
def launched(wire: Wire, peer_build: Callable[..., Path]) -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """A function that launches a build as tdw's controller does: with the port and its number in one argument."""
    processes = []

    def launch(build: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([str(build), f"-port {wire.port}"], stdout=subprocess.DEVNULL)
        processes.append(process)
        return process

    yield launch
    for process in processes:
        process.kill()
        process.wait()


def within(seconds: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Fail a test that takes too long: tdw's own controller waits for ever."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            raised: list[BaseException] = []

            def body() -> None:
                try:
                    test(*args, **kwargs)
                except BaseException as error:
                    raised.append(error)

            thread = threading.Thread(target=body, daemon=True)
            thread.start()
            thread.join(seconds)
            assert not thread.is_alive(), f"nothing happened for {seconds} s"
            if raised:
                raise raised[0]

        return run

    return decorate


@contextmanager
def tdws_controller() -> Iterator[tuple[Controller, PeerProcess]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start_peer(port) as peer:
        controller = Controller(port, check_version=False, launch_build=False)
        try:
            yield controller, peer
        finally:
            controller.socket.close(0)


def by_kind(answer: list[bytes]) -> dict[str, bytes]:
    return {data.OutputData.get_data_type_id(frame): frame for frame in answer[:-1]}


def centre_of(frame: bytes) -> np.ndarray:
    return data.Bounds(frame).get_center(0)


def what_was_logged(answer: list[bytes]) -> tuple[str, str]:
    message = data.LogMessage(by_kind(answer)["logm"])
    assert message.get_message_type() == "error"
    return message.get_object_type(), message.get_message()


def ended_badly(answer: list[bytes]) -> bool:
    return data.OutputData.get_data_type_id(answer[-2]) == "quit" and not data.QuitSignal(answer[-2]).get_ok()


# With tdw's own controller


@within(15)
def test_tdws_own_controller_takes_a_picture_of_an_object() -> None:
    with tdws_controller() as (controller, peer):
        assert (controller._tdw_version, controller._unity_version) == ("1.13.0.0", "task2sim peer")
        answer = controller.communicate(
            [
                {"$type": "set_screen_size", "width": 96, "height": 64},
                {"$type": "create_avatar", "type": "A_Img_Caps_Kinematic", "id": "a"},
                {"$type": "teleport_avatar_to", "position": {"x": 1, "y": 1.5, "z": 1.8}},
                {"$type": "set_pass_masks", "pass_masks": ["_img", "_id", "_depth"]},
                controller.get_add_object(CHAIR, object_id=5, position={"x": 0.2, "y": 0, "z": 0.1}),
                {"$type": "look_at", "object_id": 5, "use_centroid": True},
                {"$type": "send_segmentation_colors"},
                {"$type": "send_bounds"},
                {"$type": "send_images"},
            ]
        )
        found = by_kind(answer)
        assert list(found) == ["segm", "boun", "imag"]
        images, segmentation = data.Images(found["imag"]), data.SegmentationColors(found["segm"])
        passes = {images.get_pass_mask(k): images.get_image(k) for k in range(images.get_num_passes())}
        assert Image.open(io.BytesIO(bytes(passes["_img"]))).size == (96, 64)
        mask = np.asarray(Image.open(io.BytesIO(bytes(passes["_id"]))))
        on_object = (mask == segmentation.get_object_color(0)).all(axis=-1)
        assert segmentation.get_object_id(0) == 5
        assert on_object[32, 48]
        assert 0.02 < on_object.mean() < 0.6
        depth = TDWUtils.get_depth_values(passes["_depth"], width=96, height=64)
        distance = float(np.linalg.norm(np.array([1, 1.5, 1.8]) - centre_of(found["boun"])))
        assert distance - 0.6 < depth[32, 48] < distance
        assert depth[~on_object].min() > 90

        answer = controller.communicate({"$type": "terminate"})
        assert data.QuitSignal(by_kind(answer)["quit"]).get_ok()
        assert peer.wait(5) == 0


@within(15)
def test_tdws_own_add_ons_work(tmp_path: Path) -> None:
    from tdw.add_ons.image_capture import ImageCapture
    from tdw.add_ons.third_person_camera import ThirdPersonCamera

    with tdws_controller() as (controller, _):
        camera = ThirdPersonCamera(
            position={"x": 0, "y": 1, "z": -2}, look_at={"x": 0, "y": 0.5, "z": 0}, avatar_id="a"
        )
        capture = ImageCapture(path=tmp_path, avatar_ids=["a"], png=True)
        controller.add_ons.extend([camera, capture])
        controller.communicate([TDWUtils.create_empty_room(12, 12), controller.get_add_object(CHAIR, object_id=1)])
        camera.teleport({"x": 0.5, "y": 1, "z": -2})
        controller.communicate([])
    sizes = [Image.open(path).size for path in sorted((tmp_path / "a").glob("*.png"))]
    assert sizes == [(256, 256)] * 2


# Frame by frame


def test_hello_is_one_frame_and_answers_end_with_the_frame_number(wire: Wire) -> None:
    with start_peer(wire.port):
        assert len(wire.hello()) == 1
        assert [wire.ask([]) for _ in range(3)] == [[bytes(4)], [bytes([0, 0, 0, 1])], [bytes([0, 0, 0, 2])]]


def test_commands_are_carried_out_in_their_order(wire: Wire) -> None:
    with start_peer(wire.port):
        wire.hello()
        add = Controller.get_add_object(CHAIR, object_id=1)
        move = {"$type": "teleport_object_by", "id": 1, "position": {"x": 1, "y": 0, "z": 0}}
        to = {"$type": "teleport_object", "id": 1, "position": {"x": 5, "y": 0, "z": 0}}
        ask = {"$type": "send_transforms"}
        for request, x in (([add, to, move, ask], 6), ([move, to, ask], 5)):
            transforms = data.Transforms(by_kind(wire.ask(request))["tran"])
            assert transforms.get_position(0)[0] == x


def test_once_is_once_and_always_is_always(wire: Wire) -> None:
    with start_peer(wire.port):
        wire.hello()
        once, always = {"$type": "send_lights"}, {"$type": "send_categories", "frequency": "always"}
        assert list(by_kind(wire.ask([once, always]))) == ["ligh", "cate"]
        assert list(by_kind(wire.ask([]))) == ["cate"]


MISTAKES: list[tuple[Any, str, str]] = [
    ([{"$type": "make_coffee"}], "MakeCoffee", "does not know"),
    ([{"$type": "set_aperture", "aperture": "wide"}], "SetAperture", "aperture must be"),
    ([{"$type": "set_img_pass_encoding"}], "SetImgPassEncoding", "value is missing"),
    ([{"$type": "destroy_object", "id": 1}], "DestroyObject", "no object 1"),
    ([{"type": "do_nothing"}], "Request", r"no \$type"),
    (["do_nothing"], "Request", "a command is an object"),
    ({"$type": "do_nothing"}, "Request", "no list of commands"),
    (b'[{"$type": "do_nothing"', "Request", "no JSON"),
    (b'["\xff"]', "Request", "no JSON"),
]
"""Requests that a build can't do, the class that complains, and words of the complaint."""


def test_errors_are_logged_and_survived_where_the_controller_wants_that(wire: Wire) -> None:
    with start_peer(wire.port):
        wire.hello()
        wire.ask([*SET_UP, {"$type": "set_error_handling", "error": False}])
        for request, kind, words in MISTAKES:
            about, message = what_was_logged(wire.ask(request))
            assert about == kind
            assert re.search(words, message)
        answer = wire.ask([{"$type": "make_coffee"}, {"$type": "send_lights"}])
        assert list(by_kind(answer)) == ["logm", "ligh"]


@pytest.mark.parametrize(("request_", "kind", "words"), [MISTAKES[3], MISTAKES[-2]])
def test_what_a_build_can_not_do_ends_it_with_a_reason(wire: Wire, request_: Any, kind: str, words: str) -> None:
    with start_peer(wire.port) as peer:
        wire.hello()
        wire.ask(SET_UP)
        answer = wire.ask(request_)
        about, message = what_was_logged(answer)
        assert about == kind
        assert re.search(words, message)
        assert ended_badly(answer)
        assert peer.wait(5) == 1


def test_the_log_is_sent_to_those_alone_who_asked(wire: Wire) -> None:
    with start_peer(wire.port) as peer:
        wire.hello()
        answer = wire.ask([{"$type": "do_nothing"}, {"$type": "make_coffee"}])
        assert list(by_kind(answer)) == ["quit"]
        assert ended_badly(answer)
        assert peer.wait(5) == 1


def test_a_peer_ends_with_its_block(wire: Wire) -> None:
    with start_peer(wire.port) as peer:
        wire.hello()
        assert peer.poll() is None
    assert peer.poll() is not None


def test_a_peer_that_calls_before_there_is_a_controller_waits_for_it() -> None:
    with zmq.Context() as context:
        wire = Wire(context)
        wire.socket.unbind(f"tcp://127.0.0.1:{wire.port}")
        with start_peer(wire.port) as peer:
            time.sleep(0.5)
            assert peer.poll() is None
            wire.socket.bind(f"tcp://127.0.0.1:{wire.port}")
            assert len(wire.hello()) == 1
        wire.socket.close()


# As an executable


@pytest.mark.parametrize(
    ("arguments", "port", "address"),
    [
        (["-port 1072"], "1072", "localhost"),
        (["-port", "1072", "-address", "10.0.0.7"], "1072", "10.0.0.7"),
        (["-port=1072", "-address=host"], "1072", "host"),
        (["-force-glcore42", "-address 127.0.0.1", "-screenWidth=64"], "1071", "127.0.0.1"),
        ([], "1071", "localhost"),
        (["-air-port 3"], "1071", "localhost"),
    ],
)
def test_flags_are_read_however_they_are_written(arguments: list[str], port: str, address: str) -> None:
    assert read_flag(arguments, "port", "1071") == port
    assert read_flag(arguments, "address", "localhost") == address


def test_a_build_is_an_executable_whose_name_may_hold_anything(
    wire: Wire, peer_build: Callable[..., Path], launched: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    build = peer_build(name="it's a $build.x86_64")
    assert os.access(build, os.X_OK)
    assert "export OPENBLAS_NUM_THREADS=1" in build.read_text()  # peers share a test machine's cores
    launched(build)
    wire.hello()
    wire.ask([*SET_UP, *IMAGE])
    assert count_requests(build) == 0  # nobody ordered faults, so nobody counts


def test_flags_of_unity_and_another_folder_do_no_harm(
    wire: Wire, peer_build: Callable[..., Path], tmp_path: Path
) -> None:
    flags = ["-batchmode", "-help-me", "-flip_images", "-port", str(wire.port), "-address", "127.0.0.1", "-nolog"]
    with PeerProcess([str(peer_build()), *flags], cwd=tmp_path, env={"PATH": os.environ["PATH"]}):
        wire.hello()
        assert wire.ask([]) == [bytes(4)]


def test_orders_that_make_no_sense_are_refused_before_anything_starts(peer_build: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="explode"):
        peer_build(faults=["explode"])
    with pytest.raises(ConfigError, match="2 or more"):
        start_peer(1, faults=["die"], every=1)


def test_a_peer_is_light() -> None:
    """What a peer need not load, it does not: a test starts many."""
    script = "import sys, task2sim_threedworld.testing.peer; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "tdw.FBOutput.Images" in loaded
    assert not {"tdw.controller", "scipy", "torch", "warp", "matplotlib"} & set(loaded)


# Faults


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_each_fault_happens_at_its_request_and_the_next_one_succeeds(
    kind: str,
    wire: Wire,
    peer_build: Callable[..., Path],
    launched: Callable[[Path], subprocess.Popen[bytes]],
) -> None:
    build = peer_build(faults=[kind], every=2, slow_seconds=0.4)
    process = launched(build)
    wire.hello()
    wire.ask(SET_UP)
    whole = wire.ask(IMAGE)
    wire.ask([{"$type": "send_lights"}])  # asks for no image: neither counts nor fails
    add = Controller.get_add_object(CHAIR, object_id=1)
    request = json.dumps([add, *IMAGE]).encode()
    if kind in ("die", "hang", "disconnect"):
        closed = wire.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        wire.socket.send(request)
        assert wire.is_silent(0.2)
        assert bool(closed.poll(0)) == (kind != "hang")
        wire.socket.disable_monitor()
        closed.close()
        if kind == "die":
            assert process.wait(5) == 1
        else:
            assert process.poll() is None
            process.kill()
        launched(build)
        wire.hello()
        wire.ask(SET_UP)
    elif kind == "restart":
        wire.socket.send(request)
        assert len(wire.socket.recv_multipart()) == 1  # another hello, where an answer would end with a number
        assert list(by_kind(wire.ask(SET_UP))) == []  # the avatar of the first life is gone, so it can be created
    elif kind == "ftre":
        answer = wire.ask(request)
        assert (len(answer), answer[0][4:8]) == (2, b"ftre")
    elif kind == "slow":
        wire.socket.send(request)
        assert wire.is_silent(0.2)
        assert list(by_kind(wire.socket.recv_multipart())) == ["imag"]
        request = json.dumps(IMAGE).encode()
    elif kind == "short":
        answer = wire.ask(request)
        frame = by_kind(answer)["imag"]
        with pytest.raises(ValueError, match="buffer"):
            data.Images(frame).get_image(0)
        assert len(answer[-1]) == 4
        request = json.dumps(IMAGE).encode()
    elif kind == "reject":
        answer = wire.ask(request)
        assert what_was_logged(answer) == ("SendImages", "this fault was ordered")
        assert ended_badly(answer)
        assert process.wait(5) == 1
        wire.socket.send(b"to nobody")  # a REP socket hears another peer only after it spoke
        launched(build)
        wire.hello()
        wire.ask(SET_UP)
    images = data.Images(by_kind(wire.ask(request))["imag"])
    assert images.get_image(0).size > 100
    assert images.get_width() == data.Images(by_kind(whole)["imag"]).get_width()
    assert count_requests(build) == 3


def test_an_image_that_is_always_sent_counts_too(
    wire: Wire, peer_build: Callable[..., Path], launched: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    build = peer_build(faults=["slow"], every=100)
    launched(build)
    wire.hello()
    wire.ask([*SET_UP, {"$type": "send_images", "frequency": "always"}])
    wire.ask([])
    assert count_requests(build) == 2
    never = [{"$type": "send_images", "frequency": "never"}]
    wire.ask(never)  # what was due until now makes it count
    wire.ask(never)
    wire.ask([])
    assert count_requests(build) == 3
