"""The pages of evaluated shots and models: figures, curves over frames, worst and best frames; and the same as JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import understudy
from understudy.jobs.evaluate_measures import MODEL, SHOT, Measure, how_bad, shown
from understudy.jobs.report_page import line_chart, style
from understudy.jobs.sheet import Sheet, write_sheet
from understudy.provenance.atomic import write_json, write_text
from understudy.provenance.record import plain

if TYPE_CHECKING:
    from understudy.jobs.evaluate_limits import Verdict
    from understudy.jobs.evaluate_model import EvaluateModelReport
    from understudy.jobs.evaluate_swap import EvaluateSwapReport
    from understudy.jobs.options_evaluate import EvaluateSwapOptions
    from understudy.jobs.project import Project
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]

CANDIDATES = {
    "swap": "the swap",
    "plate": "the plate, left as it is",
    "neighbour": "nearest training picture, same blend",
    "truth": "the truth itself",
}
_SHOWN, _APART, _SIDE, _AMPLIFIED = 8, 5, 192, 4.0  # frames a sheet, frames between them, pixels, times
_CARDS = ("identity", "lpips", "detail", "pose", "expression", "flow_warp", "seam", "outside")


def write_swap_report(
    report: EvaluateSwapReport,
    options: EvaluateSwapOptions,
    project: Project,
    *,
    finder: FaceFinder | None,
    progress: Progress,
) -> None:
    """Write the page, the JSON and the two contact sheets of a shot.

    Raises:
        StorageError: full disk or no permission.
    """
    progress("report", 0, None)
    _write_sheets(report, options, project, finder)
    swap = report.scores["swap"]
    scored = [name for name in _CARDS if name in swap]
    cards = [(shown(name, swap[name]), _beside(name, report.scores)) for name in scored]
    charts = "".join(_charts(report))
    key = "".join(
        f'<span><i style="background:var(--{name})"></i>{words}</span>'
        for name, words in CANDIDATES.items()
        if name in report.per_frame
    )
    faces = f"{len(report.numbers)} frames measured at {report.size} pixels inside the face"
    lost = f"; {report.without_face} frames show no face" if report.without_face else ""
    body = f"""
<h2>Figures</h2><p>{faces}{lost}. Figures are means over frames, or of the whole shot.</p>
<div class="wide">{_table(report.scores, SHOT, CANDIDATES, report.worst)}</div>
{_stands_out(report)}
{_picture(report.worst_sheet, f"The worst frames by {SHOT[report.ranked_by].label}, worst first.")}
{_picture(report.best_sheet, f"The best frames by {SHOT[report.ranked_by].label}, best first.")}
<h2>Over the frames</h2><div class="key">{key}</div><div class="charts">{charts}</div>"""
    page = _page(
        title=f"{report.swap.name}: {report.identity}",
        lead=f"The plate is {report.plate.name}; "
        + (f"the truth is {report.truth.name}." if report.truth else "no truth."),
        cards=cards,
        verdicts=report.verdicts,
        notes=(*report.missing, *report.notes),
        body=body,
        networks=report.networks,
    )
    write_text(report.report, page)
    write_json(report.data, finite(plain(report)))


def write_model_report(report: EvaluateModelReport) -> None:
    """Write the page and the JSON of a model; its sheet is there already.

    Raises:
        StorageError: full disk or no permission.
    """
    rows = {name: name for name in report.scores}
    overall = report.overall
    cards = [(shown(name, overall[name]), _heading(MODEL[name])) for name in MODEL if name in overall]
    body = f"""
<h2>Figures</h2><p>{html.escape(report.pictures_are)}</p>
<div class="wide">{_table(report.scores, MODEL, rows, {})}</div>
{_picture(report.sheet, report.sheet_shows)}"""
    page = _page(
        title=f"{report.model.parent.name or report.model.name}",
        lead=f"A {report.family} model, preset {report.preset}, {report.trained} training pictures.",
        cards=cards,
        verdicts=report.verdicts,
        notes=(*([] if report.seen == "held back" else [report.pictures_are]), *report.missing, *report.notes),
        body=body,
        networks=report.networks,
    )
    write_text(report.report, page)
    write_json(report.data, finite(plain(report)))


def finite(value: Any) -> Any:
    """Plain values without infinity and not-a-number, which JSON does not know: they become None."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(
    *,
    title: str,
    lead: str,
    cards: Sequence[tuple[str, str]],
    verdicts: Sequence[Verdict],
    notes: Sequence[str],
    body: str,
    networks: Mapping[str, str],
) -> str:
    template = Template((resources.files("understudy.jobs") / "evaluate_report.html").read_text("utf-8"))
    judged = "".join(
        f'<p class="{"pass" if verdict.passed else "fail"}">{html.escape(str(verdict))}</p>' for verdict in verdicts
    )
    labels = SHOT | MODEL
    rows = "".join(
        f"<tr><td>{html.escape(labels[name].label)}</td><td style='text-align:left'>{html.escape(words)}</td></tr>"
        for name, words in networks.items()
    )
    return template.substitute(
        title=html.escape(title),
        style=style(),
        lead=html.escape(lead),
        cards="".join(f'<div class="card"><b>{value}</b>{words}</div>' for value, words in cards),
        verdicts=f"<h2>Pass or fail</h2>{judged}" if verdicts else "",
        notes="".join(f'<p class="note">{html.escape(sentence)}</p>' for sentence in notes),
        body=body,
        networks=f"<table>{rows}</table>",
        version=html.escape(understudy.__version__),
    )


