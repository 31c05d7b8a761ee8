"""A trained model on pictures that it has not seen, or, where none were kept back, on those it has, and then it says so.

Of a model that swaps, every identity's pictures are given back as the same identity, which has a true answer, and as every other
one, which has none but whose identity, pose and expression can be measured. A model that animates is measured on the test part of
labelled pictures (:mod:`understudy.jobs.measure_animation`), one that goes by regions on pictures with region maps
(:mod:`understudy.jobs.evaluate_regions`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import CheckpointError, DatasetError, OptionError
from understudy.jobs.evaluate_limits import Verdict, judge, read_limits
from understudy.jobs.evaluate_measures import MODEL
from understudy.jobs.options_evaluate import EvaluateModelOptions

if TYPE_CHECKING:
    from understudy.checkpoint import ModelCard
    from understudy.dataset.face_set import FaceEntry
    from understudy.jobs.project import Project

Progress = Callable[[str, int, int | None], None]

_SHOWN = 8  # pictures of every identity on the sheet


@dataclass(frozen=True, kw_only=True)
class EvaluateModelReport:
    """What was found.

    Attributes:
        passed, verdicts: as for a shot.
        report, data, sheet: the page, the same as JSON, the pictures.
        seen: whether training saw the pictures: "held back", "seen in training" or "unknown".
        pictures_are: a sentence about them.
        overall: measure -> mean over ``scores``.
        scores: row -> measure -> mean; of a model that swaps "anna as anna", "ben as anna" and so on.
        networks: measure -> what stands behind it, and what it is not.
    """

    passed: bool
    verdicts: tuple[Verdict, ...]
    report: Path
    data: Path
    sheet: Path
    sheet_shows: str
    model: Path
    family: str
    preset: str
    trained: int
    seen: str
    pictures_are: str
    overall: dict[str, float]
    scores: dict[str, dict[str, float]]
    networks: dict[str, str]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def evaluate_model(options: EvaluateModelOptions, progress: Progress = lambda *_: None) -> EvaluateModelReport:
    """Measure a model and write its report.

    Raises:
        OptionError: no such run, or no data for a model that needs some.
        CheckpointError: the model cannot be read, or is of no family that swaps, animates or edits.
        DatasetError: an identity has no pictures here.
        StorageError: full disk or no permission.
    """
    from understudy import families
    from understudy.checkpoint import read_card
    from understudy.family import Task
    from understudy.jobs.evaluate_report import write_model_report
    from understudy.jobs.project import find_project
    from understudy.jobs.train import resolve_checkpoint

    project = find_project(options.project, required=False)
    model = resolve_checkpoint(options.run, project)
    card = read_card(model)
    tasks = families.get(card.family).tasks if card.family in families.names() else frozenset()
    if Task.SWAP in tasks and options.data is None:
        report = _evaluate_swapping(options, find_project(options.project), model, card, progress)
    elif Task.ANIMATE in tasks:
        report = _evaluate_animating(options, model, card, progress)
    elif Task.EDIT in tasks:
        from understudy.jobs.evaluate_regions import evaluate_regions

        report = evaluate_regions(options, model, card, progress)
    else:
        raise CheckpointError(
            f"{model} is a {card.family} model, which neither swaps, animates nor edits; nothing measures it yet."
        )
    write_model_report(report)
    return report


def _evaluate_swapping(
    options: EvaluateModelOptions, project: Project, model: Path, card: ModelCard, progress: Progress
) -> EvaluateModelReport:
    from understudy.jobs.evaluate_judges import barred
    from understudy.jobs.evaluate_swaps import SwapScales
    from understudy.perform.swap import open_performer

    performer = open_performer(model, device=options.device)
    here = [name for name in performer.identities if name in project.gathered()]
    if not here:
        raise DatasetError(
            f"{project.root} has no gathered faces of {', '.join(performer.identities)}; gather some to measure {model} on."
        )
    one_in = hold_back_of(model)
    scales = SwapScales(performer, barred=barred(model))
    for name in here:
        scales.add_person(name, project.faces(name), lambda entries: choose(entries, one_in, options.pictures))
    rows = scales.measure(progress)
    folder = options.output or report_folder(model)
    verdicts, overall = _judged(options, rows)
    seen = "unknown" if one_in is None else "held back" if one_in else "seen in training"
    return EvaluateModelReport(
        passed=all(verdict.passed for verdict in verdicts),
        verdicts=verdicts,
        report=folder / "report.html",
        data=folder / "report.json",
        sheet=scales.write_sheet(folder / "pictures.jpg", _SHOWN, model),
        sheet_shows="Pictures as they are, and as every identity.",
        model=model,
        family=card.family,
        preset=card.preset,
        trained=card.pictures,
        seen=seen,
        pictures_are=_pictures_are(seen, one_in, scales.counts),
        overall=overall,
        scores=rows,
        networks=scales.networks,
        notes=scales.notes(),
        missing=scales.missing,
    )


def _evaluate_animating(
    options: EvaluateModelOptions, model: Path, card: ModelCard, progress: Progress
) -> EvaluateModelReport:
    from understudy.jobs.evaluate_judges import barred
    from understudy.jobs.evaluate_performance import UNITS
    from understudy.jobs.evaluate_swap import IDENTITY, LPIPS
    from understudy.jobs.measure_animation import MeasureAnimationOptions, measure_animation
    from understudy.metrics.flow_warp import FLOW

    if options.data is None:
        raise OptionError(f"{model} animates; name labelled pictures to measure it on with --data (docs/evaluate.md).")
    folder = options.output or report_folder(model)
    found = measure_animation(
        MeasureAnimationOptions(
            data=options.data,
            runs=(str(model),),
            project=options.project,
            pairs=options.pictures,
            output=folder / "pictures.jpg",
            device=options.device,
        ),
        progress,
    )
    barriers = barred(model)
    ((_, methods),) = found.scores.items()
    rows = {"the model": methods["multiscale"], "the still, left as it is": found.still}
    rows = {name: {m: value for m, value in scores.items() if m not in barriers} for name, scores in rows.items()}
    names = {"units": UNITS, "identity": IDENTITY, "lpips": LPIPS, "flow_warp": FLOW}
    verdicts, _ = _judged(options, {"the model": rows["the model"]})
    return EvaluateModelReport(
        passed=all(verdict.passed for verdict in verdicts),
        verdicts=verdicts,
        report=folder / "report.html",
        data=folder / "report.json",
        sheet=found.sheet,
        sheet_shows="Stills, the model's answers, and the true pictures.",
        model=model,
        family=card.family,
        preset=card.preset,
        trained=card.pictures,
        seen="held back",
        pictures_are=(
            f"{found.pairs} pairs of a still and its true answer, of {found.people} people of the test part of {found.data}: "
            "training leaves that part alone, if it was trained on this folder."
        ),
        overall=dict(rows["the model"]),
        scores=rows,
        networks={name: words for name, words in names.items() if name in rows["the model"]},
        notes=(),
        missing=(*found.missing, *barriers.values()),
    )


def hold_back_of(model: Path) -> int | None:
    """By which rule training kept pictures back (``dataset.held_back``), 0 for none; None where the run does not say.

    A run from before the rule kept none back.
    """
    from understudy.jobs.train import SETTINGS

    try:
        return int(json.loads((model.parent / SETTINGS).read_text("utf-8")).get("hold_back", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def report_folder(model: Path) -> Path:
    """Where a report goes: in the run; a checkpoint that lies elsewhere gets a folder here, since its own may be anybody's."""
    from understudy.jobs.train import SETTINGS

    return model.parent / "evaluate" if (model.parent / SETTINGS).is_file() else Path("evaluate") / model.stem


