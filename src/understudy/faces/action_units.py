"""Action units: what a face does, as the 17 intensities of OpenFace, 0 to 5.

A unit is the trace of a muscle or two (Ekman and Friesen's facial action coding system). Left and right are one unit
here, as in OpenFace.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from importlib import resources

import numpy as np

from understudy.errors import OptionError, WeightsError
from understudy.faces.steady import local_parabolas
from understudy.faces.unit_features import canonical, mesh_features, shape_features


class ActionUnit(IntEnum):
    """The 17 units, in the order in which every array of them stands; ``title`` says what each does."""

    AU01 = 0
    AU02 = 1
    AU04 = 2
    AU05 = 3
    AU06 = 4
    AU07 = 5
    AU09 = 6
    AU10 = 7
    AU12 = 8
    AU14 = 9
    AU15 = 10
    AU17 = 11
    AU20 = 12
    AU23 = 13
    AU25 = 14
    AU26 = 15
    AU45 = 16

    @property
    def title(self) -> str:
        """What the unit does, in a word or two."""
        return _TITLES[self]


COUNT = len(ActionUnit)
HIGHEST = 5.0
"""The top of OpenFace's scale; 0 is a unit at rest, 1 a trace."""

_TITLES = (
    *("inner brow raiser", "outer brow raiser", "brow lowerer", "upper lid raiser", "cheek raiser", "lid tightener"),
    *("nose wrinkler", "upper lip raiser", "lip corner puller", "dimpler", "lip corner depressor", "chin raiser"),
    *("lip stretcher", "lip tightener", "lips part", "jaw drop", "blink"),
)

# How far an actor's weight of 1 parts the lips, in fifths of the distance of the outer eye corners: least squares over
# the rendered actors' exact landmarks. 1, the top of AU25, is about 18 mm.
_PARTS_LIPS = {
    "AU10_upper_lip_raise": 0.25,
    "AU12_grin_teeth": 0.45,
    "AU16_lower_lip_down": 0.6,
    "AU22_funnel": 0.6,
    "AU25_part": 0.1,
    "AU26_jaw_open": 1.9,
}

_RELIABLE = [ActionUnit.AU10, ActionUnit.AU12, ActionUnit.AU25, ActionUnit.AU26, ActionUnit.AU45]

_AGAINST = 0.5  # of AU12, what AU15 loses

_U = ActionUnit
# After the emotional prototypes of Ekman and Friesen (EMFACS); strengths as they look natural on a moving face.
_PRESETS: dict[str, dict[ActionUnit, float]] = {
    "neutral": {},
    "smile": {_U.AU06: 2.5, _U.AU12: 4.0, _U.AU25: 2.0},
    "laugh": {_U.AU06: 4.0, _U.AU07: 1.5, _U.AU12: 5.0, _U.AU25: 4.0, _U.AU26: 2.5},
    "sad": {_U.AU01: 4.0, _U.AU04: 2.0, _U.AU15: 3.5, _U.AU17: 2.0},
    "angry": {_U.AU04: 4.5, _U.AU05: 1.0, _U.AU07: 3.0, _U.AU17: 1.0, _U.AU23: 3.5},
    "surprised": {_U.AU01: 4.0, _U.AU02: 4.0, _U.AU05: 3.0, _U.AU25: 3.0, _U.AU26: 3.5},
    "disgusted": {_U.AU04: 1.5, _U.AU09: 4.0, _U.AU10: 3.0, _U.AU15: 1.5, _U.AU17: 1.5},
    "afraid": {_U.AU01: 3.5, _U.AU02: 2.0, _U.AU04: 2.0, _U.AU05: 4.0, _U.AU20: 3.5, _U.AU25: 2.0, _U.AU26: 1.5},
    "contempt": {_U.AU12: 1.0, _U.AU14: 3.5},
    "talk": {_U.AU25: 3.0, _U.AU26: 2.0},
    "blink": {_U.AU45: 5.0},
}


def _row(units: dict[ActionUnit, float]) -> np.ndarray:
    row = np.zeros(COUNT, np.float32)
    for unit, intensity in units.items():
        row[unit] = intensity
    row.setflags(write=False)
    return row


EXPRESSIONS: dict[str, np.ndarray] = {name: _row(units) for name, units in _PRESETS.items()}
"""Named expressions as units (17,) float32, 0 to 5. All are symmetric; contempt, one-sided in life, is so only here."""


def expression(name: str, strength: float = 1.0) -> np.ndarray:
    """The units (17,) float32, 0 to 5, of a named expression.

    Args:
        name: one of :data:`EXPRESSIONS`.
        strength: 0 is neutral, 1 the preset; up to 2 exaggerates, and what would pass 5 stays at 5.

    Raises:
        OptionError: no such expression, or a strength outside 0 to 2.
    """
    if name not in EXPRESSIONS:
        raise OptionError(f"There is no expression {name!r}; take one of {', '.join(EXPRESSIONS)}.")
    if not 0.0 <= strength <= 2.0:
        raise OptionError(f"An expression's strength lies between 0 and 2, 1 is usual; it is {strength:g}.")
    return np.minimum(EXPRESSIONS[name] * np.float32(strength), np.float32(HIGHEST))


