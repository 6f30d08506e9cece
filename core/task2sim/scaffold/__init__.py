"""`task2sim new`: a package for a plugin that does something already, with the blanks marked.

The plugins in ``templates`` are modules like any others: they are typed, linted and held to their promises where they
are. Only their names are changed when a package is written.
"""

from __future__ import annotations

import builtins
import keyword
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import attrs

import task2sim
from task2sim.api_version import API_VERSION
from task2sim.errors import ConfigError, StoreError
from task2sim.registry import NOUNS, core_version, installed_plugins
from task2sim.scaffold import package
from task2sim.store import writing

TEMPLATES = Path(__file__).parent / "templates"


@attrs.frozen
class Offer:
    """A kind of plugin that a package can be written for.

    Attributes:
        template: The module in ``templates``.
        kind: One of `KINDS`.
        help: What it is good for.
    """

    template: str
    kind: str
    help: str

    @property
    def study_key(self) -> str:
        """The key of a study file that names such a plugin."""
        return NOUNS[self.kind].replace(" ", "_")


OFFERS = {
    "simulator": Offer("simulator", "simulators", "draws images, with parameters of its own"),
    "scene-simulator": Offer("scene_simulator", "simulators", "turns scenes of task2sim into images: a renderer"),
    "embedder": Offer("embedder", "embedders", "turns tasks into vectors"),
    "policy": Offer("policy", "policies", "chooses settings"),
    "trainer": Offer("trainer", "trainers", "pre-trains a backbone"),
    "evaluator": Offer("evaluator", "evaluators", "scores a backbone on a task"),
    "task-source": Offer("task_source", "tasks", "gives a study its tasks"),
}
"""What can be written, by the word for it on the command line."""


def write_package(word: str, name: str, parent: Path) -> Path:
    """Write a package for a plugin into a new folder.

    Args:
        word: One of `OFFERS`.
        name: The plugin's name in study files, the distribution's name and the folder's: lower-case letters, digits
            and single hyphens.
        parent: An existing folder; the package goes into ``parent / name``.

    Returns:
        The package's folder.

    Raises:
        ConfigError: there is no such kind, or the name can't be used.
        StoreError: the folder exists already, or can't be written.
    """
    if word not in OFFERS:
        raise ConfigError(f"there is no template for {word!r}", mend=f"write one of {', '.join(OFFERS)}")
    offer = OFFERS[word]
    source = (TEMPLATES / f"{offer.template}.py").read_text(encoding="utf-8")
    _check_name(name, offer, source)
    target = parent / name
    if target.exists() or target.is_symlink():
        raise StoreError("this exists already", place=str(target), mend="choose another name, or remove it")
    if not parent.is_dir():
        raise StoreError("there is no such folder", place=str(parent), mend="make it, or name another with --folder")
    files = package.files(offer.template, offer.kind, name, class_name(name), source, core_version(), API_VERSION)
    partial = parent / f".{name}.partial"
    with writing(target):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            for path, text in files.items():
                (partial / path).parent.mkdir(parents=True, exist_ok=True)
                (partial / path).write_text(text, encoding="utf-8")
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def class_name(name: str) -> str:
    """``my-sim`` as a class: ``MySim``."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("-"))


def _check_name(name: str, offer: Offer, source: str) -> None:
    """Refuse a name that can't be a distribution, a module, a class and a plugin all at once."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 60:
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
        near = near if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", near) else "my-plugin"
        raise ConfigError(
            f"a plugin can't be named {name!r}",
            mend=f"use lower-case letters, digits and single hyphens, beginning with a letter, such as {near!r}",
        )
    module, cls = name.replace("-", "_"), class_name(name)
    noun = NOUNS[offer.kind]
    taken = [entry for entry in installed_plugins() if entry.kind == offer.kind and entry.name == name]
    if taken:
        raise ConfigError(
            f"there is {'an' if noun[0] in 'aeiou' else 'a'} {noun} {name!r} already, of {taken[0].origin}",
            mend="choose another name",
        )
    if keyword.iskeyword(module) or find_spec(module) is not None:
        what = "a word of Python" if keyword.iskeyword(module) else "the name of a module that is installed"
        raise ConfigError(f"a plugin can't be named {name!r}: {module} is {what}", mend=f"try 'my-{name}'")
    used = {*re.findall(r"\b[A-Z]\w*", source), *task2sim.__all__, *dir(builtins)}
    if cls in used:
        raise ConfigError(f"a plugin can't be named {name!r}: {cls} means something else", mend=f"try 'my-{name}'")
