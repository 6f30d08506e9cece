"""Packing a run or an ablation for somebody who wants to redo its numbers."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from task2sim import StoreError
from task2sim.catalogue import CATALOGUE
from task2sim.learned import CONFIG, POLICY
from task2sim.registry import CORE_DISTRIBUTION, ENVIRONMENT
from task2sim.results import Results
from task2sim.run import PROVENANCE, RESULTS
from task2sim.store import writing
from task2sim.summary import final_table
from task2sim_bundle.contents import (
    ABLATION,
    DATA,
    FORMAT,
    MANIFEST,
    STUDY,
    SUMMARY,
    VERSION,
    BundledCell,
    Manifest,
    describe,
    query,
    snapshot,
)

LARGEST_DATA = 16 * 2**20
"""Bytes of a table of scores, or of another small thing that a study reads, that a bundle takes along."""

TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in a bundle, so that the same folder gives the same bytes."""

MADE_BY_REPORTS = ("tables", "figures")


@attrs.frozen
class Source:
    """A folder to bundle.

    Attributes:
        kind: ``"run"`` or ``"ablation"``.
        name: The name of the study or the ablation.
        cells: For each finished study, its run folder.
        failed: For each study that failed, the reason.
    """

    kind: str
    name: str
    cells: Mapping[str, Path]
    failed: Mapping[str, str]


def write_bundle(folder: Path, out: Path) -> tuple[Manifest, list[str]]:
    """Pack a finished run or ablation. The same folder gives the same bytes.

    Args:
        folder: A run folder, or that of an ablation.
        out: The zip file to write; an older bundle gives way.

    Returns:
        What it holds, and what its reader should be told: one line each.

    Raises:
        StoreError: the folder is neither, or not finished; or the file can't be written.
    """
    if out.is_dir() or (out.exists() and not zipfile.is_zipfile(out)):
        raise StoreError("this is there already, and no bundle", place=str(out), mend="choose another --out")
    source = _open(folder)
    files: dict[str, bytes] = {}
    for path in _own_files(folder, source.kind):
        files[f"{STUDY}/{path.relative_to(folder).as_posix()}"] = _read(path)
    cells, studies, provenances = [], [], []
    packed: dict[str, str] = {}
    for name, run in source.cells.items():
        place = PurePosixPath(STUDY, run.relative_to(folder).as_posix()).as_posix()
        cells.append(BundledCell(name=name, folder=place))
        for file in (CONFIG, PROVENANCE, RESULTS):
            files[f"{place}/{file}"] = _read(run / file)
        studies.append(_parse(yaml.safe_load, files[f"{place}/{CONFIG}"], run / CONFIG))
        provenances.append(_parse(json.loads, files[f"{place}/{PROVENANCE}"], run / PROVENANCE))
    for study in studies:
        for text, name, paths in _small_data(study):
            if text not in packed:
                place = f"{DATA}/{len(packed)}"
                packed[text] = f"{place}/{name}"
                files.update({f"{place}/{inner}": _read(path) for inner, path in paths.items()})
    needed = sorted({text for study in studies for text in local_paths(study)} - packed.keys())
    requirements, remarks = _requirements(provenances)
    files[SUMMARY] = _json(summarise(source.cells))
    files["requirements.txt"] = requirements.encode()
    readme = _readme(source, cells, needed, provenances[0], remarks)
    files["README.md"] = readme.encode()
    manifest = Manifest.model_validate(
        {
            "format": FORMAT,
            "version": VERSION,
            "kind": source.kind,
            "name": source.name,
            "cells": cells,
            "failed": dict(source.failed),
            "packed": packed,
            "needed": needed,
            "files": {name: describe(files[name]) for name in sorted(files)},
        }
    )
    files[MANIFEST] = _json(manifest.model_dump(mode="json"))
    _write(files, out)
    remarks += [f"not in the bundle, and read by a study: {text}" for text in needed]
    remarks += [f"cell {name} failed: {reason}" for name, reason in source.failed.items()]
    return manifest, remarks


