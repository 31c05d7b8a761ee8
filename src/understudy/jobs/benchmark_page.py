"""The benchmark's page: the tables with times, then every task in pictures. Plain HTML, nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy import __version__
from understudy.dataset.suite import AnimateTask, Suite, SwapTask
from understudy.jobs.benchmark_rows import MEASURES, TRUTH, UNCHANGED, Row, TableLine, best, number
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
_TITLES = {"swap": "Swaps", "animate": "Animated stills"}
_LEADS = {
    "swap": "Everybody learns from the same footage for the same time. Measured inside the face, where the plate has it.",
    "animate": "A still does what another performer does. Result and truth are each cut where their own face is.",
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
            f'<div class="wide">{_table(lines)}</div>',
            _skipped(lines),
        ]
        for task in suite.swaps if kind == "swap" else suite.animations:
            own = [row for row in rows if row.task == task.name and not row.skipped]
            sheet = _sheet(project, task, own, finder) if own else None
            if sheet is not None:
                words = f"{task.name}: evenly spaced frames" + (" at the plate's face" if kind == "swap" else "")
                name = html.escape(os.path.relpath(sheet, project.root))
                parts.append(f'<h3>{html.escape(task.name)}</h3><figure><img src="{name}" alt="" loading="lazy">')
                parts.append(f"<figcaption>{html.escape(words)}.</figcaption></figure>")
                parts.append(f'<div class="wide">{_task_table(own)}</div>')
    notes = sorted({note for row in rows for note in row.notes})
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    body = f"""<h1>Benchmark: {html.escape(suite.title)}</h1>
<p class="lead">Swaps: {len(suite.swaps)}, animations: {len(suite.animations)}, all with known exact answers.
Training for each who learns: {options.minutes:g} min, every {_nth(options.every)} frame measured at {options.size} pixels.</p>
{"".join(parts)}
{"".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)}
<p class="faint">{html.escape(about)}. Understudy {html.escape(__version__)}.</p>"""
    page = project.root / "benchmark.html"
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
    write_text(
        page,
        f"{head}<title>Understudy: benchmark</title>\n<style>\n{style()}</style>\n<body>\n{body}\n</body>\n</html>\n",
    )
    return page


def text_table(lines: Sequence[TableLine]) -> list[str]:
    """The table as lines of text of equal columns; the best value of each measure is starred."""
    taken = _taken(lines)
    heads = ["", *(f"{MEASURES[name][0]} {_arrow(name)}" for name in taken), "trained", "pictures", "s/frame"]
    body = [heads]
    for line in lines:
        if line.skipped:
            continue
        cells = [line.contender]
        for name in taken:
            value = line.scores.get(name)
            star = "*" if value is not None and value == best(lines, name) and line.contender != TRUTH else " "
            cells.append("" if value is None else f"{number(name, value)}{star}")
        body.append([*cells, *_times(line)])
    widths = [max(len(row[column]) for row in body) for column in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in body
    ]


def _table(lines: Sequence[TableLine]) -> str:
    taken = _taken(lines)
    heads = "".join(f"<th>{_heading(name)}</th>" for name in taken)
    rows = []
    for line in lines:
        if line.skipped:
            continue
        cells = "".join(
            _cell(name, line.scores.get(name), None if line.contender == TRUTH else best(lines, name)) for name in taken
        )
        times = "".join(f"<td>{html.escape(cell)}</td>" for cell in _times(line))
        faint = " class='faint'" if line.contender == TRUTH else ""
        starts = f"<br><small>from {html.escape(line.starts)}</small>" if line.starts else ""
        rows.append(f"<tr{faint}><td>{html.escape(line.contender)}{starts}</td>{cells}{times}</tr>")
    return (
        f"<table><tr><th></th>{heads}<th>trained</th><th>pictures<br><small>seen</small></th>"
        f"<th>a frame<br><small>s</small></th></tr>"
        f"{''.join(rows)}</table>"
    )


def _task_table(rows: Sequence[Row]) -> str:
    lines = [
        TableLine(
            contender=row.contender,
            scores=row.scores,
            tasks=1,
            training=row.training,
            pictures=row.pictures,
            per_frame=row.per_frame,
            starts="",
        )
        for row in rows
    ]
    return _table(lines)


def _skipped(lines: Sequence[TableLine]) -> str:
    return "".join(
        f'<p class="note">{html.escape(line.contender)} was not measured: {html.escape(line.skipped)}</p>'
        for line in lines
        if line.skipped
    )


def _taken(lines: Sequence[TableLine]) -> list[str]:
    return [name for name in MEASURES if any(name in line.scores for line in lines)]


def _cell(name: str, value: float | None, top: float | None) -> str:
    if value is None:
        return "<td></td>"
    return f"<td{' class=best' if value == top else ''}>{number(name, value)}</td>"


def _heading(name: str) -> str:
    label, unit, _ = MEASURES[name]
    return f"{html.escape(label)} {_arrow(name)}{f'<br><small>{html.escape(unit)}</small>' if unit else ''}"


def _arrow(name: str) -> str:
    return "↑" if MEASURES[name][2] == "higher" else "↓"


def _times(line: TableLine) -> list[str]:
    trained = f"{line.training / 60:.1f} min" if line.training else ""
    return [trained, str(line.pictures) if line.pictures else "", f"{line.per_frame:.2f}" if line.per_frame else ""]


def _nth(every: int) -> str:
    return "single" if every == 1 else f"{every}th"


# -- pictures ----------------------------------------------------------------------------------------------------------


def _sheet(
    project: Project, task: SwapTask | AnimateTask, rows: Sequence[Row], finder: FaceFinder | None
) -> Path | None:
    """The task's contenders under each other, evenly spaced frames; None where a face is nowhere to be found."""
    shown = [(row.contender, project.root / row.movie) for row in rows if row.contender != TRUTH]
    if isinstance(task, SwapTask):
        pictures = _swap_pictures(project, task, [*shown, (TRUTH, task.truth)], finder)
    else:
        drive = ("drive", task.drive)
        pictures = _whole_pictures([drive, *shown, (TRUTH, task.truth)])
    if pictures is None:
        return None
    columns, table_rows = pictures
    sheet = Sheet(title="", columns=columns, rows=table_rows)
    return write_sheet(project.root / "report" / f"{task.name}.jpg", sheet, side=_SIDE)


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
