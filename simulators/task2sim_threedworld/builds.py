"""Several builds behind one simulator: they share the images, and one that is lost is replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from task2sim import PluginError, Scene
from task2sim_threedworld.controller import BuildLost, GuardedController
from task2sim_threedworld.frames import Frame, decode, light_of
from task2sim_threedworld.library import Library
from task2sim_threedworld.scene_commands import SceneCommands, set_up

MOST_ATTEMPTS = 4
"""How often one image is asked for before the simulator gives up."""


class Session:
    """A build that is set up, and what it was told so far.

    Args:
        controller: A build that has just loaded the empty scene.
        library: What scenes are made of.
        resolution: Height and width of the images.
        annotated: Whether masks, depth and scene graphs are wanted.
    """

    def __init__(self, controller: GuardedController, library: Library, resolution: int, annotated: bool) -> None:
        self._controller = controller
        self._library = library
        self._resolution = resolution
        self._annotated = annotated
        self._set_up()

    def _set_up(self) -> None:
        skybox = next(iter(self._library.skyboxes.values()))
        answer = self._controller.communicate(set_up(self._resolution, self._annotated, skybox))
        self._commands = SceneCommands(self._library, self._annotated, light_of(answer))

    def renew(self) -> None:
        """Replace the build by a fresh one, set up in the same way."""
        self._controller.restart()
        self._set_up()

    @property
    def loads(self) -> int:
        """How many objects the build has loaded."""
        return self._commands.loads

    def send(self, scene: Scene) -> None:
        """Ask for an image, without waiting for it."""
        self._controller.send(self._commands.request(scene))

    def receive(self) -> list[bytes]:
        """Wait for the image that was asked for."""
        return self._controller.receive()

    def decode(self, answer: Sequence[bytes], scene: Scene) -> Frame:
        """Read an answer."""
        models = [self._commands.model(item) for item in scene.objects]
        return decode(answer, scene, models, self._resolution, self._annotated)

    def close(self) -> None:
        """End the build."""
        self._controller.close()


class _Work:
    """The scenes that wait to be rendered, shared by the builds; also their results."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.scenes = scenes
        self.frames: list[Frame | None] = [None] * len(scenes)
        self.error: BaseException | None = None
        self._next = 0
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """The number of a scene that nobody has, or None if there is none or somebody failed."""
        with self._lock:
            if self.error is not None or self._next == len(self.scenes):
                return None
            self._next += 1
            return self._next - 1

    def fail(self, error: BaseException) -> None:
        """Let everybody stop; the first error counts."""
        with self._lock:
            self.error = self.error or error


class Builds:
    """Renders scenes on one or more builds.

    Args:
        open_session: Starts (or waits for) build number k and sets it up.
        count: How many builds.
        restart_after: A build is replaced when it has loaded this many objects, since it never gives back all memory;
            None for never.
    """

    def __init__(self, open_session: Callable[[int], Session], count: int, restart_after: int | None) -> None:
        self._open = open_session
        self._restart_after = restart_after
        self._sessions: list[Session | None] = [None] * count
        self._lost = [False] * count

    def render(self, scenes: Sequence[Scene]) -> list[Frame]:
        """Render scenes, in their order, whichever build makes which.

        Raises:
            PluginError: a command was rejected, or builds were lost again and again.
            ConfigError: a build can't be started.
        """
        work = _Work(scenes)
        helpers = [
            threading.Thread(target=self._serve, args=(number, work), daemon=True)
            for number in range(1, min(len(self._sessions), len(scenes)))
        ]
        for thread in helpers:
            thread.start()
        try:
            self._serve(0, work)
        finally:
            for thread in helpers:
                thread.join()
        if work.error is not None:
            raise work.error
        return [frame for frame in work.frames if frame is not None]

    def close(self) -> None:
        """End all builds; may be called twice."""
        for number in range(len(self._sessions)):
            self._drop(number)

    def _serve(self, number: int, work: _Work) -> None:
        """Render what is left with build `number`."""
        attempts: dict[int, int] = {}
        todo: list[int] = []  # what this build must ask for next, before it takes more
        try:
            while True:
                if not todo:
                    taken = work.take()
                    if taken is None:
                        return
                    todo.append(taken)
                try:
                    self._pipeline(number, work, todo)
                except BuildLost as lost:
                    self._lost[number] = True
                    image = todo[0]
                    attempts[image] = attempts.get(image, 0) + 1
                    if attempts[image] >= MOST_ATTEMPTS:
                        raise PluginError(
                            f"the build was lost {MOST_ATTEMPTS} times at image {work.scenes[image].index}: {lost}",
                            mend="task2sim threedworld doctor looks for the cause; finished work is kept",
                        ) from lost
        except BaseException as error:
            self._drop(number)
            work.fail(error)
            if number == 0 and not isinstance(error, Exception):
                raise

    def _pipeline(self, number: int, work: _Work, todo: list[int]) -> None:
        """Render `todo` and then whatever is left; the build draws an image while the one before is decoded.

        An image leaves `todo` when it is finished: what is still there when a build is lost is asked for again.
        """
        session = self._session(number)
        session.send(work.scenes[todo[0]])
        asked = 1
        while todo:
            answer = session.receive()
            if not self._is_worn(session):
                if asked == len(todo) and (taken := work.take()) is not None:
                    todo.append(taken)
                if asked < len(todo):
                    session.send(work.scenes[todo[1]])
                    asked += 1
            work.frames[todo[0]] = session.decode(answer, work.scenes[todo[0]])
            del todo[0]
            asked -= 1
            if not asked:
                return

    def _session(self, number: int) -> Session:
        """Build `number`: one that is set up and fit for more."""
        session = self._sessions[number]
        if session is None:
            session = self._sessions[number] = self._open(number)
        elif self._lost[number] or self._is_worn(session):
            session.renew()
        self._lost[number] = False
        return session

    def _is_worn(self, session: Session) -> bool:
        return self._restart_after is not None and session.loads >= self._restart_after

    def _drop(self, number: int) -> None:
        session, self._sessions[number] = self._sessions[number], None
        if session is not None:
            session.close()
