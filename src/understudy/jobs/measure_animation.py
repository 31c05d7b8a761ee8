"""How near an animated still comes to the truth, and what each way of enlarging it costs.

Held-back people give the answers: pictures of one person and set-up that differ by the expression alone (see
``dataset.labelled``). The calmest of a set-up is the still; it is driven to every other one's expression, and the result is
compared with that picture. Candidates are the still left as it is and, for every model, the same low-resolution answer enlarged by
each of ``METHODS`` (the paper's Table 3, and Fig. 9's two kinds of residual warping). Several models side by side make the
ablation (Table 2).

Models told landmarks are driven by the answer's own, or by those of another held-back person (``drive`` "other"), onto the still's
face shape or not.
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
    from understudy.jobs.animation_drivers import Driver
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
    families: tuple[str, ...] = field(
        default=(), metadata={"help": "Family whose packaged weights are measured, such as boundary_vae; repeat it."}
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
        metadata={
            "help": "What drives the still: labels (for models told landmarks the answer's own), measured, the answer's units as "
            "those of a clip, or other: the other person whose labels are nearest, for models told landmarks."
        },
    )
    retarget: bool = field(
        default=True, metadata={"help": "With --drive other, keep the shape of the still's face; see animate."}
    )
    output: Path | None = field(
        default=None, metadata={"help": "The picture sheet to write (.png or .jpg); default: inspect/animation.png."}
    )
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("sequences", 0), ("steps", 1), ("size", 128)):
            if getattr(self, name) < least:
                raise OptionError(f"--{name} {getattr(self, name)}: must be {least} or more.")
        if self.drive not in ("labels", "measured", "other"):
            raise OptionError(f"--drive {self.drive}: choose labels, measured or other.")


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
    reconstruction: dict[str, dict[str, float]]
    """Model -> measure -> mean of the stills made from their own latents, at the network's size; of families that have latents."""
    frames_per_second: dict[str, float]
    """Model -> frames that the network alone makes in a second, here and now."""
    drivers_apart: float | None
    """With ``drive`` "other": mean sum of squared differences of the driver's labels from the answer's; 0 makes PSNR exact."""
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
    from understudy.jobs.animation_drivers import DriverReader, network_rate, reconstructed
    from understudy.jobs.animation_pairs import MeshReader, choose_pairs, see_pairs
    from understudy.jobs.animation_scores import Scale, missing_measures

    entries = read_folder(options.data)
    held = [entry for entry in entries if entry.part == "test"] or entries
    pairs = choose_pairs(held, options.pairs, source=options.data)
    animators, models = _open(options)
    reader = reader or MeshReader()
    still, answer = Scale(), Scale()
    scales = {name: {method: Scale() for method in METHODS} for name in animators}
    latents = {name: Scale() for name in animators}
    drivers = DriverReader(pairs, options.size, reader) if options.drive == "other" else None
    rates: dict[str, float] = {}
    apart: list[float] = []
    latest = None
    on_sheet = {int(place) for place in np.linspace(0, len(pairs) - 1, min(_SHOWN, len(pairs))).round()}
    shown: list[list[np.ndarray]] = []
    people: list[str] = []
    for done, pair in enumerate(see_pairs(pairs, options.size, reader)):
        progress("measure", done, len(pairs))
        driver = drivers.read(pair) if drivers and pair else None
        if pair is None or (drivers and driver is None):
            continue
        if driver is not None:
            apart.append(driver.apart)
        moves = len(people) < options.sequences
        still.add(pair.still, pair, pair.still_seen)
        if (wanted := labelled_change(pair)) is not None:
            answer.add_face(pair.answer, pair, pair.answer_seen, wanted)
        row = [pair.still]
        for name, animator in animators.items():
            if pair.still_label is not latest and (made := reconstructed(pair, animator)) is not None:
                latents[name].add(made[0], made[1], None)
            if name not in rates:
                rates[name] = network_rate(
                    pair,
                    animator,
                    _drive(pair, animator, options.drive, np.ones(1, np.float32), driver, options.retarget),
                )
            for method, frames in animate_pair(
                pair, animator, options.drive, options.steps if moves else 1, driver=driver, retarget=options.retarget
            ).items():
                scales[name][method].add(frames[-1], pair, reader.read(frames[-1], pair.still_seen.rest))
                if moves:
                    scales[name][method].add_sequence(frames, pair)
                if method == "multiscale":
                    row.append(frames[-1])
        if done in on_sheet:
            shown.append([*row, pair.answer])
        people.append(pair.still_label.person)
        latest = pair.still_label
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
        reconstruction={name: scale.means() for name, scale in latents.items() if scale.values},
        frames_per_second=rates,
        drivers_apart=float(np.mean(apart)) if apart else None,
        missing=missing_measures(),
    )


def labelled_change(pair: Pair) -> np.ndarray | None:
    """What the answer's face does that the still's does not, (17,) units in 0 to 5, by their labels."""
    from understudy.faces.action_units import relative

    own, wanted = pair.still_label.units, pair.answer_label.units
    return None if own is None or wanted is None else relative(wanted, own)


def animate_pair(
    pair: Pair,
    animator: Animator,
    drive: str = "labels",
    steps: int = 1,
    *,
    driver: Driver | None = None,
    retarget: bool = True,
) -> dict[str, list[np.ndarray]]:
    """A pair's still on its way to the answer's expression: way of enlarging -> its frames (s, s, 3), of ``steps`` the last
    at full strength; with more than one the still comes first.

    Raises:
        OptionError: the animator cannot be driven by what is known of the answer.
    """
    from understudy.composite.residual_warp import ResidualPyramid

    low_still = ResidualPyramid(pair.still, animator.size).low_still
    strength = np.linspace(0, 1, steps + 1, dtype=np.float32)[1 if steps == 1 else 0 :]
    made = animator.animate(low_still, _drive(pair, animator, drive, strength, driver, retarget))
    motion = made.motion if made.motion is not None else np.zeros((*made.crops.shape[:3], 2), np.float32)
    frames = {}
    for method in METHODS:
        pyramid = ResidualPyramid(pair.still, animator.size, method, low_still=low_still)
        frames[method] = [np.clip(pyramid.apply(made.crops[row], motion[row]), 0, 1) for row in range(len(strength))]
    return frames


def _drive(
    pair: Pair,
    animator: Animator,
    drive: str,
    strength: np.ndarray,
    driver: Driver | None = None,
    retarget: bool = True,
) -> Drive:
    from understudy.family import Drive
    from understudy.jobs.animation_drivers import landmark_drive

    if "landmarks" in animator.signals:
        return landmark_drive(pair, strength, driver, retarget=retarget)
    if drive == "other":
        raise OptionError("--drive other is for models that are driven by landmarks; leave it out for this one.")

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
    found = {name: find_animator(None, name) for name in options.families}
    found |= {name: find_animator(resolve_checkpoint(name, project)) for name in options.runs}
    animators, models = {}, {}
    for name, (family, path) in (found or {"packaged": find_animator(None)}).items():
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
