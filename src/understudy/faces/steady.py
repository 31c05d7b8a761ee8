"""Smoothing of the alignment over time: no lag, and fast motion is followed.

Every frame's crop is replaced by the value, at that frame, of a parabola in time laid through its neighbours on both
sides. How many neighbours have a say is decided frame by frame: those that agree, within the measurement's own noise,
with what the last and shorter parabola says of them (adaptive weights smoothing). While the head rests, many agree and
the shake is averaged away; at a sudden turn few do, and the measurement stands. Weights fall off smoothly, so the number
of neighbours never jumps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.errors import OptionError
from understudy.faces.align import CropTransform

# Half-lengths of the growing windows, in frames; each is judged by the one before it.
_WINDOWS = (2.0, 4.0, 7.0, 12.0)
# A neighbour farther from the last parabola than this many times the noise has lost most of its say.
_AGREEMENT = 2.5
# A longer parabola may depart from the shorter one by about this many of the shorter one's standard deviations.
_DEPARTURE = 1.3
# Mesh errors that last a few frames (a blink moves the lids and, a little, everything) cannot be told from motion by the
# track alone. Against invented people's exact motion they are about this share of the crop's side.
_WOBBLE = 0.0015
# Frames that make one unit of the parabolas' abscissa, for the sake of well-scaled equations.
_UNIT = 4.0


def smooth_transforms(
    times: Sequence[float] | np.ndarray, transforms: Sequence[CropTransform], *, strength: float = 1.0
) -> list[CropTransform]:
    """Steady crops of one track, see :func:`smooth_alignment`."""
    if not transforms:
        return []
    smooth = smooth_alignment(times, np.array([transform.params for transform in transforms]), strength=strength)
    return [CropTransform.from_params(*(float(value) for value in row)) for row in smooth]


def smooth_alignment(
    times: Sequence[float] | np.ndarray, params: np.ndarray, *, strength: float = 1.0, noise: float | None = None
) -> np.ndarray:
    """Smooth the crops of one track over time, both ways at once.

    Args:
        times: (T,) seconds or frame numbers, rising; gaps are allowed.
        params: (T, 4) centre x, centre y and side in pixels, angle in radians, as :attr:`CropTransform.params`.
        strength: scales the windows' length; 0 leaves everything as it is, 1 reaches 12 frames to either side.
        noise: RMS shake of the crop's corners in pixels; measured from the track itself where it is not given.

    Returns:
        (T, 4) float64.

    Raises:
        OptionError: times that do not rise, or a negative strength.
    """
    moments = np.asarray(times, np.float64)
    params = np.asarray(params, np.float64)
    if len(moments) != len(params) or (np.diff(moments) <= 0).any():
        raise OptionError("Smoothing needs one time for every crop, and rising times.")
    if strength < 0:
        raise OptionError(f"strength={strength} is negative; 0 is no smoothing, 1 is usual.")
    if len(params) < 3 or strength == 0:
        return params.copy()
    # Centre and half-diagonal are linear in the corners and know no turn of 360 degrees.
    half, angle = params[:, 2] / 2, params[:, 3]
    signal = np.stack([params[:, 0], params[:, 1], half * np.cos(angle), half * np.sin(angle)], axis=1)
    steps = (moments - moments[0]) / np.median(np.diff(moments))
    spread = _noise(signal, steps) if noise is None else np.full(4, noise / 2.0)
    smooth = _adaptive_parabola(steps, signal, np.maximum(spread, 1e-6), strength)
    turned = np.unwrap(np.concatenate([[angle[0]], np.arctan2(smooth[:, 3], smooth[:, 2])]))[1:]
    return np.stack([smooth[:, 0], smooth[:, 1], 2 * np.hypot(smooth[:, 2], smooth[:, 3]), turned], axis=1)


def local_parabolas(rows: np.ndarray, reach: float, say: np.ndarray) -> np.ndarray:
    """Values over time with less shake and no lag: each replaced by that of a parabola through its neighbours.

    Args:
        rows: (N, C) float64, successive frames.
        reach: how many frames to either side have a say, nearer ones more; below two nothing is changed.
        say: (N,) weight of every row, 0 where it was not measured.

    Returns:
        (N, C) float64.
    """
    half = int(np.floor(reach))
    if half < 2 or len(rows) < 3:
        return rows.copy()
    offsets = np.arange(-half, half + 1)
    places = np.arange(len(rows))[:, None] + offsets
    inside = (places >= 0) & (places < len(rows))
    places = np.clip(places, 0, len(rows) - 1)
    near = (1.0 - np.abs(offsets / (reach + 1.0)) ** 3) ** 3
    weights = near * inside * say[places]
    basis = np.stack([np.ones(len(offsets)), offsets / reach, (offsets / reach) ** 2], axis=1)
    normal = np.einsum("nw,wi,wj->nij", weights, basis, basis)
    # Where few neighbours have a say, the curvature and then the slope go to zero rather than wild.
    normal += np.diag([1e-12, 1e-4, 1e-3])
    right = np.einsum("nw,wi,nwc->nic", weights, basis, rows[places])
    fitted = np.linalg.solve(normal, right)[:, 0]
    return np.where(weights.sum(axis=1)[:, None] > 0, fitted, rows)


def _noise(signal: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(C,) standard deviation of every channel's shake: what the track itself shows, but not less than the mesh's wobble."""
    side = 2.0 * float(np.hypot(signal[:, 2], signal[:, 3]).mean())
    least = _WOBBLE * side * np.array([1.0, 1.0, 0.7, 0.7])
    if len(signal) < 9:
        return least
    fourth = signal[:-4] - 4 * signal[1:-3] + 6 * signal[2:-2] - 4 * signal[3:-1] + signal[4:]
    unbroken = steps[4:] - steps[:-4] < 4.5
    if not unbroken.any():
        return least
    # The median, so that sudden moves do not count; of an absolute normal deviate it is 0.6745 standard deviations.
    return np.maximum(least, np.median(np.abs(fourth[unbroken]), axis=0) / (0.6745 * np.sqrt(70.0)))


