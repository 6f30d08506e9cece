"""What a person sees in the terminal while a study runs, and at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from task2sim.observers import hookimpl
from task2sim.progress import Progress
from task2sim.summary import final_table

if TYPE_CHECKING:
    from rich.progress import TaskID

    from task2sim.ablation import Ablation
    from task2sim.ablation.cells import Plan
    from task2sim.ablation.cost import Cost, RowCost
    from task2sim.config import StudyFile
    from task2sim.difference import Side
    from task2sim.explain import Explanation
    from task2sim.interfaces import TaskEmbedding
    from task2sim.run import Run
    from task2sim.store import Store
    from task2sim.trial import Trial


class ConsoleObserver:
    """Progress bars for the study and for each job, and a line for each trial.

    Use it as a context manager. Where the console is no terminal, only the lines are printed.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._rows: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Move a bar: one for the study, one for each job whatever its stage."""
        row = progress.job or progress.stage
        text = f"  {progress.stage:<9} {progress.job}" if progress.job else progress.stage
        if self._stages.get(row) != progress.stage:
            self._remove(row)
            self._stages[row] = progress.stage
            self._rows[row] = self._bars.add_task(text, total=progress.total, unit=progress.unit)
        self._bars.update(self._rows[row], completed=progress.done, total=progress.total)
        if progress.done >= progress.total and (not progress.job or progress.stage in ("score", "embed")):
            self._remove(row)

    def _remove(self, row: str) -> None:
        self._stages.pop(row, None)
        if (bar := self._rows.pop(row, None)) is not None:
            self._bars.remove_task(bar)

    @hookimpl
    def task2sim_progress(self, progress: Progress) -> None:
        """Move a bar."""
        self.show(progress)

    @hookimpl
    def task2sim_study_start(self, run: Run) -> None:
        """Say what is about to happen."""
        study = run.study
        counts = {role: len(getattr(study.tasks, role)) for role in ("seen", "unseen")}
        tasks = " and ".join(f"{count} {role}" for role, count in counts.items() if count)
        if study.rewards is not None:
            work = f"{study.pretrainings} settings looked up in a {study.rewards.name}"
        elif study.pretrainings:
            work = f"{study.pretrainings} pre-trainings on {study.images} images each"
        else:
            work = f"nothing to search, pre-trainings on {study.images} images each"
        plural = "s" * (sum(counts.values()) > 1)
        self.console.print(f"[bold]{study.name}[/]: {tasks} task{plural}, {work}", highlight=False)

    @hookimpl
    def task2sim_task_embedded(self, embedding: TaskEmbedding) -> None:
        """Say that a task has its embedding."""
        self._remove(embedding.task)
        self.console.print(f"embedded  {escape(embedding.task)} ({len(embedding.vector)} numbers)", highlight=False)

    @hookimpl
    def task2sim_trial_end(self, run: Run, trial: Trial) -> None:
        """Say what a trial scored; a table's numbers can be read there."""
        if run.study.rewards is not None:
            return
        label = "untrained" if trial.setting is None else trial.setting.label
        self._remove(label)
        scores = "  ".join(f"{escape(task)} {100 * score.value:.1f}" for task, score in trial.scores.items())
        self.console.print(f"{trial.phase:<10} {scores}  [dim]{escape(label)}[/]", highlight=False, soft_wrap=True)


class CellConsole(ConsoleObserver):
    """The same for the cells of an ablation, without what is alike in all of them."""

    def task2sim_study_start(self, run: Run) -> None:
        """The line that names the cell says enough."""

    def task2sim_task_embedded(self, embedding: TaskEmbedding) -> None:
        """Not told again for each cell."""
        self._remove(embedding.task)


@contextmanager
def interruptible(again: str = "goes on from here") -> Iterator[None]:
    """Ctrl-C inside the block ends the command with a line and the shell's customary code.

    Args:
        again: What the same command does when it is given again.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; the same command {again}\n")
        raise typer.Exit(130) from None


def run_in_terminal(
    file: StudyFile, runs: Path, store: Store, console: Console, until: Literal["embed", "end"] = "end"
) -> Run:
    """Run a study and show how it goes; see `task2sim.study.run_study`."""
    from task2sim.study import run_study

    def warn(line: str, details: str) -> None:
        sys.stderr.write(f"warning: {line}\n")

    with interruptible(), ConsoleObserver(console) as observer:
        return run_study(file, runs, store, [("console", observer)], warn, until)


def run_ablation_in_terminal(
    plan: Plan, ablations: Path, store: Store, console: Console, retry: bool = False
) -> Ablation:
    """Run an ablation and show how it goes; see `task2sim.ablation.running.run_ablation`."""
    from task2sim.ablation.running import run_ablation

    def warn(line: str, details: str) -> None:
        sys.stderr.write(f"warning: {line}\n")

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    with interruptible(), CellConsole(console) as observer:
        return run_ablation(plan, ablations, store, [("console", observer)], warn, tell, retry)


def print_ablation(console: Console, ablation: Ablation) -> None:
    """Print what each row of an ablation reached on average, and where the rest is."""
    rows = ablation.means()
    roles = [key for key in rows[0] if key != "row"] if rows else []
    metric = ablation.database.fact("metric")
    if metric:
        title = f"{metric} on test images (%), mean over tasks and seeds; n counts both"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        table.add_column("row", overflow="fold", min_width=30)
        for role in roles:
            table.add_column(role, justify="right")
            table.add_column("n", justify="right")
        for row in rows:
            numbers = [("" if not row[r]["n"] else f"{100 * row[r]['mean']:.1f}", f"{row[r]['n']}") for r in roles]
            table.add_row(escape(row["row"]), *(text for pair in numbers for text in pair))
        console.print(table)
    console.print(f"folder: {escape(str(ablation.folder))}", highlight=False, soft_wrap=True)
    if (report := ablation.folder / "report.html").exists():
        console.print(f"report: {escape(str(report))}", highlight=False, soft_wrap=True)
    ablation.database.close()


def print_cost(console: Console, cost: Cost) -> None:
    """Print what an ablation would compute."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    table.add_column("row", overflow="fold", min_width=30)
    amounts = [] if cost.on_table else ["known", "in the\nstore", "of rows\nabove", "to do", "and at\nmost"]
    for column in ["cells", "finished", "failed", *(["look-ups, at most"] if cost.on_table else amounts)]:
        table.add_column(column, justify="right")

    def add(row: RowCost, style: str = "") -> None:
        one = row.pretrainings
        numbers = [row.lookups] if cost.on_table else [one.known, one.stored, one.shared, one.to_do, one.further]
        shown = [f"{number:,}" for number in (row.cells, row.finished, row.failed, *numbers)]
        table.add_row(escape(row.row), *shown, style=style)

    for row in cost.rows:
        add(row)
    table.add_section()
    add(cost.total, "bold")
    console.print(table)
    if cost.on_table:
        console.print("nothing is rendered or trained: scores are looked up", highlight=False)
        return
    renders = cost.total.renders
    console.print(
        f"counted are pre-trainings; they take {renders.known:,} renders, of which {renders.to_do:,} are to do,"
        f" and at most {renders.further:,} more",
        highlight=False,
        soft_wrap=True,
    )
    if renders.further:
        text = "'and at most': settings that policies have yet to choose; rows and the store may share them too"
        console.print(text, highlight=False, soft_wrap=True)


