"""The benchmark's page: the tables with times, then every task in pictures. Plain HTML, nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy import __version__
from understudy.dataset.suite import AnimateTask, RegionTask, Suite, SwapTask
from understudy.jobs.benchmark_rows import TRUTH, UNCHANGED, Row, TableLine
from understudy.jobs.benchmark_tables import html_faults, html_table, line_of, networks_of
from understudy.jobs.options_benchmark import BenchmarkOptions
from understudy.jobs.project import Project
from understudy.jobs.report_page import style
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.provenance.atomic import write_text
from understudy.provenance.record import machine

if TYPE_CHECKING:
    from understudy.jobs.track import FaceFinder

_SHOWN = 6  # frames of a task
_SIDE = 176  # pixels of a picture on a sheet
_TITLES = {
    "swap": "Swaps",
    "animate": "Animated stills",
    "regions": "Regions told apart",
    "rebuild": "Faces taken apart and made again",
    "edit": "One frame's look in another's shapes",
    "units": "Action units read off faces",
}
_READ = (
    "↑ more is better, ↓ less, ≈ as near to the truth as can be. The best of each row is bold where the contenders differ. "
    "“Unchanged” has the right performance and light and the wrong person (or the right person who does nothing), so some of its "
    "figures say little. The sentences under the tables are made by fixed rules: each names what should be seen "
    "first in the pictures if the figures are right. Look at the pictures."
)
_LEADS = {
    "swap": "Everybody learns from the same footage for the same time. Measured inside the face, where the plate has it.",
    "animate": "A still does what another performer does. Result and truth are each cut where their own face is.",
    "regions": "A parser tells the twelve regions apart where the true ones are known; overlap is intersection over union.",
    "rebuild": "A face is read region by region and made again from what was read. Whole crops are compared.",
    "edit": "The look of a person's first frame is put into the true regions of the other frames, which are the answers.",
    "units": "The 17 units of every frame are read off the mesh and compared with those that the rendered face was given.",
}


def write_page(
    project: Project,
    suite: Suite,
    rows: Sequence[Row],
    tables: Mapping[str, Sequence[TableLine]],
    options: BenchmarkOptions,
    finder: FaceFinder | None = None,
) -> Path:
    """Write ``benchmark.html`` and its sheets (in ``report/``) into the benchmark's folder; returns the page."""
    parts = []
    for kind, lines in tables.items():
        parts += [
            f"<h2>{_TITLES[kind]}</h2><p>{_LEADS[kind]}</p>",
            f'<div class="wide">{html_table(lines)}</div>',
            f'<div class="wide">{html_faults(lines)}</div>',
            _skipped(lines),
        ]
        tasks = {"swap": suite.swaps, "animate": suite.animations, "units": ()}.get(kind, suite.regions)
        for task in tasks:
            own = [row for row in rows if row.task == task.name and row.kind == kind and not row.skipped]
            sheet = _sheet(project, task, kind, own, finder) if own else None
            if sheet is not None:
                words = f"{task.name}: evenly spaced frames" + (" at the plate's face" if kind == "swap" else "")
                name = html.escape(os.path.relpath(sheet, project.root))
                parts.append(f'<h3>{html.escape(task.name)}</h3><figure><img src="{name}" alt="" loading="lazy">')
                parts.append(f"<figcaption>{html.escape(words)}.</figcaption></figure>")
                table = html_table([line_of(row) for row in own])
                parts.append(
                    f'<details><summary>Figures of this task</summary><div class="wide">{table}</div></details>'
                )
    notes = sorted({note for row in rows for note in row.notes})
    judges = "".join(f"<li>{html.escape(f'{label}: {words}')}</li>" for label, words in networks_of(rows).items())
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    body = f"""<h1>Benchmark: {html.escape(suite.title)}</h1>
<p class="lead">Swaps: {len(suite.swaps)}, animations: {len(suite.animations)}, clips with known regions: {len(suite.regions)},
with known units: {len(suite.units)}; all have known exact answers.
Training for each who learns: {options.minutes:g} min, {_nth(options.every)} measured at {options.size} pixels.</p>
{"".join(parts)}
{"".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)}
<h2>How to read it</h2><p>{_READ}</p><h3>Who measured</h3><ul>{judges}</ul>
<p class="faint">{html.escape(about)}. Understudy {html.escape(__version__)}.</p>"""
    page = project.root / "benchmark.html"
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
    write_text(
        page,
        f"{head}<title>Understudy: benchmark</title>\n<style>\n{style()}</style>\n<body>\n{body}\n</body>\n</html>\n",
    )
    return page


