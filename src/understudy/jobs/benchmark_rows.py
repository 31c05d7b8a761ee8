"""The benchmark's rows: one contender at one task, kept on disk when finished; and the table that they make together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from understudy.dataset.suite import Suite
from understudy.errors import CheckpointError
from understudy.media.pattern import Pattern
from understudy.provenance.atomic import write_json
from understudy.provenance.record import plain

MEASURES = {
    "ssim": ("SSIM", "", "higher"),
    "psnr": ("PSNR", "dB", "higher"),
    "lpips": ("LPIPS", "squeeze", "lower"),
    "identity": ("identity", "MobileFaceNet, cosine", "higher"),
    "units": ("AU error", "sum of squares", "lower"),
    "flicker": ("flicker", "% of range", "lower"),
    "jitter": ("jitter", "px", "lower"),
}
"""Of every measure: name, unit with the network that measures, and which way is better."""

UNCHANGED, NEAREST, AUTOENCODER, TRUTH = "unchanged", "nearest", "autoencoder", "truth"
BASELINES = (UNCHANGED, NEAREST, AUTOENCODER)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contender at one task."""

    contender: str
    kind: str
    """swap or animate."""
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

    def keep(self, row: Row, asked: Mapping[str, Any]) -> Row:
        """Write a finished row."""
        write_json(self._file(row.contender, row.task), {"asked": plain(asked), "row": plain(row)})
        return row

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
    skipped: str = ""


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
    """The best value of a measure among the contenders, the truth left aside."""
    values = [line.scores[measure] for line in lines if line.contender != TRUTH and measure in line.scores]
    if not values:
        return None
    return max(values) if MEASURES[measure][2] == "higher" else min(values)


def number(measure: str, value: float) -> str:
    """A measure's value with the digits that mean something."""
    return (
        f"{value:.1f}" if measure == "psnr" else f"{value:.2f}" if measure in ("flicker", "units") else f"{value:.3f}"
    )
