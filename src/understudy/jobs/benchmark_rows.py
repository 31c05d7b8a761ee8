"""The benchmark's rows: one contender at one task, kept on disk when finished; and the table that they make together."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from understudy.dataset.suite import Suite
from understudy.errors import CheckpointError, UserError
from understudy.faces.action_units import ActionUnit
from understudy.faces.regions import Region
from understudy.jobs.evaluate_measures import MODEL, SHOT, Measure, shown
from understudy.media.pattern import MOVIE_SUFFIXES, Pattern
from understudy.provenance.atomic import write_json
from understudy.provenance.record import plain

REGIONS = {f"overlap_{region.name.lower()}": region for region in Region}
"""Measure -> the region whose overlap it is."""

UNITS = {f"r_{unit.name.lower()}": unit for unit in ActionUnit}
"""Measure -> the unit whose correlation it is."""

MEASURES: dict[str, Measure] = {
    **{
        name: SHOT[name]
        for name in (
            *("identity", "ssim", "psnr", "rmse", "lpips", "detail"),
            *("pose", "expression", "units", "flicker", "flow_warp", "jitter"),
            *("seam", "colour_offset", "colour", "coverage", "swapped", "outside"),
        )
    },
    "overlap": MODEL["overlap"],
    "right": Measure(label="pixels right", unit="share", better="higher", against="the true regions"),
    **{name: MODEL[name] for name in REGIONS},
    "unit_error": Measure(label="mean AU error", unit="of 0 to 5", against="the true units"),
    "unit_correlation": Measure(label="correlation", unit="units that move", better="higher", against="the true units"),
    **{
        name: Measure(label=f"{unit.name} {unit.title}", unit="correlation", better="higher", against="the true units")
        for name, unit in UNITS.items()
    },
}
"""Of every measure in the tables: its label, unit and better side; those of a shot are ``evaluate``'s own."""

NEAREST_TRUTH = {"detail": 1.0, "flow_warp": None}
"""Measures of which neither more nor less is better but what the truth has; its value where it is always the same."""

KINDS = ("swap", "animate", "regions", "rebuild", "edit", "units")
"""What is asked, in the order of the tables."""

UNCHANGED, NEAREST, AUTOENCODER, TRUTH = "unchanged", "nearest", "autoencoder", "truth"
BASELINES = (UNCHANGED, NEAREST, AUTOENCODER)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender at one task."""

    contender: str
    kind: str
    """One of ``KINDS``."""
    task: str
    scores: Mapping[str, float] = field(default_factory=dict)
    """Measure -> mean over the frames."""
    frames: int = 0
    """How many were measured."""
    training: float = 0.0
    """Seconds of training, all of the suite's people together."""
    pictures: int = 0
    """Training pictures seen in them."""
    per_frame: float = 0.0
    """Seconds to make a frame, faces already tracked."""
    movie: str = ""
    """The result, below the benchmark's folder."""
    starts: str = ""
    """What its training started from."""
    notes: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    """Measure -> what stands behind it, and what it is not."""
    skipped: str = ""
    """Why there are no scores."""


def refuse_if_seen(suite: Suite, weights: Path) -> None:
    """See that weights have been trained on nobody of the suite, as far as their card says.

    Raises:
        CheckpointError: they have.
    """
    from understudy.checkpoint import read_card

    card = read_card(weights)
    names = [*card.consent, *(str(name) for key in ("identities", "people") for name in card.network.get(key, ()))]
    if seen := suite.seen_by(names, card.data):
        raise CheckpointError(
            f"{weights} has been trained on {', '.join(seen)} of this suite ({card.data}), so its figures would say nothing; "
            "measure weights that have never seen these people."
        )


def clip_digest(path: Path) -> str:
    """sha256 of a clip's content, movie, sequence or still."""
    from understudy.jobs.track import clip_sha256
    from understudy.media.clip import open_clip

    with open_clip(path) as clip:
        return clip_sha256(clip)


def result_path(folder: Path, task: str, like: Path) -> Path:
    """Where a task's result goes: a movie, or a sequence, as the clip that it is made from."""
    middle = ".####" if Pattern.of(like) is not None else ""
    return folder / f"{task}{middle}{like.suffix.lower()}"


def lossless_path(folder: Path, task: str, like: Path) -> Path:
    """Where a swap goes whose pixels are to be compared with the plate's: a sequence, as PNG where the plate is a movie."""
    moves = like.suffix.lower() in MOVIE_SUFFIXES
    return folder / task / f"{task}.####.png" if moves else result_path(folder / task, task, like)


