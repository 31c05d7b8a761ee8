"""The demo's page: movies side by side, contact sheets, figures with units, times and records. Plain HTML of its own."""

from __future__ import annotations

import html
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import understudy
from understudy.jobs.measure import MEASURES
from understudy.jobs.report_page import line_chart, style
from understudy.jobs.sheet import draw_sheet, write_picture
from understudy.provenance.atomic import write_text

if TYPE_CHECKING:
    from understudy.jobs.project import Project

Progress = Callable[[str, int, int | None], None]

CANDIDATES = {
    "swap": "the swap",
    "neighbour": "nearest training picture, same blend",
    "plate": "the plate, left as it is",
}
_SHOWN = 8  # frames on a contact sheet


def write_report(project: Project, facts: Mapping[str, Any], progress: Progress = lambda *_: None) -> Path:
    """Write ``report.html`` and its pictures (in ``report/``) into the demo's folder; returns the page.

    ``facts`` is what :func:`understudy.jobs.demo.demo` collected, as plain values.
    """
    folder = project.root / "report"
    for done, swap in enumerate(facts["swaps"]):
        progress("report", done, len(facts["swaps"]))
        _contact_sheet(project, swap, folder)
    preview = _copy_preview(facts["train"], folder)
    text = Template((resources.files("understudy.jobs") / "demo_report.html").read_text("utf-8")).substitute(
        style=style(),
        lead=_lead(facts),
        cards=_cards(facts),
        notes=_notes(facts),
        swaps="\n".join(_swap(project, swap) for swap in facts["swaps"]),
        learnt=_learnt(facts),
        curves="".join(_curves(Path(facts["train"]["run"]))),
        preview=_preview(preview) if preview else "",
        inside=_inside(project, facts.get("inspect", {})),
        jitter=_jitter(facts["gather"]),
        times=_times(facts["stages"]),
        machine=html.escape(_machine(facts["machine"])),
        records=_records(project, facts["swaps"]),
        version=html.escape(understudy.__version__),
    )
    page = project.root / "report.html"
    write_text(page, text)
    progress("report", len(facts["swaps"]), len(facts["swaps"]))
    return page


# -- the parts ---------------------------------------------------------------------------------------------------------


def _lead(facts: Mapping[str, Any]) -> str:
    names = [html.escape(swap["swapped_in"].title()) for swap in facts["swaps"]]
    minutes = facts["stages"]["train"] / 60
    return (
        f"{' and '.join(names)} are rendered; nobody was filmed. From eight seconds of each, Understudy gathered their "
        f"faces, trained one model on both for {minutes:.1f} minutes, and laid each one's face over the other's performance. "
        "Because the performers are rendered, the exact answer is known, and every figure here is measured against it."
    )


def _cards(facts: Mapping[str, Any]) -> str:
    cards = [(_duration(sum(facts["stages"].values())), "from clips to report")]
    cards.append((f"{_training_rate(facts):.0f}/s", "training pictures"))
    scores = [swap["measure"]["scores"] for swap in facts["swaps"]]
    for name in ("identity", "lpips", "ssim", "psnr"):
        values = [score["swap"][name] for score in scores if name in score.get("swap", {})]
        before = [score["plate"][name] for score in scores if name in score.get("plate", {})]
        if values:
            label, unit, _ = MEASURES[name]
            cards.append(
                (
                    _number(name, float(np.mean(values))),
                    f"{label}{f', {unit}' if unit else ''} (plate: {_number(name, float(np.mean(before)))})",
                )
            )
    return "".join(f'<div class="card"><b>{value}</b>{html.escape(label)}</div>' for value, label in cards)


def _notes(facts: Mapping[str, Any]) -> str:
    sentences = {sentence for swap in facts["swaps"] for sentence in swap["measure"].get("missing", ())}
    return "".join(f'<p class="note">{html.escape(sentence)}</p>' for sentence in sorted(sentences))


