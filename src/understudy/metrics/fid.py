"""Fréchet distance of two sets of pictures in the space of a network's features (Heusel et al. 2017), without unit.

Both sets are taken for Gaussian: ``|m1 - m2|² + Tr(C1 + C2 - 2 (C1 C2)^½)``. The published FID takes the 2048 features of
Inception's last pool; with other features it is another figure, so every result names its network. It is biased upwards
for small sets (the covariance wants more pictures than features): compare only figures of equally many pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError


@dataclass(frozen=True, kw_only=True)
class FrechetDistance:
    """FID and what it was taken from."""

    distance: float
    """0 for equal means and covariances, lower is nearer."""
    pictures: int
    """In the first set."""
    truths: int
    """In the second set."""
    features: int
    """Numbers of a picture; with fewer pictures than that the figure is good for a look and no more."""
    network: str
    """Where the features come from."""


def fid(features: np.ndarray, truth_features: np.ndarray, *, network: str) -> FrechetDistance:
    """The distance of two sets of pictures.

    Args:
        features, truth_features: (N, D) and (M, D), two pictures at least each.
        network: where they come from, for the report.

    Raises:
        InternalError: too few pictures, or features of different length.
    """
    first, second = (np.asarray(rows, np.float64) for rows in (features, truth_features))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise InternalError(f"features of shape {first.shape} and {second.shape} have no Fréchet distance")
    (mean, covariance), (true_mean, true_covariance) = _gaussian(first), _gaussian(second)
    return FrechetDistance(
        distance=frechet_distance(mean, covariance, true_mean, true_covariance),
        pictures=len(first),
        truths=len(second),
        features=first.shape[1],
        network=network,
    )


def frechet_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """The squared Fréchet (2-Wasserstein) distance of two Gaussians.

    ``Tr (C1 C2)^½`` is taken as the sum of the square roots of the eigenvalues of ``C1^½ C2 C1^½``: that matrix has the same
    ones and is symmetric, so singular covariances need no care and nothing becomes complex.

    Args:
        mean, other_mean: (D,).
        covariance, other_covariance: (D, D), symmetric, no negative eigenvalue.
    """
    root = _root(covariance)
    values = np.linalg.eigvalsh(root @ other_covariance @ root)
    cross = np.sqrt(np.clip(values, 0.0, None)).sum()
    distance = np.square(mean - other_mean).sum() + np.trace(covariance) + np.trace(other_covariance) - 2 * cross
    return float(max(distance, 0.0))  # rounding can leave a hair less than nothing


def _gaussian(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.cov(rows, rowvar=False).reshape(rows.shape[1], rows.shape[1])


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
