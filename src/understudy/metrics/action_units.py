"""How far action units are from the true or wanted ones, on OpenFace's scale of 0 to 5.

The paper's AU error is the sum over the units of squared differences, averaged over frames (ATW, section 4.2). It was
measured by OpenFace there; with another regressor, or other units, figures cannot be compared across papers. Error and
correlation of every single unit say more about a regressor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError
from understudy.faces.action_units import COUNT, ActionUnit


def unit_error(units: np.ndarray, truth: np.ndarray, *, missing: np.ndarray | None = None) -> float:
    """The paper's AU error: mean over frames of the sum over units of squared differences; 0 is equal, 425 the most.

    Args:
        units, truth: (N, 17), 0 to 5.
        missing: (N,) bool, frames that do not count.

    Raises:
        InternalError: shapes differ, or no frame counts.
    """
    return float(np.square(_difference(units, truth, missing)).sum(axis=1).mean())


@dataclass(frozen=True, kw_only=True)
class UnitScores:
    """Every unit by itself, (17,) float64 in the order of ``ActionUnit``.

    Attributes:
        error: mean absolute difference, 0 to 5.
        correlation: Pearson's, -1 to 1; not-a-number where either side is constant.
        lazy_error: the error of always saying the truth's median: what ``error`` has to be judged by.
    """

    error: np.ndarray
    correlation: np.ndarray
    lazy_error: np.ndarray

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Unit name -> measure -> value, rounded to four digits; None for not-a-number."""
        return {
            unit.name: {
                name: None if np.isnan(value := float(getattr(self, name)[unit])) else round(value, 4)
                for name in ("error", "correlation", "lazy_error")
            }
            for unit in ActionUnit
        }


def unit_scores(units: np.ndarray, truth: np.ndarray, *, missing: np.ndarray | None = None) -> UnitScores:
    """Mean absolute error and correlation of every unit.

    Args:
        units, truth: (N, 17), 0 to 5.
        missing: (N,) bool, frames that do not count.

    Raises:
        InternalError: shapes differ, or no frame counts.
    """
    difference = _difference(units, truth, missing)
    counted = _counted(truth, missing)
    lazy = np.abs(counted - np.median(counted, axis=0)).mean(axis=0)
    first, second = counted + difference, counted
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    length = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(length > 1e-9, (first * second).sum(axis=0) / length, np.nan)
    return UnitScores(error=np.abs(difference).mean(axis=0), correlation=correlation, lazy_error=lazy)


def _difference(units: np.ndarray, truth: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    if np.shape(units) != np.shape(truth) or np.shape(units)[1:] != (COUNT,):
        raise InternalError(f"units of shape {np.shape(units)} and {np.shape(truth)} cannot be compared")
    difference = _counted(units, missing) - _counted(truth, missing)
    if not len(difference):
        raise InternalError("no frame to compare units in")
    return difference


def _counted(units: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    rows = np.asarray(units, np.float64)
    return rows if missing is None else rows[~np.asarray(missing, bool)]