def neutral_of(units: np.ndarray, *, missing: np.ndarray | None = None, share: float = 0.1) -> np.ndarray:
    """What a performer's face reads at rest: a low percentile of every unit over a clip.

    Args:
        units: (N, 17), 0 to 5.
        missing: (N,) bool, frames that do not count.
        share: 0 to 1, how many of the frames lie below; a tenth is neither the lowest nor spoilt by a long smile.

    Returns:
        (17,) float32. Whoever smiles through all of a clip smiles at rest, as far as this can tell: give a frame instead.

    Raises:
        OptionError: no frame counts.
    """
    counted = np.asarray(units, np.float32).reshape(-1, COUNT)
    if missing is not None:
        counted = counted[~np.asarray(missing, bool)]
    if not len(counted):
        raise OptionError("A neutral face needs at least one frame with a face.")
    return np.quantile(counted, share, axis=0).astype(np.float32)


def relative(units: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Units as the change from a neutral face: 0 at the neutral, and 5 still at 5.

    Faces at rest differ (narrow eyes read as half a blink, a heavy brow as a frown); what is left is what the performer
    does with them. Below the neutral counts as at rest.

    Args:
        units: (..., 17), 0 to 5.
        neutral: (17,), 0 to 5, what the same person reads at rest.

    Returns:
        (..., 17) float32, 0 to 5.
    """
    # Above 3 a "neutral" is no face at rest; dividing by the little that is left would only magnify shake.
    rest = np.clip(np.asarray(neutral, np.float32), 0.0, 3.0)
    change = (np.asarray(units, np.float32) - rest) * (HIGHEST / (HIGHEST - rest))
    return np.clip(change, 0.0, HIGHEST).astype(np.float32)


def smooth(
    units: np.ndarray,
    rate: Fraction | float,
    *,
    seconds: float = 0.12,
    missing: np.ndarray | None = None,
) -> np.ndarray:
    """Units over time with less shake and no lag.

    Every value is replaced by that of a parabola through its neighbours on both sides, so a peak stays where it is and
    nearly as high. Blinks, which last a tenth of a second, get half the reach.

    Args:
        units: (N, 17), 0 to 5, successive frames.
        rate: frames a second.
        seconds: how far to either side neighbours have a say; below two frames nothing is changed, 0 leaves all as is.
        missing: (N,) bool, frames whose units were not measured: they have no say, and lie on the straight line between
            their neighbours once these are steady; at the ends the nearest is held.

    Returns:
        (N, 17) float32, 0 to 5.

    Raises:
        OptionError: a rate or reach that is negative or not a number.
    """
    rows = np.asarray(units, np.float64).reshape(-1, COUNT)
    if not (float(rate) > 0 and seconds >= 0):
        raise OptionError(f"Smoothing needs a rate above 0 and a reach of 0 or more; they are {rate} and {seconds}.")
    known = np.ones(len(rows), bool) if missing is None else ~np.asarray(missing, bool)
    say = known.astype(np.float64)
    result = local_parabolas(rows, seconds * float(rate), say)
    result[:, ActionUnit.AU45] = local_parabolas(rows[:, [ActionUnit.AU45]], seconds * float(rate) / 2, say)[:, 0]
    if known.any() and not known.all():
        # A parabola says nothing beyond the last that was measured: it would run off, and leap where the measured begins.
        places = np.flatnonzero(known)
        gaps = np.flatnonzero(~known)
        for column in result.T:  # views: written in place
            column[gaps] = np.interp(gaps, places, column[places])
    return np.clip(result, 0.0, HIGHEST).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class RestingFace:
    """One person's face at rest, as :meth:`ActionUnitModel.measure` compares others of the same person with it.

    Attributes:
        mesh: (F,) float64 features of the mesh.
        shapes: (52,) float64 features of the blendshapes, or None.
    """

    mesh: np.ndarray
    shapes: np.ndarray | None = None


class ActionUnitModel:
    """Reads action units off a face: linear in the mesh without its pose, and in blendshapes where there are any.

    It was fitted to rendered people whose units are known exactly (see ``data/action_units.card.json``). OpenFace's
    scale is imitated, not measured: 5 is as far as those people go, with shy units magnified up to three times.

    Two readings are possible. A single picture is compared with the faces of everybody, and then a low brow cannot be told
    from a lowered one. Compared with the same person's face at rest, what is left is what the face does; take this
    wherever there is more than one picture.

    Args:
        weights: ``absolute``, ``absolute.offset``, ``relative``, and the same with ``.shapes`` for mesh and blendshapes:
            (F, 17), (17,), (F, 17) float; see ``jobs/fit_units.py``.

    Raises:
        WeightsError: an array is missing or of another shape.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = {name: np.asarray(array, np.float64) for name, array in weights.items()}
        num_mesh = len(mesh_features(np.zeros((1, 478, 3)))[0])
        for kind, length in (("", num_mesh), (".shapes", num_mesh + 52)):
            for name, shape in (
                (f"absolute{kind}", (length, COUNT)),
                (f"absolute{kind}.offset", (COUNT,)),
                (f"relative{kind}", (length, COUNT)),
            ):
                if name not in self._weights or self._weights[name].shape != shape:
                    raise WeightsError(f"The action-unit model has no array {name!r} of shape {shape}; it is damaged.")

    @classmethod
    def packaged(cls) -> ActionUnitModel:
        """The model that comes with the package; read once."""
        return _packaged()

    def measure(
        self, landmarks: np.ndarray, blendshapes: np.ndarray | None = None, *, rest: RestingFace | None = None
    ) -> np.ndarray:
        """Units of faces.

        Args:
            landmarks: (B, 478, 3) pixels, measured or stabilised; the older 468-point mesh, filled up, will do.
            blendshapes: (B, 52), 0 to 1, of the same faces; None where the models at hand have none.
            rest: the same person's face at rest, from :meth:`rest_of`; None reads the faces as anybody's.

        Returns:
            (B, 17) float32, 0 to 5.

        Raises:
            FaceError: landmarks that are not finite, or all in one place.
        """
        mesh, shapes = self._features(landmarks, blendshapes)
        if rest is not None and rest.shapes is None:
            shapes = None
        kind = "" if shapes is None else ".shapes"
        if rest is None:
            features = mesh if shapes is None else np.concatenate([mesh, shapes], axis=1)
            units = features @ self._weights[f"absolute{kind}"] + self._weights[f"absolute{kind}.offset"]
        else:
            change = mesh - rest.mesh
            if shapes is not None:
                change = np.concatenate([change, shapes - rest.shapes], axis=1)
            units = change @ self._weights[f"relative{kind}"]
        units = np.clip(units, 0.0, HIGHEST)
        # Smiles wider than the rendered people's would read as drawn-down corners too; the two pull against each other.
        units[:, ActionUnit.AU15] = np.maximum(units[:, ActionUnit.AU15] - _AGAINST * units[:, ActionUnit.AU12], 0.0)
        return units.astype(np.float32)

    def rest_of(
        self, landmarks: np.ndarray, blendshapes: np.ndarray | None = None, *, share: float = 0.1
    ) -> RestingFace:
        """The face at rest of one person of whom there are several pictures: the mean of those that do the least.

        Args:
            landmarks: (N, 478, 3) pixels; a single one is taken as the face at rest.
            blendshapes: (N, 52) of the same faces, or None.
            share: 0 to 1, how many of the faces count as at rest; at least one, and five where there are as many.

        Raises:
            OptionError: no face.
        """
        if not len(landmarks):
            raise OptionError("A face at rest needs at least one picture with a face.")
        mesh, shapes = self._features(landmarks, blendshapes)
        quiet = self.quiet_of(landmarks, blendshapes, share=share)
        return RestingFace(mesh=mesh[quiet].mean(axis=0), shapes=None if shapes is None else shapes[quiet].mean(axis=0))

    def quiet_of(
        self, landmarks: np.ndarray, blendshapes: np.ndarray | None = None, *, share: float = 0.1
    ) -> np.ndarray:
        """The places of the pictures that do the least, the calmest first; arguments as of :meth:`rest_of`."""
        # Units that are read reliably off anybody; the others say more about who it is.
        activity = self.measure(landmarks, blendshapes)[:, _RELIABLE].sum(axis=1)
        return np.argsort(activity, kind="stable")[: min(len(activity), max(5, round(share * len(activity))))]

    def _features(self, landmarks: np.ndarray, blendshapes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return mesh_features(canonical(landmarks)), None if blendshapes is None else shape_features(blendshapes)


@functools.cache
def _packaged() -> ActionUnitModel:
    from safetensors.numpy import load

    data = resources.files("understudy.faces").joinpath("data/action_units.safetensors").read_bytes()
    return ActionUnitModel(load(data))


def units_of_weights(weights: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The units (..., 17) float32, 0 to 5, of an animated head's named weights (..., W), 0 to 1.

    Names begin with ``AU`` and two digits. Several weights of one unit add up (a closed and a toothy smile), but for
    left and right, of which the mean counts. AU24, the lips' press, stands for AU23, which such heads lack. AU25 is how
    far the lips are apart, whatever parts them: its own weight, the jaw, raised, lowered or funnelled lips. Weights of
    units that are not among the 17 are left out otherwise, and a unit without a weight is 0.
    """
    values = np.asarray(weights, np.float64)
    result = np.zeros((*values.shape[:-1], COUNT))
    for place, name in enumerate(names):
        number = "AU23" if name.startswith("AU24") else name[:4]
        if number in ActionUnit.__members__ and number != "AU25":
            share = 0.5 if name.endswith(("_left", "_right")) else 1.0
            result[..., ActionUnit[number]] += share * values[..., place]
        result[..., ActionUnit.AU25] += _PARTS_LIPS.get(name, 0.0) * values[..., place]
    return (np.clip(result, 0.0, 1.0) * HIGHEST).astype(np.float32)