def _swap(project: Project, swap: Mapping[str, Any]) -> str:
    who, whose = swap["swapped_in"].title(), swap["performer"].title()
    films = (
        (f"footage/{swap['plate']}", f"The plate: {whose} performs"),
        (f"renders/{Path(swap['output']).name}", f"The swap: {who}'s face"),
        (f"renders/neighbours/{Path(swap['output']).name}", "The nearest training pictures instead, same blend"),
        (f"footage/truth/{swap['truth']}", f"The truth: {who} really giving this performance"),
    )
    shown = "".join(
        f'<figure><video src="{html.escape(source)}" muted loop playsinline preload="auto"></video>'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
        for source, words in films
    )
    measured = swap["measure"]
    neighbours = measured.get("neighbours")
    about = ""
    if neighbours:
        about = (
            f"<p class='faint'>The nearest-neighbour swap used {neighbours['pictures_used']} of "
            f"{neighbours['training_pictures']} training pictures and jumped in {neighbours['jumps']} of "
            f"{neighbours['steps']} steps.</p>"
        )
    key = "".join(f'<span><i style="background:var(--{name})"></i>{words}</span>' for name, words in CANDIDATES.items())
    return f"""
<h2>{html.escape(who)} in {html.escape(whose)}'s place</h2>
<div data-films><div class="films">{shown}</div>
<div class="controls"><button type="button">Play</button>
<input type="range" min="0" max="1000" value="0" aria-label="position"></div></div>
{_picture(_sheet_path(project.root / "report", swap), "Evenly spaced frames, at the canonical crop that the model sees.")}
<h3>Measured inside the face, {measured["size"]} pixels, mean of {len(measured["numbers"])} frames</h3>
<div class="wide">{_scores(measured)}</div>
{about}
<div class="key">{key}</div>
<div class="charts">{"".join(_charts(measured))}</div>"""


def _scores(measured: Mapping[str, Any]) -> str:
    scores, jitter = measured["scores"], measured["jitter"]
    taken = [name for name in MEASURES if any(name in values for values in scores.values())]
    heads = "".join(f"<th>{_heading(name)}</th>" for name in taken) + "<th>landmark jitter<br><small>px</small></th>"
    rows = []
    for candidate, words in CANDIDATES.items():
        if candidate not in scores:
            continue
        cells = []
        for name in taken:
            value = scores[candidate].get(name)
            others = [scores[other][name] for other in CANDIDATES if name in scores.get(other, {})]
            best = value is not None and value == (max(others) if MEASURES[name][2] == "higher" else min(others))
            cells.append(f"<td{' class=best' if best else ''}>{'' if value is None else _number(name, value)}</td>")
        cells.append(f"<td>{jitter[candidate]:.3f}</td>")
        rows.append(f"<tr><td>{words}</td>{''.join(cells)}</tr>")
    if "truth" in scores:
        cells = "".join(
            f"<td>{_number(name, scores['truth'][name]) if name in scores['truth'] else ''}</td>" for name in taken
        )
        cells += f"<td>{jitter['truth']:.3f}</td>"
        rows.append(f"<tr class='faint'><td>the truth itself</td>{cells}</tr>")
    return f"<table><tr><th></th>{heads}</tr>{''.join(rows)}</table>"


def _heading(name: str) -> str:
    label, unit, better = MEASURES[name]
    return f"{html.escape(label)} {'↑' if better == 'higher' else '↓'}{f'<br><small>{html.escape(unit)}</small>' if unit else ''}"


def _charts(measured: Mapping[str, Any]) -> Iterable[str]:
    numbers = measured["numbers"]
    for name in MEASURES:
        lines = {
            candidate: values[name]
            for candidate, values in measured["per_frame"].items()
            if candidate in CANDIDATES and name in values
        }
        if lines and len(numbers) > 1:
            yield line_chart(f"{MEASURES[name][0]} by frame", numbers, lines)


def _training_rate(facts: Mapping[str, Any]) -> float:
    """Pictures a second over all runs of the demo, starting up included."""
    return facts["train"]["pictures"] / max(facts["stages"]["train"], 1e-9)


def _learnt(facts: Mapping[str, Any]) -> str:
    train = facts["train"]
    return (
        f"{train['pictures']} pictures in {train['steps']} steps, {_training_rate(facts):.1f} pictures a second, starting "
        "from the packaged base model, which has never seen these two."
    )


