"""How near an animated still comes to the truth, and what each way of enlarging it costs.

Held-back people give the answers: pictures of one person and set-up that differ by the expression alone (see
``dataset.labelled``). The calmest of a set-up is the still; it is driven to every other one's expression, and the result is
compared with that picture. Candidates are the still left as it is and, for every model, the same low-resolution answer enlarged by
each of ``METHODS`` (the paper's Table 3, and Fig. 9's two kinds of residual warping). Several models side by side make the
ablation (Table 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import FaceError, OptionError

if TYPE_CHECKING:
    from understudy.family import Animator, Drive
    from understudy.jobs.animation_pairs import Pair, Reader

Progress = Callable[[str, int, int | None], None]

METHODS = ("multiscale", "vanilla", "bilinear", "bicubic", "nearest")
MEASURES = {
    "units": ("AU error", "", "lower"),
    "identity": ("identity", "cosine", "higher"),
    "flow_warp": ("flow-warp x1000", "", "lower"),
    "psnr": ("PSNR", "dB", "higher"),
    "ssim": ("SSIM", "", "higher"),
    "lpips": ("LPIPS (squeeze)", "", "lower"),
}
"""Of every measure: name, unit, and which way is better."""

_SHOWN = 8  # pairs on the sheet


@dataclass(frozen=True, kw_only=True)
class MeasureAnimationOptions:
    """Options of :func:`measure_animation`."""

    data: Path = field(
        metadata={
            "help": "Folder of labelled crops with set-ups (units.csv); its lines of part test, if there are any."
        }
    )
    runs: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Model to measure: a run's name or a checkpoint; repeat it. Default: the packaged weights."},
    )
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    pairs: int = field(default=60, metadata={"help": "How many pairs of still and answer, spread over the people."})
    sequences: int = field(
        default=8, metadata={"help": "How many of them are animated from still to answer, for the flow-warp error."}
    )
    steps: int = field(default=8, metadata={"help": "Steps of such a sequence."})
    size: int = field(default=512, metadata={"help": "Side of the pictures that are measured, pixels."})
    drive: str = field(
        default="labels",
        metadata={"help": "What drives the still: labels, or measured, the answer's units as those of a clip."},
    )
    output: Path | None = field(
        default=None, metadata={"help": "The picture sheet to write (.png or .jpg); default: inspect/animation.png."}
    )
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("sequences", 0), ("steps", 1), ("size", 128)):
            if getattr(self, name) < least:
                raise OptionError(f"--{name} {getattr(self, name)}: must be {least} or more.")
        if self.drive not in ("labels", "measured"):
            raise OptionError(f"--drive {self.drive}: choose labels or measured.")


@dataclass(frozen=True, kw_only=True)
class MeasureAnimationReport:
    """Means over the pairs, inside the faces of still and answer."""

    sheet: Path
    data: Path
    pairs: int
    people: int
    size: int
    """Side of the pictures, pixels."""
    models: dict[str, str]
    """Model -> its checkpoint and the size of its network's pictures."""
    still: dict[str, float]
    """The still left as it is: measure -> mean. It has no flow-warp error: nothing moves."""
    answer: dict[str, float]
    """The answers themselves: their identity to the still, and the error of their measured units against the labels."""
    scores: dict[str, dict[str, dict[str, float]]]
    """Model -> way of enlarging -> measure -> mean."""
    units: dict[str, dict[str, dict[str, float | None]]]
    """Model -> unit -> error and correlation with the answer's, of the multiscale results."""
    unread: int
    """Pairs left out because no face was found in the still or the answer."""
    missing: tuple[str, ...]
    """A sentence for every measure that could not be taken."""


def measure_animation(
    options: MeasureAnimationOptions, progress: Progress = lambda *_: None, *, reader: Reader | None = None
) -> MeasureAnimationReport:
    """Measure one model or several on held-back people; ``reader`` is what measures faces, None for the house's own.

    Raises:
        DatasetError: no such folder, or no two pictures of one set-up in it.
        OptionError, CheckpointError: no such model, or it cannot be driven by these labels.
        FaceError: no face was found in any pair.
        WeightsError: the face models are not at hand.
    """
    from understudy.dataset.labelled import read_folder
    from understudy.jobs.animation_pairs import MeshReader, choose_pairs, see_pairs
    from understudy.jobs.animation_scores import Scale, missing_measures

    entries = read_folder(options.data)
    held = [entry for entry in entries if entry.part == "test"] or entries
    pairs = choose_pairs(held, options.pairs, source=options.data)
    animators, models = _open(options)
    reader = reader or MeshReader()
    still, answer = Scale(), Scale()
    scales = {name: {method: Scale() for method in METHODS} for name in animators}
    on_sheet = {int(place) for place in np.linspace(0, len(pairs) - 1, min(_SHOWN, len(pairs))).round()}
    shown: list[list[np.ndarray]] = []
    people: list[str] = []
    for done, pair in enumerate(see_pairs(pairs, options.size, reader)):
        progress("measure", done, len(pairs))
        if pair is None:
            continue
        moves = len(people) < options.sequences
        still.add(pair.still, pair, pair.still_seen)
        if (wanted := labelled_change(pair)) is not None:
            answer.add_face(pair.answer, pair, pair.answer_seen, wanted)
        row = [pair.still]
        for name, animator in animators.items():
            for method, frames in animate_pair(pair, animator, options.drive, options.steps if moves else 1).items():
                scales[name][method].add(frames[-1], pair, reader.read(frames[-1], pair.still_seen.rest))
                if moves:
                    scales[name][method].add_sequence(frames, pair)
                if method == "multiscale":
                    row.append(frames[-1])
        if done in on_sheet:
            shown.append([*row, pair.answer])
        people.append(pair.still_label.person)
    progress("measure", len(pairs), len(pairs))
    if not people:
        raise FaceError(f"{options.data}: no face was found in any of the {len(pairs)} pairs.")
    return MeasureAnimationReport(
        sheet=_sheet(options, list(animators), shown),
        data=options.data,
        pairs=len(people),
        people=len(set(people)),
        size=options.size,
        models=models,
        still=still.means(),
        answer=answer.means(),
        scores={name: {method: scale.means() for method, scale in made.items()} for name, made in scales.items()},
        units={name: made["multiscale"].by_unit() for name, made in scales.items()},
        unread=len(pairs) - len(people),
        missing=missing_measures(),
    )


