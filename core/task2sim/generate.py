"""Rendering one dataset and writing it to a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from pydantic import ValidationError

from task2sim.choice import Chosen
from task2sim.components import ComponentSpec, close_components
from task2sim.config import StudyFile
from task2sim.datasets import RenderedDataset
from task2sim.errors import ConfigError, ParameterError, StoreError
from task2sim.interfaces import Executor, Exporter
from task2sim.mistakes import describe_errors
from task2sim.parameters import ParameterSetting, ParameterSpace
from task2sim.registry import disk_error, plugin_call
from task2sim.seeds import spawn_generator
from task2sim.store import Store
from task2sim.study import at, readable_layers, simulator_facts
from task2sim.trial import dataset_data, make_dataset


def parse_exporter(text: str) -> Chosen:
    """Read ``--exporter``: a name, or a YAML mapping with ``type``.

    Raises:
        ConfigError: it is neither, or its keys are wrong.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError("the exporter is not YAML", place="--exporter", mend="write '{type: NAME, ...}'") from None
    try:
        return Chosen.parse("exporters", value)
    except ValidationError as error:
        raise ConfigError(describe_errors(error, value, {}, "--exporter")) from None


def parse_setting(text: str, space: ParameterSpace, seed: int) -> ParameterSetting:
    """Read a setting that a person typed.

    Args:
        text: ``default``, ``everything-varied``, ``random``, or ``name=value,name=value``.
        space: The simulator's parameter space.
        seed: Decides what ``random`` is.

    Raises:
        ParameterError: a parameter is unknown or a value out of range.
    """
    if text == "default":
        return space.default()
    if text == "everything-varied":
        return space.everything_varied()
    if text == "random":
        return space.sample(spawn_generator(seed, "generate", "setting"))
    values = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise ParameterError(
                f"can't read {part!r}",
                place="--setting",
                mend="write default, everything-varied, random or name=value,name=value",
            )
        values[name.strip()] = value
    try:
        return space.setting({name: yaml.safe_load(value) for name, value in values.items()})
    except yaml.YAMLError:
        raise ParameterError("a value is not YAML", place="--setting", mend="check quotes and brackets") from None
    except ParameterError as error:
        error.place = "--setting"
        raise


def generate_dataset(
    file: StudyFile, setting: str, images: int, seed: int, exporter: Chosen, folder: Path, store: Store
) -> RenderedDataset:
    """Render a dataset with a study's simulator and write it to a folder.

    Args:
        file: The study; only its simulator matters, and its executor, whose workers render.
        setting: See `parse_setting`.
        images: How many images.
        seed: Image i depends on the setting, this seed and i alone.
        exporter: How to write it.
        folder: Where; made if it is missing. An export that was killed goes on.
        store: Keeps the rendered arrays, so that another export need not render again.

    Raises:
        Task2SimError: something is wrong; the message says what.
    """
    facts = simulator_facts(file)
    point = parse_setting(setting, facts.space, seed)
    with at("--exporter"):
        writer: Exporter = exporter.build()
        layers = readable_layers(exporter, writer, file.study.simulator, facts.capabilities)
    _check_writable(folder)
    spec = ComponentSpec.of(file.study.simulator)
    data = dataset_data(spec, point, images, seed, layers)
    with at(file.place("executor")):
        executor: Executor = file.study.executor.build()
    try:
        with executor:
            dataset = make_dataset(spec, point, images, data, store, executor)
    finally:
        close_components()
    with plugin_call(exporter.entry.title):
        writer.write(dataset, folder)
    return dataset


def _check_writable(folder: Path) -> None:
    """Make the folder and try to write there, before an hour is spent on images that can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise disk_error(error, str(folder)) or StoreError(
            f"can't write here: {error.strerror or error}",
            place=str(folder),
            mend="name a new or empty folder that can be written",
        ) from error
