"""One swapped shot, judged: figures by frame and over the shot, worst and best frames, a page, JSON, pass or fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import DatasetError
from understudy.jobs.evaluate_figures import IDENTITY, LPIPS, shot_figures
from understudy.jobs.evaluate_limits import Verdict, judge, read_limits
from understudy.jobs.evaluate_measures import SHOT, how_bad
from understudy.jobs.options_evaluate import EvaluateSwapOptions

if TYPE_CHECKING:
    from understudy.jobs.evaluate_scale import ShotScale
    from understudy.jobs.project import Project
    from understudy.jobs.track import FaceFinder

__all__ = ["IDENTITY", "LPIPS", "EvaluateSwapReport", "evaluate_swap"]

Progress = Callable[[str, int, int | None], None]

_GALLERY = 24  # pictures of every person


@dataclass(frozen=True, kw_only=True)
class EvaluateSwapReport:
    """What was found.

    Attributes:
        passed: every limit holds; True where none was given.
        verdicts: limit by limit.
        report, data: the page and the same as JSON.
        worst_sheet, best_sheet: contact sheets by ``ranked_by``.
        numbers: frames measured, the plate's numbers.
        without_face: frames of the plate that showed no face to measure.
        scores: candidate ("swap", "plate", "truth", "neighbour") -> measure -> mean, or the shot's own value.
        per_frame: candidate -> measure -> one value a frame of ``numbers``, None where there is none.
        worst: measure -> the swap's worst frame and its value.
        faults: what the figures say can be seen, in sentences, the largest first; with a truth only.
        networks: measure -> what stands behind it, and what it is not.
        gallery: how many people retrieval chose from.
        neighbours: how the nearest-neighbour swap went.
        notes: what to know about these figures.
        missing: a sentence for every measure that was not taken.
    """

    passed: bool
    verdicts: tuple[Verdict, ...]
    report: Path
    data: Path
    worst_sheet: Path
    best_sheet: Path
    ranked_by: str
    swap: Path
    plate: Path
    truth: Path | None
    identity: str
    size: int
    numbers: tuple[int, ...]
    without_face: int
    scores: dict[str, dict[str, float]]
    per_frame: dict[str, dict[str, list[float | None]]]
    worst: dict[str, dict[str, float]]
    faults: tuple[str, ...]
    networks: dict[str, str]
    gallery: int
    neighbours: dict[str, Any] | None
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def evaluate_swap(
    options: EvaluateSwapOptions, progress: Progress = lambda *_: None, *, finder: FaceFinder | None = None
) -> EvaluateSwapReport:
    """Measure a shot and write its report; ``finder`` is what finds faces, None for MediaPipe's models.

    Raises:
        MediaError: a clip cannot be read, or the clips do not have the same frames and size.
        DatasetError: the identity has no gathered faces.
        StorageError: full disk or no permission.
    """
    from understudy.jobs.evaluate_judges import barred, model_of
    from understudy.jobs.evaluate_report import write_swap_report
    from understudy.jobs.evaluate_scale import REBUILT, aligned
    from understudy.jobs.project import find_project

    project = find_project(options.project)
    if options.identity not in project.gathered():
        raise DatasetError(
            f"{project.faces(options.identity)} holds no gathered faces; run 'understudy gather CLIP --as "
            f"{options.identity}' first (gathered so far: {', '.join(project.gathered()) or 'nobody'})."
        )
    figures = shot_figures(options, project, progress, finder=finder, barriers=barred(model_of(options.swap)))
    scale, scores = figures.scale, figures.scores
    gallery = 0
    if scale.embeddings:
        scores["swap"]["retrieved"], gallery = _retrieval(scale, project, options)
    verdicts = judge(read_limits(options.fail_below, options.fail_above, SHOT), scores["swap"])
    folder = options.output or project.root / "evaluate" / options.swap.name
    report = EvaluateSwapReport(
        passed=all(verdict.passed for verdict in verdicts),
        verdicts=verdicts,
        report=folder / "report.html",
        data=folder / "report.json",
        worst_sheet=folder / "worst.jpg",
        best_sheet=folder / "best.jpg",
        ranked_by=_rank(options, scale),
        swap=options.swap,
        plate=options.plate,
        truth=options.truth,
        identity=options.identity,
        size=options.size,
        numbers=tuple(scale.numbers),
        without_face=-(-figures.num_frames // options.every) - len(scale.numbers),
        scores=_ordered(scores),
        per_frame={
            name: {measure: aligned(values, scale.numbers) for measure, values in measures.items()}
            for name, measures in scale.values.items()
        },
        worst=_worst(scale),
        faults=_faults(scores) if options.truth is not None else (),
        networks=dict(figures.networks) | ({"retrieved": IDENTITY} if gallery else {}),
        gallery=gallery,
        neighbours=figures.neighbours,
        notes=_notes(options, scale, gallery, REBUILT),
        missing=figures.missing,
    )
    write_swap_report(report, options, project, finder=finder, progress=progress)
    return report


def _retrieval(scale: ShotScale, project: Project, options: EvaluateSwapOptions) -> tuple[float, int]:
    """How often the identity is the most alike of everyone gathered, and how many those are."""
    from understudy.jobs.measure import embed_portraits
    from understudy.metrics.retrieval import retrieve

    gallery, people = [], []
    for name in project.gathered():
        rows = embed_portraits(project.faces(name), options.size, most=_GALLERY)
        gallery.append(rows)
        people += [name] * len(rows)
    wanted = [options.identity] * len(scale.embeddings)
    found = retrieve(np.stack(scale.embeddings), wanted, np.concatenate(gallery), people)
    return found.top1, found.people


def _rank(options: EvaluateSwapOptions, scale: ShotScale) -> str:
    taken = scale.values["swap"]
    if options.rank in taken:
        return str(options.rank)
    usual = ("lpips", "ssim", "identity", "seam", "flow_warp")
    return next((name for name in usual if name in taken), next(iter(taken)))


def _worst(scale: ShotScale) -> dict[str, dict[str, float]]:
    found = {}
    for name, values in scale.values["swap"].items():
        if name in SHOT and SHOT[name].by_frame:
            number = max(values, key=lambda n, name=name, values=values: how_bad(name, values[n]))
            found[name] = {"frame": number, "value": values[number]}
    return found


def _faults(scores: dict[str, dict[str, float]]) -> tuple[str, ...]:
    from understudy.jobs.benchmark_faults import NOTHING, find_faults

    found = find_faults(scores["swap"], scores.get("truth", {}), scores.get("plate", {}), "swap")
    return tuple(fault.words for fault in found) or (NOTHING,)


def _notes(options: EvaluateSwapOptions, scale: ShotScale, gallery: int, rebuilt: str) -> tuple[str, ...]:
    from understudy.media.pattern import PICTURE_SUFFIXES

    notes = []
    if options.truth is None:
        notes.append(
            "There is no truth, so nothing here says how right the face is: only whose it is and how it behaves."
        )
    if options.mattes is None:
        notes.append(f"Mattes: {rebuilt}. Coverage was not measured, and 'outside' is all outside the face's crop.")
    if not scale.compared:
        notes.append("Plate and swap have different pixel types, so changes outside the matte were not counted.")
    elif options.swap.suffix.lower() not in PICTURE_SUFFIXES and not options.swap.is_dir():
        notes.append(
            "A movie is encoded anew, which changes pixels everywhere a little; sequences keep them to the bit."
        )
    if gallery:
        notes.append(
            f"Retrieval chose among {gallery} people; by chance it is right in {1 / gallery:.0%} of the frames."
        )
    return tuple(notes)


def _ordered(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Candidates and measures in the tables' order."""
    order = [name for name in ("swap", "plate", "neighbour", "truth") if name in scores]
    return {name: {measure: scores[name][measure] for measure in SHOT if measure in scores[name]} for name in order}
