"""Inception Score (Salimans et al. 2016): how sure a classifier is of every picture, and how different its answers are.

``exp(E KL(p(y|x) || p(y)))``, from 1 (all pictures get one and the same answer) to the number of classes. The classifier
knows things, not people, so aligned faces score low whatever their quality (real portraits of RaFD 1.4, AF-VAE's table).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError

SPLITS = 10  # as published


@dataclass(frozen=True, kw_only=True)
class InceptionScore:
    """Mean and standard deviation over the parts of a set, and how many pictures it held."""

    score: float
    deviation: float
    pictures: int


def inception_score(probabilities: np.ndarray, *, splits: int = SPLITS) -> InceptionScore:
    """The score of a set of pictures, cut in their order into ``splits`` parts (fewer where there are fewer pictures).

    Args:
        probabilities: (N, classes), rows that sum to one.
        splits: parts, at least 1.

    Raises:
        InternalError: no pictures, or rows that are no probabilities.
    """
    rows = np.asarray(probabilities, np.float64)
    if rows.ndim != 2 or not len(rows) or (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise InternalError(f"an array of shape {rows.shape} holds no probabilities of classes")
    scores = [_score(part) for part in np.array_split(rows, min(max(splits, 1), len(rows)))]
    return InceptionScore(score=float(np.mean(scores)), deviation=float(np.std(scores)), pictures=len(rows))


def _score(rows: np.ndarray) -> float:
    marginal = rows.mean(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(rows > 0, rows * (np.log(rows) - np.log(marginal)), 0.0)
    return float(np.exp(terms.sum(axis=1).mean()))