def choose(entries: list[FaceEntry], one_in: int | None, most: int) -> list[FaceEntry]:
    """Of a face set the pictures to measure: the held-back ones where there are any by the rule, spread evenly.

    Raises:
        DatasetError: the rule keeps none of these back.
    """
    from understudy.dataset.held_back import held_back

    if one_in:
        entries = [entry for entry in entries if held_back(entry.number, one_in)]
        if len(entries) < 2:
            raise DatasetError(
                f"Training kept one stretch of frames in {one_in} back, but of one of the identities that leaves {len(entries)} "
                "pictures; gather more footage, or train with a smaller --hold-back."
            )
    return [
        entries[int(place)] for place in np.unique(np.linspace(0, len(entries) - 1, min(most, len(entries))).round())
    ]


def _judged(
    options: EvaluateModelOptions, rows: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[Verdict, ...], dict[str, float]]:
    overall = {}
    for name in MODEL:
        values = [scores[name] for scores in rows.values() if name in scores]
        if values:
            overall[name] = float(np.mean(values))
    return judge(read_limits(options.fail_below, options.fail_above, MODEL), overall), overall


def _pictures_are(seen: str, one_in: int | None, counts: Mapping[str, int]) -> str:
    words = {
        "held back": f"Training never saw these pictures: one stretch of 12 frames in {one_in} was kept back.",
        "seen in training": "Seen in training: this run kept nothing back (train --hold-back 20), so figures flatter it.",
        "unknown": "Whether training saw these pictures is not known: the checkpoint lies outside of its run.",
    }
    return f"{words[seen]} Pictures: {', '.join(f'{name} {count}' for name, count in counts.items())}."