def print_table(console: Console, run: Run) -> None:
    """Print a run's final table: a row for each task, a column for each method."""
    roles = {row["name"]: row["role"] for row in run.results.query("SELECT name, role FROM tasks ORDER BY position")}
    metric = run.results.query("SELECT metric FROM scores LIMIT 1")[0]["metric"]
    methods = final_table(run.results)
    title = f"{metric} on test images (%), mean ± deviation over pre-trainings"
    if run.study.rewards is not None:
        title = f"{metric} (%), as the {run.study.rewards.name} has it"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("task", no_wrap=True)
    for method in methods:
        table.add_column(escape(method.method).replace(" ", "\n"), justify="right", no_wrap=True)
    for task, role in roles.items():
        cells = [method.tasks[task].percent() for method in methods]
        table.add_row(escape(f"{task} (unseen)" if role == "unseen" else task), *cells)
    table.add_section()
    for role in dict.fromkeys(roles.values()):
        table.add_row(f"mean {role}", *(method.groups[role].percent() for method in methods), style="bold")
    console.print(table)


def print_explanation(console: Console, explanation: Explanation) -> None:
    """Print what a study would do."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line(explanation.study)
    for stage, text in explanation.stages.items():
        line(f"  {stage:<8} {text}")
    if not explanation.amounts:
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("")
    for column in ("known", "in the store", "to do", "and at most"):
        table.add_column(column, justify="right")
    for name, amount in explanation.amounts.items():
        further = f"{amount.further:,}" if amount.further else ""
        table.add_row(name, f"{amount.known:,}", f"{amount.stored:,}", f"{amount.to_do:,}", further)
    console.print()
    console.print(table)
    if any(amount.further for amount in explanation.amounts.values()):
        line("\n'and at most': settings the policy has yet to choose; of them too the store may have some")
    if explanation.reasons:
        line("\nwhat the store lacks, beside the nearest it has:")
        for name, reasons in explanation.reasons.items():
            line(f"  {name}")
            for reason in reasons:
                line(f"    {reason}")


def print_differences(console: Console, first: Side, second: Side, found: dict[str, Any]) -> None:
    """Print what `task2sim.difference.compare` found between two sides."""
    from task2sim.difference import shown

    def table(title: str, *columns: str) -> Table:
        made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for column in columns:
            made.add_column(column, overflow="fold")
        return made

    if found["keys"]:
        keys = table("keys", "key", first.name, second.name, "changes")
        for row in found["keys"]:
            keys.add_row(*map(escape, (row["key"], shown(row["first"]), shown(row["second"]), row["changes"])))
        console.print(keys)
    else:
        console.print("keys: all the same", highlight=False)
    seeds = found["seeds"]
    same = f"both {seeds[0]}" if seeds[0] == seeds[1] else f"{seeds[0]} and {seeds[1]}"
    console.print(f"\nseeds: {same}", highlight=False)
    if found["versions"]:
        versions = table("versions", "of", first.name, second.name)
        for name, pair in found["versions"].items():
            versions.add_row(*map(escape, (name, *pair)))
        console.print()
        console.print(versions)
    elif first.made_with and second.made_with:
        console.print("versions: all the same", highlight=False)
    for task in found["tasks"]:
        console.print(f"task {escape(task)}: its images differ", highlight=False)
    if found["results"]:
        numbers = table("scores (%)", "method", "task", first.name, second.name, "difference")
        for row in found["results"]:
            one, other = row["scores"]
            gap = "" if one is None or other is None else f"{100 * (other - one):+.1f}"
            cells = ["" if score is None else f"{100 * score:.1f}" for score in (one, other)]
            numbers.add_row(escape(row["method"]), escape(row["task"]), *cells, gap)
        console.print()
        console.print(numbers)
    else:
        missing = [side.name for side in (first, second) if not side.rows]
        console.print(f"results: {escape(' and '.join(missing))} {'have' if len(missing) > 1 else 'has'} none yet")
