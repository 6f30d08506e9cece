"""The machinery of the kit: outcomes, expected failures, places, the decorator and the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bad_plugins import simulators
from bad_plugins.simulators import Good

from task2sim import ConfigError, FrameBatch, ParameterSetting, PluginError
from task2sim.conformance import Outcome, check_component, checks_of, conformance, elsewhere
from task2sim.conformance.isolation import captured_stdout, global_generators, seeded_generators
from task2sim.conformance.running import make_subject, run_check
from task2sim.registry import KINDS, NOUNS

TESTS = Path(__file__).parents[1]


class Raising(Good):
    """Raises wherever it is asked for an image."""

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        raise RuntimeError("the lens\nis broken")


class Asking(Good):
    """Asks the core for a parameter that there is not."""

    def render(self, setting: ParameterSetting, indices: Sequence[int], seed: int) -> Iterator[FrameBatch]:
        raise RuntimeError(setting["nothing like it"])


class Leaving(Good):
    """Ends the process it is in."""

    def twist(self, seed: int = 0) -> int:
        if sys.argv[0] == "-c":
            os._exit(7)
        return 0


def check(name: str, component: Any, expected: str = "", kind: str = "simulator") -> Outcome:
    (found,) = [check for check in checks_of(kind) if check.name == name]
    return run_check(found, make_subject(kind, component, quick=True), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_checks_have_names_of_their_own_and_say_everything(kind: str) -> None:
    checks = checks_of(kind)
    assert len({check.name for check in checks}) == len(checks) > 10
    for one in checks:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.name)
        for text in (one.promise, one.why, one.mend):
            assert text
            assert not text.endswith(".")
            assert "\n" not in text


def test_kinds_are_written_as_people_write_them() -> None:
    for kind, noun in NOUNS.items():
        assert checks_of(kind) == checks_of(noun) == checks_of(noun.replace(" ", "-"))
    with pytest.raises(ConfigError, match="there is no kind of component 'simulater'"):
        checks_of("simulater")


def test_no_check_hides_those_after_it() -> None:
    report = check_component("simulator", Raising, quick=True)
    assert [outcome.check for outcome in report.outcomes] == list(checks_of("simulator"))
    verdicts = {outcome.check.name: outcome.verdict for outcome in report.outcomes}
    assert verdicts["labels"] == verdicts["same-again"] == verdicts["spawned-process"] == "fail"
    assert verdicts["categories"] == verdicts["config-described"] == "pass"
    assert not report.passed


def test_an_exception_is_a_failure_with_its_place() -> None:
    outcome = check("labels", Raising)
    assert outcome.verdict == "fail"
    assert outcome.reason == "it raised RuntimeError: the lens is broken"
    line = 1 + Path(__file__).read_text().splitlines().index('        raise RuntimeError("the lens\\nis broken")')
    assert outcome.place == f"{__file__}:{line}"


def test_what_the_core_raises_is_placed_where_it_was_asked() -> None:
    outcome = check("labels", Asking)
    line = 1 + Path(__file__).read_text().splitlines().index('        raise RuntimeError(setting["nothing like it"])')
    assert outcome.place == f"{__file__}:{line}"


def test_a_breach_is_placed_at_the_class() -> None:
    outcome = check("label-balance", simulators.MostlyFirst)
    assert re.fullmatch(r".*bad_plugins/simulators\.py:\d+", outcome.place)
    assert [line[:6] for line in outcome.text.splitlines()[1:]] == ["found:", "why:  ", "mend: ", "at:   "]


def test_expected_failures_are_strict() -> None:
    expected = check("label-balance", simulators.MostlyFirst, "the engine has few of the others")
    assert (expected.verdict, expected.is_fine) == ("fail", True)
    passing = check("labels", Good, "labels are not ready")
    assert (passing.verdict, passing.is_fine) == ("fail", False)
    assert passing.reason == (
        "it was expected to fail (labels are not ready), and does not: remove it from expected_failures"
    )
    with pytest.raises(ConfigError, match=r"expected_failures: there is no check 'lables'"):
        check_component("simulator", Good, expected_failures={"lables": "a misspelt one"})
    with pytest.raises(ConfigError, match=r"'labels' needs a reason"):
        check_component("simulator", Good, expected_failures={"labels": ""})


def test_what_is_no_component_is_refused() -> None:
    with pytest.raises(ConfigError, match="Good is no policy"):
        check_component("policy", Good)
    with pytest.raises(PluginError, match="there is no simulator 'studoi'"):
        check_component("simulator", "studoi")
    with pytest.raises(ConfigError, match="strength"):
        check_component("simulator", Good, config={"strength": 10})
    with pytest.raises(ConfigError, match="a factory takes no config"):
        check_component("simulator", lambda: None, config={})


def test_a_function_that_can_not_be_sent_elsewhere_is_said_to_be_one() -> None:
    outcome = check("spawned-process", lambda: Good(Good.Config()))
    assert outcome.verdict == "not applicable"
    assert "give its class, or a factory at module level" in outcome.reason
    assert check("spawned-process", partial(Good, Good.Config())).verdict == "pass"


def test_a_component_that_ends_the_other_process_fails_and_the_next_one_does_not() -> None:
    outcome = check("spawned-process", Leaving)
    assert outcome.verdict == "fail"
    assert "the process ended with code 7" in outcome.reason
    assert check("spawned-process", Good).verdict == "pass"


def test_a_stuck_process_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(elsewhere, "PATIENCE", 0.2)
    assert elsewhere.call_elsewhere(time.sleep, 60).error == "the process ended with code -9"


def test_what_is_printed_below_python_is_caught_and_the_rest_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with captured_stdout() as outer:
        print("one")
        with captured_stdout() as inner:
            os.write(1, b"two")
        subprocess.run(["echo", "three"], check=True)
    print("after")
    assert (outer.text, inner.text) == ("one\nthree\n", "two")
    assert capfd.readouterr().out == "before\nafter\n"


def test_global_generators_are_as_before() -> None:
    before = global_generators()
    with seeded_generators(1):
        assert global_generators() != before
    assert global_generators() == before


def test_the_quiet_check_hears_the_checks_before_it() -> None:
    subject = make_subject("simulator", simulators.BAD["quiet"], quick=True)
    outcomes = {one.name: run_check(one, subject).verdict for one in checks_of("simulator")}
    assert [name for name, verdict in outcomes.items() if verdict == "fail"] == ["quiet"]
    assert subject.printed.startswith("hello")


# --- the decorator, in use ---


@conformance("simulator", factory=Good, quick=True)
class TestGood:
    """One test for each promise."""


@conformance("simulator", factory=simulators.Floats, quick=True, expected_failures={"images": "it is on purpose"})
def test_expected() -> None:
    """The same for a function."""


def test_the_decorator_makes_a_test_of_each_check(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from bad_plugins.simulators import Good, Floats\n"
        "from task2sim.conformance import conformance\n"
        "@conformance('simulator', factory=Good, quick=True)\n"
        "class TestGood: ...\n"
        "@conformance('simulator', factory=Floats, quick=True)\n"
        "def test_floats(): ...\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    count = len(checks_of("simulator"))
    assert f"1 failed, {2 * count - 1} passed" in done.stdout
    assert "FAILED test_it.py::test_floats[images]" in done.stdout
    assert "found: rgb is float64 of shape (12, 8, 10, 3)" in done.stdout


def test_the_kit_needs_neither_pytest_nor_torch() -> None:
    code = "import sys, task2sim.conformance; print({'pytest', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- the command ---


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    plugins = "simulators:good=bad_plugins.simulators:Good,simulators:bad=bad_plugins.simulators:MostlyFirst"
    return subprocess.run(
        [sys.executable, "-m", "task2sim", "check", *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS), "TASK2SIM_PLUGINS": plugins},
        capture_output=True,
        text=True,
    )


def test_the_command_prints_a_line_for_each_check() -> None:
    done = command("simulator:good", "--quick", "--config", "strength=3")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    count = len(checks_of("simulator"))
    assert lines[0].startswith("simulator 'good' (TASK2SIM_PLUGINS development)")
    assert all(line.startswith("pass  ") for line in lines[1 : 1 + count])
    measured = lines[1 + count :]
    assert [line.partition(":")[0] for line in measured[:-1]] == ["throughput", "memory", "peak memory", "time"]
    assert re.fullmatch(r"throughput: [\d,]+ images/s of 8 x 10 pixels", measured[0])
    assert measured[-1] == f"{count} passed, 0 failed, 0 not applicable"


def test_the_command_tells_of_failures() -> None:
    done = command("simulator:bad", "--quick")
    assert done.returncode == 1
    failed = re.search(
        r"^FAIL  label-balance +(.*)\n      found: (.*)\n      why: .*\n      mend: ", done.stdout, re.M
    )
    assert failed is not None
    assert failed[2] == "of 125 images the categories got 12 to 101"
    assert done.stdout.count("FAIL") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["studio"], "can't read 'studio'; write kind:name, such as simulator:studio"),
        (["renderer:studio"], "there is no kind of component 'renderer'"),
        (["simulator:goood"], "there is no simulator 'goood'; did you mean 'good'?"),
        (["simulator:good", "--config", "strength"], "--config strength: a key is set by KEY=VALUE"),
        (["simulator:good", "--config", "strenth=3"], "unknown key; did you mean 'strength'?"),
        (["simulator:good", "--config", "strength=10"], "strength"),
        (["embedder:one-hot", "--trainer", "resnett"], "there is no trainer 'resnett'; did you mean 'resnet'?"),
    ],
)
def test_the_command_refuses_what_it_can_not_read(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