def labelled_change(pair: Pair) -> np.ndarray | None:
    """What the answer's face does that the still's does not, (17,) units in 0 to 5, by their labels."""
    from understudy.faces.action_units import relative

    own, wanted = pair.still_label.units, pair.answer_label.units
    return None if own is None or wanted is None else relative(wanted, own)


def animate_pair(pair: Pair, animator: Animator, drive: str = "labels", steps: int = 1) -> dict[str, list[np.ndarray]]:
    """A pair's still on its way to the answer's expression: way of enlarging -> its frames (s, s, 3), of ``steps`` the last
    at full strength; with more than one the still comes first.

    Raises:
        OptionError: the animator cannot be driven by what is known of the answer.
    """
    from understudy.composite.residual_warp import ResidualPyramid

    low_still = ResidualPyramid(pair.still, animator.size).low_still
    strength = np.linspace(0, 1, steps + 1, dtype=np.float32)[1 if steps == 1 else 0 :]
    made = animator.animate(low_still, _drive(pair, animator, drive, strength))
    motion = made.motion if made.motion is not None else np.zeros((*made.crops.shape[:3], 2), np.float32)
    frames = {}
    for method in METHODS:
        pyramid = ResidualPyramid(pair.still, animator.size, method, low_still=low_still)
        frames[method] = [np.clip(pyramid.apply(made.crops[row], motion[row]), 0, 1) for row in range(len(strength))]
    return frames


def _drive(pair: Pair, animator: Animator, drive: str, strength: np.ndarray) -> Drive:
    from understudy.family import Drive

    label = pair.answer_label
    if "units" in animator.signals:
        known = (pair.still_label.units, label.units)
        own, wanted = (pair.still_seen.units, pair.answer_seen.units) if drive == "measured" else known
        if own is not None and wanted is not None:
            units = np.repeat(np.asarray(wanted, np.float32)[None], len(strength), 0)
            return Drive(strength=strength, units=units, still_units=np.asarray(own, np.float32))
    if "expression" in animator.signals and label.expression in animator.expressions:
        return Drive(strength=strength, expression=label.expression)
    raise OptionError(
        f"{label.picture.name}: the model is driven by {' or '.join(sorted(animator.signals))}, and the picture's label does not "
        f"say so much; label it, or add --drive measured for units."
    )


def _open(options: MeasureAnimationOptions) -> tuple[dict[str, Animator], dict[str, str]]:
    """The animators by the models' names, and what each is."""
    from understudy.jobs.project import find_project
    from understudy.jobs.train import resolve_checkpoint
    from understudy.perform.animate import find_animator

    project = find_project(options.project, required=False)
    chosen = {name: resolve_checkpoint(name, project) for name in options.runs} or {"packaged": None}
    animators, models = {}, {}
    for name, checkpoint in chosen.items():
        family, path = find_animator(checkpoint)
        animators[name] = family.animator(path, device=options.device)
        size = animators[name].size
        if options.size < size:
            raise OptionError(
                f"--size {options.size}: {name} makes pictures of {size} pixels; measure them at that or more."
            )
        models[name] = f"{path} ({size} x {size})"
    return animators, models


def _sheet(options: MeasureAnimationOptions, names: list[str], shown: list[list[np.ndarray]]) -> Path:
    from understudy.jobs.sheet import Sheet, write_sheet

    labels = ("still", *names, "answer")
    sheet = Sheet(
        title=f"{options.data.resolve().name}: stills driven to held-back expressions, and the true pictures",
        columns=[""] * len(shown),
        rows=[(label, [column[row] for column in shown]) for row, label in enumerate(labels)],
    )
    return write_sheet(options.output or Path("inspect") / "animation.png", sheet, side=192)
