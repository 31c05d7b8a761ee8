"""Colour matching: the generated face brought to the colours of the plate's face, statistics taken under a mask
only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import cv2
import numpy as np

from understudy.composite.options import ColourMatch
from understudy.errors import OptionError

COLOUR_MATCHES = get_args(ColourMatch)

_BINS = 256
_FEWEST_PIXELS = 16.0
_IN_LAB = ("mean_shrink", "mean_std")


@dataclass(frozen=True, kw_only=True)
class ColourMap:
    """A fitted change of colours, all of whose parameters may be averaged over time.

    ``parameters`` by ``method``: ``mean_shrink``, ``mean_std`` (2, 3) gain and offset in Lab; ``mkl`` (3, 4) affine map in RGB;
    ``histogram`` (3, 256) output levels for 256 input levels of R, G, B over [0, 1]; ``none`` (0,).
    """

    method: str
    parameters: np.ndarray


def fit_colours(source: np.ndarray, target: np.ndarray, mask: np.ndarray, *, method: str) -> ColourMap:
    """Find the colour change that makes the source's colours under the mask those of the target.

    Args:
        source, target: (H, W, 3) RGB, view space, same size; clipped to [0, 1] for the statistics.
        mask: (H, W) in [0, 1], the weight of each pixel.
        method: ``none``; ``mean_std``: mean and deviation of each Lab channel (Reinhard et al. 2001, in CIE Lab);
            ``mean_shrink``: the same, but a deviation is never made larger;
            ``mkl``: mean and covariance of RGB by the linear Monge-Kantorovich map (Pitie and Kokaram 2007);
            ``histogram``: the whole distribution of each RGB channel.

    Returns:
        The map; the identity where the mask covers less than 16 pixels.

    Raises:
        OptionError: unknown method.
    """
    if method not in COLOUR_MATCHES:
        raise OptionError(f"colour_match must be one of {', '.join(COLOUR_MATCHES)}; it is {method!r}.")
    if method == "none":
        return ColourMap(method=method, parameters=np.zeros(0, np.float32))
    if method in _IN_LAB:
        source, target = _lab(source), _lab(target)
    covered = mask > 0
    weights = mask[covered].astype(np.float64)
    if weights.sum() < _FEWEST_PIXELS:
        return _identity(method)
    ours = np.clip(source[covered], 0, 1).astype(np.float64) if method not in _IN_LAB else source[covered]
    theirs = np.clip(target[covered], 0, 1).astype(np.float64) if method not in _IN_LAB else target[covered]
    fit = {"mean_shrink": _fit_mean_shrink, "mean_std": _fit_mean_std, "mkl": _fit_mkl, "histogram": _fit_histogram}[
        method
    ]
    return ColourMap(method=method, parameters=fit(ours, theirs, weights))


def apply_colours(picture: np.ndarray, colours: ColourMap) -> np.ndarray:
    """The picture (H, W, 3) RGB, float32, view space, after the change; may leave [0, 1] a little."""
    parameters = colours.parameters
    picture = np.asarray(picture, np.float32)
    if colours.method == "none":
        return picture
    if colours.method in _IN_LAB:
        lab = _lab(picture)
        lab *= parameters[0].astype(np.float32)
        lab += parameters[1].astype(np.float32)
        return cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    if colours.method == "mkl":
        affine = parameters.astype(np.float32)
        return cv2.transform(picture, affine)
    position = np.clip(picture, 0, 1) * np.float32(_BINS - 1)
    below = np.minimum(position.astype(np.int32), _BINS - 2)
    part = position - below
    curves = parameters.astype(np.float32)
    low = np.stack([curves[c][below[..., c]] for c in range(3)], axis=-1)
    high = np.stack([curves[c][below[..., c] + 1] for c in range(3)], axis=-1)
    return low + part * (high - low)


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.clip(picture, 0, 1).astype(np.float32), cv2.COLOR_RGB2Lab)


def _identity(method: str) -> ColourMap:
    parameters = {
        "mean_shrink": np.stack([np.ones(3), np.zeros(3)]),
        "mean_std": np.stack([np.ones(3), np.zeros(3)]),
        "mkl": np.eye(3, 4),
        "histogram": np.tile(np.linspace(0, 1, _BINS), (3, 1)),
    }[method]
    return ColourMap(method=method, parameters=parameters)


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (3,) and covariance (3, 3)."""
    mean = np.average(values, axis=0, weights=weights)
    centred = (values - mean).astype(np.float64)
    return mean, (centred * weights[:, None]).T @ centred / weights.sum()


def _fit_mean_shrink(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    gain = np.minimum(_fit_mean_std(ours, theirs, weights)[0], 1.0)
    return np.stack(
        [gain, np.average(theirs, axis=0, weights=weights) - gain * np.average(ours, axis=0, weights=weights)]
    )


def _fit_mean_std(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    our_mean, our_covariance = _moments(ours, weights)
    their_mean, their_covariance = _moments(theirs, weights)
    # A flat face has no deviation to scale; half a unit of Lab is far below what can be seen.
    ours_deviation = np.maximum(np.sqrt(np.diag(our_covariance)), 0.5)
    gain = np.maximum(np.sqrt(np.diag(their_covariance)), 0.5) / ours_deviation
    return np.stack([gain, their_mean - gain * our_mean])


def _fit_mkl(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    our_mean, our_covariance = _moments(ours, weights)
    their_mean, their_covariance = _moments(theirs, weights)
    # Colours of skin lie almost on a line; across it there is little but noise, whose ratio must not be blown up.
    floor = 1e-4 * np.eye(3)
    root, inverse = _roots(our_covariance + floor)
    middle, _ = _roots(root @ (their_covariance + floor) @ root)
    linear = inverse @ middle @ inverse
    return np.concatenate([linear, (their_mean - linear @ our_mean)[:, None]], axis=1)


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root and inverse square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values = np.sqrt(np.maximum(values, 1e-12))
    return (vectors * values) @ vectors.T, (vectors / values) @ vectors.T


def _fit_histogram(ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    levels = np.linspace(0, 1, _BINS)
    curves = np.empty((3, _BINS))
    for c in range(3):
        share = _cumulative(ours[:, c], weights, levels)
        values, shares = _quantiles(theirs[:, c], weights)
        curves[c] = np.interp(share, shares, values)
    return curves


def _quantiles(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values, and for each the share of weight up to its middle."""
    order = np.argsort(values, kind="stable")
    weight = weights[order]
    return values[order], (np.cumsum(weight) - weight / 2) / weight.sum()


def _cumulative(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    ordered, shares = _quantiles(values, weights)
    return np.interp(levels, ordered, shares)
