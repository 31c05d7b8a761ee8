"""Which network stands behind the measures of sets of pictures, and what to say where the published one cannot be had."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from understudy.metrics import identity
from understudy.metrics.evaluator import missing_evaluator

INCEPTION_WEIGHTS = "inception-fid"
"""The row of the weights' table; :mod:`understudy.metrics.inception` loads torch and is imported when it is used."""


class FeatureNetwork(Protocol):
    """Describes every picture by numbers, for :func:`understudy.metrics.fid.fid`."""

    name: str
    """Stands in the result."""

    def features(self, pictures: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """(N, D) of pictures (N, H, W, 3), float RGB in view space, range [0, 1], and their landmarks (N, 478, 2) in pixels."""
        ...

    def probabilities(self, pictures: np.ndarray) -> np.ndarray | None:
        """(N, classes) for the Inception Score; None for a network that knows no classes."""
        ...


class FaceFeatures:
    """MobileFaceNet's 128 numbers: they tell people apart, so this distance sees who is shown more than how well."""

    name = "MobileFaceNet, not Inception"

    def features(self, pictures: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """See :class:`FeatureNetwork`; ``landmarks`` are needed."""
        assert landmarks is not None
        pairs = zip(pictures, landmarks, strict=True)
        return np.stack([identity.embed(picture, points) for picture, points in pairs])

    def probabilities(self, pictures: np.ndarray) -> np.ndarray | None:
        """See :class:`FeatureNetwork`: it knows no classes."""
        return None


def feature_network(*, without: Collection[str] = ()) -> tuple[FeatureNetwork | None, str | None]:
    """Inception where its weights are at hand, else MobileFaceNet, else None; and a sentence for what is missing.

    Args:
        without: names of weights that may not judge, because a model was trained against them.
    """
    sentence = missing_evaluator(INCEPTION_WEIGHTS)
    if sentence is None and INCEPTION_WEIGHTS not in without:
        from understudy.metrics.inception import Inception

        return Inception(), None
    if identity.missing_identity() is None and "mobilefacenet" not in without:
        return FaceFeatures(), sentence
    return None, sentence or identity.missing_identity()
