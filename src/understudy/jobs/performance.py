"""What a still is asked to do, frame by frame: from a named expression, from footage of a performer, or from curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

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

_MEASURED_AT_ONCE, _LOOKED_AT = 256, 1500  # faces
_FURTHEST, _LEAST_VISIBLE = 60.0, 0.5  # beyond this yaw, or below this share of the face, units are guesswork
_RESTING = 1.0  # intensity up to which a face is taken to look so at rest: narrow eyes, a low brow
_IN_WORDS = {"units": "action units", "landmarks": "landmarks", "expression": "expression"}
_LAID_OVER = ("blink", "talk")  # they go with any mood; the others replace the mood that the still shows


class UnitReader(Protocol):
    """Reads action units off faces; :class:`MeshUnits`, or a stand-in for tests. Meshes are (B, 478, 3) pixels."""

    def measure(self, landmarks: np.ndarray, rest: Any = None) -> np.ndarray:
        """(B, 17) float32, 0 to 5: what the faces do beyond ``rest``, or read as anybody's where it is None."""
        ...

    def rest_of(self, landmarks: np.ndarray) -> Any:
        """The face at rest of one person: of the meshes, those that do the least."""
        ...

    def quiet_of(self, landmarks: np.ndarray) -> np.ndarray:
        """The places of those that do the least among meshes of one person."""
        ...