class RowStore:
    """Rows as files; one is kept for as long as the same is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, contender: str, task: str, asked: Mapping[str, Any]) -> Row | None:
        """The row that answered the same question, None where there is none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            before = json.loads(self._file(contender, task).read_text("utf-8"))
            if before["asked"] == plain(asked):
                known = {item.name for item in fields(Row)}
                values = {name: value for name, value in before["row"].items() if name in known}
                return Row(**{**values, "notes": tuple(values.get("notes", ()))})
        return None

    def keep(self, row: Row, asked: Mapping[str, Any], *, name: str | None = None) -> Row:
        """Write a finished row; ``name`` is what :meth:`find` is told, where it is not the contender's."""
        write_json(self._file(name or row.contender, row.task), {"asked": plain(asked), "row": plain(row)})
        return row

    def answered(
        self, row: Row, asked: Callable[[], Mapping[str, Any]], make: Callable[[], Row], *, name: str | None = None
    ) -> Row:
        """The kept row, or the one made now and kept.

        Another contender's rows are worth having: what went wrong stands in the row as ``skipped``, and is tried again.

        Args:
            row: with contender, kind and task alone.
            asked: what the row is to answer.
            make: makes it.
            name: as :meth:`keep` takes it.
        """
        try:
            question = asked()
            kept = self.find(name or row.contender, row.task, question)
            return kept or self.keep(make(), question, name=name)
        except UserError as error:
            return replace(row, skipped=str(error))

    def _file(self, contender: str, task: str) -> Path:
        return self.folder / f"{task}--{contender.replace(':', '-')}.json"


@dataclass(frozen=True, kw_only=True)
class TableLine:
    """A contender's means over all tasks of a kind."""

    contender: str
    scores: Mapping[str, float]
    tasks: int
    training: float
    pictures: int
    per_frame: float
    starts: str
    faults: tuple[Fault, ...] = ()
    """What the figures say is wrong, the largest first (:mod:`understudy.jobs.benchmark_faults`)."""
    skipped: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a figure says can be seen."""

    name: str
    """In a few words."""
    words: str
    """With the figures that say so."""
    size: float
    """In multiples of what we hold for just visible."""


def table(rows: Sequence[Row], kind: str) -> tuple[TableLine, ...]:
    """One line for each contender at the tasks of a kind, in the order in which they came; the truth last.

    A measure is averaged over the tasks that have it; a contender that was skipped everywhere says why.
    """
    lines = []
    names = list(dict.fromkeys(row.contender for row in rows if row.kind == kind))
    for name in sorted(names, key=lambda name: name == TRUTH):
        own = [row for row in rows if row.kind == kind and row.contender == name]
        done = [row for row in own if not row.skipped]
        scores = {}
        for measure in MEASURES:
            values = [row.scores[measure] for row in done if math.isfinite(row.scores.get(measure, math.nan))]
            if values:
                scores[measure] = sum(values) / len(values)
        lines.append(
            TableLine(
                contender=name,
                scores=scores,
                tasks=len(done),
                training=max((row.training for row in done), default=0.0),
                pictures=max((row.pictures for row in done), default=0),
                per_frame=sum(row.per_frame for row in done) / max(len(done), 1),
                starts=next((row.starts for row in done if row.starts), ""),
                skipped="" if done else own[0].skipped,
            )
        )
    return tuple(lines)


def best(lines: Sequence[TableLine], measure: str) -> float | None:
    """The best value of a measure among the contenders, the truth left aside; None where all are alike, or there is one alone."""
    values = [line.scores[measure] for line in lines if line.contender != TRUTH and measure in line.scores]
    if not values or max(values) == min(values):
        return None
    if measure in NEAREST_TRUTH:
        known = NEAREST_TRUTH[measure]
        truth = [line.scores[measure] for line in lines if line.contender == TRUTH and measure in line.scores]
        goal = known if known is not None else truth[0] if truth else 0.0
        return min(values, key=lambda value: abs(value - goal))
    return max(values) if MEASURES[measure].better == "higher" else min(values)


def arrow(measure: str) -> str:
    """Which way is better: up, down, or as the truth."""
    return "≈" if measure in NEAREST_TRUTH else "↑" if MEASURES[measure].better == "higher" else "↓"


def number(measure: str, value: float) -> str:
    """A measure's value with the digits that mean something."""
    return shown(measure, value)
