"""A model by region, or a face parser, on pictures whose regions are known (see :mod:`understudy.jobs.measure_regions`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import OptionError
from understudy.faces.align import canonical_transform
from understudy.faces.regions import PALETTE
from understudy.jobs.evaluate_limits import judge, read_limits
from understudy.jobs.evaluate_measures import MODEL
from understudy.jobs.evaluate_model import EvaluateModelReport, report_folder
from understudy.jobs.measure_regions import MeasureRegionsOptions, measure_regions
from understudy.jobs.region_cases import read_cases, spread
from understudy.jobs.region_files import name_of
from understudy.metrics.region_overlap import RegionOverlap
from understudy.provenance.record import record_path

if TYPE_CHECKING:
    from understudy.checkpoint import ModelCard
    from understudy.jobs.options_evaluate import EvaluateModelOptions

Progress = Callable[[str, int, int | None], None]

PARSING = "parsing"
"""What the card of a face parser calls its stage."""
_SHOWN, _SIDE, _OVAL = (
    8,
    256,
    0.5,
)  # pictures on a parser's sheet; side of the maps that are compared, the face half as high


def evaluate_regions(
    options: EvaluateModelOptions, model: Path, card: ModelCard, progress: Progress
) -> EvaluateModelReport:
    """Measure a model that edits by region, or a face parser.

    Raises:
        OptionError: no ``--data``.
        DatasetError: it is no folder of pictures with region maps.
        CheckpointError: neither an inversion's weights nor a parser's.
    """
    if options.data is None:
        raise OptionError(
            f"{model} goes by regions; name pictures with region maps to measure it on with --data (docs/evaluate.md)."
        )
    parses = card.network.get("stage") == PARSING
    return (_parser if parses else _editor)(options, options.data, model, card, progress)


def _editor(
    options: EvaluateModelOptions, data: Path, model: Path, card: ModelCard, progress: Progress
) -> EvaluateModelReport:
    folder = options.output or report_folder(model)
    found = measure_regions(
        MeasureRegionsOptions(
            data=data,
            runs=(str(model),),
            project=options.project,
            pictures=options.pictures,
            pairs=options.pairs,
            optimise=options.optimise,
            parser=options.parser,
            output=folder / "pictures.jpg",
            device=options.device,
        ),
        progress,
    )
    rows = {**found.reconstruction, **found.swaps}
    rows["the parser's regions"] |= _overlap(found.mean_overlap, found.overlap)
    # Limits hold for the model at its work: given back by the parser's regions, and swapped.
    overall = {**found.swaps.get("swap, mesh", {}), **rows["the parser's regions"]}
    (seconds,) = found.seconds.values()
    notes = [f"Seconds a picture: {', '.join(f'{stage} {taken:g}' for stage, taken in seconds.items())}."]
    if found.pairs:
        notes.append(f"{found.pairs} swaps, looked up among {found.gallery} people; {found.unread} without a face.")
    (barred,) = found.barred.values() or ((),)
    if barred:
        notes.append(f"{', '.join(barred)} are left out: the network behind them taught this model.")
    counted = f"{found.pictures} pictures of {found.people} people"
    return _report(
        options,
        folder,
        model,
        card,
        rows=rows,
        overall=overall,
        sheet=(found.sheet, "Pictures, the same given back, and swaps."),
        counted=counted,
        networks={name: words for name, words in found.networks.items() if any(name in row for row in rows.values())},
        notes=tuple(notes),
        missing=found.missing,
    )


def _parser(
    options: EvaluateModelOptions, data: Path, model: Path, card: ModelCard, progress: Progress
) -> EvaluateModelReport:
    from understudy.dataset.region_crops import read_entry
    from understudy.jobs.sheet import Sheet, write_sheet
    from understudy.perform.region_faces import crop_regions, map_in_crop
    from understudy.perform.regions import open_parser, read_face, scaled

    parser = open_parser(model, device=options.device)
    entries = read_cases(data, progress=progress)
    chosen = spread(entries, options.pictures)
    overlap = RegionOverlap()
    shown: list[list[np.ndarray]] = []
    on_sheet = {int(place) for place in np.linspace(0, len(chosen) - 1, min(_SHOWN, len(chosen))).round()}
    for done, place in enumerate(chosen):
        progress("measure", done, len(chosen))
        entry = entries[place]
        assert entry.points is not None
        picture, labels = read_entry(entry)
        view, transform = picture.astype(np.float32) / 255, canonical_transform(entry.points)
        crop = scaled(transform, _OVAL)
        found = crop_regions(read_face(view, entry.points, transform, parser), crop, _SIDE)
        truth = map_in_crop(labels, crop, _SIDE)
        overlap.add(found, truth)
        if done in on_sheet:
            colours = [PALETTE[one].astype(np.float32) / 255 for one in (truth, found)]
            shown.append([np.clip(crop.to_crop(view, _SIDE), 0, 1), *colours])
    progress("measure", len(chosen), len(chosen))
    folder = options.output or report_folder(model)
    rows = {"the parser": _overlap(overlap.mean(), {name_of(one): value for one, value in overlap.overlap().items()})}
    labels_of = ("picture", "its regions", "as parsed")
    sheet = Sheet(
        title=f"{data.resolve().name}: regions of held-back people",
        columns=[""] * len(shown),
        rows=[(label, [column[row] for column in shown]) for row, label in enumerate(labels_of)],
    )
    return _report(
        options,
        folder,
        model,
        card,
        rows=rows,
        overall=dict(rows["the parser"]),
        sheet=(write_sheet(folder / "pictures.jpg", sheet, side=192), "Pictures, their regions, and the parser's."),
        counted=f"{len(chosen)} pictures of {len({entries[place].person for place in chosen})} people",
        networks={},
        notes=(f"Compared on crops of {_SIDE} pixels, the face half as high.",),
        missing=(),
    )


def _report(
    options: EvaluateModelOptions,
    folder: Path,
    model: Path,
    card: ModelCard,
    *,
    rows: dict[str, dict[str, float]],
    overall: dict[str, float],
    sheet: tuple[Path, str],
    counted: str,
    networks: dict[str, str],
    notes: tuple[str, ...],
    missing: tuple[str, ...],
) -> EvaluateModelReport:
    verdicts = judge(read_limits(options.fail_below, options.fail_above, MODEL), overall)
    assert options.data is not None
    learnt = _learnt_from(model)
    seen, words = "unknown", "What this model was trained on is not known here."
    if learnt is not None:
        same = learnt.resolve() == options.data.resolve()
        seen = "seen in training" if same else "held back"
        words = (
            "Seen in training: this is the folder that it was trained on, so figures flatter it."
            if same
            else f"Training read another folder, {learnt}; that nobody is in both cannot be checked here."
        )
    return EvaluateModelReport(
        passed=all(verdict.passed for verdict in verdicts),
        verdicts=verdicts,
        report=folder / "report.html",
        data=folder / "report.json",
        sheet=sheet[0],
        sheet_shows=sheet[1],
        model=model,
        family=card.family,
        preset=card.preset,
        trained=card.pictures,
        seen=seen,
        pictures_are=f"{counted} of {options.data}. {words}",
        overall=overall,
        scores=rows,
        networks=networks,
        notes=notes,
        missing=missing,
    )


def _overlap(mean: float, regions: dict[str, float]) -> dict[str, float]:
    return {"overlap": mean, **{f"overlap_{name}": value for name, value in regions.items()}}


def _learnt_from(model: Path) -> Path | None:
    """The folder that a model was trained on, by the record beside it."""
    try:
        data = json.loads(record_path(model).read_text("utf-8"))["options"]["data"]
        return None if data is None else Path(data)
    except (OSError, ValueError, KeyError, TypeError):
        return None
