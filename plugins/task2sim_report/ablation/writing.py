"""Everything an ablation's report consists of, written into its folder."""

from __future__ import annotations

from pathlib import Path

from task2sim import StoreError
from task2sim_report.ablation.content import read_ablation
from task2sim_report.ablation.illustrations import illustrations
from task2sim_report.ablation.page import render_page
from task2sim_report.ablation.statistics import ablation_statistics
from task2sim_report.ablation.tables import write_tables
from task2sim_report.report import write_whole

FIGURES, PAGE = "figures", "report.html"


def write_ablation_report(folder: Path, target: Path | None = None) -> tuple[str, ...]:
    """Write tables, figures and the page of an ablation; the same folder gives the same bytes.

    Nothing but what lies in the folder is read, and of that neither ``runs/`` nor anything that was written before.
    Each file is written whole or not at all, the page last.

    Args:
        folder: Holds ``ablation.sqlite``, and usually ``ablation.resolved.yaml`` and ``provenance.json``.
        target: Where the page goes; by default ``report.html`` in the folder.

    Returns:
        Notes for whoever asked, such as what was left out for want of a library.

    Raises:
        StoreError: it is no ablation's folder, nothing in it has results, or a file can't be written.
    """
    content = read_ablation(folder)
    statistics = ablation_statistics(content)
    shown = illustrations(content, statistics)
    page = render_page(folder, content, statistics, shown)
    target = target or folder / PAGE
    try:
        (folder / FIGURES).mkdir(exist_ok=True)
        written = write_tables(content, folder, statistics)
    except OSError as error:
        raise StoreError(f"can't write the report: {error.strerror or error}", place=str(folder)) from error
    for one in shown:
        for kind in ("pdf", "png"):
            path = folder / FIGURES / f"{one.name}.{kind}"
            if one.drawing is None:
                # An earlier report may have had one.
                path.unlink(missing_ok=True)
            else:
                write_whole(path, getattr(one.drawing, kind))
    write_whole(target, page.encode())
    return tuple(written.notes)