def summarise(cells: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The final table of each study, computed from the raw scores of its run folder.

    Args:
        cells: For each study, its run folder.
    """
    summaries = {}
    for cell, folder in cells.items():
        results = Results(folder / RESULTS)
        summaries[cell] = [
            {
                "method": row.method,
                "task": task,
                "mean": value.mean,
                "deviation": None if math.isnan(value.deviation) else value.deviation,
                "count": value.count,
            }
            for row in final_table(results)
            for task, value in row.tasks.items()
        ]
        results.close()
    return summaries


def _open(folder: Path) -> Source:
    if (folder / ABLATION).is_file():
        return _open_ablation(folder)
    if not (folder / RESULTS).is_file():
        raise StoreError(
            f"this is neither a run folder nor that of an ablation: {RESULTS} and {ABLATION} are missing",
            place=str(folder),
            mend="name a folder in runs/ or ablations/",
        )
    facts = {row["name"]: row["value"] for row in query(folder / RESULTS, "SELECT name, value FROM facts")}
    _check_finished(folder, facts)
    return Source("run", facts["study"], {folder.absolute().name: folder}, {})


def _open_ablation(folder: Path) -> Source:
    facts = {row["name"]: row["value"] for row in query(folder / ABLATION, "SELECT name, value FROM facts")}
    sql = (
        "SELECT c.* FROM cells c JOIN rows r ON r.row = c.row WHERE r.planned = 1"
        " ORDER BY r.position, c.position, c.cell"
    )
    cells: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for row in query(folder / ABLATION, sql):
        if row["state"] == "failed":
            failed[row["cell"]] = row["error"] or "no reason is known"
        elif row["state"] != "finished":
            raise StoreError(
                f"this ablation is not finished: cell {row['cell']!r} has not run",
                place=str(folder),
                mend="run task2sim ablate again",
            )
        else:
            run = folder / row["run"]
            if not (run / RESULTS).is_file() or not run.resolve().is_relative_to(folder.resolve()):
                raise StoreError(
                    f"the run of cell {row['cell']!r} is gone", place=str(run), mend="run task2sim ablate again"
                )
            found = query(run / RESULTS, "SELECT name, value FROM facts")
            _check_finished(run, {row["name"]: row["value"] for row in found})
            cells[row["cell"]] = run
    if not cells:
        raise StoreError("no cell of this ablation has finished", place=str(folder), mend="see why they failed")
    return Source("ablation", facts.get("name", folder.name), cells, failed)


def _check_finished(run: Path, facts: Mapping[str, str]) -> None:
    if "finished" not in facts or "study" not in facts:
        raise StoreError("this run is not finished", place=str(run), mend="let task2sim run finish it")


def _own_files(folder: Path, kind: str) -> Iterator[Path]:
    """What lies in the folder itself; the reports of runs stay at home, since they show renders and photographs."""
    if kind == "run":
        return
    for name in ("ablation.resolved.yaml", ABLATION, PROVENANCE):
        if (folder / name).is_file():
            yield folder / name
    if (folder / "report.html").is_file():
        yield folder / "report.html"
    for name in MADE_BY_REPORTS:
        yield from sorted(
            path for path in (folder / name).rglob("*") if path.is_file() and not path.name.startswith(".")
        )


def _read(path: Path) -> bytes:
    if path.suffix == ".sqlite":
        return snapshot(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"can't read this file: {error.strerror or error}", place=str(path), mend="run the study again"
        ) from error


def _parse(parser: Any, text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = parser(text)
    except (ValueError, yaml.YAMLError) as error:
        raise StoreError("this file is broken", place=str(path), mend="run the study again") from error
    if not isinstance(data, dict):
        raise StoreError("this file is broken", place=str(path), mend="run the study again")
    return data


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write(files: Mapping[str, bytes], out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    with writing(out):
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(files):
                info = zipfile.ZipInfo(name, TIME)
                info.create_system = 3  # the same on every system
                info.external_attr = 0o644 << 16
                archive.writestr(info, files[name], zipfile.ZIP_DEFLATED, 9)
        partial.replace(out)


# --- what studies read ---


def local_paths(study: Mapping[str, Any]) -> list[str]:
    """Texts in a study that are paths which exist here, or look like paths."""
    return [
        text
        for text in texts({key: value for key, value in study.items() if key not in ("name", "observers")})
        if Path(text).expanduser().exists() or text.startswith(("/", "~/", "./", "../"))
    ]


def texts(data: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(data, str) and data:
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if key != "type":
                yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)


def _small_data(study: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Path]]]:
    """Small things that a study reads and a bundle may hold: tables of scores, and what a policy learned before.

    Images are never packed.

    Yields:
        The path as the study has it, its name in a folder of its own in the bundle, and the files of that folder.
    """
    if isinstance(study.get("continues"), str):
        folder = Path(study["continues"]).expanduser()
        wanted = [folder / CONFIG, folder / PROVENANCE, folder / RESULTS, *sorted((folder / POLICY).glob("*"))]
        yield from _if_small(study["continues"], "run", folder, [path for path in wanted if path.is_file()])
    for text in texts(study.get("rewards")):
        path = Path(text).expanduser()
        if path.is_dir():
            found = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
            yield from _if_small(text, "table", path, found)
        elif path.is_file():
            # A table's embeddings lie beside it.
            beside = [file for file in sorted(path.parent.glob("*.npz")) if file.is_file() and file != path]
            yield from _if_small(text, path.name, path.parent, [path, *beside])


def _if_small(
    text: str, name: str, folder: Path, files: Sequence[Path]
) -> Iterator[tuple[str, str, dict[str, Path]]]:
    if files and sum(path.stat().st_size for path in files) <= LARGEST_DATA:
        inside = "" if (folder / name).is_file() else f"{name}/"
        yield text, name, {f"{inside}{path.relative_to(folder).as_posix()}": path for path in files}


# --- requirements and README ---


def _requirements(provenances: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The text of requirements.txt, and what was remarkable."""
    versions: dict[str, list[str]] = {}
    remarks: list[str] = []
    for provenance in provenances:
        pinned = {CORE_DISTRIBUTION: provenance["task2sim"], **provenance["libraries"]}
        for plugin, origin in provenance["plugins"].items():
            name, _, version = origin.rpartition(" ")
            if name == ENVIRONMENT:
                remarks.append(
                    f"plugin {plugin} came from {ENVIRONMENT} and belongs to no distribution: send its code"
                )
            else:
                pinned[name] = version
        for name, version in pinned.items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
        if (git := provenance.get("git")) and git["changed"]:
            remarks.append(f"task2sim ran from a checkout whose files differ from commit {git['commit']}")
    needless = _needless({plugin for provenance in provenances for plugin in provenance["plugins"]})
    lines = [f"# What the numbers were made with; Python {provenances[0]['python']}."]
    if git := provenances[0].get("git"):
        lines.append(f"# task2sim ran from commit {git['commit']} of its repository.")
    for name in sorted(versions, key=str.lower):
        if canonicalize_name(name) in needless:
            continue
        first, *others = versions[name]
        public, _, local = first.partition("+")
        lines.append(f"{name}=={public}" + (f"  # its build +{local}" if local else ""))
        if others:
            remarks.append(f"cells were made with different versions of {name}: {first}, {', '.join(others)}")
    remarks = list(dict.fromkeys(remarks))
    return "\n".join([*lines, *(f"# {remark}" for remark in remarks)]) + "\n", remarks


def _needless(plugins: set[str]) -> set[str]:
    """Libraries that task2sim requires for extras alone of which no plugin takes part."""
    extras = {""}
    for known in CATALOGUE:
        if f"{known.kind}/{known.name}" in plugins:
            extras |= set(re.findall(r"\[(\w+)\]", known.install))
    needed: dict[str, bool] = {}
    for text in metadata.requires(CORE_DISTRIBUTION) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        name, marker = canonicalize_name(requirement.name), requirement.marker
        taken = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
        needed[name] = needed.get(name, False) or taken
    return {name for name, taken in needed.items() if not taken} - {CORE_DISTRIBUTION}


def _readme(
    source: Source,
    cells: Sequence[BundledCell],
    needed: Sequence[str],
    provenance: Mapping[str, Any],
    remarks: Sequence[str],
) -> str:
    data = ""
    if needed:
        listed = "\n".join(f"- `{text}`" for text in needed)
        data = f"""
## Data it does not hold

The studies name these paths, and the images or files there are not in the bundle:

{listed}

Say where they lie on your machine with `--data OLD=NEW`, once for each; a folder stands for all that is in it. Task
images are compared by checksum before anything is computed.
"""
    notes = "\n## Notes\n\n" + "".join(f"- {remark}\n" for remark in remarks) if remarks else ""
    failed = "".join(f"- `{name}`: {' '.join(reason.split())}\n" for name, reason in source.failed.items())
    failed = f"\nFailed, and in no table:\n\n{failed}" if failed else ""
    listed = "\n".join(f"- `{cell.name}`: `{cell.folder}`" for cell in cells)
    machine = f"{provenance['platform']}, {provenance['processor']}, {provenance['cpus']} processors"
    return f"""# {source.kind} {source.name}

What it takes to redo the numbers of this {source.kind}. Rendered images and networks are not in it: they are made
again.

```console
$ python -m venv review
$ review/bin/pip install -r requirements.txt
$ review/bin/task2sim verify BUNDLE.zip --trials 3
```

It was made with Python {provenance["python"]} on {machine}. `verify` checks every file against
`manifest.json`, compares the versions that are installed with those the numbers were made with, computes the tables
anew from the raw scores, takes the policy of one study through its search again, and makes a random sample of trials
again from nothing: rendering, pre-training, scoring. Exit code 0 says that all agree, 1 that something differs, 2
that the check could not be made. On the same kind of machine with the same versions numbers agree to the last bit.
{data}
## Studies

{listed}

Each holds `config.resolved.yaml`, which `task2sim run` takes, `results.sqlite` with every score, and
`provenance.json` with versions, seed and the checksum of each task's images.
{failed}{notes}"""