def _adaptive_parabola(steps: np.ndarray, signal: np.ndarray, noise: np.ndarray, strength: float) -> np.ndarray:
    """(T, C) values at every step of parabolas through neighbours that agree with each other."""
    reach = int(np.ceil(_WINDOWS[-1] * strength))
    indices = np.arange(len(signal))[:, None] + np.arange(-reach, reach + 1)
    outside = (indices < 0) | (indices >= len(signal))
    indices = np.clip(indices, 0, len(signal) - 1)
    offsets = steps[indices] - steps[:, None]
    neighbours = signal[indices]
    basis = np.stack([np.ones_like(offsets), offsets / _UNIT, (offsets / _UNIT) ** 2], axis=-1)
    agreement = np.ones(offsets.shape)
    # The first parabola is judged by the measurement alone.
    coefficients = np.zeros((len(signal), 3, signal.shape[1]))
    coefficients[:, 0] = signal
    certainty = np.ones(len(signal))
    for window in _WINDOWS:
        width = max(window * strength, 1.0)
        near = np.clip(1.0 - (offsets / (width + 1.0)) ** 2, 0.0, None) ** 2
        longer, spread = _fit_parabolas(basis, neighbours, np.where(outside, 0.0, near * agreement))
        # The longer parabola replaces the shorter as far as it stays within what the shorter could not know.
        distance = (((longer[:, 0] - coefficients[:, 0]) / noise) ** 2).mean(axis=1) / (_DEPARTURE * certainty) ** 2
        trust = np.exp(-(distance**2))
        coefficients = coefficients + trust[:, None, None] * (longer - coefficients)
        certainty = certainty + trust * (spread - certainty)
        residual = (neighbours - basis @ coefficients) / noise
        agreement = np.exp(-0.5 * (residual**2).mean(axis=-1) / _AGREEMENT**2)
    return coefficients[:, 0]


def _fit_parabolas(basis: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (T, 3, C) of weighted parabolas through (T, W, C) values, basis (T, W, 3), and their value's standard
    deviation (T,) where the values have 1."""
    weighted = basis * weights[..., None]
    normal = np.einsum("twi,twj->tij", weighted, basis)
    # Where too few neighbours are left for a parabola the curvature and then the slope go to zero rather than wild.
    normal += np.diag([1e-12, 1e-5, 1e-4])
    solved = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2))
    return solved @ values, np.sqrt((solved[:, 0] ** 2).sum(axis=1))