def _curves(run: Path) -> Iterable[str]:
    """A chart of every figure that training kept."""
    try:
        rows = [json.loads(line) for line in (run / "curves.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return
    names = [name for name in (rows[-1] if rows else {}) if name not in ("pictures", "time", "fade")]
    for name in names:
        known = [row for row in rows if math.isfinite(row.get(name, math.nan))]
        if len(known) > 1:
            pictures = [row["pictures"] for row in known]
            yield line_chart(f"{name} by training pictures", pictures, {"swap": [row[name] for row in known]})


def _preview(path: Path) -> str:
    words = "Training's last preview. Left to right: the picture shown, then the same performance by each identity."
    return f'<div class="narrow">{_picture(path, words)}</div>'


def _inside(project: Project, inspect: Mapping[str, Any]) -> str:
    if not inspect:
        return ""
    path, latents = inspect["interpolate"], inspect["latents"]
    even = ", ".join(f"{html.escape(name)} {value:.2f}" for name, value in path["smoothness"].items())
    parts = [
        _picture(
            Path(path["sheet"]),
            f"Nine points on the straight path between two latents, decoded by everyone. Largest step over mean step: {even} "
            "(1 is perfectly even).",
        )
    ]
    for found in inspect["neighbours"]:
        parts.append(
            _picture(
                Path(found["sheet"]),
                "Generated faces and the nearest training pictures (Fig. 14), with their distance over the face area; training "
                f"pictures lie {found['spacing']:.3f} from their own nearest fellows.",
            )
        )
    parts.append(
        f"<p>Of the training pictures, {100 * latents['told_apart']:.0f} % are told apart by the nearest mean of their latents; "
        f"{100 * latents['chance']:.0f} % would be chance, and the nearer to it, the freer of identity the latents are.</p>"
    )
    return "\n".join(parts)


def _jitter(gathered: Mapping[str, Any]) -> str:
    rows = []
    for report in gathered.values():
        for one in report["identities"]:
            figures = one["jitter"]
            cells = (figures[name] for name in ("landmarks_before", "landmarks_after", "crop_before", "crop_after"))
            rows.append(
                f"<tr><td>{html.escape(one['identity'])}</td><td>{one['total']}</td><td>{len(one['skipped'])}</td>"
                + "".join(f"<td>{value:.3f}</td>" for value in cells)
                + "</tr>"
            )
    return (
        "<table><tr><th></th><th>faces</th><th>frames left out</th><th>landmarks before<br><small>px</small></th>"
        "<th>after<br><small>px</small></th><th>crop before<br><small>px</small></th><th>after<br><small>px</small></th></tr>"
        f"{''.join(rows)}</table>"
    )


def _times(stages: Mapping[str, float]) -> str:
    longest = max(stages.values(), default=1.0)
    rows = [
        f"<span>{html.escape(name)}</span><i style='width:{100 * seconds / longest:.1f}%'></i><span>{_duration(seconds)}</span>"
        for name, seconds in stages.items()
    ]
    return "".join(
        [*rows, f"<span><b>in all</b></span><span></span><span><b>{_duration(sum(stages.values()))}</b></span>"]
    )


def _machine(machine: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _records(project: Project, swaps: Iterable[Mapping[str, Any]]) -> str:
    from understudy.provenance.record import record_path

    parts = []
    for swap in swaps:
        path = record_path(swap["output"])
        if path.is_file():
            text = json.dumps(json.loads(path.read_text("utf-8")), indent=2, ensure_ascii=False)
            name = html.escape(path.name)
            parts.append(f"<details><summary>{name}</summary><pre>{html.escape(text)}</pre></details>")
    return "\n".join(parts)


# -- pictures ----------------------------------------------------------------------------------------------------------


def _contact_sheet(project: Project, swap: Mapping[str, Any], folder: Path) -> None:
    """Plate, swap and truth at the canonical crop, evenly spaced frames."""
    from understudy.jobs.measure import plate_person
    from understudy.jobs.sheet import Sheet
    from understudy.media.clip import open_clip

    plate = project.footage / swap["plate"]
    with (
        plate_person(plate, project) as person,
        open_clip(plate) as before,
        open_clip(swap["output"]) as after,
        open_clip(project.footage / "truth" / swap["truth"]) as truth,
    ):
        usable = [number for number in before.numbers if person.face(number) is not None]
        chosen = [usable[int(place)] for place in np.linspace(0, len(usable) - 1, min(_SHOWN, len(usable)))]
        rows = []
        for words, clip in (("plate", before), ("swap", after), ("truth", truth)):
            crops = []
            for number in chosen:
                tracked = person.face(number)
                assert tracked is not None
                crops.append(np.clip(tracked.transform.to_crop(clip.frame(number).view(), 256), 0, 1))
            rows.append((words, crops))
    sheet = Sheet(title="", columns=[str(number) for number in chosen], rows=rows)
    write_picture(_sheet_path(folder, swap), draw_sheet(sheet, side=192))


def _sheet_path(folder: Path, swap: Mapping[str, Any]) -> Path:
    return folder / f"{Path(swap['output']).stem}.jpg"


def _copy_preview(train: Mapping[str, Any], folder: Path) -> Path | None:
    source = Path(train["preview"])
    if not source.is_file():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, folder / "preview.jpg"))


def _picture(path: Path, words: str) -> str:
    image = f'<img src="report/{html.escape(path.name)}" alt="" loading="lazy">'
    return f"<figure>{image}<figcaption>{html.escape(words)}</figcaption></figure>"


def _number(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "psnr" else f"{value:.2f}" if name == "flicker" else f"{value:.3f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