def _skipped(lines: Sequence[TableLine]) -> str:
    return "".join(
        f'<p class="note">{html.escape(line.contender)} was not measured: {html.escape(line.skipped)}</p>'
        for line in lines
        if line.skipped
    )


def _nth(every: int) -> str:
    return "every frame" if every == 1 else f"every {every}th frame"


# -- pictures ----------------------------------------------------------------------------------------------------------


def _sheet(
    project: Project,
    task: SwapTask | AnimateTask | RegionTask,
    kind: str,
    rows: Sequence[Row],
    finder: FaceFinder | None,
) -> Path | None:
    """The task's contenders under each other, evenly spaced frames; None where a face is nowhere to be found."""
    name = task.name
    shown = [(row.contender, project.root / row.movie) for row in rows if row.contender != TRUTH]
    if isinstance(task, RegionTask):
        name, pictures = f"{task.name}-{kind}", _strips(project, task, kind, shown)
    elif isinstance(task, SwapTask):
        pictures = _swap_pictures(project, task, [*shown, (TRUTH, task.truth)], finder)
    else:
        drive = ("drive", task.drive)
        pictures = _whole_pictures([drive, *shown, (TRUTH, task.truth)])
    if pictures is None:
        return None
    columns, table_rows = pictures
    sheet = Sheet(title="", columns=columns, rows=table_rows)
    return write_sheet(project.root / "report" / f"{name}.jpg", sheet, side=_SIDE)


_Pictures = tuple[list[str], list[tuple[str, list[np.ndarray]]]]


def _swap_pictures(
    project: Project, task: SwapTask, clips: Sequence[tuple[str, Path]], finder: FaceFinder | None
) -> _Pictures | None:
    from understudy.jobs.measure import plate_person
    from understudy.media.clip import open_clip

    if not any(name == UNCHANGED for name, _ in clips):
        clips = [("plate", task.plate), *clips]
    with plate_person(task.plate, project, finder=finder) as person, open_clip(task.plate) as plate:
        usable = [number for number in plate.numbers if person.face(number) is not None]
        if not usable:
            return None
        chosen = [usable[int(place)] for place in np.linspace(0, len(usable) - 1, min(_SHOWN, len(usable)))]
        rows = []
        for name, path in clips:
            with open_clip(path) as clip:
                crops = []
                for number in chosen:
                    found = person.face(number)
                    assert found is not None
                    crops.append(np.clip(found.transform.to_crop(clip.frame(number).view(), 256), 0, 1))
            rows.append((name, crops))
    return [str(number) for number in chosen], rows


def _strips(project: Project, task: RegionTask, kind: str, shown: Sequence[tuple[str, Path]]) -> _Pictures:
    """What the contenders left to look at."""
    from understudy.jobs.benchmark_regions import read_strip, strip_path

    known = [(name, strip_path(project, kind, task.name, name)) for name in ("picture", TRUTH)]
    rows = [(name, read_strip(path)) for name, path in (*known, *shown) if path.is_file()]
    return [""] * max(len(pictures) for _, pictures in rows), rows


def _whole_pictures(clips: Sequence[tuple[str, Path]]) -> _Pictures:
    """Whole frames, their middle square; clips are looked at by the count of their frames."""
    from understudy.media.clip import open_clip

    with open_clip(clips[-1][1]) as truth:
        places = [int(place) for place in np.linspace(0, len(truth) - 1, min(_SHOWN, len(truth)))]
    rows = []
    for name, path in clips:
        with open_clip(path) as clip:
            rows.append(
                (name, [_square(clip.frame(clip.numbers[min(place, len(clip) - 1)]).view()) for place in places])
            )
    return [str(place + 1) for place in places], rows


def _square(view: np.ndarray) -> np.ndarray:
    height, width = view.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.clip(view[top : top + side, left : left + side], 0, 1)
