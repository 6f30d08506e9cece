"""What ``task2sim plugins`` tells: the plugins, what is wrong with them, and which are known and not installed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
from rich import box
from rich.table import Table

from task2sim.catalogue import CATALOGUE, known_plugin
from task2sim.errors import PluginError
from task2sim.inspection import find_fault
from task2sim.registry import (
    CORE_DISTRIBUTION,
    KINDS,
    NOUNS,
    SLOW_IMPORT,
    PluginEntry,
    installed_plugins,
    load_and_watch,
    misregistrations,
)

if TYPE_CHECKING:
    from rich.console import Console


@attrs.frozen
class Row:
    """A line of the list.

    Attributes:
        kind: One of `KINDS`, or empty for something that is no plugin although it was meant to be.
        name: The name a study file uses, or empty.
        distribution: The distribution that brings it.
        version: That distribution's version.
        target: ``module:Class``, or empty.
        remarks: What is to be said of it: a word, and a sentence without its subject. The gravest comes first.
    """

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def state(self) -> str:
        """One word or two."""
        return self.remarks[0][0] if self.remarks else "ok"

    @property
    def subject(self) -> str:
        """What the remarks are about."""
        origin = f"{self.distribution} {self.version}"
        return f"{NOUNS[self.kind]} {self.name!r} ({origin})" if self.kind else origin

    def as_dict(self) -> dict[str, str]:
        """Plain data; ``state`` is ``ok``, or all that is to be said."""
        data = attrs.asdict(self)
        del data["remarks"]
        return {**data, "state": ". ".join(text for _, text in self.remarks) or "ok"}


def list_plugins(load: bool) -> list[Row]:
    """Every plugin that is installed, with what is wrong with it.

    Args:
        load: Import each, to see whether it works. Without it the metadata and the source are read, and faults that
            only an import shows are not seen.
    """
    entries = installed_plugins()
    names = Counter((entry.kind, entry.name) for entry in entries)
    default = {(entry.kind, entry.name) for entry in entries if entry.distribution == CORE_DISTRIBUTION}
    rows = []
    for entry in entries:
        remarks = [*_faults(entry, load)]
        if known := _lacking_library(entry):
            remarks.append(("lacks a library", f"it needs {known[0]!r}, which is not installed; {known[1]}"))
        if names[entry.kind, entry.name] > 1 and entry.distribution != CORE_DISTRIBUTION:
            remarks.append(_clash(entry, entries, (entry.kind, entry.name) in default))
        rows.append(Row(entry.kind, entry.name, entry.distribution, entry.version, entry.target, tuple(remarks)))
    for other in misregistrations():
        remark = ("unknown", f"{other.problem}; {other.mend}")
        rows.append(Row("", "", other.distribution, other.version, "", (remark,)))
    return rows


def _faults(entry: PluginEntry, load: bool) -> list[tuple[str, str]]:
    if entry.problem:
        return [("can't be used", f"{entry.problem}; {entry.mend}")]
    if not load:
        # The default plugins come with the core, whose tests import them.
        if entry.distribution == CORE_DISTRIBUTION:
            return []
        fault = find_fault(entry.target, KINDS[entry.kind])
        place = f"{entry.place}: " if entry.place else ""
        return [] if fault is None else [("broken", f"{place}{fault.message}; {fault.mend}")]
    try:
        loading = load_and_watch(entry)
    except PluginError as error:
        text = str(error).replace(f"{entry.title} ", "", 1)
        return [("broken", text)]
    remarks = []
    if loading.seconds > SLOW_IMPORT:
        text = f"importing it took {loading.seconds:.1f} s; import what is heavy inside its methods"
        remarks.append(("slow", text))
    if printed := " ".join(loading.printed.split()):
        shown = printed if len(printed) <= 60 else f"{printed[:60]}..."
        remarks.append(("prints", f"it prints when it is imported: {shown!r}; remove that"))
    return remarks


def _lacking_library(entry: PluginEntry) -> tuple[str, str] | None:
    known = known_plugin(entry.kind, entry.name) if entry.distribution == CORE_DISTRIBUTION else None
    return (known.library, known.instruction) if known and known.lacks_library else None


def _clash(entry: PluginEntry, entries: tuple[PluginEntry, ...], is_default: bool) -> tuple[str, str]:
    own = f"{entry.distribution}/{entry.name}"
    if is_default:
        return "shadowed", f"{entry.name!r} alone is the one that comes with task2sim; write {own} for this one"
    others = [
        other.distribution
        for other in entries
        if (other.kind, other.name) == (entry.kind, entry.name) and other != entry
    ]
    return "ambiguous", f"{' and '.join(others)} has one of this name too; write {own} for this one"


def print_plugins(console: Console, rows: list[Row], load: bool) -> None:
    """Print the list for a person."""
    plugins = [row for row in rows if row.kind]
    columns = ["kind", "name", "distribution", "version"]
    if load or any(row.remarks for row in plugins):
        columns.append("state")
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in plugins:
        table.add_row(*(getattr(row, column) for column in columns))
    console.print(table)

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    remarks = [f"  {row.subject}: {text}" for row in rows for _, text in row.remarks]
    if remarks:
        line("To mend:")
        for text in remarks:
            line(text)
    if not load and any(row.distribution != CORE_DISTRIBUTION for row in plugins):
        line("What only an import shows is shown by: task2sim plugins --load")
    installed = {(row.kind, row.name) for row in plugins}
    missing = [known for known in CATALOGUE if known.lacks_library or (known.kind, known.name) not in installed]
    if missing:
        line("Known, and not installed:")
        for known in missing:
            line(f"  {NOUNS[known.kind]} {known.name!r}, {known.description}: {known.instruction}")