class MeshUnits:
    """The packaged action-unit model, with blendshapes where this machine's face models have them."""

    def __init__(self) -> None:
        from understudy.faces.blendshapes import BlendshapeModel
        from understudy.faces.models import find_models

        models = find_models()
        self._shapes = None if models.blendshapes is None else BlendshapeModel(models)
        self._units = action_units.ActionUnitModel.packaged()

    def measure(self, landmarks: np.ndarray, rest: Any = None) -> np.ndarray:
        """See :class:`UnitReader`."""
        return self._units.measure(landmarks, self._blendshapes(landmarks), rest=rest)

    def rest_of(self, landmarks: np.ndarray) -> Any:
        """See :class:`UnitReader`."""
        return self._units.rest_of(landmarks, self._blendshapes(landmarks))

    def quiet_of(self, landmarks: np.ndarray) -> np.ndarray:
        """See :class:`UnitReader`."""
        return self._units.quiet_of(landmarks, self._blendshapes(landmarks))

    def _blendshapes(self, landmarks: np.ndarray) -> np.ndarray | None:
        return None if self._shapes is None else self._shapes.blendshapes(landmarks)


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
        OptionError: it does not know the expression, or is not driven by what is given.
    """
    units, landmarks = "units" in animator.signals, "landmarks" in animator.signals
    driven = " and ".join(_IN_WORDS[signal] for signal in sorted(animator.signals)) or "nothing"
    if options.expression is not None:
        known = set(animator.expressions) | (set(action_units.EXPRESSIONS) if units else set())
        if not known and landmarks:
            raise OptionError(
                f"--expression {options.expression}: this model is driven by {driven}; move it by --drive, --boundary, "
                "--rotate or --move, or choose another with --method or --run."
            )
        if options.expression not in known:
            raise OptionError(
                f"--expression {options.expression}: this model knows {', '.join(sorted(known)) or 'none'}."
            )
    elif options.by_landmarks and not landmarks:
        raise OptionError(
            f"This model is driven by {driven}, not by landmarks: --boundary, --rotate and --move need another; choose it "
            "with --method or --run."
        )
    elif options.curves is not None and not units:
        raise OptionError(
            f"This model is driven by {driven}, not by action units: choose another with --run, or "
            f"{'--drive' if landmarks else '--expression'}."
        )
    elif options.drive is not None and not (units or landmarks):
        raise OptionError(
            f"This model is driven by {driven}, not by action units or landmarks: choose another with --run, or "
            "--expression."
        )


def by_expression(options: AnimateOptions, animator: Animator, still_units: np.ndarray | None) -> Performance:
    """The still rises to a named expression, holds it and falls back.

    Args:
        options: with ``expression``.
        animator: the model; it is asked by name where it knows the name, else by units.
        still_units: (17,) units of the still; needed where it is asked by units.
    """
    name, (numbers, rate, share) = str(options.expression), there_and_back(options)
    if name in animator.expressions:
        drive = Drive(strength=share * np.float32(options.strength), expression=name)
        return Performance(numbers=numbers, rate=rate, drive=drive)
    assert still_units is not None
    resting = still_units if name in _LAID_OVER else np.minimum(still_units, _RESTING)
    target = _on_top(resting, action_units.expression(name, options.strength))
    drive = Drive(strength=share, units=np.tile(target, (len(share), 1)), still_units=still_units)
    return Performance(numbers=numbers, rate=rate, drive=drive)


def there_and_back(options: AnimateOptions) -> tuple[range, Fraction, np.ndarray]:
    """The timing of what the still goes to and comes back from: frame numbers, rate, and (N,) float32 shares, 0 to 1."""
    rate = options.rate or USUAL_RATE
    length = options.rise + options.hold + options.fall
    count = options.frames or (1 if _is_one_picture(options) else round(length * float(rate)) + 1)
    share = _timing(options, np.linspace(0.0, length, count)) if count > 1 and length > 0 else np.ones(count)
    start = 1 if options.start is None else options.start
    return range(start, start + count), rate, share.astype(np.float32)


def by_curves(
    options: AnimateOptions, curves: Curves, still_units: np.ndarray, reasons: Mapping[int, str] | None = None
) -> Performance:
    """The still takes over units that change over time.

    By default a unit at rest leaves the still as it is, 5 is 5, and what lies between is shared out evenly; so a still
    that smiles a little goes on smiling. With ``options.neutral`` "none" the still takes the units themselves.

    Args:
        options: with ``drive`` or ``curves``.
        curves: the units; of a clip as :func:`units_of_clip` reads them.
        still_units: (17,) units of the still.
        reasons: why rows are missing, by number.
    """
    units = curves.units
    if options.drive is not None and options.steady:
        units = action_units.smooth(units, curves.rate, missing=curves.missing)
    if options.drive is None and options.neutral not in ("auto", "none"):
        place = neutral_place(
            options.neutral, curves.numbers.tolist(), {int(n): "" for n in curves.numbers[curves.missing]}
        )
        units = action_units.relative(units, units[place])
    units = np.clip(units * np.float32(options.strength), 0.0, HIGHEST)
    if options.neutral != "none":
        units = _on_top(still_units, units)
    filled = tuple(
        FilledFrame(number=int(number), reason=(reasons or {}).get(int(number), "a gap in the curves"))
        for number in curves.numbers[curves.missing]
    )
    numbers, rate, units, strength = frame_by_frame(options, units, curves.rate, int(curves.numbers[0]))
    drive = Drive(strength=strength, units=units, still_units=still_units)
    return Performance(numbers=numbers, rate=rate, drive=drive, filled=filled)


def frame_by_frame(
    options: AnimateOptions, rows: np.ndarray, rate: Fraction, first: int
) -> tuple[range, Fraction, np.ndarray, np.ndarray]:
    """The frames of a performance as the options want them: resampled, cut or held, taken up gently.

    Args:
        options: with ``fps``, ``frames``, ``start`` and ``ease``.
        rows: (N, C) what is done in successive frames.
        rate: frames a second.
        first: the number of the first.

    Returns:
        Frame numbers, rate, (M, C) float32 rows and (M,) float32 strength.
    """
    wanted = options.rate or rate
    rows = _resampled(rows, rate, wanted)
    if options.frames is not None:
        rows = rows[np.minimum(np.arange(options.frames), len(rows) - 1)]
    strength = np.ones(len(rows))
    if options.ease > 0 and len(rows) > 1:
        strength = _smooth_step(np.arange(len(rows)) / (float(wanted) * options.ease))
    start = first if options.start is None else options.start
    return range(start, start + len(rows)), wanted, rows.astype(np.float32), strength.astype(np.float32)


def units_of_clip(
    faces: ClipFaces, tracks: Sequence[int], reader: UnitReader, *, neutral: str = "auto"
) -> tuple[Curves, dict[int, str]]:
    """The units of one person of a clip in every frame, and why some frames have none.

    They are read against the same person's face at rest, as ``neutral`` says (see ``AnimateOptions.neutral``): faces
    differ, and alone a low brow cannot be told from a lowered one.

    Raises:
        FaceError: no frame shows the person's face well enough.
        OptionError: the frame that is to be neutral is not there, or shows no face.
    """
    found = meshes_of_clip(faces, tracks)
    numbers, places, meshes, reasons = found.numbers, found.places, found.meshes, found.reasons
    rest = None
    if neutral == "auto":
        # Of a long clip every so-many-th face is enough to find the quiet ones.
        rest = reader.rest_of(np.stack(meshes[:: -(-len(meshes) // _LOOKED_AT)]))
    elif neutral != "none":
        place = places.index(neutral_place(neutral, numbers, reasons))
        rest = reader.rest_of(meshes[place][None])
    rows = np.full((len(numbers), COUNT), np.nan)
    for first in range(0, len(meshes), _MEASURED_AT_ONCE):
        part = slice(first, first + _MEASURED_AT_ONCE)
        rows[places[part]] = reader.measure(np.stack(meshes[part]), rest)
    curves = Curves.from_measured(np.array(numbers), rows, rate=faces.rate)
    for number in set(curves.numbers[curves.missing].tolist()) - set(reasons):
        reasons[number] = "the clip lacks this frame"
    return curves, reasons


@dataclass(frozen=True, kw_only=True)
class ClipMeshes:
    """The meshes of one person of a clip.

    Attributes:
        numbers: the frames that were looked at.
        places: where among them stand the frames that show the face well enough.
        meshes: (478, 3) pixels of each of those.
        reasons: why the others do not count, by number.
    """

    numbers: list[int]
    places: list[int]
    meshes: list[np.ndarray]
    reasons: dict[int, str]


def meshes_of_clip(faces: ClipFaces, tracks: Sequence[int]) -> ClipMeshes:
    """The meshes of one person of a clip, in the frames that show them well enough.

    Raises:
        FaceError: there is no such frame.
    """
    found = ClipMeshes(numbers=[], places=[], meshes=[], reasons={})
    for number, seen in faces:
        face = next((one.face for one in seen if one.face.track in tracks), None)
        if face is None:
            found.reasons[number] = "somebody else's face only" if seen else "no face found"
        elif abs(face.pose.yaw) > _FURTHEST:
            found.reasons[number] = f"profile: turned by {abs(face.pose.yaw):.0f}°, over {_FURTHEST:.0f}°"
        elif face.visible < _LEAST_VISIBLE:
            found.reasons[number] = f"half out of frame: {face.visible:.0%} of the face is inside"
        else:
            found.places.append(len(found.numbers))
            found.meshes.append(face.landmarks)
        found.numbers.append(number)
    if not found.meshes:
        raise FaceError(
            f"No frame of the driving clip shows the face well enough: {found.reasons[found.numbers[0]]} in the first."
        )
    return found


def neutral_place(neutral: str, numbers: Sequence[int], missing: Mapping[int, str]) -> int:
    """The place among ``numbers`` of the frame that ``neutral`` names: "first", or its number.

    Raises:
        OptionError: it is not among them, or is ``missing``.
    """
    number = numbers[0] if neutral == "first" else int(neutral)
    if number not in numbers:
        raise OptionError(f"--neutral {number}: the frames go from {numbers[0]} to {numbers[-1]}; choose one of them.")
    if number in missing:
        reason = f" ({missing[number]})" if missing[number] else ""
        raise OptionError(f"--neutral {neutral}: frame {number} holds no face to be neutral{reason}; choose another.")
    return list(numbers).index(number)


def _on_top(resting: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Units laid on a face at rest: 0 leaves it, 5 is 5; undoes :func:`~understudy.faces.action_units.relative`."""
    return (resting + units * (HIGHEST - resting) / HIGHEST).astype(np.float32)


def _timing(options: AnimateOptions, seconds: np.ndarray) -> np.ndarray:
    """How much of an expression is there, 0 to 1, at (N,) seconds."""
    rising = _smooth_step(seconds / options.rise) if options.rise > 0 else np.ones(len(seconds))
    left = options.rise + options.hold + options.fall - seconds
    return rising * (_smooth_step(left / options.fall) if options.fall > 0 else 1.0)


def _resampled(rows: np.ndarray, source: Fraction, target: Fraction) -> np.ndarray:
    """(M, C) rows at another rate, over the same time."""
    if source == target:
        return rows
    count = int((len(rows) - 1) * target / source) + 1
    times = np.arange(count) * float(source / target)
    return np.stack([np.interp(times, np.arange(len(rows)), column) for column in rows.T], axis=1)


def _smooth_step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _is_one_picture(options: AnimateOptions) -> bool:
    from understudy.media.pattern import PICTURE_SUFFIXES, Pattern

    output = options.output
    return output is not None and output.suffix.lower() in PICTURE_SUFFIXES and Pattern.of(output) is None
