"""What a still is asked to do, frame by frame: from a named expression, from footage of a performer, or from curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from understudy.errors import FaceError, OptionError
from understudy.faces import action_units
from understudy.faces.action_units import COUNT, HIGHEST
from understudy.faces.curves import Curves
from understudy.family import Drive
from understudy.jobs.options_animate import AnimateOptions

if TYPE_CHECKING:
    from understudy.family import Animator
    from understudy.jobs.clip_faces import ClipFaces

USUAL_RATE = Fraction(24)
"""Frames a second of an expression."""

_MEASURED_AT_ONCE = 256  # faces
_FURTHEST, _LEAST_VISIBLE = 60.0, 0.5  # beyond this yaw, or below this share of the face, units are guesswork
_RESTING = 1.0  # intensity up to which a face is taken to look so at rest: narrow eyes, a low brow
_LAID_OVER = ("blink", "talk")  # they go with any mood; the others replace the mood that the still shows


class UnitMeasure(Protocol):
    """Reads action units off faces; ``ActionUnitModel.packaged().measure``, or a stand-in for tests."""

    def __call__(self, landmarks: np.ndarray, blendshapes: np.ndarray | None = None) -> np.ndarray:
        """(B, 17) float32, 0 to 5, of landmarks (B, 478, 3) in pixels and blendshapes (B, 52) where there are any."""
        ...


@dataclass(frozen=True, kw_only=True)
class FilledFrame:
    """A frame without a measurement of its own: its units lie between its neighbours', or are held, and why."""

    number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What a still is asked to do.

    Attributes:
        numbers: frame numbers of the output, each one more than the one before.
        rate: frames a second.
        drive: one row a frame.
        filled: frames of the driving clip or curves that had to be filled, by their own numbers.
    """

    numbers: range
    rate: Fraction
    drive: Drive
    filled: tuple[FilledFrame, ...] = ()


def check_signals(options: AnimateOptions, animator: Animator) -> None:
    """See that the model can do what is asked.

    Raises:
        OptionError: it does not know the expression, or is not driven by action units.
    """
    if options.expression is None:
        if "units" not in animator.signals:
            raise OptionError(
                f"This model is driven by {', '.join(sorted(animator.signals)) or 'nothing'}, not by action units: "
                "choose another with --run, or --expression."
            )
        return
    known = set(animator.expressions) | (set(action_units.EXPRESSIONS) if "units" in animator.signals else set())
    if options.expression not in known:
        raise OptionError(f"--expression {options.expression}: this model knows {', '.join(sorted(known)) or 'none'}.")


def by_expression(options: AnimateOptions, animator: Animator, still_units: np.ndarray | None) -> Performance:
    """The still rises to a named expression, holds it and falls back.

    Args:
        options: with ``expression``.
        animator: the model; it is asked by name where it knows the name, else by units.
        still_units: (17,) units of the still; needed where it is asked by units.
    """
    name, rate = str(options.expression), options.rate or USUAL_RATE
    length = options.rise + options.hold + options.fall
    picture = options.output is not None and _is_one_picture(options)
    count = options.frames or (1 if picture else round(length * float(rate)) + 1)
    share = _timing(options, np.linspace(0.0, length, count)) if count > 1 and length > 0 else np.ones(count)
    share = share.astype(np.float32)
    start = 1 if options.start is None else options.start
    numbers = range(start, start + count)
    if name in animator.expressions:
        drive = Drive(strength=share * np.float32(options.strength), expression=name)
        return Performance(numbers=numbers, rate=rate, drive=drive)
    assert still_units is not None
    resting = still_units if name in _LAID_OVER else np.minimum(still_units, _RESTING)
    target = _on_top(resting, action_units.expression(name, options.strength))
    drive = Drive(strength=share, units=np.tile(target, (count, 1)), still_units=still_units)
    return Performance(numbers=numbers, rate=rate, drive=drive)


def by_curves(
    options: AnimateOptions, curves: Curves, still_units: np.ndarray, reasons: dict[int, str] | None = None
) -> Performance:
    """The still takes over units that change over time.

    By default a unit at rest leaves the still as it is, 5 is 5, and what lies between is shared out evenly; so a still
    that smiles a little goes on smiling. With ``options.neutral`` "none" the still takes the units themselves.

    Args:
        options: with ``drive`` or ``curves``.
        curves: the units; of a clip as measured.
        still_units: (17,) units of the still.
        reasons: why rows are missing, by number.
    """
    units = curves.units
    if options.drive is not None and options.steady:
        units = action_units.smooth(units, curves.rate, missing=curves.missing)
    if options.neutral != "none":
        units = action_units.relative(units, _neutral(options, curves, units))
    units = np.clip(units * np.float32(options.strength), 0.0, HIGHEST)
    if options.neutral != "none":
        units = _on_top(still_units, units)
    filled = tuple(
        FilledFrame(number=int(number), reason=(reasons or {}).get(int(number), "a gap in the curves"))
        for number in curves.numbers[curves.missing]
    )
    rate = options.rate or curves.rate
    units = _resampled(units, curves.rate, rate)
    if options.frames is not None:
        units = units[np.minimum(np.arange(options.frames), len(units) - 1)]
    strength = np.ones(len(units))
    if options.ease > 0 and len(units) > 1:
        strength = _smooth_step(np.arange(len(units)) / (float(rate) * options.ease))
    start = int(curves.numbers[0]) if options.start is None else options.start
    drive = Drive(strength=strength.astype(np.float32), units=units.astype(np.float32), still_units=still_units)
    return Performance(numbers=range(start, start + len(units)), rate=rate, drive=drive, filled=filled)


def units_of_clip(faces: ClipFaces, tracks: Sequence[int], measure: UnitMeasure) -> tuple[Curves, dict[int, str]]:
    """The units of one person of a clip in every frame, as measured, and why some frames have none.

    Raises:
        FaceError: no frame shows the person's face well enough.
    """
    numbers, seen, reasons = [], [], {}
    for number, found in faces:
        numbers.append(number)
        face = next((one.face for one in found if one.face.track in tracks), None)
        if face is None:
            reasons[number] = "somebody else's face only" if found else "no face found"
        elif abs(face.pose.yaw) > _FURTHEST:
            reasons[number] = f"profile: turned by {abs(face.pose.yaw):.0f}°, over {_FURTHEST:.0f}°"
        elif face.visible < _LEAST_VISIBLE:
            reasons[number] = f"half out of frame: {face.visible:.0%} of the face is inside"
        else:
            seen.append((len(numbers) - 1, face.landmarks, face.blendshapes))
    if not seen:
        raise FaceError(f"No frame of the driving clip shows the face well enough: {reasons[numbers[0]]} in the first.")
    rows = np.full((len(numbers), COUNT), np.nan)
    for first in range(0, len(seen), _MEASURED_AT_ONCE):
        part = seen[first : first + _MEASURED_AT_ONCE]
        shapes = [blendshapes for _, _, blendshapes in part if blendshapes is not None]
        landmarks = np.stack([mesh for _, mesh, _ in part])
        rows[[place for place, _, _ in part]] = measure(
            landmarks, np.stack(shapes) if len(shapes) == len(part) else None
        )
    curves = Curves.from_measured(np.array(numbers), rows, rate=faces.rate)
    for number in set(curves.numbers[curves.missing].tolist()) - set(reasons):
        reasons[number] = "the clip lacks this frame"
    return curves, reasons


def _neutral(options: AnimateOptions, curves: Curves, units: np.ndarray) -> np.ndarray:
    """(17,) what counts as at rest."""
    if options.neutral == "auto":
        quiet = options.drive is not None
        return action_units.neutral_of(units, missing=curves.missing) if quiet else np.zeros(COUNT, np.float32)
    number = int(curves.numbers[0]) if options.neutral == "first" else int(options.neutral)
    place = number - int(curves.numbers[0])
    if not 0 <= place < len(curves):
        raise OptionError(
            f"--neutral {number}: the frames go from {curves.numbers[0]} to {curves.numbers[-1]}; choose one of them."
        )
    if curves.missing[place]:
        raise OptionError(f"--neutral {options.neutral}: frame {number} shows no face to be neutral; choose another.")
    return units[place]


def _on_top(resting: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Units laid on a face at rest: 0 leaves it, 5 is 5; undoes :func:`~understudy.faces.action_units.relative`."""
    return (resting + units * (HIGHEST - resting) / HIGHEST).astype(np.float32)


def _timing(options: AnimateOptions, seconds: np.ndarray) -> np.ndarray:
    """How much of an expression is there, 0 to 1, at (N,) seconds."""
    rising = _smooth_step(seconds / options.rise) if options.rise > 0 else np.ones(len(seconds))
    left = options.rise + options.hold + options.fall - seconds
    return rising * (_smooth_step(left / options.fall) if options.fall > 0 else 1.0)


def _resampled(units: np.ndarray, source: Fraction, target: Fraction) -> np.ndarray:
    """(M, 17) units at another rate, over the same time."""
    if source == target:
        return units
    count = int((len(units) - 1) * target / source) + 1
    times = np.arange(count) * float(source / target)
    return np.stack([np.interp(times, np.arange(len(units)), column) for column in units.T], axis=1)


def _smooth_step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _is_one_picture(options: AnimateOptions) -> bool:
    from understudy.media.pattern import PICTURE_SUFFIXES, Pattern

    output = options.output
    return output is not None and output.suffix.lower() in PICTURE_SUFFIXES and Pattern.of(output) is None