def _heading(measure: Measure) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(measure.better, "")
    unit = f"<br><small>{html.escape(measure.unit)}</small>" if measure.unit else ""
    return f"{html.escape(measure.label)}{arrow}{unit}"


def _beside(name: str, scores: Mapping[str, Mapping[str, float]]) -> str:
    """A card's words: the measure, and what plate or truth read."""
    others = [
        f"{other} {shown(name, scores[other][name])}" for other in ("plate", "truth") if name in scores.get(other, {})
    ]
    unit = f", {SHOT[name].unit}" if SHOT[name].unit else ""
    return html.escape(SHOT[name].label + unit + (f" ({', '.join(others)})" if others else ""))


def _table(
    scores: Mapping[str, Mapping[str, float]],
    measures: Mapping[str, Measure],
    words: Mapping[str, str],
    worst: Mapping[str, Mapping[str, float]],
) -> str:
    """One row a measure, one column a candidate, and the worst frame where there is one."""
    columns = [name for name in words if name in scores]
    heads = "".join(f"<th>{html.escape(words[name])}</th>" for name in columns)
    last = "<th>worst frame</th>" if worst else ""
    rows = []
    for name, measure in measures.items():
        found = {column: scores[column][name] for column in columns if name in scores[column]}
        if not found:
            continue
        cells = "".join(f"<td>{shown(name, found[column]) if column in found else ''}</td>" for column in columns)
        far = worst.get(name)
        tail = "" if not worst else f"<td>{shown(name, far['value'])} in {far['frame']:g}</td>" if far else "<td></td>"
        arrow = {"higher": "↑", "lower": "↓"}.get(measure.better, "")
        unit = f" <small>{html.escape(measure.unit)}</small>" if measure.unit else ""
        against = f"<small>against {html.escape(measure.against)}</small>"
        rows.append(f"<tr><td>{html.escape(measure.label)} {arrow}{unit}<br>{against}</td>{cells}{tail}</tr>")
    return f"<table><tr><th></th>{heads}{last}</tr>{''.join(rows)}</table>"


def _charts(report: EvaluateSwapReport) -> Iterator[str]:
    for name, measure in SHOT.items():
        if not measure.by_frame:
            continue
        lines = {
            candidate: [math.nan if value is None else value for value in values[name]]
            for candidate, values in report.per_frame.items()
            if name in values
        }
        usable = {candidate: line for candidate, line in lines.items() if np.isfinite(line).any()}
        if "swap" in usable and len(report.numbers) > 1:
            unit = f", {measure.unit}" if measure.unit else ""
            yield line_chart(f"{measure.label}{unit} by frame", report.numbers, usable)


def _stands_out(report: EvaluateSwapReport) -> str:
    """What the figures say can be seen, by fixed rules."""
    if not report.faults:
        return ""
    words = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in report.faults)
    return f"<h3>What should be seen first if the figures are right</h3><ol>{words}</ol>"


def _picture(path: Path, words: str) -> str:
    image = f'<img src="{html.escape(path.name)}" alt="" loading="lazy">'
    return f"<figure>{image}<figcaption>{html.escape(words)}</figcaption></figure>"


def ranked(report: EvaluateSwapReport) -> tuple[list[int], list[int]]:
    """Frame numbers of the worst and of the best frames, a few frames apart, so that they are not all of one moment."""
    values = report.per_frame["swap"][report.ranked_by]
    known = [(value, number) for value, number in zip(values, report.numbers, strict=True) if value is not None]
    worst_first = [number for value, number in sorted(known, key=lambda pair: -how_bad(report.ranked_by, pair[0]))]
    return _apart(worst_first), _apart(worst_first[::-1])


def _apart(numbers: Sequence[int]) -> list[int]:
    chosen: list[int] = []
    for number in numbers:
        if len(chosen) < _SHOWN and all(abs(number - other) >= _APART for other in chosen):
            chosen.append(number)
    return chosen


def _write_sheets(
    report: EvaluateSwapReport, options: EvaluateSwapOptions, project: Project, finder: FaceFinder | None
) -> None:
    from understudy.jobs.measure import plate_person
    from understudy.media.clip import open_clip

    values = dict(zip(report.numbers, report.per_frame["swap"][report.ranked_by], strict=True))
    truths = [] if options.truth is None else [("truth", options.truth)]
    chosen = ranked(report)
    seen: dict[str, dict[int, np.ndarray]] = {}
    with plate_person(options.plate, project, finder=finder) as person:
        for name, source in (("plate", options.plate), ("swap", options.swap), *truths):
            with open_clip(source) as clip:
                crops_of = seen.setdefault(name, {})
                for number in sorted({*chosen[0], *chosen[1]}):  # movies are quickest in order
                    found = person.face(number)
                    assert found is not None, "measured frames have a face"
                    crops_of[number] = np.clip(found.transform.to_crop(clip.frame(number).view(), _SIDE), 0, 1)
        other = "truth" if truths else "plate"
        for path, numbers in zip((report.worst_sheet, report.best_sheet), chosen, strict=True):
            crops = {name: [crops_of[number] for number in numbers] for name, crops_of in seen.items()}
            pairs = zip(crops["swap"], crops[other], strict=True)
            crops[f"swap - {other}, x 4"] = [np.clip(0.5 + _AMPLIFIED * (a - b), 0, 1) for a, b in pairs]
            shown_values = [shown(report.ranked_by, values[number] or 0.0) for number in numbers]
            columns = [f"{number}: {value}" for number, value in zip(numbers, shown_values, strict=True)]
            title = f"{report.swap.name}, by {SHOT[report.ranked_by].label}"
            write_sheet(path, Sheet(title=title, columns=columns, rows=list(crops.items())), side=_SIDE)
