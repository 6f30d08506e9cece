"""What every component promises: its configuration, and how it behaves in a process and across processes."""

from __future__ import annotations

import json
import time
from typing import Any

import pydantic

from task2sim.conformance.checks import Breach, Check, CheckList, NotApplicable, require
from task2sim.conformance.elsewhere import Answer, call_elsewhere, file_of, import_elsewhere
from task2sim.conformance.isolation import captured_stdout, global_generators, seeded_generators
from task2sim.conformance.subject import SEED, Subject, exercise
from task2sim.errors import Task2SimError
from task2sim.interfaces import ComponentConfig

CHEAP_SECONDS = 0.5
"""So long a constructor may take; ``task2sim validate`` calls one for each component of a study."""

LARGE_SEED = 2**63 - 1

CONFIGURATION = CheckList()
BEHAVIOUR = CheckList()
RESULTS = CheckList()
SEEDED = CheckList()
CLOSING = CheckList()


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks that are the same for all kinds, as far as they concern this one."""
    checks = [*CONFIGURATION]
    if kind not in ("executors", "observers"):  # these have no results of their own, and never work in a worker
        checks += RESULTS
    if kind in ("embedders", "policies", "simulators", "trainers", "evaluators"):
        checks += SEEDED
    if kind in ("simulators", "executors"):
        checks += CLOSING
    return (*checks, *BEHAVIOUR)


# --- the configuration ---


def _config(subject: Subject) -> ComponentConfig:
    if subject.config is not None:
        return subject.config
    try:
        return subject.component_class.Config()
    except pydantic.ValidationError:
        raise NotApplicable(
            "its Config needs values, and the factory does not tell: give the class and config={...}"
        ) from None


@CONFIGURATION.add(
    "config-unknown-keys",
    "its Config refuses unknown keys",
    why="a misspelt key in a study file would be passed over, and another study would run than was meant",
    mend="derive Config from task2sim.ComponentConfig and leave its model_config and before-validators alone",
)
def _unknown_keys(subject: Subject) -> None:
    given = {"no_such_key_of_the_kit": 1}
    try:
        subject.component_class.Config.model_validate(_config(subject).model_dump() | given)
    except (pydantic.ValidationError, Task2SimError):
        return
    raise Breach("Config took the key 'no_such_key_of_the_kit'")


@CONFIGURATION.add(
    "config-round-trip",
    "its Config survives the way to JSON and back",
    why="configurations travel to workers and into config.resolved.yaml as JSON; there, another one would be built",
    mend="use types that pydantic writes and reads; let serialisers lose nothing",
)
def _round_trip(subject: Subject) -> None:
    config = _config(subject)
    text = json.dumps(config.model_dump(mode="json"))
    again = type(config).model_validate(json.loads(text))
    changed = [name for name in type(config).model_fields if getattr(again, name) != getattr(config, name)]
    require(not changed, f"{', '.join(changed)} came back changed from {text}")


@CONFIGURATION.add(
    "config-schema",
    "its Config has a JSON schema",
    why="task2sim schema leaves the component out otherwise, and editors can't help with its keys",
    mend="give types of your own a __get_pydantic_json_schema__, or use plain ones",
)
def _schema(subject: Subject) -> None:
    schema = subject.component_class.Config.model_json_schema()
    json.dumps(schema)


@CONFIGURATION.add(
    "config-described",
    "every key of its Config has a description",
    why="task2sim schema and editors show descriptions; without one a user must read the code",
    mend='write Annotated[int, Field(ge=1, description="...")], with the unit',
)
def _described(subject: Subject) -> None:
    fields = subject.component_class.Config.model_fields
    bare = [name for name, field in fields.items() if not (field.description or "").strip()]
    require(not bare, f"no description: {', '.join(bare)}")


@CONFIGURATION.add(
    "config-refuses-nonsense",
    "every key of its Config refuses values that make no sense, with pydantic's error",
    why="a wrong value would be noticed in the middle of a study, or never",
    mend="give the field a type and bounds; raise ValueError in validators",
)
def _refuses_nonsense(subject: Subject) -> None:
    config = _config(subject)
    nonsense: tuple[Any, ...] = (
        {"no": ["sense"]},
        [["no"], "sense"],
        "no \x00 sense",
        -1e300,
        float("nan"),
        None,
    )
    for name in type(config).model_fields:
        refused = 0
        for value in nonsense:
            try:
                type(config).model_validate(config.model_dump() | {name: value})
            except (pydantic.ValidationError, Task2SimError):
                refused += 1
        require(refused, f"{name} takes anything: {', '.join(map(repr, nonsense))}")


@CONFIGURATION.add(
    "config-no-type",
    "its Config has no key called type",
    why="in a study file type is the plugin's name, so that key could never be set",
    mend="call it otherwise",
)
def _no_type(subject: Subject) -> None:
    require("type" not in subject.component_class.Config.model_fields, "there is a field 'type'")


@CONFIGURATION.add(
    "constructor-cheap",
    f"it is built in less than {CHEAP_SECONDS:g} s",
    why="task2sim validate builds every component of a study, and workers build theirs anew",
    mend="load models and start renderers when they are first needed",
)
def _constructor_cheap(subject: Subject) -> None:
    seconds = []
    for _ in range(2):  # the first may have to import
        start = time.perf_counter()
        with subject.component():
            seconds.append(time.perf_counter() - start)
    require(min(seconds) < CHEAP_SECONDS, f"it took {min(seconds):.2f} s")


@CONFIGURATION.add(
    "light-import",
    "its module imports neither torch nor a renderer nor anything else that takes long",
    why="task2sim run and validate import the module of every plugin that a study names",
    mend="import inside methods, or in a module that the class imports when it works",
)
def _light_import(subject: Subject) -> None:
    module = subject.component_class.__module__
    brought = import_elsewhere(module, file_of(module))
    require(not brought.heavy, f"{module} imports {', '.join(brought.heavy)} ({brought.seconds:.1f} s)")
    require(brought.seconds < 1.0, f"importing {module} took {brought.seconds:.1f} s")


@CONFIGURATION.add(
    "fingerprint",
    "its fingerprint is a text, and the same for the same configuration and files",
    why="it is part of every key: if it changes by itself, finished work is done again",
    mend="use fingerprint_folder and fingerprint_libraries; leave out times, addresses and absolute paths",
)
def _fingerprint(subject: Subject) -> None:
    texts = []
    for _ in range(2):
        with subject.component() as component:
            texts.append(component.fingerprint())
    require(all(isinstance(text, str) for text in texts), f"it is {texts[0]!r}")
    require(texts[0] == texts[1], f"it was {texts[0]!r}, then {texts[1]!r}")
    try:
        answer = call_elsewhere(_fingerprint_of, subject.build)
    except NotApplicable:
        return
    require(answer.error or answer.value == texts[0], f"it is {texts[0]!r} here, {answer.value!r} in another process")


def _fingerprint_of(build: Any) -> Any:
    return build().fingerprint()


# --- the results ---


def _fresh_result(subject: Subject, seed: int = SEED) -> str:
    with subject.component() as component:
        return subject.result(component, seed)


def _result_here(subject: Subject) -> str:
    """What a new component gives, with the global generators as in the other process."""

    def result() -> str:
        with seeded_generators(0):
            return _fresh_result(subject)

    return subject.remembered("here", result)


def _elsewhere(subject: Subject) -> Answer:
    return subject.remembered(
        "elsewhere", lambda: call_elsewhere(_result_of, subject.kind, subject.build, subject.bench, SEED)
    )


def _result_of(kind: str, build: Any, bench: Any, seed: int) -> str:
    component = build()
    try:
        with seeded_generators(0):  # whether it reads them is another check's matter
            return exercise(kind, component, bench, seed)
    finally:
        if hasattr(component, "close"):
            component.close()


@RESULTS.add(
    "same-again",
    "asked the same again, it gives the same, bit by bit",
    why="one component serves many trials; results must not depend on what it did before, or comparisons are spoilt",
    mend="take everything random from the seed (task2sim.spawn_generator), and keep no state between calls",
)
def _same_again(subject: Subject) -> None:
    with subject.component() as component:
        first, second = subject.result(component), subject.result(component)
    require(first == second, "the second time it gave something else")


@RESULTS.add(
    "spawned-process",
    "it works in a process that was started afresh",
    why="executors build components in spawned workers, without anything the main process prepared",
    mend="prepare nothing at import or in main that methods rely on; build what is needed from the configuration",
)
def _spawned(subject: Subject) -> None:
    answer = _elsewhere(subject)
    require(not answer.error, f"there it raised {answer.error}" + f" ({answer.place})" * bool(answer.place))


@RESULTS.add(
    "same-in-other-process",
    "in another process it gives the same, bit by bit",
    why="studies that are resumed, or run with more workers, would mix results that do not belong together",
    mend="depend neither on the process, nor on hash() of texts, nor on the order of sets and listed folders",
)
def _same_elsewhere(subject: Subject) -> None:
    answer = _elsewhere(subject)
    if answer.error:
        raise NotApplicable("it does not work in another process: see spawned-process")
    here = _result_here(subject)
    if here != answer.value:
        with seeded_generators(0):
            again = _fresh_result(subject)
        if here != again:
            raise NotApplicable("here it gives something else every time")
        raise Breach("a spawned process gave something else than this one")


@SEEDED.add(
    "large-seeds",
    "it takes every seed in [0, 2**63)",
    why="the seeds a study hands out are spread over the whole range",
    mend="use task2sim.spawn_generator or numpy.random.default_rng; for older generators reduce the seed by a hash",
)
def _large_seeds(subject: Subject) -> None:
    _fresh_result(subject, LARGE_SEED)


# --- the end ---


@CLOSING.add(
    "closes-twice",
    "close may be called twice, and before anything was done",
    why="a study closes on success and on the way out of an error; an error in close hides the one that matters",
    mend="set what was closed to None, and look before closing",
)
def _closes_twice(subject: Subject) -> None:
    for used in (False, True):
        component = subject.build()
        if used:
            subject.result(component)
        component.close()
        component.close()


@CLOSING.add(
    "works-after-close",
    "after close it works again, or says clearly in a task2sim error that it can't",
    why="a crash in a closed renderer gives a user nothing to go by",
    mend="start anew when it is asked again, or raise a PluginError",
)
def _works_after_close(subject: Subject) -> None:
    component = subject.build()
    first = subject.result(component)
    component.close()
    try:
        second = subject.result(component)
    except Task2SimError as error:
        raise NotApplicable(f"it says that it can't: {error}") from None
    component.close()
    if second != first:
        with subject.component() as other:
            if subject.result(other) != subject.result(other):
                raise NotApplicable("it gives something else every time: see same-again")
        raise Breach("after close it gave something else")


# --- the process ---


@BEHAVIOUR.add(
    "global-random-untouched",
    "it leaves the global random generators (numpy, random, torch) as they were",
    why="other plugins in the process would get other numbers than without it",
    mend="use generators of your own; where a library insists, torch.random.fork_rng() or restore the state",
)
def _untouched(subject: Subject) -> None:
    # The checks before this one have watched; torch may have been loaded since.
    while subject.loaded != global_generators().keys():
        _fresh_result(subject)
    require(not subject.touched, f"it changed the state of {', '.join(sorted(subject.touched))}")


@BEHAVIOUR.add(
    "global-random-unread",
    "its results do not depend on the global random generators",
    why="what another plugin drew or seeded before would change the results",
    mend="take everything random from the seed it is given",
)
def _unread(subject: Subject) -> None:
    _fresh_result(subject) if subject.kind in ("trainers", "embedders", "evaluators") else None  # may load torch
    with seeded_generators(2):
        other = _fresh_result(subject)
    if other != (here := _result_here(subject)):
        with seeded_generators(0):
            if _fresh_result(subject) != here:
                raise NotApplicable("its results differ even with the same global seed")
        raise Breach("with global generators seeded 0 and 2 it gave different results")


@BEHAVIOUR.add(
    "quiet",
    "it prints nothing",
    why="task2sim's tables and JSON go to standard output; what a plugin prints there gets in between",
    mend="remove the print, use report_progress, or the logging module; silence libraries that greet",
)
def _quiet(subject: Subject) -> None:
    if not subject.loaded:  # else the checks before this one have listened
        with captured_stdout() as printed:
            _fresh_result(subject)
        subject.printed += printed.text
    text = subject.printed.strip()
    require(not text, f"it printed {text.splitlines()[0][:80]!r}" if text else "")
