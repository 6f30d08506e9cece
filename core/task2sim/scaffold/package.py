"""The files around a new plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Keys that keep the package's own tests short.
SMALL = {"simulator": {"resolution": 32}, "scene_simulator": {"resolution": 32}, "task_source": {"images": 20}}

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1"
description = "{article} {noun} for task2sim."
readme = "README.md"
requires-python = ">=3.11"
# blank: what your plugin imports.
dependencies = ["task2sim>={release}", {dependencies}]

[project.optional-dependencies]
test = ["pytest>=8.2"]

[project.entry-points."task2sim.{kind}"]
{name} = "{module}:{cls}"

# The version of task2sim's interfaces that this plugin was written for.
[project.entry-points."task2sim.api"]
"{api}" = "task2sim"

[tool.pytest.ini_options]
addopts = "--import-mode=importlib"

[tool.mypy]
strict = true
packages = ["{module}"]
mypy_path = "src"

[tool.ruff]
line-length = 118
target-version = "py311"

[tool.ruff.lint]
select = ["E", "F", "W", "I", "UP", "B"]
"""

INIT = '''\
"""{article} {noun} for task2sim."""

from {module}.{template} import {cls}

__all__ = ["{cls}"]
'''

TESTS = '''\
"""What task2sim can check of {article_lower} {noun}, and what only you know of yours."""

from task2sim.conformance import conformance

from {module} import {cls}


@conformance("{kind}", factory={cls}, {config}quick=True)
def test_conformance() -> None:
    """It keeps the promises of its kind."""


# blank: tests of what yours means.
def test_its_name() -> None:
    assert {cls}.__name__ == "{cls}"
'''

README = """\
# {name}

{article} {noun} for [task2sim](https://pypi.org/project/task2sim/).

```console
$ pip install -e ".[test]"
$ task2sim check {noun_word}:{name} --quick
$ pytest
```

The blanks are marked in the code: `grep -rn "blank:" pyproject.toml src tests`.

A study that uses it, all else being as in the quickstart:

```yaml
extends: quickstart
name: my-first
{study}
```

```console
$ task2sim run my-first.yaml --store throwaway --runs throwaway/runs
```

While it is installed with `-e`, each change of the code has results of its own: use a store that you can throw
away, as here. Later they are kept under the package's version alone.
"""

GITIGNORE = """\
__pycache__/
*.egg-info/
.mypy_cache/
.pytest_cache/
.ruff_cache/
build/
dist/
throwaway/
"""

REQUIREMENTS = {
    "numpy": '"numpy>=1.26"',
    "PIL": '"pillow>=10.3"',
    "pydantic": '"pydantic>=2.8"',
    "safetensors": '"safetensors>=0.4.3"',
}

STUDY_LINES = {"task_source": "tasks:\n  sources: [{name}]\n  seen: [two-directions]\n  unseen: [six-directions]"}


def files(template: str, kind: str, name: str, cls: str, source: str, release: str, api: str) -> Mapping[str, str]:
    """The text of each file of a package, by its path.

    Args:
        template: The template's name.
        kind: The entry-point group without ``task2sim.``.
        name: The plugin's name.
        cls: Its class.
        source: The template.
        release: The release of task2sim that writes it.
        api: The version of the interfaces.
    """
    module, noun = name.replace("-", "_"), template.replace("_", " ")
    article = "An" if noun[0] in "aeiou" else "A"
    small = SMALL.get(template, {})
    line = STUDY_LINES.get(template, f"{template.removeprefix('scene_')}: {{name}}").replace("{name}", name)
    words = {
        "name": name,
        "module": module,
        "cls": cls,
        "kind": kind,
        "template": template,
        "noun": noun,
        "noun_word": "task-source" if kind == "tasks" else template.removeprefix("scene_"),
        "article": article,
        "article_lower": article.lower(),
        "release": ".".join(release.split(".")[:2]),
        "api": api,
        "dependencies": ", ".join(
            line for library, line in REQUIREMENTS.items() if re.search(rf"^(import|from) {library}\b", source, re.M)
        ),
        "config": f"config={small!r}, ".replace("'", '"') if small else "",
        "study": line,
    }
    plugin = source.replace("my-plugin", name).replace("my_plugin", module).replace("MyPlugin", cls)
    # In the package task2sim is one of the libraries.
    plugin = plugin.replace("\n\nfrom task2sim import", "\nfrom task2sim import")
    texts = {
        "pyproject.toml": PYPROJECT,
        "README.md": README,
        f"src/{module}/__init__.py": INIT,
        f"tests/test_{module}.py": TESTS,
    }
    filled = {path: _fill(text, words) for path, text in texts.items()}
    return {**filled, ".gitignore": GITIGNORE, f"src/{module}/py.typed": "", f"src/{module}/{template}.py": plugin}


def _fill(text: str, words: Mapping[str, str]) -> str:
    # Not str.format: TOML and YAML have braces of their own.
    return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], match[0]), text)
